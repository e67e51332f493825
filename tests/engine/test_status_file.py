"""Notes in the local folder: what nobody can derive, whole whenever it is read, and no more often than allowed."""

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from replication.config import Config, default_meta_path
from replication.database.lock import EngineLock, holder
from replication.database.status_file import DatabaseRecord, StatusFile, load
from replication.errors import DatabaseLockedError
from replication.local.files import STATUS_NAME
from replication.position import Position
from replication.scrub import register_secret
from replication.status import DatabaseState, DatabaseStatus, ReplicaStatus, Verification
from replication.storage.s3.location import S3Location
from tests.engine.running import config_of, in_step, only, running, until
from tests.foreign import Shell

GENERATION = "0123456789abcdef"
VERIFIED = Verification("s3", "ok", "equal", Position(GENERATION, 3, 4152), 1.5, 1000.0)


def replica(error: str = "", count: int = 0, lag: float = 0.0, verified: Verification | None = None) -> ReplicaStatus:
    return ReplicaStatus(
        name="s3",
        type="s3",
        address="s3://b",
        state="ok",
        position=None,
        pending_bytes=0,
        lag_seconds=lag,
        uploading="",
        uploading_bytes=0,
        uploading_total_bytes=0,
        objects_written=0,
        bytes_written=0,
        last_upload=0.0,
        errors_in_a_row=count,
        last_error=error,
        next_try=0.0,
        snapshot_time=0.0,
        verified=verified,
    )


def database(*replicas: ReplicaStatus, state: DatabaseState = "ok") -> DatabaseStatus:
    return DatabaseStatus("/srv/app.db", state, "", None, "", 4096, 0, 0.0, 0.0, 0, replicas)


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    status_file = StatusFile(tmp_path)
    assert status_file.latest == DatabaseRecord()
    assert status_file.write(database(replica("no route", 3, 60.0, VERIFIED)), 2000.0, 77)
    record = load(tmp_path)
    assert record == status_file.latest
    assert (record.pid, record.time, record.paused) == (77, 2000.0, False)
    [kept] = record.replicas
    assert (kept.error, kept.last_error, kept.last_error_time) == ("no route", "no route", 2000.0)
    assert (kept.errors_in_a_row, kept.behind_since, kept.verified) == (3, 1940.0, VERIFIED)
    assert [path.name for path in tmp_path.iterdir()] == [STATUS_NAME]
    assert (tmp_path / STATUS_NAME).stat().st_mode & 0o777 == 0o600


def test_only_news_is_written(tmp_path: Path) -> None:
    status_file = StatusFile(tmp_path)
    assert status_file.write(database(replica()), 1.0, 77)
    before = (tmp_path / STATUS_NAME).stat().st_ino
    assert not status_file.write(database(replica()), 100.0, 77)
    assert not status_file.write(database(replica(lag=0.5)), 100.0, 77)
    assert (tmp_path / STATUS_NAME).stat().st_ino == before
    assert status_file.write(database(replica(lag=50.0)), 100.0, 77)
    assert not status_file.write(database(replica(lag=60.01)), 110.0, 77), "the same moment is no news"


def test_an_error_that_is_over_is_remembered(tmp_path: Path) -> None:
    status_file = StatusFile(tmp_path)
    status_file.write(database(replica("no route", 1)), 10.0, 77)
    status_file.write(database(replica()), 20.0, 77)
    [kept] = load(tmp_path).replicas
    assert (kept.error, kept.last_error, kept.last_error_time) == ("", "no route", 10.0)


def test_no_secret_is_written(tmp_path: Path) -> None:
    register_secret("verysecretword")
    verified = replace(VERIFIED, words="key verysecretword")
    StatusFile(tmp_path).write(database(replica("key verysecretword", 1, 0.0, verified)), 10.0, 77)
    assert "verysecretword" not in (tmp_path / STATUS_NAME).read_text()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"pid": 1}', '{"pid": "x"}', "\xff", "1" * (1 << 21)])
def test_what_cannot_be_believed_is_empty(tmp_path: Path, text: str) -> None:
    (tmp_path / STATUS_NAME).write_text(text, encoding="latin-1")
    assert load(tmp_path) == DatabaseRecord()


def test_an_odd_outcome_is_not_believed(tmp_path: Path) -> None:
    StatusFile(tmp_path).write(database(replica(verified=VERIFIED)), 10.0, 77)
    path = tmp_path / STATUS_NAME
    path.write_text(path.read_text().replace('"outcome": "ok"', '"outcome": "fine"'))
    assert load(tmp_path) == DatabaseRecord()


def test_a_folder_that_is_not_there_stays_so(tmp_path: Path) -> None:
    assert not StatusFile(tmp_path / "none").write(database(replica()), 1.0, 77)
    assert list(tmp_path.iterdir()) == []


def test_an_engine_notes_errors_and_verifications_and_finds_them_again(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    Shell(path).run("PRAGMA journal_mode=WAL; CREATE TABLE t(x)")
    config = config_of(path, tmp_path / "near")
    meta = default_meta_path(path)
    dead = replace(
        config.databases[0].replicas[0],
        name="far",
        location=S3Location("b", "x", "http://127.0.0.1:9", access_key_id="minio", secret_access_key="minio"),
    )
    both = replace(config.databases[0], replicas=(*config.databases[0].replicas, dead))
    with running(Config(path=None, databases=(both,))) as engine:
        until(lambda: only(engine).replicas[0].state == "ok" and bool(only(engine).replicas[1].errors_in_a_row))
        [near, _] = engine.verify(str(path), threading.Event())
        assert near.outcome == "ok", near
        until(lambda: load(meta).replica("near").verified == near and bool(load(meta).replica("far").error))
        assert "127.0.0.1:9" in load(meta).replica("far").error
        assert load(meta).pid > 0
        engine.pause(str(path))
        assert load(meta).paused
        assert holder(meta) is None
        engine.resume(str(path))
        until(lambda: holder(meta) is not None and not load(meta).paused)
    assert load(meta).pid == 0
    with running(config) as engine:
        until(lambda: in_step(engine))
        assert only(engine).replicas[0].verified == near


def test_one_who_looks_for_the_holder_does_not_keep_an_engine_from_starting(tmp_path: Path) -> None:
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            holder(tmp_path)

    assert holder(tmp_path) is None
    looking = [threading.Thread(target=look) for _ in range(2)]
    for thread in looking:
        thread.start()
    try:
        for _ in range(20):
            lock = EngineLock.take(tmp_path, tmp_path / "app.db")
            lock.describe(1, 2, (3, 4))
            with pytest.raises(DatabaseLockedError):
                EngineLock.take(tmp_path, tmp_path / "app.db")
            lock.release()
    finally:
        ended.set()
        for thread in looking:
            thread.join()


def test_the_notes_are_json_of_plain_parts(tmp_path: Path) -> None:
    StatusFile(tmp_path).write(database(replica(verified=VERIFIED)), 10.0, 77)
    values = json.loads((tmp_path / STATUS_NAME).read_text())
    assert values["replicas"][0]["verified"]["position"] == f"{GENERATION}/00000003:4152"
