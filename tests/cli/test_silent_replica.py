"""A replica whose server accepts connections and never answers, beside one that is whole (promise 3, promise 6)."""

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from replication.archive import Reader
from replication.config import load_config
from replication.errors import RestoreCancelledError
from replication.restore.open_replica import OpenReplica
from replication.restore.target import AtTime, Latest, Target, parse_time
from replication.restore.wal03 import asking
from replication.restore.wal03.choose import choose
from replication.storage.open import open_storage
from replication.storage.s3.location import S3Location
from tests.cli.conftest import ROUNDS, Published
from tests.cli.program import succeeds
from tests.foreign import Shell
from tui.cli import main

QUICKLY_SECONDS = asking.ENOUGH_SECONDS_MIN + 7
"""A few seconds, on a busy machine."""


@pytest.fixture
def endpoint() -> Iterator[str]:
    """Of a server that accepts and is silent."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        yield f"http://127.0.0.1:{silent.getsockname()[1]}"


@pytest.fixture
def config(published_once: Published, endpoint: str, tmp_path: Path) -> Path:
    """The silent replica is the first."""
    path = tmp_path / "two.yml"
    path.write_text(
        f"dbs:\n- path: {published_once.database}\n  replicas:\n  - {{name: silent, type: s3, bucket: b, "
        f"endpoint: '{endpoint}', access-key-id: canarycanary, secret-access-key: canarycanary}}\n"
        f"  - {{name: near, path: {published_once.root}}}\n"
    )
    return path


@pytest.fixture
def sources(published_once: Published, endpoint: str) -> list[OpenReplica]:
    far = S3Location("b", "x", endpoint, access_key_id="k" * 8, secret_access_key="s" * 8)
    near = load_config(published_once.config).databases[0].replicas[0].location
    return [
        OpenReplica("silent", open_storage(far)),
        OpenReplica("near", open_storage(near)),
    ]


def test_promise_3_all_that_was_copied_here_is_restored_without_waiting(
    published_once: Published, config: Path, tmp_path: Path
) -> None:
    began = time.monotonic()
    result = succeeds("restore", "-config", config, "-o", tmp_path / "restored.db", published_once.database)
    assert time.monotonic() - began < QUICKLY_SECONDS
    assert Shell(tmp_path / "restored.db").rows("SELECT count(*) FROM fruits") == [[ROUNDS]]
    assert "Replica silent could not be read and was left out" in result.err
    # And so is a position, which is the same commit wherever it is.
    [position] = [word for word in result.out.replace(": ", " ").split() if published_once.generation in word]
    began = time.monotonic()
    output = tmp_path / "position.db"
    succeeds("restore", "-config", config, "-position", position, "-o", output, published_once.database)
    assert time.monotonic() - began < QUICKLY_SECONDS
    assert output.read_bytes() == (tmp_path / "restored.db").read_bytes()


def test_promise_3_the_picker_shows_the_replica_that_answers(published_once: Published, config: Path) -> None:
    reader = Reader(load_config(config), str(published_once.database))
    began = time.monotonic()
    listed = reader.list()
    assert time.monotonic() - began < QUICKLY_SECONDS
    assert listed.replica == "near"
    assert any(words.startswith("silent: ") and "has not answered" in words for words in listed.passed_over)
    reader.close()


@pytest.mark.parametrize("target", [Latest(), parse_time("2100-01-01T00:00:00Z")])
def test_promise_3_where_another_may_have_more_one_time_out_is_waited_for(
    sources: list[OpenReplica], target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the newest commit nothing is known here; at a time the other may have had later ones whatever is known."""
    monkeypatch.setattr(asking, "ENOUGH_SECONDS_MIN", 0.2)
    monkeypatch.setattr(asking, "SILENCE_SECONDS_MAX", 1.0)
    known = choose(sources[1:], Latest(), None, threading.Event()).best.known
    told: list[str] = []
    began = time.monotonic()
    chosen = choose(
        sources,
        target,
        None,
        threading.Event(),
        newest=lambda: known if isinstance(target, AtTime) else None,
        waiting=told.append,
    )
    assert 1.0 <= time.monotonic() - began < QUICKLY_SECONDS
    assert chosen.source.name == "near"
    assert any("Replica silent could not be read and was left out" in words for words in chosen.warnings)
    [words] = told
    assert "waiting for replica silent" in words


def test_promise_3_what_was_copied_here_and_is_not_in_the_other_is_waited_for(
    sources: list[OpenReplica], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "ENOUGH_SECONDS_MIN", 0.2)
    monkeypatch.setattr(asking, "SILENCE_SECONDS_MAX", 1.0)
    end = choose(sources[1:], Latest(), None, threading.Event()).best.end
    told: list[str] = []
    began = time.monotonic()
    later = type(end)(end.generation, end.index + 1, end.offset)
    choose(sources, Latest(), None, threading.Event(), newest=lambda: later, waiting=told.append)
    assert time.monotonic() - began >= 1.0
    assert told


def test_a_cancel_ends_the_wait(sources: list[OpenReplica]) -> None:
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    began = time.monotonic()
    with pytest.raises(RestoreCancelledError):
        choose(sources, Latest(), None, stop)
    assert time.monotonic() - began < QUICKLY_SECONDS


@pytest.mark.parametrize("silence_seconds", [5.0, pytest.param(asking.SILENCE_SECONDS_MAX, marks=pytest.mark.explores)])
def test_the_program_says_who_is_waited_for(
    published_once: Published,
    config: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    silence_seconds: float,
) -> None:
    """Without the local folder nothing is known here: one time-out, and not three."""
    monkeypatch.setattr(asking, "SILENCE_SECONDS_MAX", silence_seconds)
    database = tmp_path / "elsewhere.db"
    shutil.copy(config, tmp_path / "elsewhere.yml")
    text = (tmp_path / "elsewhere.yml").read_text().replace(str(published_once.database), str(database))
    (tmp_path / "elsewhere.yml").write_text(text)
    began = time.monotonic()
    assert main(["restore", "-config", str(tmp_path / "elsewhere.yml"), str(database)]) == 0
    assert silence_seconds <= time.monotonic() - began < silence_seconds + QUICKLY_SECONDS
    said = capsys.readouterr().err
    assert "waiting for replica silent, which has not answered for 3 seconds" in said
    assert "Replica silent could not be read and was left out" in said
    assert Shell(database).rows("SELECT count(*) FROM fruits") == [[ROUNDS]]
