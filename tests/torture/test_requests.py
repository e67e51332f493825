"""A restore over the live database under an application that opens it for each request, and killed anywhere in it.

Whatever comes of each, done or refused or killed: every acknowledged commit is in the live database or in a kept one,
all of them are sound, and the application saw at worst that the database was locked for its whole busy timeout.
"""

import random
import shutil
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from replication.restore.kept import kept_path
from replication.restore.open_replica import OpenReplica
from replication.restore.replace import restore_over
from replication.restore.restore import RestoreOptions
from replication.sqlite.exclusive import DatabaseInUseError
from replication.steps import STEPS
from tests.engine.running import client_of, config_of, in_step, running, until
from tests.foreign import Shell
from tests.restore.requests import Requests, check_nothing_lost
from tests.torture.conftest import Torture
from tests.torture.nursery import Nursery

GAPS_SECONDS = (0.0, 0.002, 0.008, 0.03)
ROUNDS = 100
"""In the long form, for each application."""
KILL_SECONDS_MAX = 0.4
"""A killed one has lived for so long at most, from its first commands on."""
REPLACING = [step for step in STEPS if step.startswith("replacement:")]


@pytest.fixture(scope="module")
def replica(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A replica of some hundred pages, so that the exchange is more than a moment."""
    folder = tmp_path_factory.mktemp("replica")
    shell = Shell(folder / "app.db")
    shell.run(
        "PRAGMA journal_mode=wal; CREATE TABLE requests(n INTEGER, x BLOB); CREATE INDEX i ON requests(x);"
        "WITH RECURSIVE c(n) AS (SELECT -1 UNION ALL SELECT n - 1 FROM c LIMIT 5000)"
        "INSERT INTO requests SELECT n, randomblob(200) FROM c"
    )
    with running(config_of(shell.path, folder / "replica")) as engine:
        until(lambda: in_step(engine))
    return folder / "replica"


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    made = Nursery()
    yield made
    made.close()


def live_in(folder: Path, replica: Path, gap: float) -> Requests:
    """The database that the replica was made of, with the application on it, which has committed."""
    folder.mkdir()
    shutil.copy(replica.with_name("app.db"), folder / "app.db")
    application = Requests(folder / "app.db", gap)
    until(lambda: bool(application.acknowledged()))
    return application


def once(application: Requests, replica: Path) -> bool:
    """Restore over it; False if that was refused, because it was seen in use."""
    kept = kept_path(application.path, datetime.now(UTC))
    try:
        restore_over([OpenReplica("test", client_of(replica).storage)], application.path, RestoreOptions(), kept)
    except DatabaseInUseError:
        assert not kept.exists()
        return False
    return True


@pytest.mark.parametrize("gap", GAPS_SECONDS)
def test_promise_4_nothing_is_lost_under_a_connection_a_request(
    tmp_path: Path, torture: Torture, replica: Path, gap: float
) -> None:
    for number, _ in enumerate(torture.rounds(short=1)):
        application = live_in(tmp_path / f"{number}", replica, gap)
        try:
            for _ in range(ROUNDS if torture.long else 5):
                torture.counts["done" if once(application, replica) else "refused"] += 1
        finally:
            refused = application.stop()
        assert not [line for line in refused if "database is locked" not in line]
        torture.counts["locked"] += len(refused)
        torture.counts["commits"] += len(application.acknowledged())
        check_nothing_lost(application)
        shutil.rmtree(application.path.parent)


@pytest.mark.parametrize("step", [*REPLACING, "anywhere"])
def test_promise_4_nothing_is_lost_when_it_is_killed_under_a_connection_a_request(
    tmp_path: Path, torture: Torture, replica: Path, nursery: Nursery, step: str
) -> None:
    for number, chance in enumerate(torture.rounds(short=1)):
        application = live_in(tmp_path / f"{number}", replica, chance.choice(GAPS_SECONDS[1:]))
        log, acks = tmp_path / "log", tmp_path / "acks"
        try:
            for _ in range(10 if torture.long or step == "anywhere" else 2):
                torture.counts[_killed(application, replica, nursery, log, acks, step, chance)] += 1
            # What a killed one left is in nobody's way.
            once(application, replica)
        finally:
            refused = application.stop()
        assert not [line for line in refused if "database is locked" not in line]
        torture.counts["commits"] += len(application.acknowledged())
        check_nothing_lost(application)
        once(application, replica)
        assert not list(application.path.parent.glob(".*"))
        shutil.rmtree(application.path.parent)


def _killed(
    application: Requests, replica: Path, nursery: Nursery, log: Path, acks: Path, step: str, chance: random.Random
) -> str:
    call = "tests.torture.test_named_steps:replace"
    named = "" if step == "anywhere" else step
    passed = chance.randrange(4) if step == "replacement: partly written" else 0
    life = nursery.program(replica, application.path, log=log, acks=acks, step=named, pass_by=passed, call=call)
    if step == "anywhere":
        threading.Event().wait(chance.random() * KILL_SECONDS_MAX)
        life.kill()
    return {-signal.SIGKILL: "killed", 0: "done"}.get(life.wait(), "refused")
