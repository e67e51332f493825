"""/readyz: ready means that every database can be brought back to what it holds now, and the words say which cannot."""

from pathlib import Path
from typing import Any

import pytest

from replication.config import Config, DirectoryConfig
from replication.monitoring.pages import Monitoring
from replication.monitoring.readiness import LAG_SECONDS_MAX, PROOF_SECONDS_MAX, Limits, Readiness
from replication.monitoring.requests import Answer, Request
from replication.scrub import register_secret
from replication.status import DatabaseStatus, EngineStatus, Verification
from tests.engine.running import config_of
from tests.tui.fake import NOW, database, replica

ok: dict[str, Any] = {"proven": NOW - 60}
"""What a replica needs besides to be ready."""


def status(*databases: DatabaseStatus) -> EngineStatus:
    return EngineStatus(NOW, databases)


def missing(of: DatabaseStatus) -> list[str]:
    return Readiness(Config(None, ())).missing(status(of))


def verified(outcome: Any, time: float) -> Verification:
    return Verification("s3", outcome, "it differs", None, 1.0, time)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"state": "syncing", "lag_seconds": LAG_SECONDS_MAX, "pending_bytes": 5},
        {"verified": verified("ok", NOW - 5)},
        {"verified": verified("inconclusive", NOW - 5)},
        # A new generation has begun since, and was proven.
        {"verified": verified("failed", NOW - 90)},
        {"warning": "others write here", "duty_warning": "retention failed"},
        {"proven": NOW - PROOF_SECONDS_MAX},
    ],
)
def test_ready(changes: dict[str, Any]) -> None:
    assert missing(database(replicas=(replica(**{**ok, **changes}),))) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"state": "error", "last_error": "access denied"}, "access denied"),
        ({"state": "error"}, "the last try failed"),
        ({"state": "starting", "position": None}, "it is not known yet where it stands"),
        ({"state": "behind", "lag_seconds": 61.0}, "it has lacked a commit for 61 s, and 60 s are allowed"),
        ({"proven": 0.0}, "it was not yet shown to be restorable"),
        ({"proven": NOW - 7201}, "it was last shown to be restorable 7201 s ago, and 3600 s are allowed"),
        ({"verified": verified("failed", NOW - 5)}, "its last verification failed: it differs"),
    ],
)
def test_a_replica_that_is_not(changes: dict[str, Any], words: str) -> None:
    bad = replica("far", **{**ok, **changes})
    assert missing(database("/a.db", replicas=(replica(**ok), bad))) == [f"/a.db, replica far: {words}"]


@pytest.mark.parametrize(
    ("state", "error", "words"),
    [
        ("error", "disk full", "disk full"),
        ("error", "", "its last sync failed"),
        ("waiting", "/a.db was removed", "/a.db was removed"),
        ("paused", "", "it is paused"),
        ("pausing", "", "it is pausing"),
        ("starting", "", "it is starting"),
    ],
)
def test_a_database_that_is_not(state: Any, error: str, words: str) -> None:
    assert missing(database("/a.db", state, error=error, replicas=(replica(**ok),))) == [f"/a.db: {words}"]


def test_a_database_without_a_replica_is_never_ready() -> None:
    assert missing(database("/a.db", replicas=())) == ["/a.db: it has no replica"]
    assert Readiness(Config(None, ())).missing(status()) == ["no database is configured"]


def test_a_lock_of_others_is_no_trouble() -> None:
    assert missing(database(state="busy", error="database is locked", replicas=(replica(**ok),))) == []


def test_the_intervals_of_a_configuration_widen_the_thresholds(tmp_path: Path) -> None:
    config = config_of(tmp_path / "a.db", tmp_path / "r", sync_seconds=3600.0)
    [settings] = config.databases[0].replicas
    assert Limits.of(settings) == Limits(3 * 3600.0, 2 * settings.retention_check_interval)
    late = database(str(tmp_path / "a.db"), replicas=(replica("r", **ok, lag_seconds=3 * 3600.0),))
    assert Readiness(config).missing(status(late)) == []
    assert len(Readiness(config).missing(status(late), lag_seconds=60.0)) == 1


def test_a_folder_of_databases_has_its_own_intervals_too(tmp_path: Path) -> None:
    each = config_of(tmp_path, tmp_path / "r", sync_seconds=3600.0).databases[0]
    config = Config(None, (), directories=(DirectoryConfig(tmp_path, each, "*.db", True),))
    late = (replica("r", **ok, lag_seconds=3 * 3600.0),)
    assert Readiness(config).missing(status(database(str(tmp_path / "a" / "b.db"), replicas=late))) == []
    assert len(Readiness(config).missing(status(database(str(tmp_path / "b.sqlite"), replicas=late)))) == 1


def answer(of: EngineStatus, path: str, **query: str) -> Answer:
    monitoring = Monitoring(Config(None, ()), lambda: of, lambda *args, **more: None)
    return monitoring.answer(Request("GET", path, query))


def test_what_is_asked_for() -> None:
    good = status(database(replicas=(replica(**ok),)))
    late = status(database("/a.db", replicas=(replica(**ok, state="behind", lag_seconds=45.0),)))
    assert answer(good, "/readyz") == Answer(200, b"ready\n")
    assert answer(late, "/readyz") == Answer(200, b"ready\n")
    words = b"/a.db, replica s3: it has lacked a commit for 45 s, and 30 s are allowed\n"
    assert answer(late, "/readyz", lag="30") == Answer(503, words)
    for wrong in ("", "soon", "-1", "1e9", "\N{SUPERSCRIPT TWO}"):
        assert answer(good, "/readyz", lag=wrong).status == 400
    # Alive it is, whatever else.
    assert answer(status(), "/healthz") == Answer(200, b"alive\n")
    assert answer(status(), "/").status == 404
    assert b"/metrics" in answer(status(), "/").body


def test_no_secret_is_in_the_words() -> None:
    register_secret("READINESSCANARY")
    bad = replica(**ok, state="error", last_error="refused for READINESSCANARY")
    assert missing(database("/READINESSCANARY/a.db", replicas=(bad,))) == [
        "/[hidden]/a.db, replica s3: refused for [hidden]"
    ]
