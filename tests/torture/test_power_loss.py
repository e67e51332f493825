"""The power goes: what was not synced is lost, torn, or there although what came before it is not.

One process replicates step by step while everything it does to its files is recorded. From any moment of it, states are
made that a disk may be left in; on each the replica alone restores what was acknowledged, replication goes on, and no
commit that SQLite has forgotten since is missing.
"""

import hashlib
import random
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from replication.database.checkpoint import CheckpointPolicy
from replication.database.database import Database
from replication.errors import NoBackupError, NoRestorePointError
from replication.position import Position
from replication.replica.wal03.replica import Replica
from replication.restore.kept import kept_path
from replication.restore.open_replica import OpenReplica
from replication.restore.replace import restore_over
from replication.restore.restore import RestoreOptions, restore
from replication.restore.target import AtPosition, Latest
from replication.sqlite.checksum import WAL_HEADER_SIZE
from replication.storage.file.storage import FileStorage
from replication.storage.wal03.replica_client import ReplicaClient
from replication.validation import restored_digest
from tests.engine.running import sha256
from tests.foreign import Shell
from tests.torture.conftest import Torture
from tests.torture.power_recorder import Marked, Recording, Synced, recorded

ACTS = 60
MOMENTS = 25
"""At which power is lost, in one round."""
_NEVER = CheckpointPolicy(pages_min=10**6, pages_max=0, interval_seconds=0)
_COPIES = r"""
import hashlib, os, sys
path, folder = sys.argv[1:]
for line in sys.stdin:
    names = []
    for suffix in ("", "-wal"):
        try:
            with open(path + suffix, "rb") as file:
                data = file.read()
        except FileNotFoundError:
            names.append("-")
            continue
        names.append(hashlib.sha256(data).hexdigest())
        if not os.path.exists(f"{folder}/{names[-1]}"):
            with open(f"{folder}/{names[-1]}", "wb") as file:
                file.write(data)
    print(*names, flush=True)
"""


class Played:
    """A replication that was recorded, with the database's own files as they were at every moment of it."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.folder = folder
        self.path = folder / "app.db"
        self.copies = folder / "copies"
        self.copies.mkdir(parents=True)
        (folder / "local").mkdir()
        self.recording = Recording(folder / "local", told=self._look)
        self.files: list[tuple[str, str]] = []
        """The names, among the copies, of the database and its WAL after so many operations."""
        self.states: list[str] = []
        self.inodes: dict[str, int] = {}
        # Another process reads them: opening them here would drop the locks of SQLite.
        self._copier = subprocess.Popen(
            [sys.executable, "-c", _COPIES, str(self.path), str(self.copies)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            self._play(chance)
        finally:
            self._copier.communicate()

    def _look(self) -> None:
        assert self._copier.stdin is not None
        assert self._copier.stdout is not None
        self._copier.stdin.write("\n")
        self._copier.stdin.flush()
        database, wal = self._copier.stdout.readline().split()
        self.files += [(database, wal)] * (len(self.recording.operations) - len(self.files))

    def _play(self, chance: random.Random) -> None:
        page_size = chance.choice([512, 1024, 4096])
        with Shell(self.path).open(autocheckpoint=False) as app:
            for pragma in (f"page_size={page_size}", "journal_mode=wal", "synchronous=FULL"):
                app.execute(f"PRAGMA {pragma}")

            def commit(sql: str) -> None:
                app.execute(sql)
                self.states.append(app.sha256())

            commit("CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB)")
            self.inodes = {name: self.path.with_name(f"app.db{name}").stat().st_ino for name in ("", "-wal")}
            with recorded(self.recording):
                database, replica = open_both(self.path, self.recording.root)
                self._after(database, replica)
                for _ in range(ACTS):
                    act = chance.choice(
                        ["commit"] * 5 + ["sync"] * 4 + ["send", "send", "checkpoint", "checkpoint", "rare"]
                    )
                    if act == "rare":
                        act = chance.choice(["snapshot", "generation", "reopen", "clean", "vacuum"])
                    match act:
                        case "commit":
                            commit(f"INSERT INTO t(b) VALUES(randomblob({chance.choice([10, 900, 9000])}))")
                        case "vacuum":
                            commit("DELETE FROM t WHERE a % 2")
                            commit("VACUUM")
                        case "sync":
                            database.sync()
                        case "send" if database.position is not None:
                            replica.sync()
                        case "snapshot" if database.position is not None:
                            replica.snapshot()
                        case "checkpoint":
                            database.checkpoint()
                        case "generation":
                            database.request_generation("test")
                        case "clean":
                            database.clean([replica.position])
                        case "reopen":
                            database.close()
                            database, replica = open_both(self.path, self.recording.root)
                    self._after(database, replica)
                database.close()

    def restarted(self) -> list[int]:
        """The moments at which SQLite had forgotten frames, and nobody had looked since: so many operations."""
        found: list[int] = []
        seen = b""
        for count, operation in enumerate(self.recording.operations, 1):
            if isinstance(operation, Marked) and operation.what == "at":
                seen = operation.value[2]
            wal = self.files[count - 1][1]
            if seen and wal != "-" and self._header(wal) != seen:
                found.append(count)
        return found

    def _header(self, wal: str) -> bytes:
        with (self.copies / wal).open("rb") as file:
            return file.read(WAL_HEADER_SIZE)

    def _after(self, database: Database, replica: Replica) -> None:
        """Remember what is true from here on."""
        recording = self.recording
        recording.mark("committed", len(self.states) - 1)
        if database.cursor is not None and database.position is not None and database.cursor.frames:
            # An act without a sync has copied nothing: the position is that of an earlier state, told before.
            known = {item.value[0] for item in recording.operations if isinstance(item, Marked) and item.what == "at"}
            if database.position not in known:
                recording.mark("at", (database.position, len(self.states) - 1, database.cursor.header.pack()))
        if replica.position is not None:
            recording.mark("acknowledged", replica.position)
        self._look()


def open_both(path: Path, local: Path) -> tuple[Database, Replica]:
    """A database and a file replica of it, without threads; nothing is done yet."""

    def emit(level: str, message: str, **values: object) -> None:
        assert level != "error", (message, values)

    database = Database(path, local / "meta", _NEVER, emit)
    return database, Replica("file", ReplicaClient(FileStorage(local / "replica")), database, emit, restored_digest)


class Left:
    """What a loss of power at one moment left, in a folder of its own."""

    def __init__(self, played: Played, count: int, folder: Path, chance: random.Random, mode: str) -> None:
        self.path = folder / "app.db"
        self.local = folder / "local"
        self.output = folder / "restored"
        self.played = played
        folder.mkdir()
        for suffix, name in zip(("", "-wal"), played.files[count - 1], strict=True):
            if name != "-":
                (folder / f"app.db{suffix}").write_bytes((played.copies / name).read_bytes())
        played.recording.position(count).leave(self.local, chance, mode)
        self._keep_inodes()
        marks = [item for item in played.recording.operations[:count] if isinstance(item, Marked)]
        self.committed = max(item.value for item in marks if item.what == "committed")
        self.copied = {item.value[0]: item.value for item in marks if item.what == "at"}
        acknowledged = [item.value for item in marks if item.what == "acknowledged" and item.value in self.copied]
        self.acknowledged: Position | None = acknowledged[-1] if acknowledged else None
        self.begun = {position.generation for position in acknowledged}
        wal = folder / "app.db-wal"
        self.wal_header = wal.read_bytes()[:WAL_HEADER_SIZE] if wal.exists() else b""
        self.client = ReplicaClient(FileStorage(self.local / "replica"))

    def _keep_inodes(self) -> None:
        """Files keep their inodes when the power goes; these are copies."""
        lock = self.local / "meta" / "litestream-tui.lock"
        if lock.exists():
            text = lock.read_bytes()
            for suffix, key in (("", b"inode"), ("-wal", b"wal")):
                path = Path(f"{self.path}{suffix}")
                if path.exists():
                    old = b"%s %d\n" % (key, self.played.inodes[suffix])
                    text = text.replace(old, b"%s %d\n" % (key, path.stat().st_ino))
            lock.write_bytes(text)

    def restored(self, position: Position | None = None) -> int:
        """The number of the state that the replica restores."""
        target = AtPosition(position) if position else Latest()
        restore(
            [OpenReplica("file", self.client.storage)],
            self.output,
            RestoreOptions(target=target, integrity_check="none"),
        )
        found = hashlib.sha256(self.output.read_bytes()).hexdigest()
        self.output.unlink()
        assert found in self.played.states, f"{position or 'the latest'} restores to a state that never was"
        return self.played.states.index(found)

    def check_replica_alone(self) -> None:
        """Whatever is left of the machine: what was acknowledged is there."""
        if self.acknowledged is None:
            try:
                self.restored()
            except (NoBackupError, NoRestorePointError):
                return
            return
        number = self.copied[self.acknowledged][1]
        assert self.restored(self.acknowledged) == number, f"{self.acknowledged} was acknowledged"
        assert self.restored() >= number

    def check_going_on(self) -> int:
        """Replication goes on, and nothing is missing; how many commits were looked for that SQLite has forgotten."""
        database, replica = open_both(self.path, self.local)
        with closing(database):
            for _ in range(10):
                database.sync()
                replica.sync()
                if replica.position == database.position:
                    break
        assert self.restored() == self.committed
        if self.acknowledged is not None:
            assert self.restored(self.acknowledged) == self.copied[self.acknowledged][1]
        since = self.copied[self.acknowledged][1] if self.acknowledged is not None else 0
        forgotten = [
            (position, number)
            for position, number, header in self.copied.values()
            # A generation that the replica has nothing of begins there with what the database is when it is sent.
            if header != self.wal_header and number > since and position.generation in self.begun
        ]
        for position, number in forgotten:
            assert self.restored(position) == number, f"{position} was copied before SQLite forgot it"
        return len(forgotten)


def test_the_power_goes_while_replicating(tmp_path: Path, torture: Torture) -> None:
    for number, chance in enumerate(torture.rounds(short=2)):
        played = Played(tmp_path / f"{number}", chance)
        total = len(played.recording.operations)
        torture.counts["operations recorded"] += total
        rare = played.restarted()
        for moment in range(MOMENTS):
            count = chance.choice(rare) if rare and chance.random() < 0.4 else chance.randrange(1, total + 1)
            mode = chance.choice(["all", "durable", "some", "some", "some"])
            folder = tmp_path / f"{number}-{moment}"
            left = Left(played, count, folder, chance, mode)
            print(f"power lost after {count} of {total} operations, {mode} left: {folder}", flush=True)
            left.check_replica_alone()
            torture.counts["forgotten commits looked for"] += left.check_going_on()
            torture.counts["losses of power"] += 1
            subprocess.run(["rm", "-r", folder], check=True)


def test_the_power_goes_while_restoring(tmp_path: Path, torture: Torture) -> None:
    for number, chance in enumerate(torture.rounds(short=1)):
        played = Played(tmp_path / f"{number}", chance)
        replica = played.folder / "local" / "replica"
        if not any(replica.rglob("*.snapshot.lz4")):
            continue
        root = tmp_path / f"{number}-output"
        root.mkdir()
        recording = Recording(root)
        source = OpenReplica("file", FileStorage(replica))
        with recorded(recording):
            restore([source], root / "new" / "out.db", RestoreOptions(integrity_check="none"))
            recording.mark("done", True)
        whole = (root / "new" / "out.db").read_bytes()
        for count in range(1, len(recording.operations) + 1):
            for mode in ("all", "durable", "some", "some"):
                left = tmp_path / f"{number}-{count}-{mode}"
                recording.position(count).leave(left, chance, mode)
                output = left / "new" / "out.db"
                done = isinstance(recording.operations[count - 1], Marked)
                assert not done or output.exists(), "it was reported done"
                assert not output.exists() or output.read_bytes() == whole, f"{count} operations, {mode} left"
                subprocess.run(["rm", "-r", left], check=True)
                torture.counts["losses of power in a restore"] += 1


def test_the_power_goes_while_a_database_is_replaced(
    tmp_path: Path, torture: Torture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before SQLite begins to write the live one anew, the old one is kept, whole and durable.

    What SQLite does to the live one itself, one transaction and a checkpoint, is SQLite's to survive.
    """
    for number, chance in enumerate(torture.rounds(short=1)):
        played = Played(tmp_path / f"{number}", chance)
        client = ReplicaClient(FileStorage(played.folder / "local" / "replica"))
        if not client.generations():
            continue
        live = tmp_path / f"{number}-live" / "app.db"
        live.parent.mkdir()
        with Shell(live).open() as app:
            app.execute("PRAGMA journal_mode=wal")
            app.execute("CREATE TABLE old(a)")
            old = app.sha256()
            app.kill()
        recording = Recording(live.parent)
        kept = kept_path(live, datetime.now(UTC))

        def reached(step: str, recording: Recording = recording) -> None:
            if step == "replacement: old one kept":
                recording.mark("kept", True)

        with recorded(recording):
            recording.make(live, folder=False)
            recording.operations.append(Synced(0))
            began = len(recording.operations)
            monkeypatch.setattr("replication.steps.hook", reached)
            restore_over([OpenReplica("file", client.storage)], live, RestoreOptions(), kept)
            monkeypatch.undo()
        done = next(at for at, item in enumerate(recording.operations, 1) if isinstance(item, Marked))
        for count in range(began, len(recording.operations) + 1):
            for mode in ("all", "durable", *["some"] * 12):
                left = tmp_path / f"{number}-{count}-{mode}"
                recording.position(count).leave(left, chance, mode)
                found = [path for path in left.iterdir() if path.name == kept.name]
                assert found or count < done, f"{count} operations, {mode} left: nothing is kept"
                assert [sha256(path) for path in found] in ([], [old]), f"{count} operations, {mode} left"
                subprocess.run(["rm", "-r", left], check=True)
                torture.counts["losses of power in a replacement"] += 1
