"""What a look into a folder finds: databases alone, and what it could not look at as it was before."""

import os
from pathlib import Path

import pytest

from replication.config import DatabaseConfig, DirectoryConfig, ReplicaConfig
from replication.config.pattern import matches
from replication.database import directory
from replication.database.claim import Claim
from replication.database.directory import MAGIC, Look
from replication.database.together import together
from replication.storage.file.location import FileLocation
from replication.storage.s3.location import S3Location


def folder(path: Path, pattern: str = "*", recursive: bool = True) -> DirectoryConfig:
    return DirectoryConfig(path, DatabaseConfig(path, path, ()), pattern, recursive)


def put(path: Path, content: bytes = MAGIC) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("pattern", "fits", "others"),
    [
        ("*.db", ["a.db", ".db", "a.b.db"], ["a.db2", "db", "a.DB"]),
        ("?.d*b", ["a.db", "a.d.b", "é.dxb"], ["ab.db", ".db"]),
        ("[a-c][^x].db", ["ay.db", "c-.db"], ["dx.db", "ax.db", "a.db"]),
        (r"\*[\]].db", ["*].db"], ["a].db", r"\].db"]),
        ("a*b*c", ["abc", "axbxc", "abbcc"], ["acb", "ab"]),
        ("line\n*", ["line\nx"], ["line"]),
        ("*" * 50 + "b", ["b", "ab"], ["a" * 250]),
        ("*a" * 40 + "b", ["a" * 40 + "b"], ["a" * 250]),
    ],
)
def test_patterns(pattern: str, fits: list[str], others: list[str]) -> None:
    assert [name for name in [*fits, *others] if matches(pattern, name)] == fits


@pytest.mark.parametrize("pattern", ["[", "[]", "[^]", "[a", "[a-", "[a-]", "[-a]", "[b-a]", "a\\\\"[:-1]])
def test_what_is_no_pattern(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        matches(pattern, "a")


def test_databases_alone_are_found(tmp_path: Path) -> None:
    for name in ("a.db", "b.db", "sub/c.db", "sub/.hidden/d.db", ".e.db", "a.db-wal"):
        put(tmp_path / name)
    put(tmp_path / "text.db", b"SQLite format 2\0")
    (tmp_path / "link.db").symlink_to("a.db")
    os.mkfifo(tmp_path / "pipe.db")
    assert Look(folder(tmp_path)).again().names == ("a.db", "b.db", "sub/c.db")
    assert Look(folder(tmp_path, recursive=False)).again().names == ("a.db", "b.db")
    assert Look(folder(tmp_path, ".*")).again().names == (".e.db",)
    assert Look(folder(tmp_path, "[ab].*")).again().names == ("a.db", "b.db")


def test_one_that_becomes_a_database_is_found_then(tmp_path: Path) -> None:
    put(tmp_path / "a.db", b"")
    look = Look(folder(tmp_path))
    assert look.again().names == ()
    put(tmp_path / "a.db")
    assert look.again().names == ("a.db",)


def test_a_file_that_is_ours_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "outside" / "a.db", b"whatever it holds")
    (tmp_path / "in").mkdir()
    os.link(tmp_path / "outside" / "a.db", tmp_path / "in" / "b.db")
    opened: list[str] = []

    def open_content(file: int, name: str, folder: int) -> bool:
        opened.append(name)
        return False

    monkeypatch.setattr(directory, "_begins_as_a_database", open_content)
    claim = Claim.take(tmp_path / "outside" / "a.db")
    try:
        assert Look(folder(tmp_path / "in")).again().names == ("b.db",)
        assert opened == []
    finally:
        claim.release()
    assert Look(folder(tmp_path / "in")).again().names == ()
    assert opened == ["b.db"]


def test_what_cannot_be_looked_at_is_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.db", "sub/b.db", "sub/deep/c.db", "other/d.db"):
        put(tmp_path / name)
    look = Look(folder(tmp_path))
    everything = look.again().names
    real = directory._walk

    def walk(top: int, path: str) -> int:
        if path == "sub":
            raise PermissionError(13, "Permission denied")
        return real(top, path)

    monkeypatch.setattr(directory, "_walk", walk)
    (tmp_path / "other" / "d.db").unlink()
    found = look.again()
    assert found.names == tuple(name for name in everything if name != "other/d.db")
    assert found.problems == {"sub": "Permission denied"}


def test_a_folder_that_is_not_there_has_none(tmp_path: Path) -> None:
    look = Look(folder(tmp_path / "later"))
    assert not look.again().is_there
    put(tmp_path / "later" / "a.db")
    assert look.again().names == ("a.db",)
    (tmp_path / "later").rename(tmp_path / "away")
    assert look.again().names == ()


def test_places_lie_below_that_of_the_entry() -> None:
    each = DatabaseConfig(
        Path("/srv"),
        Path("/srv"),
        (ReplicaConfig("s3", S3Location("b", "/base/")), ReplicaConfig("file", FileLocation(Path("/copies")))),
        monitor_interval=7.0,
    )
    config = DirectoryConfig(Path("/srv"), each, "*.db", recursive=True)
    found = config.database("eu/shop.db")
    assert (found.path, found.meta_path) == (Path("/srv/eu/shop.db"), Path("/srv/eu/.shop.db-litestream"))
    assert [item.location for item in found.replicas] == [
        S3Location("b", "base/eu/shop.db"),
        FileLocation(Path("/copies/eu/shop.db")),
    ]
    assert found.monitor_interval == 7.0
    elsewhere = DirectoryConfig(Path("/srv"), each, "*.db", meta_path=Path("/meta"))
    assert elsewhere.database("eu/shop.db").meta_path == Path("/meta/eu/.shop.db-litestream")


def test_who_comes_first_has_the_place() -> None:
    def one(path: str, place: str) -> DatabaseConfig:
        return DatabaseConfig(
            Path(path), Path(f"{path}-meta"), (ReplicaConfig("file", FileLocation(Path("/copies") / place)),)
        )

    named = one("/srv/a.db", "a")
    kept, clashes = together([named], [one("/srv/a.db", "x"), one("/srv/b.db", "a"), one("/srv/c.db", "c")])
    assert [item.path.name for item in kept] == ["a.db", "c.db"]
    assert kept[0] is named
    [clash] = clashes
    assert not clash.is_harmless
    assert "/srv/a.db" in clash.words
    [again] = together([], [one("/srv/c.db", "c"), one("/srv/c.db", "d")])[1]
    assert again.is_harmless
