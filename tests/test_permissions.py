"""The mode of a file that is made beside one with an access control list."""

import os
import struct
from pathlib import Path

import pytest

from replication.permissions import ACL, Ownership, mode_beside, others_bits
from tests.engine.running import config_of, in_step, running, until
from tests.foreign import Shell

_USER_OBJ, _USER, _GROUP_OBJ, _GROUP, _MASK, _OTHER = 1, 2, 4, 8, 16, 32
_NOBODY = 0xFFFFFFFF


def acl(*entries: tuple[int, int]) -> bytes:
    """A list; named entries are of user or group 12345."""
    made = struct.pack("<I", 2)
    for tag, permission in entries:
        made += struct.pack("<HHI", tag, permission, 12345 if tag in (_USER, _GROUP) else _NOBODY)
    return made


DENIED_GROUP = acl((_USER_OBJ, 6), (_USER, 6), (_GROUP_OBJ, 0), (_MASK, 6), (_OTHER, 0))
"""The mode of a file with it is 0660."""


@pytest.mark.parametrize(
    ("entries", "bits"),
    [
        (((_GROUP_OBJ, 4), (_OTHER, 4)), 0o44),
        (((_USER, 6), (_GROUP_OBJ, 0), (_MASK, 6), (_OTHER, 0)), 0o00),
        (((_USER, 6), (_GROUP_OBJ, 6), (_MASK, 4), (_OTHER, 0)), 0o40),
        (((_USER, 0), (_GROUP_OBJ, 6), (_MASK, 6), (_OTHER, 4)), 0o00),
        (((_GROUP, 0), (_GROUP_OBJ, 6), (_MASK, 6), (_OTHER, 4)), 0o60),
        (((_GROUP, 4), (_GROUP_OBJ, 4), (_MASK, 4), (_OTHER, 6)), 0o44),
        (((_GROUP_OBJ, 6), (_MASK, 4), (_OTHER, 6)), 0o46),
    ],
)
def test_nobody_gets_more_than_the_list_gives(entries: tuple[tuple[int, int], ...], bits: int) -> None:
    assert others_bits(acl((_USER_OBJ, 6), *entries)) == bits


@pytest.mark.parametrize("strange", [b"", b"\1\0\0\0", DENIED_GROUP[:-1]])
def test_a_list_that_is_not_understood_gives_nothing(strange: bytes) -> None:
    assert others_bits(strange) == 0


def with_list(path: Path) -> None:
    try:
        os.setxattr(path, ACL, DENIED_GROUP)
    except OSError as error:
        pytest.skip(f"no access control lists here: {error.strerror}")
    assert path.stat().st_mode & 0o777 == 0o660


def test_without_a_list_the_mode_is_the_files(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.touch()
    path.chmod(0o644)
    assert mode_beside(path) == 0o644


def test_promise_4_a_group_that_the_list_keeps_out_may_read_neither_shadow_wal_nor_replica(tmp_path: Path) -> None:
    """The group bits of the database's mode are the list's mask: what a named user may."""
    shell = Shell(tmp_path / "app.db")
    shell.run("PRAGMA journal_mode=wal; CREATE TABLE t(x); INSERT INTO t VALUES(1)")
    with_list(shell.path)
    assert Ownership.of(shell.path).file_mode == 0o600
    with running(config_of(shell.path, tmp_path / "replica")) as engine:
        shell.run("INSERT INTO t VALUES(2)")
        until(lambda: in_step(engine) and any(tmp_path.glob(".app.db-litestream/**/*.wal")))
    made = [path for folder in tmp_path.iterdir() if folder.is_dir() for path in folder.rglob("*")]
    made = [path for path in made if path.suffix in (".lz4", ".wal")]
    assert any(path.suffix == ".lz4" for path in made)
    assert any(path.suffix == ".wal" for path in made)
    assert not [path for path in made if path.stat().st_mode & 0o077]
