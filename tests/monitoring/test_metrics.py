"""What a status tells to Prometheus: each measure, on statuses that are made by hand."""

import math
import sys
import time
from pathlib import Path

from replication.measures import LITESTREAM, OURS, ROWS, OfDatabase, OfEngine, OfReplica
from replication.metrics import Metrics
from replication.scrub import register_secret
from replication.status import DatabaseTotals, EngineStatus, ReplicaTotals, Verification
from tests.monitoring.scraped import Scrape
from tests.tui.fake import NOW, database, replica

CPU_SECONDS_OF_A_THOUSAND_MAX = 2.0
"""Of one scrape of a thousand databases, on a crowded machine; alone it takes a fifth of that."""


def scraped(status: EngineStatus, ready: bool = True) -> Scrape:
    return Scrape.of(Metrics(lambda: status, lambda _: ready).text().decode())


def full() -> EngineStatus:
    """A status in which there is something to tell of everything."""
    far = replica(
        "far",
        "error",
        pending_bytes=4152,
        lag_seconds=12.5,
        errors_in_a_row=3,
        next_try=NOW + 4,
        proven=NOW - 90,
        verified=Verification("far", "failed", "it differs", None, 1.0, NOW - 100),
        totals=ReplicaTotals(
            wal_bytes=70_000,
            verifications=(("failed", 1), ("inconclusive", 2), ("ok", 5)),
            requests=(("GET", 4), ("LIST", 2), ("PUT", 9)),
            request_bytes=(("GET", 400), ("PUT", 900)),
            errors=(("AccessDeniedError", 2), ("StorageError", 7)),
        ),
    )
    near = replica("near", totals=ReplicaTotals(requests=(("PUT", 1),), request_bytes=(("PUT", 100),)))
    totals = DatabaseTotals(60_000, 40, 2, 0.5, 3, 1, 0.25, (("DatabaseError", 2),))
    one = database("/a.db", size_bytes=8192, shadow_bytes=5000, checkpoint_blocked=2, totals=totals)
    return EngineStatus(NOW, (one, database("/b.db", "paused", replicas=(near, far))))


def test_every_measure() -> None:
    value = scraped(full()).value
    a, far = {"db": "/a.db"}, {"db": "/b.db", "name": "far"}
    mode = {**a, "mode": "PASSIVE"}
    expected = {
        "db_size": (a, 8192),
        "wal_size": (a, 4_100_000),
        "total_wal_bytes": (a, 60_000),
        "shadow_wal_index": (a, 3),
        "shadow_wal_size": (a, 5000),
        "sync_count": (a, 40),
        "sync_error_count": (a, 2),
        "sync_seconds": (a, 0.5),
        "checkpoint_count": (mode, 3),
        "checkpoint_error_count": (mode, 1),
        "checkpoint_seconds": (mode, 0.25),
        "replica_wal_bytes": (far, 70_000),
        "replica_wal_index": (far, 3),
        "replica_wal_offset": (far, 4152),
        "replica_validation_total": ({**far, "status": "error"}, 1),
        # Of all replicas of the type.
        "replica_operation_total": ({"replica_type": "s3", "operation": "PUT"}, 10),
        "replica_operation_bytes": ({"replica_type": "s3", "operation": "PUT"}, 1000),
        "tui_database_state": ({"db": "/b.db", "state": "paused"}, 1),
        "tui_database_sync_age_seconds": (a, 0),
        "tui_database_errors_total": ({**a, "class": "DatabaseError"}, 2),
        "tui_checkpoint_blocked": (a, 2),
        "tui_generation_began_time_seconds": (a, 1_792_470_420),
        "tui_replica_state": ({**far, "state": "error"}, 1),
        "tui_replica_lag_seconds": (far, 12.5),
        "tui_replica_queue_bytes": (far, 4152),
        "tui_replica_proof_age_seconds": (far, 90),
        "tui_replica_verified_time_seconds": (far, NOW - 100),
        "tui_replica_verified_result": ({**far, "outcome": "failed"}, 1),
        "tui_replica_verifications_total": ({**far, "outcome": "ok"}, 5),
        "tui_replica_errors_total": ({**far, "class": "StorageError"}, 7),
        "tui_replica_errors_in_a_row": (far, 3),
        "tui_replica_next_try_seconds": (far, 4),
        "tui_replica_upload_time_seconds": (far, NOW - 2),
        "tui_replica_snapshot_time_seconds": (far, NOW - 3600),
        "tui_ready": ({}, 1),
    }
    assert {f"litestream_{name}" for name in expected} == {row.name for row in ROWS}
    for name, (labels, wanted) in expected.items():
        assert value(f"litestream_{name}", **labels) == wanted, name


def test_types_and_labels_are_those_of_the_rows() -> None:
    scrape = scraped(full())
    for row in ROWS:
        assert scrape.types[row.name] == row.kind
        assert scrape.labels[row.name] == {frozenset(row.labels)}
        assert row.labels[:1] == ("db",) or not isinstance(row, OfDatabase | OfReplica)
        assert isinstance(row, OfDatabase | OfReplica | OfEngine) or row not in (*LITESTREAM, *OURS)
        # As Prometheus has it: a counter of ours ends in _total, nothing else does.
        if row in OURS:
            assert row.name.endswith("_total") == (row.kind == "counter")


def test_what_is_not_known_has_no_line_or_is_infinite() -> None:
    new = replica(state="starting", position=None, last_upload=0.0, snapshot_time=0.0)
    status = EngineStatus(NOW, (database("/a.db", "starting", position=None, generation_began="", replicas=(new,)),))
    scrape, both = scraped(status, ready=False), {"db": "/a.db", "name": "s3"}
    assert scrape.value("litestream_tui_replica_proof_age_seconds", **both) == math.inf
    assert scrape.value("litestream_tui_ready") == 0
    assert scrape.value("litestream_replica_validation_total", **both, status="ok") == 0
    for absent in (
        "litestream_shadow_wal_index",
        "litestream_replica_wal_index",
        "litestream_checkpoint_count",
        "litestream_tui_generation_began_time_seconds",
        "litestream_tui_replica_verified_time_seconds",
        "litestream_tui_replica_next_try_seconds",
        "litestream_tui_replica_upload_time_seconds",
        "litestream_tui_replica_snapshot_time_seconds",
    ):
        assert absent not in scrape.types


def test_no_database_at_all() -> None:
    assert scraped(EngineStatus(NOW, ()), ready=False).value("litestream_tui_ready") == 0


def test_odd_names_are_labels_all_the_same() -> None:
    for name in ('/a "quoted".db', "/back\\slash.db", "/new\nline.db", "/ümläut.db"):
        assert scraped(EngineStatus(NOW, (database(name),))).value("litestream_db_size", db=name) == 0


def test_no_secret_is_in_a_label() -> None:
    register_secret("METRICCANARY")
    status = EngineStatus(NOW, (database("/METRICCANARY.db", replicas=(replica("METRICCANARY"),)),))
    text = Metrics(lambda: status, lambda _: True).text().decode()
    assert "METRICCANARY" not in text
    assert 'db="/[hidden].db",name="[hidden]"' in text


def test_a_scrape_of_a_thousand_databases() -> None:
    status = EngineStatus(NOW, tuple(database(f"/{number}.db") for number in range(1000)))
    metrics = Metrics(lambda: status, lambda _: True)
    began = time.thread_time()
    text = metrics.text()
    assert time.thread_time() - began < CPU_SECONDS_OF_A_THOUSAND_MAX
    assert text.count(b"\nlitestream_db_size{") == 1000


def test_the_library_is_loaded_by_the_first_scrape_only() -> None:
    import subprocess

    code = (
        "import sys; import replication.engine; assert 'prometheus_client' not in sys.modules; "
        "assert 'urllib.request' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
