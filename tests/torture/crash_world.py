"""One database with its application, the real program and a replica, and what must be true after any of them died.

Both processes may be killed at any moment. What is asked of the replica is asked of it alone, as after the loss of the
whole machine: nothing here looks at the database or the shadow WAL.
"""

import os
import random
import re
import signal
import time
from pathlib import Path

from replication.config import default_meta_path
from replication.errors import ReplicationError
from replication.position import Position
from replication.restore.open_replica import OpenReplica
from replication.restore.restore import RestoreOptions, restore
from replication.restore.target import AtPosition, Latest, Target
from replication.storage.file.location import FileLocation
from replication.storage.open import open_storage
from replication.storage.s3.location import S3Location
from replication.storage.wal03.replica_client import ReplicaClient
from tests.engine.running import sha256, until
from tests.torture.killable import Application
from tests.torture.nursery import Life, Nursery

ARRIVAL_SECONDS_MAX = 60.0
"""How long everything may take to arrive after the last crash, on a busy machine."""
END_SECONDS_MAX = 30.0
LEFTOVER_AGE_SECONDS = 120
META_NAMES = re.compile(
    r"generation|generations(/[0-9a-f]{16}(/wal(/[0-9a-f]{8}\.wal)?)?)?"
    r"|litestream-tui\.(lock|json|digest|status\.json|snapshots\.json|others\.json)"
)
REPLICA_NAMES = re.compile(
    r"generations(/[0-9a-f]{16}(/(snapshots(/[0-9a-f]{8}\.snapshot\.lz4)?|wal(/[0-9a-f]{8}_[0-9a-f]{8}\.wal\.lz4)?))?)?"
)


class World:
    """Made anew for each round, with settings that make everything happen often; `restless`: as often as can be."""

    def __init__(
        self,
        folder: Path,
        nursery: Nursery,
        chance: random.Random,
        location: S3Location | None = None,
        restless: bool = False,
    ) -> None:
        folder.mkdir()
        self.folder = folder
        self.path = folder / "app.db"
        self.meta = default_meta_path(self.path)
        self.replica = folder / "replica"
        self.acks = folder / "acks"
        self.log = folder / "log"
        self.arrived = 0
        """The number of the newest state that was restored; what is restored later is no older."""
        self.acknowledged = 0
        """The number of the state at the last position acknowledged, which may be older: a kill can hide the last."""
        self._nursery = nursery
        self._location = location
        self.client = ReplicaClient(open_storage(location or FileLocation(self.replica)))
        self._config = folder / "litestream.yml"
        self._config.write_text(self._settings(chance, restless))
        pause_seconds = chance.choice([0.0, 0.001, 0.004] if location is None else [0.004, 0.02])
        seed = f"{chance.random()}"
        self.application = Application(self.path, chance.choice([512, 1024, 4096]), seed, pause_seconds)
        self.engine: Life | None = None
        self.application.start()

    def _settings(self, chance: random.Random, restless: bool) -> str:
        place = self._location

        def some(*choices: str) -> str:
            return choices[0] if restless else chance.choice(choices)

        lines = (
            [f"path: {self.replica}"]
            if place is None
            else [
                "type: s3",
                f"bucket: {place.bucket}",
                f"path: {place.path}",
                f"endpoint: {place.endpoint}",
                f"access-key-id: {place.access_key_id}",
                f"secret-access-key: {place.secret_access_key}",
            ]
        )
        lines += [
            # On S3 each object is a request of every restore.
            f"sync-interval: {'1ms' if place is None else '30ms'}",
            f"snapshot-interval: {some('50ms', '200ms', '1s')}",
            f"retention: {some('300ms', '1s', '1h')}",
            f"retention-check-interval: {some('100ms', '500ms')}",
        ]
        replica = "".join(f"        {line}\n" for line in lines).replace("        ", "      - ", 1)
        return (
            f"logging:\n  level: debug\ndbs:\n  - path: {self.path}\n    monitor-interval: 20ms\n"
            f"    checkpoint-interval: {some('20ms', '1s')}\n"
            f"    min-checkpoint-page-count: {some('8', '1', '40')}\n    replicas:\n{replica}"
        )

    # -- lives ----------------------------------------------------------------------------------------------------

    def start_engine(self, step: str = "", pass_by: int = 0) -> None:
        """Start the program, if it is not running."""
        if self.engine is None:
            self.engine = self._nursery.program(
                "replicate", "-config", self._config, log=self.log, acks=self.acks, step=step, pass_by=pass_by
            )

    def kill_engine(self) -> None:
        """SIGKILL; the process must have lived until then."""
        assert self.engine is not None
        assert self.engine.poll() is None, f"the program ended by itself: {self._tail()}"
        self.engine.kill()
        self.engine = None

    def end_engine(self) -> None:
        """SIGTERM: a last sync and upload, and exit code 0."""
        assert self.engine is not None
        self.engine.send_signal(signal.SIGTERM)
        engine = self.engine
        until(lambda: engine.poll() is not None, END_SECONDS_MAX)
        assert self.engine.wait() == 0, self._tail()
        self.engine = None

    def abandon(self) -> None:
        """End whatever still runs, after a failure too."""
        if self.engine is not None and self.engine.poll() is None:
            self.engine.kill()
        self.engine = None
        if self.application.running:
            self.application.kill()

    # -- what must be true ----------------------------------------------------------------------------------------

    def check(self) -> None:
        """The replica alone restores a state that was, no older than what was acknowledged, and never goes back.

        The writer must be paused, or just started again, so that the oracle has every state.
        """
        acked = self.acked()
        if acked is None:
            assert not self.arrived
            return
        known = self.restored(AtPosition(acked))[0]
        assert known is not None, f"{acked} was acknowledged, and restores to a state that never was"
        assert known >= self.acknowledged, f"{acked} restores to an older state than what came before it"
        self.acknowledged = known
        known, position = self.restored(Latest())
        assert known is not None, f"the latest restore, {position}, is a state that never was"
        assert known >= self.acknowledged, f"the latest restore, {position}, is older than {acked}, acknowledged"
        assert known >= self.arrived, f"the latest restore, {position}, is older than one before"
        assert position.generation != acked.generation or position >= acked
        self.arrived = known

    def await_arrival(self) -> None:
        """Everything that was committed arrives; the writer must be paused."""
        newest = len(self.application.states()) - 1
        deadline = time.monotonic() + ARRIVAL_SECONDS_MAX
        found: object = None
        while True:
            assert self.engine is not None
            assert self.engine.poll() is None, f"the program ended by itself: {self._tail()}"
            try:
                found = self.restored(Latest())[0] if self.acked() is not None else None
            except ReplicationError as error:
                # The replica may be changing under the restore.
                found = error
            if found == newest:
                self.arrived = newest
                return
            assert time.monotonic() < deadline, f"{newest} does not arrive, but {found}; {self._tail()}"
            time.sleep(0.01)

    def acked(self) -> Position | None:
        """Up to where the store has acknowledged everything, as the program wrote down; None before the first time."""
        try:
            text = self.acks.read_text()
        except FileNotFoundError:
            return None
        lines = text[: text.rfind("\n") + 1].splitlines()
        return Position.parse(lines[-1]) if lines else None

    def restored(self, target: Target) -> tuple[int | None, Position]:
        """The number of the state that a restore makes, None if there was no such state; and its position."""
        output = self.folder / "restored"
        result = restore(
            [OpenReplica("test", self.client.storage)], output, RestoreOptions(target=target, integrity_check="none")
        )
        states = {sha: number for number, sha in enumerate(self.application.states())}
        found = states.get(sha256(output))
        output.unlink()
        return found, result.position

    def check_leftovers(self) -> None:
        """After a clean end nothing lies in the local folder or the replica that does not belong there."""
        unknown = [name for name in _names(self.meta) if not META_NAMES.fullmatch(name)]
        assert not unknown, f"left in the local folder: {unknown}"
        if self._location is None:
            unknown = [name for name in _names(self.replica) if not REPLICA_NAMES.fullmatch(name)]
        else:
            listed = (item.name for item in self.client.storage.list("generations/"))
            unknown = [name for name in listed if not REPLICA_NAMES.fullmatch(name)]
        assert not unknown, f"left in the replica: {unknown}"
        strangers = {item.name for item in self.folder.iterdir()} - {
            *(
                "app.db",
                "app.db-wal",
                "app.db-shm",
                self.meta.name,
                "replica",
                "litestream.yml",
                "acks",
                "log",
                "oracle",
            )
        }
        assert not strangers, f"left beside the database: {strangers}"

    def age_unfinished_writes(self) -> int:
        """Make what a killed process left in the replica folder old enough to be removed; how many there are."""
        found = list(self.replica.rglob(".*.tmp"))
        for path in found:
            when = time.time() - LEFTOVER_AGE_SECONDS
            os.utime(path, (when, when))
        return len(found)

    def _tail(self) -> str:
        return self.log.read_text(errors="replace")[-1500:] if self.log.exists() else ""


def _names(folder: Path) -> list[str]:
    return sorted(str(item.relative_to(folder)) for item in folder.rglob("*"))
