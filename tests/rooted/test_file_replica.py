"""A replica in a folder, written to as root where another user may put links (promise 10)."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from replication.errors import PlaceLostError, StorageError
from replication.storage.file.storage import FileStorage
from replication.storage.location import FilePermissions
from tests.cli.program import Replicating, succeeds
from tests.foreign import Shell
from tests.interchange.program import wait_until
from tests.rooted.conftest import USER, Home
from tests.rooted.test_hostile_home import SWAP, as_user, users

NAME = "generations/0123456789abcdef/wal/00000000_00000000.wal.lz4"


def storage(root: Path) -> FileStorage:
    return FileStorage(root, FilePermissions(0o600, 0o700, USER, USER))


def after_mkdir(monkeypatch: pytest.MonkeyPatch, name: str, act: Callable[[], None]) -> None:
    """Do something in the instant after a folder of this name was made."""
    real = os.mkdir

    def mkdir(path: str | Path, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        real(path, mode, dir_fd=dir_fd)
        if Path(path).name == name:
            monkeypatch.setattr(os, "mkdir", real)
            act()

    monkeypatch.setattr(os, "mkdir", mkdir)


@pytest.mark.parametrize("made", ["backup", "app", "generations"])
@pytest.mark.parametrize("instead", ["link", "folder", "file"])
def test_what_takes_the_place_of_a_fresh_folder_is_not_given_away(
    home: Home, monkeypatch: pytest.MonkeyPatch, made: str, instead: str
) -> None:
    """As it was found: root gave a folder of its own to the user, who had put a link where root made a folder."""
    root = home.folder / "backup" / "app"
    fresh = {"backup": root.parent, "app": root, "generations": root / "generations"}[made]
    before = home.vault_content()
    roots = home.folder / "roots"
    if instead == "file":
        # One of root's that came there by another name, as where hard links are not protected.
        roots.write_text("precious")
    else:
        roots.mkdir()
        (roots / "precious").touch()

    def swap() -> None:
        fresh.rename(home.folder / "aside")
        if instead == "link":
            fresh.symlink_to(home.vault)
        else:
            roots.rename(fresh)

    after_mkdir(monkeypatch, made, swap)
    if instead == "folder":
        # A plain folder, which may be written to as it stands in the user's own.
        storage(root).put(NAME, [b"EVIL"])
    else:
        words = {"link": "a symbolic link stands where", "file": "a plain file stands where"}[instead]
        with pytest.raises(StorageError, match=words):
            storage(root).put(NAME, [b"EVIL"])
    assert home.vault_content() == before
    if instead != "link":
        assert fresh.stat().st_uid == 0


@pytest.mark.parametrize("below", ["", "app", "generations"])
def test_a_link_of_the_user_leads_no_object_to_roots_folder(home: Home, below: str) -> None:
    """As it was found: the link was there before, and root wrote files of the user's choosing below it."""
    before, link = home.vault_content(), home.folder / "backup"
    users(lambda: link.symlink_to(home.vault))
    store = storage(link / below)
    for act in (
        lambda: store.put(NAME, [b"EVIL"]),
        lambda: list(store.list("")),
        lambda: list(store.get(NAME)),
        lambda: store.delete(["0123456789abcdef/wal/00000000.wal", "secret", "wal/secret"]),
    ):
        if below == "app" and act.__code__.co_names[0] != "put":
            continue  # Nothing is there.
        with pytest.raises(StorageError, match=f"user {USER}.*symbolic link.*{link}.*belongs to user 0"):
            act()
    assert home.vault_content() == before


def test_links_that_are_nobodys_trick_are_followed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """`current -> releases/7` of the user to the user's own, links of root, a relative root."""
    releases = home.folder / "releases"
    users(lambda: (releases / "7").mkdir(parents=True))
    users(lambda: (home.folder / "current").symlink_to("releases/7"))
    base = home.vault.parent
    (base / "disk").mkdir()
    (base / "link").symlink_to(base / "disk")
    (base / "link-to-home").symlink_to(home.folder)
    monkeypatch.chdir(base)
    for root, real in (
        (home.folder / "current", releases / "7"),
        (home.folder / "current" / "new" / "app", releases / "7" / "new" / "app"),
        (base / "link" / "app", base / "disk" / "app"),
        (base / "link-to-home" / "app", home.folder / "app"),
        (Path("relative/app"), base / "relative" / "app"),
        (Path("home/../other/app"), base / "other" / "app"),
    ):
        store = storage(root)
        assert store.put(NAME, [b"object"]) == 6
        assert (real / NAME).read_bytes() == b"object"
        assert (real.stat().st_uid, (real / NAME).stat().st_uid) == (USER, USER)
        assert [info.name for info in store.list("")] == [NAME]
        assert b"".join(store.get(NAME)) == b"object"
        store.delete([NAME])
        assert list(store.list("")) == []


def test_a_place_that_a_link_takes_later_is_lost_to_writes_and_refused_to_reads(home: Home) -> None:
    store, root = storage(home.folder / "backup"), home.folder / "backup"
    store.put(NAME, [b"object"])
    before = home.vault_content()
    users(lambda: root.rename(home.folder / "aside"))
    users(lambda: root.symlink_to(home.vault))
    with pytest.raises(PlaceLostError):
        store.put(NAME, [b"EVIL"])
    with pytest.raises(StorageError, match="symbolic link"):
        list(store.list(""))
    with pytest.raises(StorageError, match="symbolic link"):
        store.delete(["secret"])
    store.accept_place()
    with pytest.raises(StorageError, match="symbolic link"):
        store.put(NAME, [b"EVIL"])
    users(root.unlink)
    users(lambda: (home.folder / "aside").rename(root))
    store.put(NAME, [b"again"])
    assert home.vault_content() == before


def test_a_pipe_with_the_name_of_an_unfinished_write_is_waited_for_by_nobody(home: Home) -> None:
    root = home.folder / "backup"
    storage(root).put(NAME, [b"object"])
    pipe = root / "generations" / ".0123456789abcdef.tmp"
    users(lambda: os.mkfifo(pipe))
    os.utime(pipe, (0, 0))
    storage(root).put(NAME, [b"object"])
    assert b"".join(storage(root).get(NAME)) == b"object"


def test_the_program_says_which_link_it_does_not_follow_and_goes_on_without_it(home: Home, tmp_path: Path) -> None:
    before, link = home.vault_content(), home.folder / "backup"
    home.config.write_text(home.config.read_text().replace(str(home.replica), str(link / "app")))
    users(lambda: link.symlink_to(home.vault))
    with Replicating(tmp_path / "log", "-config", home.config) as replicate:
        wait_until("words", lambda: "symbolic link" in replicate.said or not replicate.running)
        assert f"symbolic link {link}" in replicate.said
        assert home.vault_content() == before
        users(link.unlink)
        wait_until("upload", lambda: any((link / "app").rglob("*.lz4")) or not replicate.running)
        replicate.end()
    assert "Traceback" not in replicate.said
    assert home.vault_content() == before
    output = home.vault.parent / "restored.db"
    succeeds("restore", "-o", output, f"file://{link / 'app'}")
    assert Shell(output).rows("SELECT a FROM t") == [[1]]


def test_a_replica_that_is_swapped_in_a_loop_gains_its_user_nothing(home: Home, tmp_path: Path) -> None:
    root, stop = home.folder / "backup", home.vault.parent / "stop"
    home.config.write_text(home.config.read_text().replace(str(home.replica), str(root / "app")))
    before = home.vault_content()
    with (
        as_user(SWAP, name=str(root), pattern=str(root), target=str(home.vault), swaps=500, stop=str(stop)) as attacker,
        Replicating(tmp_path / "log", "-config", home.config) as replicate,
    ):
        assert attacker.stdout is not None
        assert int(attacker.stdout.read()) == 500
        replicate.end()
    assert "Traceback" not in replicate.said
    assert home.vault_content() == before
