"""Restores from replicas that are not whole, and of moments that they do not hold: one line says what and where.

Promise 3 at the command line: whatever is wrong, nothing is put in place and nothing is left behind.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Published
from tests.cli.program import Replicating, Result, contents, refuses, run, succeeds
from tests.foreign import Shell


def restored(published: Published, folder: Path, *flags: str) -> Result:
    """A restore that must fail and leave its folder, and the replica, as they were."""
    folder.mkdir()
    (folder / "neighbour").write_text("mine")
    before = contents(folder), contents(published.root)
    result = run("restore", "-o", folder / "new" / "restored.db", *flags, published.url)
    assert (contents(folder), contents(published.root)) == before
    assert result.out == ""
    return result


def rows(path: Path) -> int:
    return int(Shell(path).rows("SELECT count(*) FROM fruits")[0][0])


def restores_what_is_offered(published: Published, folder: Path, line: str) -> None:
    """The last commit before the trouble can be restored in the way that the error names."""
    match = re.search(r"The last restore point before it is (\S+): restore that with -position\.$", line)
    assert match is not None, line
    succeeds("restore", "-o", folder / "restored.db", "-position", match[1], published.url)
    assert rows(folder / "restored.db") == 3


def empty(data: bytes) -> bytes:
    return b""


def cut_off(data: bytes) -> bytes:
    return data[: _behind_its_note(data)]


def one_bit_flipped(data: bytes) -> bytes:
    """In the content; what stands behind it, the table of a snapshot's blocks, no restore looks at."""
    place = _begin_of_content(data) + 40
    return data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]


def _behind_its_note(data: bytes) -> int:
    """A place in the middle of the content: what is wrong with a note is told in other words."""
    return (len(data) + _begin_of_content(data)) // 2


def _begin_of_content(data: bytes) -> int:
    return 8 + int.from_bytes(data[4:8], "little")


@pytest.mark.parametrize("damage", [empty, cut_off, one_bit_flipped])
def test_a_damaged_snapshot(published: Published, tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = published.snapshot
    path.write_bytes(damage(path.read_bytes()))
    refuses(restored(published, tmp_path / "out"), 12, published.name(path), "is damaged", "-generation chooses one")


@pytest.mark.parametrize("damage", [empty, cut_off, one_bit_flipped])
def test_a_damaged_segment(published: Published, tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = published.segments[3]
    path.write_bytes(damage(path.read_bytes()))
    line = refuses(restored(published, tmp_path / "out"), 12, published.name(path), "is damaged")
    restores_what_is_offered(published, tmp_path, line)


@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_missing_segment(published: Published, tmp_path: Path, number: int) -> None:
    """At the start, at the end of an index, and in the middle."""
    path = published.segments[number]
    path.unlink()
    line = refuses(restored(published, tmp_path / "out"), 11, published.name(path), "is not in the replica")
    if number == 3:
        restores_what_is_offered(published, tmp_path, line)


def test_a_missing_tail_restores_to_what_is_there(published: Published, tmp_path: Path) -> None:
    """Nothing in a replica tells of commits after its last object."""
    everything = tmp_path / "all.db"
    succeeds("restore", "-o", everything, published.url)
    published.segments[-1].unlink()
    succeeds("restore", "-o", tmp_path / "less.db", published.url)
    assert 0 < rows(tmp_path / "less.db") < rows(everything)


def test_no_snapshot(published: Published, tmp_path: Path) -> None:
    published.snapshot.unlink()
    refuses(restored(published, tmp_path / "out"), 10, "No snapshot", published.url, published.generation)


def test_no_replica(published: Published, tmp_path: Path) -> None:
    result = run("restore", "-o", tmp_path / "restored.db", f"file://{tmp_path}/elsewhere")
    refuses(result, 10, "No backup", f"file://{tmp_path}/elsewhere", "path is another one")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["-generation", "ffffffffffffffff"], ["ffffffffffffffff is not in", "generations"]),
        (["-index", "77"], ["no index 00000077", "00000000 to 00000002"]),
        (["-timestamp", "2001-01-01T00:00:00Z"], ["nothing from 2001-01-01T00:00:00Z", "holds 20"]),
        (["-position", "GENERATION/00000000:00000100"], ["no restore point", "its first is"]),
        (["-position", "GENERATION/00000001:00000100"], ["No commit ends at", "before it", "after it"]),
        (["-position", "GENERATION/00000055:00004152"], ["no index 00000055", "last object"]),
        (["-position", "ffffffffffffffff/00000000:00004152"], ["ffffffffffffffff is not in", "generations"]),
    ],
)
def test_a_moment_that_is_not_there(published: Published, tmp_path: Path, flags: list[str], words: list[str]) -> None:
    flags = [flag.replace("GENERATION", published.generation) for flag in flags]
    refuses(restored(published, tmp_path / "out", *flags), 10, *words)


def test_the_output_is_taken(published: Published, tmp_path: Path) -> None:
    output = tmp_path / "taken.db"
    output.write_text("precious")
    before = contents(tmp_path)
    refuses(run("restore", "-o", output, published.url), 9, f"{output} exists already", "Move it away", "-o")
    assert contents(tmp_path) == before


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
def test_a_stale_file_beside_the_output(published: Published, tmp_path: Path, suffix: str) -> None:
    side = tmp_path / f"fresh.db{suffix}"
    side.write_text("of another database")
    before = contents(tmp_path)
    refuses(run("restore", "-o", tmp_path / "fresh.db", published.url), 9, f"{side} exists", "move it away")
    assert contents(tmp_path) == before


def test_a_source_that_was_corrupt_already(tmp_path: Path) -> None:
    """The replica is faithful; SQLite's check says what it is faithful to, and can be left out. The copy is kept."""
    source, output, url = tmp_path / "source.db", tmp_path / "restored.db", f"file://{tmp_path}/replica"
    Shell(source).run("CREATE TABLE t(a); INSERT INTO t VALUES(zeroblob(9000)); PRAGMA journal_mode=WAL")
    with source.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 100)
    with Replicating(tmp_path / "log", source, url) as replicate:
        replicate.wait_for("snapshot written")
        replicate.end()
    before = contents(tmp_path)
    refuses(run("restore", "-o", output, url), 13, "quick check", "-integrity-check none")
    kept = output.with_name("restored.db.failed-check")
    assert kept.stat().st_size == source.stat().st_size
    kept.unlink()
    assert contents(tmp_path) == before
    succeeds("restore", "-integrity-check", "none", "-o", output, url)
    assert output.stat().st_size == source.stat().st_size
