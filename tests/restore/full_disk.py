"""A restore over the live database on a disk that is full from one step on; run in a process of its own.

Arguments: a folder to mount the disk on, the replica, the step, the size of pages of the live database.
"""

import resource
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from replication import steps
from replication.errors import DatabaseError, LocalFileError, ReplicationError
from replication.restore.kept import kept_path
from replication.restore.open_replica import OpenReplica
from replication.restore.replace import restore_over
from replication.restore.restore import RestoreOptions
from replication.sqlite import integrity
from tests.cli.small_disk import OwnFileSystem
from tests.engine.running import client_of
from tests.foreign import Shell
from tests.restore.content import content

DISK_BYTES = 8_000_000


def main(folder: Path, replica: Path, step: str, page_size: str) -> None:
    mounts = OwnFileSystem.works()
    if mounts:
        OwnFileSystem(folder, DISK_BYTES // 4).before()
        (folder / "lost+found" / "filling").unlink()
    else:
        folder.mkdir()
    shell = Shell(folder / "app.db")
    shell.run(f"PRAGMA page_size={page_size}; PRAGMA journal_mode=wal; CREATE TABLE u(y); INSERT INTO u VALUES(2)")
    old = content(shell.path)

    def fill(name: str) -> None:
        if name != f"replacement: {step}":
            return
        if not mounts:
            resource.setrlimit(resource.RLIMIT_FSIZE, (8192, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
            return
        with suppress(OSError), (folder / "lost+found" / "filling").open("ab", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    steps.hook = fill
    kept = kept_path(shell.path, datetime.now(UTC))
    error: ReplicationError | None = None
    warnings: tuple[str, ...] = ()
    try:
        warnings = restore_over(
            [OpenReplica("test", client_of(replica).storage)], shell.path, RestoreOptions(), kept
        ).result.warnings
    except (LocalFileError, DatabaseError) as found:
        error = found
    steps.hook = None
    if mounts:
        (folder / "lost+found" / "filling").unlink()
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.getrlimit(resource.RLIMIT_FSIZE)[1],) * 2)
    print(error, warnings, sorted(item.name for item in folder.iterdir()))
    fresh = content(replica.with_name("app.db"))
    shell.rows("SELECT 1")
    # The last one to close it folds in what is in the WAL.
    shell.run("PRAGMA wal_checkpoint(TRUNCATE)")
    assert integrity.problems(shell.path, "full") == []
    if error is not None:
        rows = shell.rows("SELECT y FROM u")
        assert rows == [[2]], rows
        assert page_size != "4096" or content(shell.path) == old
        assert step not in ("committed", "folded in")
    else:
        assert content(shell.path) == fresh
        assert content(kept) == old
    if kept.exists():
        assert content(kept) == old
    assert not list(folder.glob(".*"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4])
