"""Where the kernel has no inotify left it is said once, and looking falls back to the interval."""

import errno
from pathlib import Path
from typing import Any

import pytest

from replication.database import watch
from replication.database.watch import Watcher
from replication.events import EventLog


def said(events: EventLog) -> list[str]:
    return [event.message for event in events.since(0)]


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_no_instance_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int) -> None:
    def refuse() -> Any:
        raise OSError(number, "none left")

    monkeypatch.setattr(watch, "_open_inotify", refuse)
    events = EventLog()
    watcher = Watcher(events)
    assert not watcher.works
    assert not any(watcher.add(tmp_path / f"{count}.db", lambda: None) for count in range(3))
    [words] = said(events)
    assert "fs.inotify.max_user_instances" in words
    assert "monitor-interval" in words
    assert watcher.close(1.0)


def test_no_descriptor_is_left_for_what_wakes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(value: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("os.eventfd", refuse)
    events = EventLog()
    watcher = Watcher(events)
    assert not watcher.works
    assert len(said(events)) == 1
    assert watcher.close(1.0)


def test_no_watch_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    events = EventLog()
    watcher = Watcher(events)
    assert watcher.add(tmp_path / "first.db", lambda: None)

    def refuse(*arguments: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(watcher._inotify, "add_watch", refuse)
    assert not any(watcher.add(tmp_path / f"{count}.db", lambda: None) for count in range(3))
    [words] = said(events)
    assert "fs.inotify.max_user_watches" in words
    assert watcher.close(1.0)


def test_a_folder_that_may_not_be_watched_is_told_once_for_each_database(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    events = EventLog()
    watcher = Watcher(events)

    def refuse(*arguments: Any) -> int:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(watcher._inotify, "add_watch", refuse)
    for path in (tmp_path / "a.db", tmp_path / "b.db") * 3:
        assert not watcher.add(path, lambda: None)
    assert len(said(events)) == 2
    assert watcher.close(1.0)
