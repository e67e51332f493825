"""Descriptors: the limit is raised as far as it may be; where that is too little it is said once, with the number."""

import resource
from collections.abc import Callable
from pathlib import Path

from tests.cli.program import Replicating
from tests.foreign import Shell
from tests.interchange.program import wait_until

SOFT = 120
DATABASES = 30
"""More than fit under it, as 400 do not under the usual 1,024."""


def configured(tmp_path: Path, databases: int) -> Path:
    config = tmp_path / "litestream.yml"
    lines = ["dbs:"]
    for number in range(databases):
        path = tmp_path / f"{number:02}" / "app.db"
        path.parent.mkdir()
        Shell(path).run("PRAGMA journal_mode=WAL; CREATE TABLE t(a)")
        lines.append(f"- {{path: {path}, replicas: [{{path: {path.parent}/replica}}]}}")
    config.write_text("\n".join(lines))
    return config


def limited(soft: int, hard: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def snapshots(tmp_path: Path) -> int:
    return len(list(tmp_path.glob("*/replica/generations/*/snapshots/*.snapshot.lz4")))


def test_all_are_replicated_under_a_soft_limit_that_is_too_low(tmp_path: Path) -> None:
    config = configured(tmp_path, DATABASES)
    with Replicating(tmp_path / "log", "-config", config, before=limited(SOFT, 4096)) as replicate:
        wait_until("all snapshots", lambda: snapshots(tmp_path) == DATABASES, lambda: replicate.said[-3000:])
        assert replicate.end() == 0
        assert "level=WARN" not in replicate.said
        assert "level=ERROR" not in replicate.said


def test_a_hard_limit_that_is_too_low_is_told_once_with_the_number_needed(tmp_path: Path) -> None:
    config = configured(tmp_path, 12)
    with Replicating(tmp_path / "log", "-config", config, before=limited(60, 60)) as replicate:
        line = replicate.wait_for("level=WARN", "12 databases need 184 descriptors", "may have 60", "nofile=184")
        wait_until("some of them", lambda: snapshots(tmp_path) > 0, lambda: replicate.said[-3000:])
        assert replicate.end() == 0
        assert replicate.said.count(line.partition("msg=")[2]) == 1
        assert "report" not in replicate.said
        assert "unexpectedly" not in replicate.said


def test_with_next_to_nothing_it_says_so_and_is_no_bug(tmp_path: Path) -> None:
    """Whatever fails first: inotify, the lock, the database."""
    config = configured(tmp_path, 1)
    for limit in range(12, 26, 2):
        with Replicating(tmp_path / f"log{limit}", "-config", config, before=limited(limit, limit)) as replicate:
            wait_until(
                "an end or an attempt",
                lambda replicate=replicate: not replicate.running or "level=" in replicate.said,  # type: ignore[misc]
            )
            if replicate.running:
                replicate.end()
            assert "report" not in replicate.said, (limit, replicate.said)
