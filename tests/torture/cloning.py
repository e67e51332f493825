"""A volume is copied with database, WAL, local folder and configuration: a history gets a second side.

Both write to the same places. It is as if another machine had been started with the copy; or, with the memory copied
as well, as if a virtual machine had been resumed twice: then its replicas stand where they stood.
"""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

from replication.local.files import LOCK_NAME
from replication.restore.target import Latest
from tests.torture.crew import Crew
from tests.torture.differential import Request
from tests.torture.history import History
from tests.torture.mortal import NEVER
from tests.torture.settling import settle


def clone(first: History, folder: Path, crews: dict[str, Crew], with_memory: bool) -> History | None:
    """The second side, running; None where SQLite itself takes the copy for another state than the database had.

    That is so where frames lie in the WAL that did not count, and nobody is left there who knows it.
    """
    if first.left_wal or not first.wal.exists():
        return None
    folder.mkdir()
    made = History(folder, crews, first.mortal, first.between, first.world, first.settings, first.policy)
    # Copied by another process: closing the file here would drop the locks of the engine.
    subprocess.run(["cp", "-p", first.path, first.wal, folder], check=True)
    shutil.copytree(first.folder / "meta", folder / "meta")
    _write_inodes(made)
    if made._mortal(NEVER, "SELECT 1").sha256 != first.oracle.states[-1]:
        shutil.rmtree(folder)
        return None
    made.oracle = first.oracle.fork()
    made.last_cursor, made.unseen = first.last_cursor, first.unseen
    made.forgotten = {*first.forgotten}
    first.cloned = made.cloned = True
    first.causes.add("cloned")
    made.causes = {*first.causes}
    made.open_application()
    made.start([])
    if with_memory and made.database is not None and made.position_is_known(first):
        made.stands_since = first.stands_since
        for name, replica in made.replicas.items():
            other = first.replicas[name]
            replica._state = replace(other._state, number=replica._state.number)
    for mirror in first.world.mirrors.values():
        mirror.shared = True
    made.counts["clones"] += 1
    return made


def fail_over(
    first: History, folder: Path, crews: dict[str, Crew], names: tuple[str, ...], alive: bool
) -> History | None:
    """A second side on another host, that begins with the latest state of these replicas; None if that is refused."""
    world = first.world
    output = world.ask(Request(Latest(), None, names), keep=True)
    if output is None:
        return None
    folder.mkdir()
    made = History(folder, crews, first.mortal, first.between, world, first.settings, first.policy)
    number = world.oracle.number(output.read_bytes())
    output.rename(made.path)
    made.oracle = first.oracle.fork(number)
    first.cloned = made.cloned = True
    first.causes.add("cloned")
    made.causes = {"start", "cloned"}
    if alive or number != first.oracle.last:
        # To the places the newest was another, until this one came.
        made.forget_others()
    made.open_application()
    made.start([])
    for mirror in world.mirrors.values():
        mirror.shared = True
    made.counts["hosts that took over"] += 1
    return made


def _write_inodes(made: History) -> None:
    """Those of a copied volume would be the same."""
    lock = made.folder / "meta" / LOCK_NAME
    inodes = {"inode": made.path.stat().st_ino, "wal": made.wal.stat().st_ino}
    lines = [line.split(" ", 1) for line in lock.read_text().splitlines()]
    lock.write_text("".join(f"{name} {inodes.get(name, value)}\n" for name, value in lines))


def retire(side: History, settled: bool, cleanly: bool) -> None:
    """A side ends for good: after all of it has arrived, or as it is."""
    if settled:
        settle(side)
    side.stop(cleanly)
    side.finish()


def act(side: History, verb: str) -> None:
    """One step of the side whose turn it is not (ELSEWHERE in choices.py)."""
    match verb:
        case "commit":
            side.commit("left", "medium")
        case "copy":
            side.sync([])
        case "near" | "far":
            side.sync([])
            side.upload(verb, [], None, False)
        case "checkpoint":
            side.checkpoint([])
        case "snapshot":
            side.snapshot("near", [], None, False)
        case "retention":
            side.retention("near", 2.0)
        case "restart" | "kill":
            side.stop(verb == "restart")
            side.start([])
        case _:
            raise AssertionError(verb)
