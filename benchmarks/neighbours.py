"""What a commit waits for while something else is in trouble: five kinds of it, and the longest wait in each.

A commit that is not stored when a measurement ends counts with the time that it has waited by then.
"""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.application import Application, application
from benchmarks.programs import Intervals, Running
from benchmarks.sought import Sought, Token, token
from benchmarks.stage import MEGABYTE, Figures, Stage
from benchmarks.stores import S3Store, file_store, place
from peers import clean_environment

OFTEN = Intervals(sync="100ms", monitor="100ms")
"""All three upload so often that what is waited for is the trouble, and not the next tick."""
GAP_SECONDS = 0.25
"""Between two commits into one database."""
AFTER_SECONDS = 5.0
"""So long the last commits may take; what is later counts as it is by then."""
OWN_BYTES = 30 * MEGABYTE
LINE_BYTES_PER_SECOND = 1 * MEGABYTE
VALIDATED = 8
VALIDATED_BYTES = 20 * MEGABYTE
SILENCED = 10
LARGE = 8
LARGE_BYTES = 60 * MEGABYTE
LARGE_LINE_BYTES_PER_SECOND = 20 * MEGABYTE
SMALL = 4


def neighbours(stage: Stage) -> Figures:
    """All five, one after the other, each with databases and a place of its own."""
    return {
        "own-snapshot": own_snapshot(_apart(stage, "own")),
        "validation": validation(_apart(stage, "validation")),
        "silent": silent(_apart(stage, "silent")),
        "deletes": deletes(_apart(stage, "deletes")),
        "large": large(_apart(stage, "large")),
    }


def own_snapshot(stage: Stage) -> float:
    """A database of 30 MB on a line of 1 MB/s gets a snapshot, as at each snapshot-interval."""
    seconds = stage.scaled(OWN_BYTES / LINE_BYTES_PER_SECOND, 2)
    [path] = stage.paths(1)
    with _filled(stage, [path], OWN_BYTES) as writer, stage.running([path], replace(OFTEN, snapshot="5s")) as program:
        stage.wait([_token(stage, 0, "end")], program)
        with _shaped(stage, LINE_BYTES_PER_SECOND):
            return _commit(stage, program, writer, [0], 5 + 1.5 * seconds)


def validation(stage: Stage) -> float:
    """Eight databases of 20 MB are validated again and again, on the same store; a ninth is committed to."""
    count = stage.count(VALIDATED)
    paths = stage.paths(count + 1)
    with _filled(stage, paths[:count], VALIDATED_BYTES, paths[count:]) as writer:
        config = stage.program.configure(
            stage.folder / "config.yml",
            dict(enumerate(paths)),
            stage.store,
            replace(OFTEN, validation="5s"),
            validated=range(count),
        )
        with stage.program.replicating(config, stage.store) as program:
            stage.wait(
                [*(_token(stage, number, "end") for number in range(count)), _token(stage, count, "first")], program
            )
            return _commit(stage, program, writer, [count], stage.scaled(25, 2))


def silent(stage: Stage) -> float | None:
    """Ten databases with two replicas each: a folder, and a server that takes requests and says nothing."""
    if not stage.program.many_replicas:
        return None
    count = stage.count(SILENCED)
    numbers = range(count)
    paths = stage.paths(count)
    with file_store(stage.folder / "replicas") as files, _silent_server() as server, application(paths) as writer:
        here = replace(stage, store=files)
        first = [_token(stage, number, "first") for number in numbers]
        files.sought.expect(first)
        writer.commit(first)
        config = stage.program.configure(stage.folder / "config.yml", dict(enumerate(paths)), files, OFTEN, [server])
        with stage.program.replicating(config, server) as program:
            files.sought.wait(first, stage.scaled(30, 5), program.check)
            return _commit(here, program, writer, numbers, stage.scaled(45, 2))


def deletes(stage: Stage) -> float:
    """What is older than the retention may not be removed, as with an Object Lock or a key without that right."""
    store = stage.store
    assert isinstance(store, S3Store)
    first = _token(stage, 0, "first")
    store.sought.expect([first])
    [path] = stage.paths(1)
    intervals = replace(OFTEN, snapshot="2s", retention="2s", check="1s")
    store.proxy.refuses_deletes = True
    try:
        with application([path]) as writer, stage.running([path], intervals) as program:
            writer.commit([first])
            stage.wait([first], program)
            return _commit(stage, program, writer, [0], stage.scaled(25, 2))
    finally:
        store.proxy.refuses_deletes = False


def large(stage: Stage) -> float:
    """Eight large databases have their first snapshots written, on a line of 20 MB/s; four small ones are busy."""
    count, small = stage.count(LARGE), SMALL
    paths = stage.paths(count + small)
    numbers = range(count, count + small)
    with (
        _filled(stage, paths[:count], LARGE_BYTES, paths[count:]) as writer,
        _shaped(stage, LARGE_LINE_BYTES_PER_SECOND),
        stage.running(paths, OFTEN) as program,
    ):
        stage.wait([_token(stage, number, "first") for number in numbers], program)
        seconds = count * stage.scaled(LARGE_BYTES) / LARGE_LINE_BYTES_PER_SECOND
        return _commit(stage, program, writer, numbers, max(2.0, seconds))


def _token(stage: Stage, database: int, name: object) -> Token:
    """Of this measurement: numbers and names come again in the next."""
    return token(database, f"{stage.folder.name} {name}")


def _apart(stage: Stage, name: str) -> Stage:
    """The same with databases of its own, at another place of the store."""
    folder = stage.folder / name
    folder.mkdir()
    if isinstance(stage.store, S3Store):
        stage.store.begin_anew()
    return replace(stage, folder=folder)


def _commit(stage: Stage, program: Running, writer: Application, databases: Sequence[int], seconds: float) -> float:
    """Small commits into these databases for so long; the longest that one waited, in seconds."""
    rounds = max(3, round(seconds / GAP_SECONDS))
    tokens = [_token(stage, database, number) for number in range(rounds) for database in databases]
    stage.store.sought.expect(tokens)
    moments = writer.schedule([(at * GAP_SECONDS / len(databases), one) for at, one in enumerate(tokens)])
    stage.store.sought.wait(tokens, AFTER_SECONDS, program.check)
    return stage.worst(tokens, moments)


@contextmanager
def _filled(stage: Stage, paths: Sequence[Path], size_bytes: int, others: Sequence[Path] = ()) -> Iterator[Application]:
    """Databases of so many bytes, and `others` with a first commit, held by an application; all are looked for."""
    for number, path in enumerate(paths):
        stage.store.sought.expect([_token(stage, number, "end")])
        with application([path]) as writer:
            writer.fill(round(stage.scaled(size_bytes)), _token(stage, number, "end"))
            writer.close()
    first = [_token(stage, len(paths) + number, "first") for number in range(len(others))]
    stage.store.sought.expect(first)
    with application([*paths, *others]) as writer:
        writer.commit(first)
        yield writer


@contextmanager
def _shaped(stage: Stage, bytes_per_second: float) -> Iterator[None]:
    """The line to the store has a rate while the block runs."""
    store = stage.store
    assert isinstance(store, S3Store)
    store.proxy.bytes_per_second = bytes_per_second
    try:
        yield
    finally:
        store.proxy.bytes_per_second = 0.0


class _SilentStore:
    """Takes connections and requests, and answers nothing."""

    name = "silent"
    objects = 0
    requests = None

    def __init__(self) -> None:
        self.sought = Sought()
        self._server = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._endpoint = f"http://127.0.0.1:{self._server.getsockname()[1]}"

    def replica(self, database: int) -> dict[str, str | bool]:
        return {
            "type": "s3",
            "bucket": "silent",
            "path": place(database),
            "endpoint": self._endpoint,
            "region": "us-east-1",
            "force-path-style": True,
        }

    def environment(self) -> dict[str, str]:
        return clean_environment(AWS_ACCESS_KEY_ID="silent", AWS_SECRET_ACCESS_KEY="silent")

    def copy_from(self, folder: Path) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self._server.close()


@contextmanager
def _silent_server() -> Iterator[_SilentStore]:
    """The kernel takes connections for it, and what is sent; nobody reads it."""
    server = _SilentStore()
    try:
        yield server
    finally:
        server.close()
