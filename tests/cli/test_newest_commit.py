"""A restore is the newest commit asked for, or says why not: hosts, clocks, several replicas, damage, Litestream.

Promise 3 at the command line. The replicas are written by the real programs; what clocks and losses do to them is
done to their objects afterwards.
"""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import peers
from replication.storage.codecs import DEFAULT_CODEC
from tests.cli.conftest import ROUNDS, Published
from tests.cli.program import Replicating, contents, refuses, run, succeeds
from tests.foreign import ForeignConnection, Shell
from tests.interchange.program import PROGRAM, restore03, wait_until

PAGE, FRAME = 4096, 4096 + 24
SECOND = 1_800_000_000
"""Objects are given times from here on."""


def rows(path: Path) -> int:
    return int(Shell(path).rows("SELECT count(*) FROM fruits")[0][0])


def at(second: float) -> str:
    """A time as -timestamp has it."""
    return subprocess.run(
        ["date", "-u", "-d", f"@{SECOND + second}", "+%Y-%m-%dT%H:%M:%S.%6NZ"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


def set_time(path: Path, second: float) -> None:
    os.utime(path, (SECOND + second, SECOND + second))


def spread(root: Path, start: float = 0.0) -> list[Path]:
    """One second between one object and the next: the snapshot, then segments in order, each a commit."""
    for path in list(root.rglob("*.wal.lz4")):
        if not content(path):
            path.unlink()
    ordered = sorted(root.rglob("*.snapshot.lz4")) + sorted(root.rglob("*.wal.lz4"))
    for number, path in enumerate(ordered):
        set_time(path, start + number)
    return ordered


def rewritten(path: Path, change: Callable[[dict[str, str | int]], None]) -> None:
    """Change the note of an object, and nothing else of it."""
    data, times = path.read_bytes(), path.stat()
    opened = DEFAULT_CODEC.open("object", [data])
    note = dict(opened.note or {})
    change(note)
    path.write_bytes(b"".join(DEFAULT_CODEC.seal(opened, note)))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def content(path: Path) -> bytes:
    return b"".join(DEFAULT_CODEC.open(path.name, [path.read_bytes()]))


def two_replicas(published: Published, folder: Path, *more: str) -> tuple[Path, Path, list[str]]:
    """Two copies of a replica, and the arguments that name both by a configuration."""
    config = folder / "two.yml"
    first, second = folder / "r0", folder / "r1"
    for root in (first, second):
        shutil.copytree(published.root, root)
    config.write_text(
        f"dbs:\n- path: {folder}/app.db\n  replicas:\n  - {{name: r0, path: {first}}}\n"
        f"  - {{name: r1, path: {second}}}\n" + "".join(f"  - {item}\n" for item in more)
    )
    return first, second, ["-config", str(config), str(folder / "app.db")]


def restored(folder: Path, *arguments: str) -> tuple[int, dict[str, object]]:
    """How many rows a restore brings back, and what it says."""
    output = folder / "restored.db"
    values = json.loads(succeeds("restore", "-json", "-o", output, *arguments).out)
    found = rows(output)
    output.unlink()
    return found, values


# -- clocks and hosts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("linked", ["as it is", "by an older version"])
def test_promise_3_a_new_host_whose_clock_is_behind(tmp_path: Path, linked: str) -> None:
    """Its local folder is lost; the snapshot says which generations were there, and the store's times are right."""
    root, database = tmp_path / "replica", tmp_path / "app.db"
    config = tmp_path / "litestream.yml"
    config.write_text(f"dbs: [{{path: {database}, replicas: [{{path: {root}, sync-interval: 1ms}}]}}]")
    with ForeignConnection(database) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE fruits(name)")

        def replicate(log: str, upto: int) -> None:
            with Replicating(tmp_path / log, "-config", config) as replicating:
                replicating.wait_for("snapshot written")
                while writer.execute("SELECT count(*) FROM fruits")[0][0] < upto:
                    writer.execute("INSERT INTO fruits VALUES(hex(zeroblob(3000)))")
                assert replicating.end() == 0

        replicate("first", 3)
        [old] = list((root / "generations").iterdir())
        [snapshot] = list(old.rglob("*.snapshot.lz4"))
        # The first host's clock was a year ahead of the second one's.
        rewritten(snapshot, lambda note: note.update(time="2099-01-01T00:00:00Z"))
        shutil.rmtree(tmp_path / ".app.db-litestream")
        replicate("second", 19)
        [new] = [item for item in (root / "generations").iterdir() if item != old]
        [snapshot] = list(new.rglob("*.snapshot.lz4"))
        if linked == "as it is":
            assert (DEFAULT_CODEC.open("object", [snapshot.read_bytes()]).note or {})["previous"] == old.name
        else:
            rewritten(snapshot, lambda note: note.update(previous="", earlier=""))
    if linked == "as it is":
        assert restored(tmp_path, f"file://{root}")[0] == 19
        return
    # The clocks say one thing and the store another: both are named, and the older one is never taken in silence.
    line = refuses(run("restore", "-o", tmp_path / "none.db", f"file://{root}"), 10, "Name one with -generation")
    assert old.name in line
    assert restored(tmp_path, "-generation", new.name, f"file://{root}")[0] == 19


def test_promise_3_litestream_restarted_within_a_second(tmp_path: Path) -> None:
    """On a store with times in whole seconds, with nothing but updates: what Litestream itself restores."""
    database, root = tmp_path / "app.db", tmp_path / "replica"
    with ForeignConnection(database, autocheckpoint=False) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE fruits(n)")
        writer.execute("INSERT INTO fruits VALUES(0)")
        for first, last in ((1, 20), (41, 55)):
            with litestream(database, root):
                for number in range(first, last + 1):
                    writer.execute(f"UPDATE fruits SET n = {number}")
                    if number == first:
                        wait_until("a snapshot", lambda: len(list(root.rglob("*.snapshot.lz4"))) > (first > 1))  # noqa: B023
            # Frames that it never saw come and go: the next one begins a generation.
            for number in range(last + 1, last + 3):
                writer.execute(f"UPDATE fruits SET n = {number}")
                writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    generations = sorted((root / "generations").iterdir(), key=lambda item: item.stat().st_mtime)
    by_age = sorted(generations, key=lambda item: min(path.stat().st_mtime for path in item.rglob("*.lz4")))
    assert len(by_age) == 2
    for number, generation in enumerate(by_age):
        paths = sorted(generation.rglob("*.lz4"), key=lambda path: path.stat().st_mtime_ns)
        for path in paths[:-1]:
            set_time(path, number)
        set_time(paths[-1], number + 1)
    restore03(tmp_path / "theirs.db", f"file://{root}")
    succeeds("restore", "-o", tmp_path / "ours.db", f"file://{root}")
    assert Shell(tmp_path / "ours.db").rows("SELECT n FROM fruits") == [[55]]
    assert (tmp_path / "ours.db").read_bytes() == (tmp_path / "theirs.db").read_bytes()


# -- several replicas -------------------------------------------------------------------------------------------------


def test_promise_3_one_long_segment_reaches_further_than_what_begins_later(
    published: Published, tmp_path: Path
) -> None:
    first, second, named = two_replicas(published, tmp_path)
    # Without end marks: each of the others is a commit.
    segments = [path for path in sorted(first.rglob("*.wal.lz4")) if content(path)]
    names = [path.name[:8] for path in segments]
    # The last one that has several, so that no snapshot reaches as far.
    index = [name for name in names if names.count(name) > 1][-1]
    group = sorted(first.rglob(f"{index}_*"))
    whole = b"".join(content(path) for path in group)
    note = DEFAULT_CODEC.open("object", [group[0].read_bytes()]).note
    for path in group[1:]:
        path.unlink()
    group[0].write_bytes(b"".join(DEFAULT_CODEC.seal([whole], note)))
    for root in (first, second):
        for path in root.rglob("*.wal.lz4"):
            if path.name[:8] > index:
                path.unlink()
    # The other has the first commit of it alone, but cut into two.
    for path in second.rglob(f"{index}_*"):
        path.unlink()
    end = next(
        at
        for at in range(32 + FRAME, len(whole), FRAME)
        if int.from_bytes(whole[at - PAGE - 20 : at - PAGE - 16], "big")
    )
    middle = 32 + FRAME
    assert middle < end
    for begin, stop in ((0, middle), (middle, end)):
        path = second / group[0].parent.relative_to(first) / f"{index}_{begin:08x}.wal.lz4"
        path.write_bytes(b"".join(DEFAULT_CODEC.seal([whole[begin:stop]], None if begin else note)))
    expected = sum(path.name[:8] <= index for path in segments)
    found, values = restored(tmp_path, *named)
    assert (found, values["replica"]) == (expected, "r0")
    assert restored(tmp_path, "-position", str(values["position"]), *named)[0] == expected


def test_promise_3_a_time_when_one_replica_was_away(published: Published, tmp_path: Path) -> None:
    """The first caught up later: at that time only the other had the commits."""
    first, second, named = two_replicas(published, tmp_path)
    spread(second)
    for number, path in enumerate(spread(first)):
        set_time(path, number if number <= 3 else 1000 + number)
    found, values = restored(tmp_path, "-timestamp", at(5), *named)
    assert (found, values["replica"]) == (5, "r1")
    found, values = restored(tmp_path, *named)
    assert (found, values["replica"]) == (ROUNDS, "r0")


def test_promise_3_what_one_replica_lost_another_has(published: Published, tmp_path: Path) -> None:
    """A position, an index and the whole: each from the replica that has it, and the one that is away is named."""
    [port] = peers.free_ports(1)
    away = (
        f"{{name: away, type: s3, bucket: b, endpoint: 'http://127.0.0.1:{port}', "
        "access-key-id: canarycanary, secret-access-key: canarycanary}"
    )
    first, second, named = two_replicas(published, tmp_path, away)
    # Each segment is a commit, and what has no content an end mark.
    indexes = [int(path.name[:8], 16) for path in published.segments if content(path)]
    last = max(indexes)
    for path in first.rglob("00000001_*.wal.lz4"):
        path.unlink()
    result = succeeds("restore", "-o", tmp_path / "whole.db", *named)
    assert rows(tmp_path / "whole.db") == ROUNDS
    assert "away could not be read" in result.err
    assert restored(tmp_path, "-index", "1", *named)[0] == sum(index <= 1 for index in indexes)
    # Neither has it whole: every replica is named, with what it says.
    for path in second.rglob(f"{last:08x}_*.wal.lz4"):
        path.unlink()
    line = refuses(run("restore", "-o", tmp_path / "none.db", *named), 11, "00000001_00000000.wal.lz4 is not in")
    assert all(words in line for words in ("Replica r0: ", "Replica r1: it can be restored up to", "-replica r1"))
    assert not (tmp_path / "none.db").exists()


# -- damage and gaps --------------------------------------------------------------------------------------------------


def add_snapshot(published: Published, index: int, folder: Path) -> Path:
    """A snapshot of ours at the start of an index, which holds the end of the one before."""
    output = folder / "made.db"
    flags = ["-generation", published.generation, "-index", f"{index - 1:x}"]
    values = json.loads(succeeds("restore", "-json", "-o", output, *flags, published.url).out)
    path = published.snapshot.with_name(f"{index:08x}.snapshot.lz4")
    note: dict[str, str | int] = {
        "v": 1,
        "position": f"{published.generation}/{index:08x}:0",
        "pages": values["pages"],
        "page_size": values["page_size"],
        "mode": 0o600,
        "time": "2024-01-01T00:00:00Z",
        "reason": "",
        "previous": "",
    }
    path.write_bytes(b"".join(DEFAULT_CODEC.seal([output.read_bytes()], note)))
    output.unlink()
    return path


def test_promise_3_a_torn_newest_snapshot_is_passed_by(published: Published, tmp_path: Path) -> None:
    """An older one and all WAL are whole."""
    path = add_snapshot(published, 2, tmp_path)
    path.write_bytes(path.read_bytes()[:-5])
    result = succeeds("restore", "-o", tmp_path / "restored.db", published.url)
    assert rows(tmp_path / "restored.db") == ROUNDS
    assert "00000002.snapshot.lz4 is damaged" in result.err
    # It is not, if the WAL before it is gone.
    before = contents(published.root)
    [first] = published.root.rglob("00000000.snapshot.lz4")
    first.unlink()
    refuses(run("restore", "-o", tmp_path / "none.db", published.url), 12, "00000002.snapshot.lz4 is damaged")
    assert len(contents(published.root)) == len(before) - 1


@pytest.mark.parametrize("mark", ["and its end mark", "but not its end mark"])
def test_promise_3_an_index_that_is_lost_is_not_the_one_before_it(
    published: Published, tmp_path: Path, mark: str
) -> None:
    """Only a snapshot of the index after it is there."""
    add_snapshot(published, 2, tmp_path)
    for path in published.wal if mark == "and its end mark" else published.segments:
        if path.name[:8] >= "00000001":
            path.unlink()
    flags = ["-generation", published.generation, "-index"]
    line = refuses(run("restore", "-o", tmp_path / "none.db", *flags, "1", published.url), 11)
    assert "00000001_00000000.wal.lz4 is not in the replica" in line
    assert restored(tmp_path, *flags, "0", published.url)[0] < ROUNDS
    assert restored(tmp_path, *flags, "2", published.url)[0] > 0


@pytest.mark.parametrize("mark", ["and its end mark", "but not its end mark"])
def test_promise_3_the_end_of_an_index_that_is_lost_is_missed(published: Published, tmp_path: Path, mark: str) -> None:
    """The next index is not part of what was asked for, and says where the one before it ended."""
    index = next(
        name
        for path in published.segments
        if len([item for item in published.root.rglob(f"{path.name[:8]}_*") if content(item)]) > 1
        for name in [path.name[:8]]
    )
    group = [path for path in sorted(published.root.rglob(f"{index}_*")) if content(path)]
    following = published.root.rglob(f"{int(index, 16) + 1:08x}_00000000.wal.lz4")
    if not list(following):
        pytest.skip("the index in several segments is the last one")
    group[-1].unlink()
    if mark == "and its end mark":
        # Else it stays behind what is lost, and is no commit.
        max(published.root.rglob(f"{index}_*")).unlink()
    flags = ["-generation", published.generation, "-index", index]
    refuses(run("restore", "-o", tmp_path / "none.db", *flags, published.url), 11, f"{index}_")


def test_promise_3_the_start_of_an_index_that_has_nothing_yet(published: Published, tmp_path: Path) -> None:
    """It is the end of the index before, and a remark says that nothing of the index is there."""
    last = max(path.name[:8] for path in published.segments)
    position = f"{published.generation}/{int(last, 16) + 1:08x}:0"
    result = succeeds("restore", "-o", tmp_path / "restored.db", "-position", position, published.url)
    assert rows(tmp_path / "restored.db") == ROUNDS
    assert "Nothing of index" in result.err
    beyond = f"{published.generation}/{int(last, 16) + 2:08x}:0"
    refuses(run("restore", "-o", tmp_path / "none.db", "-position", beyond, published.url), 10, "has no index")


def test_promise_3_a_working_directory_that_is_gone(published_once: Published, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f"cd {gone} && rmdir {gone} && exec {shutil.which('env')} "

    def restore(output: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-c", f"{script}{PROGRAM} restore -o {output} {published_once.url}"],
            capture_output=True,
            text=True,
            env=peers.clean_environment(),
            check=False,
        )

    gone_result = restore("out.db")
    assert (gone_result.returncode, gone_result.stdout) == (2, "")
    assert "the working directory, which was removed" in gone_result.stderr
    gone.mkdir()
    assert restore(str(tmp_path / "out.db")).returncode == 0
    assert rows(tmp_path / "out.db") == ROUNDS


def test_promise_3_an_output_that_names_a_folder(published_once: Published, tmp_path: Path) -> None:
    refuses(run("restore", "-o", f"{tmp_path}/new/", published_once.url), 2, "names a folder")
    assert list(tmp_path.iterdir()) == []


# -- Litestream's snapshots -------------------------------------------------------------------------------------------


@contextmanager
def litestream(database: Path, root: Path, snapshot_interval: str = "1h") -> Iterator[None]:
    """The real 0.3.13 beside a database."""
    config = root.with_suffix(".yml")
    config.write_text(
        f"dbs:\n- path: {database}\n  monitor-interval: 20ms\n  replicas:\n  - type: file\n    path: {root}\n"
        f"    sync-interval: 20ms\n    snapshot-interval: {snapshot_interval}\n"
    )
    process = subprocess.Popen(
        [peers.litestream03(), "replicate", "-config", config],
        env=peers.clean_environment(),
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        preexec_fn=peers.die_with_parent,
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def test_promise_3_a_snapshot_of_litestream_with_commits_whose_wal_never_arrived(tmp_path: Path) -> None:
    """It began again with WAL pending, and was killed when the snapshot was written and the WAL was under way.

    Commit n writes its number into two rows, so that a mixture shows. What comes out was a commit, or nothing does.
    """
    database, root = tmp_path / "app.db", tmp_path / "replica"
    with ForeignConnection(database, autocheckpoint=False) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE fruits(id INTEGER PRIMARY KEY, n, filler)")
        writer.execute("BEGIN")
        for _ in range(40):
            writer.execute("INSERT INTO fruits(n, filler) VALUES(0, zeroblob(3000))")
        writer.execute("COMMIT")
        writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")

        def commits(first: int, last: int) -> None:
            for number in range(first, last + 1):
                writer.execute(f"UPDATE fruits SET n = {number} WHERE id IN (1, {10 + number})")

        with litestream(database, root):
            wait_until("a snapshot", lambda: list(root.rglob("*.snapshot.lz4")) != [])
            for number in range(1, 9):
                before = sum(path.stat().st_size for path in root.rglob("*.wal.lz4"))
                commits(number, number)
                wait_until("WAL", lambda: sum(path.stat().st_size for path in root.rglob("*.wal.lz4")) > before)  # noqa: B023
        arrived = set(root.rglob("*.wal.lz4"))
        commits(9, 20)
        [snapshot] = list(root.rglob("*.snapshot.lz4"))
        written = snapshot.stat().st_mtime_ns
        with litestream(database, root, "200ms"):
            wait_until("a new snapshot", lambda: snapshot.stat().st_mtime_ns > written)
    for path in set(root.rglob("*.wal.lz4")) - arrived:
        path.unlink()
    assert len(list(root.rglob("*.snapshot.lz4"))) == 1
    url = f"file://{root}"
    outcomes = []
    for number, flags in enumerate([[], *(["-position", item] for item in positions(url, root))]):
        output = tmp_path / f"out{number}.db"
        result = run("restore", "-o", output, *flags, url)
        outcomes.append(result.code)
        if result.code:
            refuses(result, 10, "written by Litestream" if flags else "")
            continue
        values = {int(row[0]): int(row[1]) for row in Shell(output).rows("SELECT id, n FROM fruits")}
        newest = values.pop(1)
        expected = {row: row - 10 if 10 < row <= 10 + newest else 0 for row in values}
        assert values == expected, f"{flags}: a state that never was"
    assert 10 in outcomes


def positions(url: str, root: Path) -> list[str]:
    """The end of every commit in the segments of a replica."""
    found = []
    [generation] = list((root / "generations").iterdir())
    for path in sorted(root.rglob("*.wal.lz4")):
        match = re.fullmatch(r"([0-9a-f]{8})_([0-9a-f]{8})\.wal\.lz4", path.name)
        assert match is not None
        data, start = content(path), int(match[2], 16)
        page_size = 4096
        at_frame = 32 if start == 0 else 0
        while at_frame + 24 + page_size <= len(data):
            if int.from_bytes(data[at_frame + 4 : at_frame + 8], "big"):
                found.append(f"{generation.name}/{match[1]}:{start + at_frame + 24 + page_size}")
            at_frame += 24 + page_size
    assert found, url
    return found
