"""What an application is told on a small disk that it shares with replication; run in a process of its own.

Arguments: a scenario, the folder to mount the disk on, a folder on another disk. The whole of it, program and
application, sees a file system of 56 MB at that folder.
"""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.cli.program import Replicating, Result, run, succeeds
from tests.cli.small_disk import OwnFileSystem
from tests.foreign import ForeignConnection, Shell
from tests.interchange.program import wait_until

DISK_BYTES = 56_000_000
PAUSE_SECONDS = 0.003
"""Between two commits: a disk that a program fills within one look at it is filled whatever that does."""
LOOK_SECONDS = 0.001
DEAD = (
    "{type: s3, name: dead, bucket: b, path: p, endpoint: 'http://127.0.0.1:1', access-key-id: a, secret-access-key: b}"
)


def configured(disk: Path, other: Path, replicas: str, extra: str = "") -> Path:
    path = other / "litestream.yml"
    path.write_text(f"dbs:\n- path: {disk}/app.db\n  monitor-interval: 20ms\n{extra}  replicas: [{replicas}]\n")
    return path


def made(disk: Path, size: int) -> ForeignConnection:
    """An application with a database of about that size, in rows of 20 kB. What it is told raises here."""
    application = ForeignConnection(disk / "app.db", timeout=5.0)
    application.execute("PRAGMA journal_mode=WAL")
    application.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB)")
    for _ in range(size // 20_000):
        application.execute("INSERT INTO t(b) VALUES(randomblob(20000))")
    return application


def pause(replicate: Replicating) -> None:
    """Between two commits, and until the program has done what it wanted to: the disk is small, not the machine."""
    time.sleep(PAUSE_SECONDS)
    while at_work(replicate.pid):
        time.sleep(LOOK_SECONDS)


def at_work(pid: int) -> bool:
    """True while any thread of a process runs, waits for a processor, or waits for a disk."""
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(OSError):
            if stat.read_text().rpartition(")")[2].split()[0] in "RD":
                return True
    return False


def used(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def living_is_complete(disk: Path, other: Path, application: ForeignConnection) -> None:
    output = other / "restored.db"
    succeeds("restore", "-o", output, f"file://{other}/replica")
    assert Shell(output).rows("SELECT a, hex(b) FROM t") == application.execute("SELECT a, hex(b) FROM t")
    output.unlink()


def dead_replica(disk: Path, other: Path) -> None:
    """A database of 124 kB, one of two replicas dead, and commits without end."""
    application = made(disk, 124_000)
    config = configured(disk, other, f"{{path: {other}/replica, sync-interval: 10ms}}, {DEAD}")
    most = 0
    with Replicating(other / "log", "-config", config) as replicate:
        replicate.wait_for("snapshot written")
        for number in range(1500):
            pause(replicate)
            application.execute("UPDATE t SET b = randomblob(20000)")
            most = max(most, used(disk)) if number % 20 == 0 else most
        line = replicate.wait_for("replica is set to begin anew", "dead")
        wait_until("the table says so", lambda: "set to begin anew" in run("status", "-config", config).out)
        assert "no restore point between" in line, line
        wait_until(
            "the status says so",
            lambda: "set to begin anew with a snapshot" in run("status", "-config", config, "-json").out,
        )
        wait_until("all is copied", lambda: used(disk) < 30_000_000)
        assert replicate.end() == 0
    print("most used", most)
    living_is_complete(disk, other, application)
    assert "no restore" in replicate.out + replicate.err
    assert "generation begins" not in replicate.out.split("snapshot written", 1)[1]
    application.close()


def validation(disk: Path, other: Path) -> None:
    """A database of 25 MB on a disk that has no room for a second one: nobody makes one there."""
    application = made(disk, 26_000_000)
    settings = f"{{path: {other}/replica, sync-interval: 10ms, validation-interval: 1s}}"
    config = configured(disk, other, settings)
    with Replicating(other / "log", "-config", config) as replicate:
        replicate.wait_for("snapshot written")
        began = time.monotonic()
        while time.monotonic() < began + 6:
            pause(replicate)
            application.execute("UPDATE t SET b = randomblob(20000) WHERE a = 1 + abs(random()) % 100")
        line = replicate.wait_for("verified", "inconclusive")
        assert "left to the application" in line, line
        assert "TMPDIR" in line, line
        assert not list(disk.rglob("validate-*"))
        assert "database or disk is full" not in replicate.out + replicate.err
        # What a person asks for is refused as well, and says where else.
        refused(run("restore", "-o", disk / "second.db", f"file://{other}/replica"), "restore to another disk (-o)")
        refused(run("verify", "-config", config, environment=tmpdir(disk)), "TMPDIR")
        application.execute("INSERT INTO t(b) VALUES(randomblob(1000000))")
        assert replicate.end() == 0
    living_is_complete(disk, other, application)
    application.close()


def tmpdir(folder: Path) -> dict[str, str]:
    import peers

    return {**peers.clean_environment(), "TMPDIR": str(folder)}


def refused(result: Result, words: str) -> None:
    assert result.code == 14, result
    assert "left to the application" in result.err, result
    assert words in result.err, result


def full_of_others(disk: Path, other: Path) -> None:
    """The local folder has no room left: the WAL is not held for that until the application has none either."""
    application = made(disk, 124_000)
    config = configured(disk, other, f"{{path: {other}/replica, sync-interval: 10ms}}")
    filling = disk / "lost+found" / "filling"
    with Replicating(other / "log", "-config", config) as replicate:
        replicate.wait_for("snapshot written")
        with filling.open("wb") as file:
            file.write(bytes(DISK_BYTES - used(disk) - 9_000_000))
        for _ in range(1000):
            pause(replicate)
            application.execute("UPDATE t SET b = randomblob(20000)")
        filling.unlink()
        application.execute("UPDATE t SET b = randomblob(20000)")
        last = application.execute("SELECT a, hex(b) FROM t")

        def complete() -> bool:
            output = other / "again.db"
            output.unlink(missing_ok=True)
            if run("restore", "-o", output, f"file://{other}/replica").code:
                return False
            return Shell(output).rows("SELECT a, hex(b) FROM t") == last

        wait_until("the replica has all", complete)
        print(replicate.out[-3000:])
        assert replicate.end() == 0
    application.close()


SCENARIOS: dict[str, Callable[[Path, Path], None]] = {
    item.__name__: item for item in (dead_replica, validation, full_of_others)
}


def main(scenario: str, disk: Path, other: Path) -> None:
    OwnFileSystem(disk, DISK_BYTES // 4).before()
    (disk / "lost+found" / "filling").unlink()
    other.mkdir()
    SCENARIOS[scenario](disk, other)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
