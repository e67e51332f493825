"""A large database: its first snapshot, and its restore with commits after it."""

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from benchmarks.application import application
from benchmarks.programs import OURS, SHORT, ProgramError
from benchmarks.sought import Token, token
from benchmarks.stage import MEGABYTE, Figures, Stage, prepared
from benchmarks.stores import file_store

IMAGE_BYTES = 1000 * MEGABYTE
LATER_COMMITS = 200
SEGMENTS = 5000
SEGMENT_SECONDS_MAX = 5.0


def snapshot(stage: Stage, size_bytes: int = IMAGE_BYTES) -> Figures:
    """From the start of the program until a database of 1 GB is stored."""
    path, end = _large(stage, size_bytes)
    stage.store.sought.expect([end])
    with application([path]), stage.running([path]) as program:
        stage.wait([end], program)
        return {
            "seconds": stage.stored(end) - program.began,
            "cpu": program.meter.cpu_seconds(),
            "memory": program.meter.peak_mb(),
        }


def restore(stage: Stage, size_bytes: int = IMAGE_BYTES) -> Figures:
    """A database of 1 GB and 200 commits, from what the same program stored."""
    path, end = _large(stage, size_bytes)
    later = [token(0, number) for number in range(stage.count(LATER_COMMITS))]
    stage.store.sought.expect([end, *later])
    # The connection stays, so that the program finds its WAL as it was.
    with application([path]) as writer:
        with stage.running([path]) as program:
            stage.wait([end], program)
            writer.schedule([(at * 0.01, one) for at, one in enumerate(later)])
            # Of pages that were written again before they were stored, Litestream 0.5 stores the last only.
            stage.wait(later[-1:], program)
            program.stop()
        return _restored(stage, path, later[-1])


def restore_segments(stage: Stage, commits: int = SEGMENTS) -> Figures:
    """5,000 commits in as many small segments, which this program stored; all three read that layout."""
    commits = stage.count(commits)
    replica = prepared(stage.shared, f"{commits} segments", lambda folder: _make_segments(folder, commits))
    stage.store.copy_from(replica / "replicas" / "db-0000")
    figures = _restored(stage, stage.paths(1)[0], token(0, commits - 1))
    return figures | {"segments": len(list(replica.glob("replicas/**/*.wal.lz4")))}


def _large(stage: Stage, size_bytes: int) -> tuple[Path, Token]:
    end = token(0, "end")
    size = round(size_bytes * stage.scale)

    def make(folder: Path) -> None:
        writer_path = folder / "large.db"
        with application([writer_path]) as writer:
            writer.fill(size, end)
            writer.close()

    [path] = stage.paths(1)
    subprocess.run(["cp", str(prepared(stage.shared, f"{size} bytes", make) / "large.db"), str(path)], check=True)
    return path, end


def _restored(stage: Stage, path: Path, last: Token) -> Figures:
    """Restore, and see that the last commit is there."""
    output = stage.folder / "restored.db"
    finished = stage.program.restore(stage.config([path]), path, output, stage.store)
    with closing(sqlite3.connect(output)) as connection:
        query = "SELECT count(*) FROM small WHERE x = ?"
        if connection.execute(query, (last.content,)).fetchone() != (1,):
            raise ProgramError("what was restored lacks the last commit")
    return {"seconds": finished.seconds, "cpu": finished.cpu_seconds, "memory": finished.peak_mb}


def _make_segments(folder: Path, commits: int) -> None:
    """One commit after the other through this program, each when the one before is stored."""
    path = folder / "app.db"
    first = token(0, "first")
    with file_store(folder / "replicas") as store, application([path]) as writer:
        store.sought.expect([first])
        writer.commit([first])
        config = OURS.configure(folder / "config.yml", {0: path}, store, SHORT)
        with OURS.replicating(config, store) as program:
            for one in [first, *(token(0, number) for number in range(commits))]:
                if one is not first:
                    store.sought.expect([one])
                    writer.commit([one])
                if not store.sought.wait([one], SEGMENT_SECONDS_MAX * (20 if one is first else 1), program.check):
                    raise ProgramError("a commit for the segments was not stored in time")
            program.stop()
