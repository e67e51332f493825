"""Promises 3 and 7 against a replica that chance has damaged: a state that was, and the one asked for, or an error
that says what is wrong; nothing is left, and nothing is written anywhere else.

What no reader can know is allowed and counted: objects missing at the very end, and, in what Litestream wrote, of
which its format says nothing: a segment missing at the end of an index, and whole objects in another's place.
"""

import hashlib
import os
import random
import shutil
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from replication.errors import (
    CorruptObjectError,
    IntegrityCheckError,
    NoRestorePointError,
    ReplicaGapError,
    ReplicationError,
    StorageError,
)
from replication.history.moments import read_timeline
from replication.position import Position, is_generation
from replication.restore.open_replica import OpenReplica
from replication.restore.restore import RestoreOptions, RestoreResult
from replication.restore.target import AtIndex, AtPosition, Latest, Target
from replication.restore.wal03.listing import describe
from replication.storage.wal03.names import parse_segment, parse_snapshot
from replication.storage.wal03.replica_client import ReplicaClient
from tests.cli.program import contents, run
from tests.engine.running import sha256
from tests.history.looking import QUICK, Cached, content
from tests.torture.conftest import Torture
from tests.torture.damage import Damaged, bomb, damaged
from tests.torture.known import (
    Known,
    Objects,
    attempt,
    storage_of,
    written_by_litestream,
    written_by_us,
    written_elsewhere,
)

TARGETS_A_ROUND = 6
RESTORE_SECONDS_MAX = 30.0
"""One restore of a few kilobytes, on a busy machine."""
MEMORY_BYTES_MAX = 64 << 20
"""Held by Python objects while a bomb is restored; it expands to less than half of that and must not be held whole."""

Answer = tuple[Position, str]


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Known, Objects]]:
    """Two intact replicas, each with objects of another database of the same page size."""
    folder = tmp_path_factory.mktemp("known")
    litestream = written_by_litestream(folder / "litestream")
    return [
        (written_by_us(folder / "ours"), written_elsewhere(folder / "other")),
        (litestream, written_elsewhere(folder / "large", 4096)),
    ]


class Asked:
    """What the intact replica answers, each question asked once."""

    def __init__(self, known: Known, folder: Path) -> None:
        self.known = known
        self._folder = folder
        self._answers: dict[tuple[str | None, Target], Answer | None] = {}

    def answer(self, generation: str | None, target: Target) -> Answer | None:
        if (generation, target) not in self._answers:
            output = self._folder / "intact.db"
            try:
                result = attempt(ReplicaClient(storage_of(self.known.objects)), output, generation, target)
            except ReplicationError:
                self._answers[generation, target] = None
            else:
                self._answers[generation, target] = (result.position, sha256(output))
                output.unlink()
        return self._answers[generation, target]


@pytest.fixture(scope="module")
def asked(replicas: list[tuple[Known, Objects]], tmp_path_factory: pytest.TempPathFactory) -> list[Asked]:
    return [Asked(known, tmp_path_factory.mktemp("intact")) for known, _ in replicas]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for temporary files, which is empty again after the test."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert contents(folder) == {}


def test_a_damaged_replica_gives_the_state_asked_for_or_says_what_is_wrong(
    torture: Torture, replicas: list[tuple[Known, Objects]], asked: list[Asked], tmp_path: Path, temporary: Path
) -> None:
    for chance in torture.rounds(short=16):
        number = chance.randrange(2)
        known, foreign = replicas[number]
        damage = damaged(known.objects, foreign, chance)
        if chance.random() < 0.2:
            again = damaged(damage.objects, foreign, chance) if "hostile" not in damage.words else damage
            both = f"{damage.words}; {again.words}"
            damage = Damaged(again.objects, both, damage.touched | again.touched, damage.misplaced or again.misplaced)
        torture.counts["replicas damaged"] += 1
        targets = known.targets()
        for generation, target in [(None, Latest()), *chance.sample(targets, TARGETS_A_ROUND - 1)]:
            expected = asked[number].answer(generation, target)
            if expected is not None:
                outcome = _check(asked[number], damage, generation, target, expected, tmp_path)
                torture.counts[outcome] += 1
        _list(damage)


def _check(
    intact: Asked, damage: Damaged, generation: str | None, target: Target, expected: Answer, folder: Path
) -> str:
    """Restore one target from what is left, and judge it; in a word, how it ended."""
    known = intact.known
    warnings: list[str] = []
    client = ReplicaClient(storage_of(damage.objects), warnings.append)
    place = folder / "place"
    place.mkdir(exist_ok=True)
    output = place / "made" / "restored.db"
    asked = f"{known.name}: {damage.words}; asked for {target} of {generation}"
    began = time.monotonic()
    try:
        result = attempt(client, output, generation, target)
    except (CorruptObjectError, ReplicaGapError, NoRestorePointError, IntegrityCheckError, StorageError) as error:
        refusal: ReplicationError | None = error
    else:
        refusal = None
    assert time.monotonic() - began < RESTORE_SECONDS_MAX, asked
    _look(client, generation, target, sha256(output) if refusal is None else expected[1], refusal, asked)
    if refusal is not None:
        assert contents(place) == {}, asked
        assert refusal.exit_code != 0
        assert str(refusal).replace("\n", " ").isprintable(), asked
        if isinstance(refusal, CorruptObjectError | ReplicaGapError):
            assert "generations/" in str(refusal), f"{asked}: {refusal}"
        return f"refused: {type(refusal).__name__}"
    found = (result.position, sha256(output))
    output.unlink()
    output.parent.rmdir()
    assert contents(place) == {}
    return _judge(intact, damage, target, expected, found, result, asked)


def _look(
    client: ReplicaClient,
    generation: str | None,
    target: Target,
    right: str,
    refusal: ReplicationError | None,
    asked: str,
) -> None:
    """All pages of what a restore would give are what it gave, or what was asked for, or there is an error."""
    options = RestoreOptions(target=target, generation=generation, backoff=QUICK)
    try:
        moment = read_timeline([OpenReplica("damaged", client.storage)], options, Cached()).moment()
        looked = hashlib.sha256(content(moment)).hexdigest()
    except (CorruptObjectError, ReplicaGapError, NoRestorePointError, StorageError):
        return
    # What fails SQLite's check is refused by a restore; a query meets it where it reads it.
    assert looked == right or isinstance(refusal, IntegrityCheckError), f"{asked}: {refusal}"


def _judge(
    intact: Asked, damage: Damaged, target: Target, expected: Answer, found: Answer, result: RestoreResult, asked: str
) -> str:
    known = intact.known
    position, sha = found
    if found == expected:
        return "restored as if nothing had happened"
    if sha == expected[1]:
        return "restored the same state by another way"
    told = [text for text in result.warnings if position.generation not in text or "newer" in text or "lost" in text]
    at = intact.answer(position.generation, AtPosition(position))
    if sha in (known.points.get(position), at and at[1]) or (
        damage.touched and _is_snapshot_point(known, position, sha)
    ):
        # A state that was, and at the very position that it claims: it may only be the end of what there is.
        assert not isinstance(target, AtPosition), asked
        beyond = _beyond(damage.objects, position, target)
        assert not beyond or told, f"{asked}: {position}, although {beyond} is there"
        if position.generation != expected[0].generation:
            left = [name for name in damage.objects if expected[0].generation in name and _in_format(name)]
            assert told or not left or expected[0] < position, f"{asked}: silently {position}"
            return "restored an older generation, and said so" if told else "restored, the newest generation is gone"
        return "restored up to what is missing at the end"
    if at is None and position not in known.points and not known.noted:
        return "not known: inside what a snapshot of Litestream may hold"
    if not known.noted and _an_end_is_missing(known, damage, position):
        return "not told: the end of an index of Litestream is missing"
    assert damage.misplaced is True, f"{asked}: {position} is no state that was {result}"
    assert not known.noted, f"{asked}: {position} is no state that was"
    return "not told: whole objects of Litestream in another's place"


def _an_end_is_missing(known: Known, damage: Damaged, position: Position) -> bool:
    """True if the last segment of an index before `position` is gone, of which only a note could tell."""
    last: dict[int, str] = {}
    for name in sorted(known.objects):
        folder, _, base = name.rpartition("/")
        segment = parse_segment(base)
        if segment is not None and position.generation in folder and segment[0] < position.index:
            last[segment[0]] = name
    return any(name in damage.touched for name in last.values())


def _is_snapshot_point(known: Known, position: Position, sha: str) -> bool:
    """True if a snapshot alone was restored, whose commit has another position too."""
    return position.offset == 0 and sha in known.points.values()


def _beyond(objects: Objects, position: Position, target: Target) -> list[str]:
    """Objects of the generation that prove later commits within what was asked for."""
    if not isinstance(target, Latest | AtIndex):
        return []
    found = []
    for name in sorted(objects):
        folder, _, base = name.rpartition("/")
        segment, snapshot = parse_segment(base), parse_snapshot(base)
        if not _in_format(name) or position.generation not in folder:
            continue
        place = segment or ((snapshot, 0) if snapshot is not None else None)
        last = target.index if isinstance(target, AtIndex) else sys.maxsize
        if place is not None and place[0] <= last and place > (position.index, position.offset):
            found.append(name)
    return found


def _in_format(name: str) -> bool:
    parts = name.split("/")
    return (len(parts) == 4 and is_generation(parts[1])) and (
        (parts[2] == "wal" and parse_segment(parts[3]) is not None)
        or (parts[2] == "snapshots" and parse_snapshot(parts[3]) is not None)
    )


def _list(damage: Damaged) -> None:
    """The listings work, or say what is wrong."""
    client = ReplicaClient(storage_of(damage.objects))
    for summary in describe(client):
        assert summary.snapshots + summary.segments > 0
    for generation in client.generations():
        assert all(_in_format(item.name) for item in client.segments(generation))


def test_a_bomb_is_not_held_in_memory(
    torture: Torture, replicas: list[tuple[Known, Objects]], tmp_path: Path, temporary: Path
) -> None:
    for chance in torture.rounds(short=1):
        known, foreign = replicas[0]
        damage = bomb(dict(known.objects), foreign, chance)
        generation = next(iter(damage.touched)).split("/")[1]
        client = ReplicaClient(storage_of(damage.objects))
        tracemalloc.start()
        try:
            with suppress(CorruptObjectError, ReplicaGapError):
                attempt(client, tmp_path / "place" / "latest.db", generation, Latest())
            with suppress(CorruptObjectError, ReplicaGapError):
                attempt(client, tmp_path / "place" / "first.db", generation, AtIndex(0))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < MEMORY_BYTES_MAX
        torture.counts["bombs"] += 1
        for left in tmp_path.glob("place/*"):
            left.unlink()


HOSTILE_ENTRIES = ["link", "link to a folder", "folder", "pipe", "other owner's name", "link over a generation"]


def test_a_damaged_folder_on_the_command_line(
    torture: Torture, replicas: list[tuple[Known, Objects]], asked: list[Asked], tmp_path: Path, temporary: Path
) -> None:
    for chance in torture.rounds(short=1):
        number = chance.randrange(2)
        known, foreign = replicas[number]
        damage = damaged(known.objects, foreign, chance)
        root = tmp_path / "root"
        _write(damage.objects, root)
        entry = chance.choice(HOSTILE_ENTRIES)
        hidden = _place(entry, root, tmp_path / "outside", chance)
        before = contents(root) | contents(tmp_path / "outside")
        output = tmp_path / "place" / "restored.db"
        for verb in ("generations", "snapshots", "wal"):
            listed = run(verb, f"file://{root}")
            assert listed.code == 0 or listed.complaints, listed
            assert "\x1b" not in listed.out + listed.err
        result = run("restore", "-o", output, f"file://{root}")
        said = f"{damage.words}; {entry} at {hidden}: {result}"
        if result.code:
            assert len(result.complaints) == 1, said
            assert not output.parent.exists(), said
            torture.counts["refused on the command line"] += 1
        else:
            expected = asked[number].answer(None, Latest())
            assert expected is not None
            same = sha256(output) == expected[1]
            assert same or "warning: " in result.err or damage.touched, said
            if not same and hidden:
                assert "warning: ignored" in result.err, said
            shutil.rmtree(output.parent)
            torture.counts["restored on the command line"] += 1
        verified = run("verify", f"file://{root}")
        # Its check is the full one, which may see what the quick one of a restore does not.
        assert verified.code in (result.code, IntegrityCheckError.exit_code), f"{said} {verified}"
        assert contents(root) | contents(tmp_path / "outside") == before
        assert contents(temporary) == {}
        shutil.rmtree(root)
        shutil.rmtree(tmp_path / "outside")


def _write(objects: Objects, root: Path) -> None:
    """The objects as files, those whose names a folder can hold."""
    for name, stored in objects.items():
        parts = name.split("/")
        if "\0" in name or ".." in parts or "" in parts or any(len(part.encode()) > 255 for part in parts):
            continue
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(stored.data)
        os.utime(path, (stored.modified.timestamp(),) * 2)


def _place(entry: str, root: Path, outside: Path, chance: random.Random) -> str:
    """Put something into a replica that is no object; the name of the object that it hides, if any."""
    outside.mkdir()
    name = chance.choice(sorted(str(path.relative_to(root)) for path in root.rglob("*.lz4")))
    path = root / name
    match entry:
        case "link":
            path.rename(outside / "object")
            path.symlink_to(outside / "object")
        case "link to a folder":
            path.parent.rename(outside / "folder")
            path.parent.symlink_to(outside / "folder")
        case "link over a generation":
            path.parent.parent.rename(outside / "generation")
            path.parent.parent.symlink_to(outside / "generation")
        case "folder":
            path.unlink()
            (path / "deeper").mkdir(parents=True)
            (path / "deeper" / path.name).write_bytes(b"x")
        case "pipe":
            path.unlink()
            os.mkfifo(path)
        case _:
            (path.parent / os.fsdecode(b"\xff\xfe" + path.name.encode())).write_bytes(b"x")
            return ""
    return name
