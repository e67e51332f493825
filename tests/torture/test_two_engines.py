"""Two engines where there should be one: on one database they are refused, at one replica they are told of.

A refused engine has touched nothing. Two that write to one place, each its own database, do one another no harm.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from replication.config import default_meta_path
from tests.cli.program import Replicating, contents, refuses, run
from tests.engine.running import client_of, restored, until
from tests.torture.conftest import Torture
from tests.torture.steady import Application, prove

POINTS_MAX = 25


def same(path: Path) -> Path:
    return path


def link(path: Path) -> Path:
    other = path.parent / "elsewhere" / "link.db"
    other.parent.mkdir()
    other.symlink_to(path)
    return other


def hard_link(path: Path) -> Path:
    other = path.parent / "elsewhere" / "hard.db"
    other.parent.mkdir()
    os.link(path, other)
    return other


def linked_folder(path: Path) -> Path:
    other = path.parent.with_name("linked")
    other.symlink_to(path.parent)
    return other / path.name


def names_in(folder: Path) -> list[str]:
    """Everything there, but for what the first engine writes down about itself."""
    return [name for name in contents(folder) if "/log/" not in name and "status.json" not in name]


@pytest.mark.parametrize("way", [same, link, hard_link, linked_folder])
def test_a_second_engine_on_one_database_is_refused_and_has_touched_nothing(
    tmp_path: Path, torture: Torture, way: Callable[[Path], Path]
) -> None:
    for number, chance in enumerate(torture.rounds(short=1)):
        folder = tmp_path / f"round{number}" / "home"
        folder.mkdir(parents=True)
        path = folder / "app.db"
        application = Application(path, chance.randrange(1 << 30))
        application.go()
        try:
            with Replicating(folder.parent / "log", path, f"file://{folder.parent}/replica") as first:
                first.wait_for("snapshot written")
                other = way(path)
                # What the first is writing just now: no other may take it for something left behind.
                unfinished = default_meta_path(path) / "generation.tmp"
                unfinished.write_text("being written")
                application.pause()
                replica = client_of(folder.parent / "replica")
                last = application.hashes[-1]
                until(lambda replica=replica, last=last: restored(replica, tmp_path / "look.db") == last)  # type: ignore[misc]
                before = names_in(tmp_path)
                result = run("replicate", other, f"file://{folder.parent}/second")
                refuses(result, 5, f"{other} is replicated already by litestream-tui, pid {first.pid}", "stop that one")
                assert names_in(tmp_path) == before
                assert unfinished.read_text() == "being written"
                unfinished.unlink()
                assert not (folder.parent / "second").exists()
                # The first one has felt nothing of it.
                application.go()
                application.commits(3)
                application.pause()
                assert first.end() == 0
            torture.counts["points restored"] += prove(replica, application.hashes, chance, POINTS_MAX)[0]
            assert "level=ERROR" not in first.said
        finally:
            application.kill()
        torture.counts["refused"] += 1
        shutil.rmtree(folder.parent)
