"""Promise 2 where the files change hands: what writes to the database past SQLite, or takes -shm away, is noticed.

Where nothing proves that the files are the ones that were followed a new generation begins, and what it restores is
what SQLite has. An application's ordinary life costs none.
"""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from replication.database import continuity
from replication.database import opening as opening_module
from replication.database import source_files as source_files_module
from replication.database import wal_copier as copier_module
from replication.database.lock import EngineLock
from replication.database.source_files import SHM_REMOVED, WRITTEN, SourceFiles
from replication.database.wal_copier import WALCopier
from replication.errors import DatabaseError
from replication.sqlite.pin import Pin
from replication.sqlite.wal_index import WALIndexHeader
from tests.database.shared_memory import tear_index
from tests.foreign import Shell
from tests.replica.bench import Bench

_WRITE_IN_PLACE = r"""
import os, sys
how, copy, live = sys.argv[1:]
data = open(copy, "rb").read()
with open(live, "r+b") as file:
    if how == "truncate and rewrite":
        file.truncate(0)
    file.write(data)
    file.truncate(len(data))
    file.flush()
"""


def put_in_place(copy: Path, live: Path, how: str = "overwrite") -> None:
    """Write the bytes of `copy` into `live`, whose inode stays, as cp, dd and rsync --inplace do."""
    subprocess.run([sys.executable, "-c", _WRITE_IN_PLACE, how, str(copy), str(live)], check=True)


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program never ends in order: only after such an end is another time of writing taken for a foreign write."""
    describe = EngineLock.describe
    monkeypatch.setattr(EngineLock, "describe", lambda lock, *values: describe(lock, *values[:3]))


def seen(bench: Bench) -> str:
    """The database as whoever opens it now sees it; the application's own connection may have pages of before."""
    with Shell(bench.path).open() as other:
        return other.sha256()


def rows(bench: Bench, count: int = 60) -> None:
    """Rows of several pages, so that a copy from before differs in many of them."""
    for _ in range(3):
        bench.write(
            f"INSERT INTO t(b) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<{count}) "
            "SELECT randomblob(300) FROM n"
        )
        bench.database.sync()


@pytest.fixture
def copy(bench: Bench) -> Path:
    """An older copy of the database, of one file; the live one has gone on since, and its WAL is all backfilled."""
    rows(bench)
    bench.database.checkpoint()
    copy = bench.folder / "copy.db"
    # By another process: to close the file here would drop the locks of ours.
    subprocess.run(["cp", bench.path, copy], check=True)
    replica = bench.replica()
    replica.sync()
    for _ in range(2):
        # No page more: of those SQLite remembers the number, whatever file it finds.
        bench.write("UPDATE t SET b = randomblob(300)")
        bench.database.checkpoint()
    bench.settle()
    return copy


@pytest.mark.parametrize("how", ["overwrite", "truncate and rewrite"])
@pytest.mark.parametrize("application", ["open", "closed", "closed and opened"])
@pytest.mark.parametrize("engine", ["running", "stopped"])
def test_promise_2_an_older_copy_put_over_the_live_file_begins_a_generation(
    bench: Bench, copy: Path, how: str, application: str, engine: str
) -> None:
    if application != "open":
        bench.app.close()

    def restore_by_hand() -> None:
        put_in_place(copy, bench.path, how)
        if application != "closed":
            bench.app = Shell(bench.path).open(autocheckpoint=False) if application != "open" else bench.app
            bench.write("INSERT INTO t(b) VALUES('after the copy')")

    if engine == "stopped":
        bench.restart(restore_by_hand)
    else:
        restore_by_hand()
    before = bench.database.position
    for _ in range(3):
        bench.database.sync()
    if application == "closed":
        bench.app = Shell(bench.path).open(autocheckpoint=False)
        bench.states.append(bench.app.sha256())
    bench.settle()
    assert len(bench.reasons()) == 2, before
    if engine == "running":
        assert bench.reasons()[-1] == WRITTEN
    assert bench.restored() == seen(bench)
    bench.commit(400)
    bench.settle()
    assert bench.restored() == seen(bench)


def test_promise_2_a_copy_put_over_a_file_whose_wal_is_not_backfilled_begins_a_generation(
    bench: Bench, copy: Path
) -> None:
    rows(bench)
    put_in_place(copy, bench.path)
    bench.write("INSERT INTO t(b) VALUES('over both')")
    bench.settle()
    assert bench.reasons()[-1].startswith(WRITTEN)
    assert bench.restored() == seen(bench)


def test_promise_2_what_was_copied_before_another_program_is_noticed_is_taken_back(
    bench: Bench, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file changes hands, and a commit comes over it, between our look at the files and the copy of the WAL."""
    copied = WALCopier.copy

    def after_all_that(copier: WALCopier) -> None:
        monkeypatch.undo()
        put_in_place(copy, bench.path)
        Shell(bench.path).run("INSERT INTO t(b) VALUES('over the copy')")
        copied(copier)

    before = bench.database.position
    assert before is not None
    monkeypatch.setattr(WALCopier, "copy", after_all_that)
    bench.settle()
    assert bench.reasons()[1:] == [WRITTEN]
    assert bench.restored() == seen(bench)
    [*_, last] = [at for at in bench.points() if at.generation == before.generation]
    assert bench.restored(position=last) == bench.states[-1]


def test_promise_2_a_reader_that_keeps_the_old_wal_is_waited_for_in_words(bench: Bench, copy: Path) -> None:
    bench.write("INSERT INTO t(b) VALUES('in the wal')")
    bench.database.sync()
    with Shell(bench.path).open() as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM t")
        bench.database.checkpoint()
        put_in_place(copy, bench.path)
        with pytest.raises(DatabaseError, match="written to by another program"):
            bench.database.sync()
        reader.execute("ROLLBACK")
    bench.settle()
    assert bench.restored() == seen(bench)


def test_promise_2_shm_removed_under_a_live_application_begins_a_generation(bench: Bench) -> None:
    replica = bench.replica()
    for _ in range(3):
        bench.commit(2000)
    bench.database.checkpoint()
    replica.sync()
    Path(f"{bench.path}-shm").unlink()
    bench.app.close()
    bench.app = Shell(bench.path).open(autocheckpoint=False)
    # With nothing to keep it, the WAL is restarted with commits that were never copied.
    for _ in range(3):
        bench.write("INSERT INTO t(b) VALUES(randomblob(500))")
    bench.app.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    bench.write("INSERT INTO t(b) VALUES(randomblob(500))")
    bench.app.execute("PRAGMA wal_checkpoint(RESTART)")
    bench.write("INSERT INTO t(b) VALUES(randomblob(500))")
    bench.settle()
    assert bench.reasons()[1:] == [SHM_REMOVED]
    assert bench.restored() == seen(bench)


def test_promise_2_an_application_that_goes_on_with_a_removed_shm_is_named_and_its_commits_are_kept(
    bench: Bench,
) -> None:
    replica = bench.replica()
    bench.commit(2000)
    replica.sync()
    Path(f"{bench.path}-shm").unlink()
    for _ in range(3):
        bench.write("INSERT INTO t(b) VALUES(randomblob(500))")
        with pytest.raises(DatabaseError, match=r"pid \d+ still goes by it"):
            bench.database.sync()
    bench.app.kill()
    bench.app.close()  # its pipes
    bench.app = Shell(bench.path).open(autocheckpoint=False)
    assert bench.app.sha256() == bench.states[-1]
    bench.settle()
    assert bench.reasons()[1:] == [SHM_REMOVED]
    assert bench.restored() == bench.states[-1]


def test_commits_that_no_shm_of_ours_counts_are_told_of(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where nothing tells of who uses a removed -shm: an application in another container."""
    monkeypatch.setattr(opening_module, "openers_of_removed", lambda path: [])
    monkeypatch.setattr(copier_module, "PASSED_BY_SECONDS", 0.0)
    bench.commit(2000)
    Path(f"{bench.path}-shm").unlink()
    bench.database.sync()
    for _ in range(3):
        bench.write("INSERT INTO t(b) VALUES(randomblob(500))")
        bench.database.sync()
    assert bench.database.health.state == "error"
    assert "are not counted" in bench.database.health.error


def test_promise_2_a_second_name_is_told_of_and_the_commits_of_the_first_go_on(bench: Bench) -> None:
    replica = bench.replica()
    bench.commit()
    other = bench.folder / "other name.db"
    os.link(bench.path, other)
    bench.commit()
    told = bench.database.health
    assert told.state == "error"
    assert "hard links" in told.error
    replica.sync()
    assert bench.restored() == bench.states[-1]
    other.unlink()
    bench.commit()
    assert bench.database.health.state == "ok"
    replica.sync()
    assert bench.restored() == bench.states[-1]
    assert len(bench.reasons()) == 1


def test_promise_2_what_an_application_writes_by_another_name_begins_a_generation_once_it_is_in_the_file(
    bench: Bench,
) -> None:
    bench.commit()
    bench.database.checkpoint()
    replica = bench.replica()
    replica.sync()
    bench.app.kill()
    bench.app.close()  # its pipes
    other = bench.folder / "other name.db"
    os.link(bench.path, other)
    with Shell(other).open() as app:
        app.execute("INSERT INTO t(b) VALUES(randomblob(5000))")
        app.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        bench.settle()
        assert bench.reasons()[1:] == [WRITTEN]
        assert bench.restored() == app.sha256()


@pytest.mark.parametrize("what", ["cut", "overwritten"])
def test_promise_3_a_snapshot_of_a_file_that_changes_meanwhile_is_not_taken(
    bench: Bench, copy: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replication.database.image.CHUNK_BYTES", 4096)
    with bench.database.image() as image:
        chunks = image.chunks()
        next(chunks)
        if what == "cut":
            subprocess.run(
                [sys.executable, "-c", "import os, sys; os.truncate(sys.argv[1], 8192)", bench.path], check=True
            )
        else:
            put_in_place(copy, bench.path)
        with pytest.raises(DatabaseError, match=r"(?i)than sqlite"):
            list(chunks)


@pytest.mark.parametrize("lives", [1, 3])
@pytest.mark.parametrize("after", ["nothing", "a commit and a checkpoint"])
def test_promise_2_a_copy_put_there_after_an_orderly_end_is_noticed_whatever_came_after_it(
    bench: Bench, lives: int, after: str
) -> None:
    """What differs lies in pages of earlier lives of the WAL, and those of this one were written anew since."""
    replica = bench.replica()
    bench.write("CREATE TABLE x(a INTEGER PRIMARY KEY, b)")
    bench.write("INSERT INTO x VALUES(1, 'old'), (2, 'a')")
    bench.database.sync()
    bench.database.checkpoint()
    copy = bench.folder / "copy.db"
    subprocess.run(["cp", bench.path, copy], check=True)
    bench.write("UPDATE x SET b = 'new' WHERE a = 1")
    for life in range(lives):
        bench.database.sync()
        bench.database.checkpoint()
        bench.write(f"INSERT INTO t(b) VALUES({life})")
    bench.settle()
    replica.sync()

    def restore_by_hand() -> None:
        put_in_place(copy, bench.path)
        if after != "nothing":
            bench.write("INSERT INTO t(b) VALUES('after the copy')")
            bench.app.execute("PRAGMA wal_checkpoint(PASSIVE)")

    bench.restart(restore_by_hand)
    bench.settle()
    assert bench.reasons()[-1].startswith(WRITTEN)
    assert bench.restored() == seen(bench)


def test_promise_2_a_copy_put_there_in_the_second_of_our_checkpoint_is_noticed_after_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where times are in whole seconds the copy has the very time that our checkpoint left."""
    monkeypatch.setattr(source_files_module, "COARSE_NS", 1)
    monkeypatch.setattr(source_files_module, "COARSE_SECONDS", 0.0)
    bench.replica()
    rows(bench)
    bench.database.checkpoint()
    copy = bench.folder / "copy.db"
    subprocess.run(["cp", bench.path, copy], check=True)
    bench.write("UPDATE t SET b = randomblob(300)")
    bench.settle()
    bench.database.checkpoint()
    before = bench.path.stat()
    put_in_place(copy, bench.path)
    os.utime(bench.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    bench.settle()
    assert bench.reasons()[1:] == [WRITTEN]
    assert bench.restored() == seen(bench)


def test_a_lock_file_that_cannot_be_written_keeps_nobody_from_letting_go(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(lock: EngineLock, *values: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    bench.replica()
    bench.commit()
    with monkeypatch.context() as patched:
        patched.setattr(EngineLock, "describe", full)
        bench.database.checkpoint()
        bench.commit()
        assert bench.database.health.state == "ok"
        bench.database.close()
    assert not bench.database.locked
    bench.restart()
    bench.settle()
    assert bench.restored() == bench.states[-1]


ORDINARY: dict[str, Callable[[Bench], object]] = {
    "checkpoint PASSIVE": lambda bench: bench.app.execute("PRAGMA wal_checkpoint(PASSIVE)"),
    "checkpoint FULL": lambda bench: bench.app.execute("PRAGMA wal_checkpoint(FULL)"),
    "checkpoint RESTART": lambda bench: bench.app.execute("PRAGMA wal_checkpoint(RESTART)"),
    "checkpoint TRUNCATE": lambda bench: bench.app.execute("PRAGMA wal_checkpoint(TRUNCATE)"),
    "VACUUM": lambda bench: bench.write("VACUUM"),
    "delete and VACUUM": lambda bench: [bench.app.execute(sql) for sql in ("DELETE FROM t WHERE a > 3", "VACUUM")],
    "another opens and closes": lambda bench: Shell(bench.path).run("SELECT count(*) FROM t"),
    "another writes": lambda bench: Shell(bench.path).run("INSERT INTO t(b) VALUES(1)"),
    "a rolled back transaction": lambda bench: [
        bench.app.execute(sql) for sql in ("BEGIN", *["INSERT INTO t(b) VALUES(randomblob(900))"] * 40, "ROLLBACK")
    ],
    "our checkpoint": lambda bench: bench.database.checkpoint(),
    "backup into it": lambda bench: backup_into(bench),
    "our restart": lambda bench: bench.restart(),
}


def backup_into(bench: Bench) -> None:
    """SQLite's backup API writes another database into the live one, as one transaction."""
    other = bench.folder / "backup.db"
    other.unlink(missing_ok=True)
    Shell(other).run(
        "PRAGMA page_size=1024; CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB);"
        "INSERT INTO t(b) VALUES(randomblob(9000));"
    )
    code = (
        "import sqlite3, sys\n"
        "source, live = sqlite3.connect(sys.argv[1]), sqlite3.connect(sys.argv[2], timeout=30)\n"
        "live.execute('PRAGMA wal_autocheckpoint=0')\n"
        "source.backup(live)\n"
    )
    subprocess.run([sys.executable, "-c", code, other, bench.path], check=True)
    bench.states.append(bench.app.sha256())


@pytest.mark.parametrize("first", ORDINARY)
def test_promise_2_an_application_s_ordinary_life_costs_no_generation(bench: Bench, first: str) -> None:
    bench.replica()
    # A checkpoint of others does not wait for our pin.
    bench.app.execute("PRAGMA busy_timeout=0")
    rows(bench, 20)
    bench.settle()
    for second in ORDINARY:
        for what in (first, second):
            ORDINARY[what](bench)
            bench.database.sync()
            bench.commit(600)
    bench.database.checkpoint()
    bench.commit(600)
    bench.settle()
    assert bench.restored() == seen(bench)
    assert bench.reasons() == ["no generation exists"]


def test_promise_2_files_that_went_away_and_came_back_are_replicated_again(bench: Bench) -> None:
    """As those of a volume that is mounted again: the WAL at the path is the file's own, and not another's."""
    bench.replica()
    bench.commit()
    bench.settle()
    aside = bench.folder / "aside"
    aside.mkdir()
    names = [f"{bench.path.name}{suffix}" for suffix in ("", "-wal", "-shm")]
    for name in names:
        (bench.folder / name).rename(aside / name)
    bench.database.sync()
    told = bench.database.health
    assert told.state == "waiting"
    for name in names:
        (aside / name).rename(bench.folder / name)
    bench.commit()
    bench.settle()
    assert bench.database.health.state == "ok"
    assert bench.restored() == seen(bench)


@pytest.mark.parametrize("looked", [False, True], ids=["", "and looked at between"])
def test_promise_2_a_recovery_of_sqlite_s_after_which_the_same_is_copied_back_again_costs_no_generation(
    bench: Bench, looked: bool
) -> None:
    """The pin was taken while frames were pending: others may copy back what came before it, and nobody may restart."""
    bench.commit()
    for again in (0, 1, 5):
        if again:
            # As many commits follow as it forgets, and more.
            tear_index(bench.path)
            assert bench.app.sha256() == bench.states[-1]
            if looked:
                bench.database.sync()
            for _ in range(again):
                bench.write("INSERT INTO t(b) VALUES(1)")
        before = bench.path.stat().st_mtime_ns
        bench.app.execute("PRAGMA wal_checkpoint(PASSIVE)")
        assert bench.path.stat().st_mtime_ns > before
        bench.database.sync()
    bench.commit()
    assert len(bench.reasons()) == 1


def torn_once_it_is_held(bench: Bench, monkeypatch: pytest.MonkeyPatch, *then: str) -> None:
    """As soon as it is held somebody checkpoints and a writer dies; the application then makes these commits."""
    take = Pin.take

    def taken(path: Path) -> Pin:
        pin = take(path)
        bench.app.execute("PRAGMA wal_checkpoint(PASSIVE)")
        tear_index(path)
        for sql in then:
            bench.write(sql)
        return pin

    monkeypatch.setattr(Pin, "take", taken)


@pytest.mark.usefixtures("killed")
def test_promise_2_a_writer_that_dies_while_the_database_is_opened_costs_no_generation(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.commit()
    torn_once_it_is_held(bench, monkeypatch)
    bench.restart()
    bench.commit()
    assert len(bench.reasons()) == 1
    bench.replica().sync()
    assert bench.restored() == bench.states[-1]


@pytest.mark.usefixtures("killed")
def test_promise_2_pages_of_zeros_beyond_the_end_of_the_file_cost_no_generation(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read beyond its end the file is all zeros, as the last page of a large blob may be that comes later."""
    rows(bench, 20)
    bench.database.checkpoint()
    bench.commit()
    large = "INSERT INTO t(b) VALUES(zeroblob(3000))"
    torn_once_it_is_held(bench, monkeypatch, "UPDATE t SET b = randomblob(300)", large)
    bench.restart()
    monkeypatch.undo()
    bench.commit()
    assert len(bench.reasons()) == 1
    bench.replica().sync()
    assert bench.restored() == bench.states[-1]


@pytest.mark.usefixtures("killed")
def test_promise_2_a_checkpoint_while_the_files_are_compared_costs_no_generation(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = SourceFiles._looks_left_alone

    def looked(files: SourceFiles, index: WALIndexHeader, *arguments: Any) -> bool:
        bench.app.execute("PRAGMA wal_checkpoint(PASSIVE)")
        return looks(files, index, *arguments)

    rows(bench, 20)
    bench.database.checkpoint()
    bench.write("UPDATE t SET b = randomblob(300)")
    bench.database.sync()
    monkeypatch.setattr(SourceFiles, "_looks_left_alone", looked)
    bench.restart(lambda: os.utime(bench.path, ns=(1, 1)))
    assert len(bench.reasons()) == 1


@pytest.mark.usefixtures("killed")
def test_promise_2_a_database_that_became_smaller_and_was_recovered_costs_no_generation(bench: Bench) -> None:
    def checkpointed_and_killed() -> None:
        bench.app.execute("PRAGMA wal_checkpoint(PASSIVE)")
        bench.app.kill()
        bench.app.close()  # its pipes

    rows(bench, 20)
    bench.database.checkpoint()
    # Pages that are freed are not written.
    bench.app.execute("PRAGMA secure_delete=OFF")
    bench.write("DELETE FROM t WHERE a > 3")
    bench.write("VACUUM")
    bench.database.sync()
    bench.restart(checkpointed_and_killed)
    assert len(bench.reasons()) == 1
    bench.app = Shell(bench.path).open(autocheckpoint=False)
    bench.commit()
    bench.replica().sync()
    assert bench.restored() == bench.states[-1]


@pytest.mark.parametrize("foreign", [False, True], ids=["", "and a copy from before it is put there"])
def test_promise_2_an_end_before_a_checkpoint_was_noted_costs_no_generation(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, foreign: bool
) -> None:
    """Of the WAL nothing is copied back, and it holds each page of the life before, which is what the file holds."""
    copy = bench.folder / "copy.db"
    bench.commit()
    bench.database.checkpoint()
    bench.write("UPDATE t SET b = randomblob(100)")
    subprocess.run(["cp", bench.path, copy], check=True)
    # From here on the program is killed before it can write down what its checkpoint did to the file.
    monkeypatch.setattr(EngineLock, "describe", lambda lock, *values: None)
    bench.database.checkpoint()
    bench.write("UPDATE t SET b = randomblob(100)")
    bench.database.sync()

    def meanwhile() -> None:
        if foreign:
            put_in_place(copy, bench.path)
        # SQLite's recovery forgets that nothing was copied back.
        tear_index(bench.path)

    bench.restart(meanwhile)
    bench.commit()
    assert bench.reasons()[1:] == [f"{WRITTEN}, while not replicating"] * foreign
    bench.replica().sync()
    assert bench.restored() == seen(bench)


def test_65_537_restarts_of_the_wal_without_a_commit_cost_no_generation(bench: Bench) -> None:
    replica = bench.replica()
    bench.commit()
    replica.sync()
    bench.database.checkpoint()
    code = (
        "import sqlite3, sys\n"
        "app = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "for _ in range(65540):\n"
        "    app.execute('PRAGMA wal_checkpoint(TRUNCATE)').fetchall()\n"
    )
    subprocess.run([sys.executable, "-c", code, bench.path], check=True)
    for _ in range(3):
        bench.commit()
        replica.sync()
    assert len(bench.reasons()) == 1


@pytest.mark.usefixtures("killed")
def test_promise_2_a_transaction_that_writes_over_the_copied_life_while_files_are_compared_is_no_foreign_write(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All was copied back while we were down, so it restarts the WAL; nothing of it counts when it is looked at.

    The generation ends, for nothing was proven of that life at its end; but nobody else wrote to the file.
    """
    rows(bench, 20)
    bench.database.checkpoint()
    bench.write("UPDATE t SET b = randomblob(300)")
    bench.database.sync()
    decide = continuity.decide

    def decide_then_spill(*arguments: Any) -> Any:
        decision = decide(*arguments)
        bench.app.execute("BEGIN")
        bench.app.execute("UPDATE t SET b = zeroblob(3000)")
        return decision

    monkeypatch.setattr(opening_module, "decide", decide_then_spill)
    bench.restart(lambda: bench.app.execute("PRAGMA wal_checkpoint(FULL)"))
    bench.app.execute("ROLLBACK")
    bench.commit()
    assert bench.reasons()[1:] == ["wal restarted while it was opened"]
    bench.replica().sync()
    assert bench.restored() == bench.states[-1]
