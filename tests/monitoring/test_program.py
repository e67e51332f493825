"""addr in the program as it runs: values beside the files, readiness through an outage, a port that is taken."""

import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import peers
from replication.config import Config
from replication.engine import Engine
from tests.cli.program import Replicating
from tests.engine.running import config_of, until
from tests.foreign import Shell
from tests.interchange.program import wait_until
from tests.monitoring.scraped import Scrape, ask
from tui.session.late_engine import LateEngine

SECRETS = ("PEERACCESSKEYCANARY", "peer/secret+key=canary0123456789")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "app.db"
    Shell(path).run("PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES('first')")
    return path


@pytest.fixture
def port() -> int:
    return peers.free_ports(1)[0]


def scrape(port: int) -> Scrape:
    return Scrape.of(ask(port, "/metrics").text)


def test_values_are_those_of_the_files(database: Path, tmp_path: Path, port: int) -> None:
    config = tmp_path / "litestream.yml"
    config.write_text(
        f"addr: 127.0.0.1:{port}\ndbs: [{{path: {database}, min-checkpoint-page-count: 20, "
        f"replicas: [{{path: {tmp_path}/replica}}]}}]"
    )
    db, both = {"db": str(database)}, {"db": str(database), "name": "file"}
    with Replicating(tmp_path / "log", "-config", config) as replicate:
        replicate.wait_for("serving metrics", f"at=http://127.0.0.1:{port}/metrics")
        commits = 0
        # However fast the commits are made, some come after a second checkpoint: an index begins with a commit.
        while commits < 30 or (scrape(port).value("litestream_shadow_wal_index", **db) or 0) < 2:
            Shell(database).run("INSERT INTO t VALUES(randomblob(20000))")
            commits += 1

        def sent() -> bool:
            found = scrape(port)
            return (
                found.value("litestream_tui_replica_queue_bytes", **both) == 0
                and found.value("litestream_tui_ready") == 1
                and found.value("litestream_replica_wal_index", **both)
                == found.value("litestream_shadow_wal_index", **db)
                and (found.value("litestream_shadow_wal_index", **db) or 0) >= 2
                # Of the last sync, that is.
                and found.value("litestream_wal_size", **db) == Path(f"{database}-wal").stat().st_size
            )

        wait_until("all to be sent", sent, lambda: f"{scrape(port)}\n{replicate.said}")
        found = scrape(port)
        # Its database file is opened by nobody here: this process holds no lock of it.
        assert found.value("litestream_db_size", **db) == database.stat().st_size
        [generation] = (tmp_path / ".app.db-litestream" / "generations").iterdir()
        shadow = {int(path.stem, 16): path.stat().st_size for path in (generation / "wal").iterdir()}
        assert found.value("litestream_shadow_wal_index", **db) == max(shadow)
        assert found.value("litestream_shadow_wal_size", **db) == sum(shadow.values())
        assert found.value("litestream_replica_wal_offset", **both) == shadow[max(shadow)]
        copied = found.value("litestream_total_wal_bytes", **db) or 0
        stored = found.value("litestream_replica_wal_bytes", **both) or 0
        # Each index has a header, which is stored and does not count as copied.
        assert stored == copied + 32 * (max(shadow) + 1)
        assert copied >= 30 * 20000
        assert (found.value("litestream_sync_count", **db) or 0) > 0
        assert (found.value("litestream_checkpoint_count", **db, mode="PASSIVE") or 0) >= 2
        assert 0 <= (found.value("litestream_tui_replica_proof_age_seconds", **both) or 0) < 100
        assert "litestream_replica_operation_total" not in found.types
        assert ask(port, "/healthz").text == "alive\n"
        assert ask(port, "/readyz").text == "ready\n"
        assert replicate.end() == 0


def test_an_outage_is_seen_and_its_end_too(
    database: Path, tmp_path: Path, port: int, outage_server: peers.S3Server
) -> None:
    config = tmp_path / "litestream.yml"
    bucket = outage_server.make_bucket()
    config.write_text(
        f"addr: 127.0.0.1:{port}\ndbs: [{{path: {database}, replicas: [{{type: s3, bucket: {bucket}, path: app, "
        f"endpoint: '{outage_server.endpoint}', force-path-style: true}}]}}]"
    )
    both = {"db": str(database), "name": "s3"}
    said: list[str] = []

    def look(target: str) -> tuple[int, str]:
        answered = ask(port, target)
        said.append(answered.text)
        return answered.status, answered.text

    with Replicating(
        tmp_path / "log", "-config", config, environment=outage_server.litestream_environment()
    ) as replicate:
        replicate.wait_for("serving metrics")
        wait_until("ready", lambda: look("/readyz") == (200, "ready\n"), lambda: f"{said[-1:]}{replicate.said}")
        outage_server.stop(kill=True)
        Shell(database).run("INSERT INTO t VALUES('second')")
        wait_until("not ready", lambda: look("/readyz")[0] == 503)
        status, words = look("/readyz")
        assert status == 503
        assert words.startswith(f"{database}, replica s3: ")
        found = Scrape.of(look("/metrics")[1])
        assert found.value("litestream_tui_ready") == 0
        assert found.value("litestream_tui_replica_state", **both, state="error") == 1
        assert (found.value("litestream_tui_replica_errors_in_a_row", **both) or 0) >= 1
        assert found.value("litestream_tui_replica_next_try_seconds", **both) is not None
        assert (found.value("litestream_tui_replica_queue_bytes", **both) or 0) > 0
        errors = {
            dict(labels)["class"] for name, labels in found.samples if name == "litestream_tui_replica_errors_total"
        }
        assert "StorageError" in errors
        # Alive it is all the same.
        assert look("/healthz") == (200, "alive\n")
        outage_server.start()
        wait_until("ready again", lambda: look("/readyz") == (200, "ready\n"), lambda: f"{said[-1:]}{replicate.said}")
        assert (
            Scrape.of(look("/metrics")[1]).value(
                "litestream_tui_replica_errors_total", **both, **{"class": "StorageError"}
            )
            or 0
        ) >= 1
        assert replicate.end() == 0
    assert not [secret for secret in SECRETS for text in (*said, replicate.said) if secret in text]


def test_a_port_that_is_taken_is_told_and_replication_goes_on(database: Path, tmp_path: Path) -> None:
    config = tmp_path / "litestream.yml"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config.write_text(
            f"addr: 127.0.0.1:{port}\ndbs: [{{path: {database}, replicas: [{{path: {tmp_path}/replica}}]}}]"
        )
        with Replicating(tmp_path / "log", "-config", config) as replicate:
            line = replicate.wait_for("level=ERROR", "no metrics are served")
            assert f"cannot listen on addr 127.0.0.1:{port}: another program listens there; end that one, or" in line
            replicate.wait_for("snapshot written")
            taken.close()
            # It is tried again.
            replicate.wait_for("serving metrics")
            assert ask(port, "/healthz").status == 200
            assert replicate.end() == 0
    assert replicate.said.count("no metrics are served") == 1


def with_addr(config: Config, port: int) -> Config:
    return replace(config, addr=f"127.0.0.1:{port}")


@pytest.mark.parametrize("make", [Engine, LateEngine])
def test_each_engine_serves_and_lets_go(
    make: Callable[[Config], Engine | LateEngine], database: Path, tmp_path: Path, port: int
) -> None:
    """That of `replicate` and that of the screen; what was open before is open afterwards, and nothing else."""
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(2):
        engine = make(with_addr(config_of(database, tmp_path / "replica"), port))
        engine.start()

        def serves() -> bool:
            try:
                return ask(port, "/healthz").status == 200
            except ConnectionRefusedError:
                return False

        until(serves)
        until(lambda: scrape(port).value("litestream_tui_ready") == 1)
        assert engine.close(10.0) == []
        with pytest.raises(ConnectionRefusedError):
            ask(port, "/healthz")
    assert len(list(Path("/proc/self/fd").iterdir())) <= descriptors + 1


def test_paused_is_not_ready(database: Path, tmp_path: Path, port: int) -> None:
    engine = Engine(with_addr(config_of(database, tmp_path / "replica"), port))
    engine.start()
    try:
        until(lambda: ask(port, "/readyz").status == 200)
        engine.pause(str(database))
        assert ask(port, "/readyz").text == f"{database}: it is paused\n"
        engine.resume(str(database))
        until(lambda: ask(port, "/readyz").status == 200)
    finally:
        assert engine.close() == []


def test_a_heartbeat_of_the_program(database: Path, tmp_path: Path) -> None:
    """It is asked for once all is restorable, and its key is in no line of the log."""
    config = tmp_path / "litestream.yml"
    with socket.create_server(("127.0.0.1", 0)) as other:
        config.write_text(
            f"heartbeat-url: http://127.0.0.1:{other.getsockname()[1]}/HEARTCANARY\nheartbeat-interval: 1m\n"
            f"dbs: [{{path: {database}, replicas: [{{path: {tmp_path}/replica}}]}}]"
        )
        with Replicating(tmp_path / "log", "-config", config) as replicate:
            other.settimeout(60)
            accepted, _ = other.accept()
            with accepted:
                assert accepted.recv(4096).startswith(b"GET /HEARTCANARY HTTP/1.1\r\n")
                accepted.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                replicate.wait_for("heartbeat sent", "to=127.0.0.1")
            assert replicate.end() == 0
    assert "HEARTCANARY" not in replicate.said
    assert list((tmp_path / "replica").iterdir())
