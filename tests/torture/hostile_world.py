"""Databases with applications that write to them, and an engine that replicates them through a hostile proxy.

It keeps what must be true at the end: the hash after each commit, and that nothing the engine said holds a secret.
Time-outs are short here, so that a stalled request costs a second and not half a minute.
"""

import logging
import random
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from peers import S3Server
from replication.config import Config, DatabaseConfig, ReplicaConfig, default_meta_path
from replication.engine import Engine, making
from replication.errors import ReplicationError
from replication.position import Position
from replication.restore.open_replica import OpenReplica
from replication.restore.restore import RestoreOptions, restore
from replication.restore.retry import Backoff
from replication.restore.target import AtPosition, Latest, Target
from replication.restore.wal03.catalog import read_catalog
from replication.status import DatabaseStatus
from replication.storage.s3.location import S3Location
from replication.storage.s3.storage import S3Storage
from replication.storage.s3.timeouts import Timeouts
from replication.storage.wal03.replica_client import ReplicaClient
from tests.engine.running import restore_points, sha256, until
from tests.engine.writer import Writer
from tests.torture.hostile_proxy import HostileProxy

TIMEOUTS = Timeouts(connect_seconds=1.0, read_seconds=1.0)
RECOVERY_SECONDS_MAX = 90.0
HOSTILE_BACKOFF = Backoff(tries_max=3, base_seconds=0.02, seconds_max=0.1)
POINTS_MAX = 6
"""Restore points looked at in each generation."""


class Canary(logging.Handler):
    """Looks at all that is said, log lines included, for the keys of a server."""

    def __init__(self, server: S3Server) -> None:
        super().__init__(logging.DEBUG)
        self._secrets = {server.access_key, server.secret_key, quote(server.secret_key, safe="")}
        self.caught: list[str] = []
        self.looked = 0

    def look(self, text: str) -> None:
        self.looked += 1
        if any(secret in text for secret in self._secrets):
            self.caught.append(text)

    def emit(self, record: logging.LogRecord) -> None:
        self.look(f"{record.getMessage()} {record.args} {getattr(record, 'attrs', '')} {record.exc_info}")


class Application:
    """One database and its writer, which commits by itself while it is not held; `hashes` is the oracle."""

    def __init__(self, path: Path, chance: random.Random) -> None:
        self.path = path
        self._writer = Writer(path, chance.choice([512, 1024, 4096]))
        self.hashes = self._writer.hashes
        self._chance = chance
        self._go = threading.Event()
        self._idle = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def go(self) -> None:
        self._idle.clear()
        self._go.set()

    def hold(self) -> None:
        """Return when nothing more is committed."""
        self._go.clear()
        assert self._idle.wait(60.0), "the writer hangs"

    def commit(self, count: int) -> None:
        """Commit while held."""
        self._writer.commit(count)

    def close(self) -> None:
        self._stop.set()
        self._go.set()
        self._thread.join(30.0)
        self._writer.close()

    def _write(self) -> None:
        while not self._stop.is_set():
            if not self._go.is_set():
                self._idle.set()
                self._go.wait()
                continue
            self._writer.commit(self._chance.randrange(1, 6))
            self._stop.wait(self._chance.random() * 0.15)


class World:
    """All of one round. `engine` is the one that runs now."""

    def __init__(
        self, folder: Path, server: S3Server, proxy: HostileProxy, chance: random.Random, databases: int, **more: float
    ) -> None:
        self.proxy = proxy
        self.canary = Canary(server)
        self.folder = folder
        self.applications: list[Application] = []
        self._locations: list[S3Location] = []
        configs = []
        for number in range(databases):
            path = folder / f"app{number}.db"
            self.applications.append(Application(path, random.Random(chance.random())))
            self._locations.append(server.location())
            hostile = replace(self._locations[-1], endpoint=proxy.endpoint)
            settings = {"sync_interval": 0.01, "retention": 0.0, **more}
            configs.append(
                DatabaseConfig(
                    path=path,
                    meta_path=default_meta_path(path),
                    replicas=(ReplicaConfig(name="s3", location=hostile, **settings),),
                    monitor_interval=0.1,
                    checkpoint_interval=0.0,
                    min_checkpoint_page_count=chance.choice([5, 50, 500]),
                )
            )
        self._config = Config(path=None, databases=tuple(configs))
        self.engine = Engine(self._config)
        self.engine.start()

    def restart(self) -> None:
        """Close the engine and start another one. It does not know what the first had tried to upload, and what of that
        is still on its way.
        """
        self.end()
        self.engine = Engine(self._config)
        self.engine.start()

    def end(self) -> None:
        """Close the engine; nothing may hang."""
        self.listen()
        left = self.engine.close()
        self.listen()
        assert left == [], f"threads hang: {left}"

    def listen(self) -> None:
        """Look at all that the engine says."""
        for event in self.engine.events_since(0):
            self.canary.look(repr(event))
        self.canary.look(repr(self.engine.status()))
        assert self.canary.caught == []

    def states(self) -> tuple[DatabaseStatus, ...]:
        return self.engine.status().databases

    def in_step(self) -> bool:
        """True when every replica has all that was copied, and nothing is wrong."""
        return all(
            item.state == "ok" and item.replicas[0].state == "ok" and item.replicas[0].position == item.position
            for item in self.states()
        )

    def recover(self) -> float:
        """Wait until all is uploaded; the seconds it took. Nobody writes meanwhile."""
        began = time.monotonic()
        try:
            until(self.in_step, RECOVERY_SECONDS_MAX)
        except AssertionError:
            raise AssertionError(f"not uploaded: {self.states()}") from None
        return time.monotonic() - began

    # -- restores -------------------------------------------------------------------------------------------------

    def client(self, number: int, hostile: bool = False) -> "closing[_Client]":
        """The replica of a database, past the proxy or through it."""
        location = self._locations[number]
        if hostile:
            location = replace(location, endpoint=self.proxy.endpoint)
        return closing(_Client(location))

    def restored(self, number: int, target: Target, hostile: bool = False) -> str:
        """The hash of what is restored; whatever comes of it, no file is left."""
        folder = self.folder / f"restore-{number}"
        folder.mkdir()
        output = folder / "out.db"
        backoff = HOSTILE_BACKOFF if hostile else Backoff()
        try:
            with self.client(number, hostile) as client:
                restore([OpenReplica("s3", client.storage)], output, RestoreOptions(target=target, backoff=backoff))
            found = sha256(output)
            output.unlink()
            return found
        except ReplicationError as error:
            self.canary.look(f"{error} {error!r}")
            raise
        finally:
            left = [item.name for item in folder.iterdir()]
            shutil.rmtree(folder)
            assert left == [], "a restore left files behind"

    def check_latest(self, number: int) -> None:
        """The newest commit comes back from the store itself."""
        assert self.restored(number, Latest()) == self.applications[number].hashes[-1], "the last commit is lost"

    def check_points(self, number: int, chance: random.Random, strict: bool, most: int = POINTS_MAX) -> int:
        """Points of every generation are commits in their order, and if strict none is missing; how many were looked
        at. Where the store itself forgot or damaged objects, a clear error will do.
        """
        order = {sha: at for at, sha in enumerate(self.applications[number].hashes)}
        looked = 0
        with self.client(number) as client:
            for generation in client.generations():
                if not read_catalog(client, generation).snapshots:
                    continue
                try:
                    points = restore_points(client, generation)
                except ReplicationError:
                    assert not strict
                    continue
                some = sorted({points[0], points[-1], *chance.sample(points, min(len(points), most))})
                found = [(point, self._state(number, point, order, strict)) for point in some]
                states = [state for _, state in found if state is not None]
                assert -1 not in states, f"a state that never was: {found}"
                assert states == sorted(states), f"not in order: {found}"
                looked += len(states)
                if strict:
                    commits = {point for point in points if point.offset} | {points[0]}
                    assert len(commits) >= states[-1] - states[0] + 1, f"{generation}: commits are missing"
        return looked

    def _state(self, number: int, point: Position, order: dict[str, int], strict: bool) -> int | None:
        try:
            return order.get(self.restored(number, AtPosition(point)), -1)
        except ReplicationError:
            if strict:
                raise
            return None

    def verify(self, number: int) -> str:
        """Have the engine itself compare; the outcome."""
        result = self.engine.verify(str(self.applications[number].path), threading.Event())[0]
        return f"{result.outcome}: {result.words}"


class _Client(ReplicaClient):
    """A replica client with its own store, to be closed."""

    def __init__(self, location: S3Location) -> None:
        super().__init__(S3Storage(location, timeouts=TIMEOUTS))

    def close(self) -> None:
        self.storage.close()


@contextmanager
def hostile_world(
    folder: Path, server: S3Server, proxy: HostileProxy, chance: random.Random, databases: int, **more: float
) -> Iterator[World]:
    """A running world, which is gone with its files afterwards."""
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(making, "open_storage", lambda location, _=None: S3Storage(location, timeouts=TIMEOUTS))
        world = World(folder, server, proxy, chance, databases, **more)
        logging.getLogger().addHandler(world.canary)
        try:
            yield world
            world.listen()
        finally:
            proxy.good()
            try:
                left = world.engine.close()
            finally:
                for application in world.applications:
                    application.close()
                logging.getLogger().removeHandler(world.canary)
                shutil.rmtree(folder, ignore_errors=True)
        assert left == []
        assert world.canary.caught == []
