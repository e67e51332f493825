"""The local folder by itself: what is in the place of its files is neither followed, nor written to, nor removed."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from replication.database.lock import EngineLock, holder
from replication.database.status_file import load
from replication.errors import LocalFileError
from replication.local.files import (
    DISOWNED_NAME,
    GENERATION_INFO_NAME,
    LOCK_NAME,
    PRIVATE_NAMES,
    PROOF_NAME,
    REMEMBERED_NAME,
    STATUS_NAME,
)
from replication.local.folder import LocalFolder
from replication.local.generation_info import GenerationInfo
from replication.local.shadow_wal import ShadowWAL
from replication.nofollow import open_folder
from replication.permissions import Ownership
from replication.position import Position
from replication.replica.disowned import disown, disowned
from replication.replica.wal03.remembered import remember

GENERATION = "0123456789abcdef"


@pytest.fixture
def shadow(tmp_path: Path) -> ShadowWAL:
    made = ShadowWAL(tmp_path / "meta", Ownership())
    made.make()
    return made


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that nobody here has any business with."""
    path = tmp_path / "elsewhere" / "secret"
    path.parent.mkdir()
    path.write_text("precious")
    return path


def pipe(path: Path) -> None:
    os.mkfifo(path)


def listening(path: Path) -> None:
    os.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)


def folder(path: Path) -> None:
    path.mkdir()


def link(path: Path) -> None:
    path.symlink_to(path.parent.parent / "elsewhere" / "secret")


STRANGE: list[Callable[[Path], None]] = [pipe, listening, folder, link]


@pytest.mark.parametrize("put", STRANGE)
@pytest.mark.parametrize("name", ["generation", *PRIVATE_NAMES])
def test_what_is_no_plain_file_is_refused_in_words(
    shadow: ShadowWAL, secret: Path, monkeypatch: pytest.MonkeyPatch, put: Callable[[Path], None], name: str
) -> None:
    """A pipe most of all: opening one waits for its other end."""
    monkeypatch.chdir(shadow.meta_path)
    put(shadow.meta_path / name)
    with pytest.raises(LocalFileError, match=f"{name} is a .* where a plain file of litestream-tui should be"):
        shadow.make()
    assert secret.read_text() == "precious"


@pytest.mark.parametrize("put", STRANGE)
def test_nothing_of_it_is_waited_for_or_followed(
    shadow: ShadowWAL, secret: Path, monkeypatch: pytest.MonkeyPatch, put: Callable[[Path], None]
) -> None:
    """Put there while we run: reading finds nothing, and writing fails or replaces the name, never what it leads to."""
    monkeypatch.chdir(shadow.meta_path)
    meta = shadow.meta_path
    for name in ("generation", "litestream-tui.lock", *PRIVATE_NAMES, "generation.tmp", f"{STATUS_NAME}.tmp"):
        if not os.path.lexists(meta / name):
            put(meta / name)
    assert load(meta).replicas == ()
    assert disowned(meta) == {}
    assert GenerationInfo.load(meta, GENERATION).reason == ""
    with pytest.raises(LocalFileError):
        EngineLock.take(meta, meta / "app.db")
    with pytest.raises(LocalFileError):
        holder(meta)
    with pytest.raises(LocalFileError):
        shadow.current_generation()
    remember(meta, "r", Position(GENERATION, 0, 0), 1)
    disown(meta, "r", GENERATION, "words", certain=True)
    GenerationInfo(GENERATION, "reason", "", "").save(meta)
    with pytest.raises(LocalFileError) if put is folder else _nothing():
        shadow.use_generation(GENERATION)
    assert secret.read_text() == "precious"
    assert secret.stat().st_nlink == 1


class _nothing:  # noqa: N801 (stands for a context without an error)
    def __enter__(self) -> None: ...

    def __exit__(self, *error: object) -> None: ...


@pytest.mark.parametrize("put", STRANGE)
def test_a_shadow_file_that_is_none(
    shadow: ShadowWAL, secret: Path, monkeypatch: pytest.MonkeyPatch, put: Callable[[Path], None]
) -> None:
    shadow.make_generation(GENERATION)
    path = shadow.path(GENERATION, 0)
    (shadow.meta_path / "elsewhere").symlink_to(secret.parent)
    monkeypatch.chdir(path.parent)
    if put is link:
        path.symlink_to(secret)
    else:
        put(path)
    with shadow.append(GENERATION, 0) as append, pytest.raises(LocalFileError, match="should be"):
        append.write(0, b"frames")
    acts: list[Callable[[], None]] = [lambda: shadow.seal(GENERATION, 0, 3), lambda: shadow.fsync(GENERATION, 0)]
    for act in acts:
        with pytest.raises(LocalFileError, match="should be"):
            act()
    with pytest.raises(OSError, match="should be"), shadow.file(GENERATION, 0).opened():
        pass
    assert secret.read_text() == "precious"


@pytest.mark.parametrize("depth", ["generations", f"generations/{GENERATION}", f"generations/{GENERATION}/wal"])
def test_a_link_in_the_place_of_a_folder_is_not_followed(shadow: ShadowWAL, tmp_path: Path, depth: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    place = elsewhere.joinpath(*f"generations/{GENERATION}/wal".removeprefix(depth).strip("/").split("/"))
    place.mkdir(parents=True, exist_ok=True)
    (place / "00000000.wal").write_text("precious")
    (shadow.meta_path / depth).parent.mkdir(parents=True, exist_ok=True)
    (shadow.meta_path / depth).symlink_to(elsewhere)
    with shadow.append(GENERATION, 0) as append, pytest.raises(LocalFileError):
        append.write(0, b"frames")
    with shadow.append(GENERATION, 1) as append, pytest.raises(LocalFileError):
        append.write(0, b"frames")
    acts: list[Callable[[], None]] = [
        lambda: shadow.make_generation(GENERATION),
        lambda: shadow.seal(GENERATION, 0, 0),
        lambda: shadow.remove_below(GENERATION, 9),
        lambda: shadow.remove_index(GENERATION, 0),
    ]
    for act in acts:
        with pytest.raises(LocalFileError):
            act()
    if depth != f"generations/{GENERATION}/wal":
        with pytest.raises(LocalFileError):
            shadow.remove_generation(GENERATION)
    else:
        shadow.remove_generation(GENERATION)
    assert [item.name for item in place.iterdir()] == ["00000000.wal"]
    assert (place / "00000000.wal").read_text() == "precious"


@pytest.mark.parametrize("name", [LOCK_NAME, f"generations/{GENERATION}/wal/00000000.wal"])
def test_a_file_with_another_name_is_not_written_through(shadow: ShadowWAL, secret: Path, name: str) -> None:
    shadow.make_generation(GENERATION)
    (shadow.meta_path / name).hardlink_to(secret)

    def write() -> None:
        if name == LOCK_NAME:
            EngineLock.take(shadow.meta_path, shadow.meta_path / "app.db")
        with shadow.append(GENERATION, 0) as append:
            append.write(0, b"frames")

    with pytest.raises(LocalFileError, match="another name"):
        write()
    assert secret.read_text() == "precious"


@pytest.mark.parametrize(
    "name", ["generation", STATUS_NAME, GENERATION_INFO_NAME, PROOF_NAME, REMEMBERED_NAME, DISOWNED_NAME]
)
def test_a_file_that_is_replaced_leaves_its_other_name_alone(shadow: ShadowWAL, secret: Path, name: str) -> None:
    for taken in (name, f"{name}.tmp"):
        (shadow.meta_path / taken).hardlink_to(secret)
    shadow.folder.write(name, b"ours")
    assert (shadow.meta_path / name).read_text() == "ours"
    assert secret.read_text() == "precious"


@pytest.mark.parametrize("mask", [0, 0o077, 0o777])
def test_private_files_are_private_whatever_the_umask(shadow: ShadowWAL, mask: int) -> None:
    before = os.umask(mask)
    try:
        for name in PRIVATE_NAMES:
            if name != LOCK_NAME:
                shadow.folder.write(name, b"{}")
        EngineLock.take(shadow.meta_path, shadow.meta_path / "app.db").release()
    finally:
        os.umask(before)
    for name in PRIVATE_NAMES:
        assert (shadow.meta_path / name).stat().st_mode & 0o777 == 0o600, name


def test_a_lock_file_that_was_open_to_others_is_closed_to_them(shadow: ShadowWAL) -> None:
    (shadow.meta_path / LOCK_NAME).touch()
    (shadow.meta_path / LOCK_NAME).chmod(0o666)
    EngineLock.take(shadow.meta_path, shadow.meta_path / "app.db").release()
    assert (shadow.meta_path / LOCK_NAME).stat().st_mode & 0o777 == 0o600


def test_only_exact_names_of_ours_are_swept(shadow: ShadowWAL) -> None:
    meta = shadow.meta_path
    ours = [
        "generation.tmp",
        f"{STATUS_NAME}.tmp",
        f"{STATUS_NAME}.new",
        f"litestream-tui.pages-{GENERATION}.tmp",
    ]
    theirs = ["mine.tmp", "generations/deep/mine.tmp", "generation.tmp.tmp", "litestream-tui.pages-mine.tmp", ".tmp"]
    (meta / "generations" / "deep").mkdir(parents=True)
    for name in (*ours, *theirs):
        (meta / name).write_text("x")
    (meta / f"{GENERATION_INFO_NAME}.tmp").mkdir()
    shadow.sweep()
    assert not any((meta / name).exists() for name in ours)
    assert all((meta / name).exists() for name in theirs)
    assert (meta / f"{GENERATION_INFO_NAME}.tmp").is_dir()


@pytest.mark.parametrize(
    ("content", "accepted"),
    [
        ([], True),
        (["generation"], True),
        (["generations/"], True),
        (["generations/", "something else"], True),
        ([LOCK_NAME, "photos/"], True),
        (["ltx/"], True),
        (["lost+found/"], True),
        (["generation.tmp"], True),
        (["photos/"], False),
        (["app.db"], False),
        (["lost+found/", "notes.tmp"], False),
        ([".hidden"], False),
    ],
)
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path, content: list[str], *, accepted: bool) -> None:
    meta = tmp_path / "meta"
    for name in content:
        (meta / name).mkdir(parents=True) if name.endswith("/") else None
        if not name.endswith("/"):
            meta.mkdir(exist_ok=True)
            (meta / name).write_text(f"{GENERATION}\n")
    shadow = ShadowWAL(meta, Ownership())
    if accepted:
        shadow.make()
    else:
        with pytest.raises(LocalFileError, match=r"not litestream-tui's.* with meta-path"):
            shadow.make()
        assert len(list(meta.iterdir())) == len(content)


def test_the_known_file_is_told_from_another_in_its_place(shadow: ShadowWAL, secret: Path) -> None:
    """What is reached quickly the second time is still not written to once another file is there."""
    shadow.make_generation(GENERATION)
    for offset in (0, 6):
        with shadow.append(GENERATION, 0) as append:
            append.write(offset, b"frames")
    assert shadow.path(GENERATION, 0).read_bytes() == b"framesframes"
    wal, away = shadow.path(GENERATION, 0).parent, secret.parent / "wal"
    away.mkdir()
    (away / "00000000.wal").write_text("preciouspreciousprecious")
    wal.rename(wal.with_name("kept"))
    wal.symlink_to(away)
    with shadow.append(GENERATION, 0) as append, pytest.raises(LocalFileError):
        append.write(12, b"frames")
    assert (away / "00000000.wal").read_text() == "preciouspreciousprecious"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make links of another user")
def test_as_root_a_strangers_link_leads_only_to_their_own_folders(tmp_path: Path) -> None:
    for name, owner in (("theirs", 12345), ("roots", 0)):
        (tmp_path / name).mkdir()
        os.chown(tmp_path / name, owner, owner)
        (tmp_path / name / "below").mkdir()
        os.chown(tmp_path / name / "below", owner, owner)
        for kind, uid in (("stranger", 12345), ("root", 0)):
            at = tmp_path / f"{kind}-to-{name}"
            at.symlink_to(name)
            os.chown(at, uid, uid, follow_symlinks=False)
    for path in (
        "stranger-to-theirs",
        "stranger-to-theirs/below",
        "root-to-theirs",
        "root-to-roots",
        "roots/../theirs",
    ):
        os.close(open_folder(tmp_path / path))
    for path in ("stranger-to-roots", "stranger-to-roots/below", "theirs/../stranger-to-roots"):
        words = f"user 12345 has put the symbolic link {tmp_path}/stranger-to-roots there to what belongs to user 0"
        with pytest.raises(OSError, match=words):
            open_folder(tmp_path / path)
    with pytest.raises(OSError, match="symbolic link"):
        LocalFolder(tmp_path / "stranger-to-roots" / "new" / "meta", Ownership(0o600, 0o700, 12345, 12345)).make()
    assert [item.name for item in (tmp_path / "roots").iterdir()] == ["below"]
