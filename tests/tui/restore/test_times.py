"""Times as people type them."""

import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replication.errors import UsageError
from tui.restore.picker.times import parse_asked
from tui.text.local import both, zone

NOW = datetime(2026, 1, 2, 12, 4, 31, tzinfo=UTC).timestamp()


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The clock on the wall is that of Berlin."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("12:04", "2026-01-02T12:04:00"),
        ("12:05", "2026-01-01T12:05:00"),
        (" 9:00:07z ", "2026-01-02T09:00:07"),
        ("1204", "2026-01-02T12:04:00"),
        ("3am", "2026-01-02T03:00:00"),
        ("12am", "2026-01-02T00:00:00"),
        ("12pm", "2026-01-02T12:00:00"),
        ("3:15 PM", "2026-01-01T15:15:00"),
        ("now", "2026-01-02T12:04:31"),
        ("today 3am", "2026-01-02T03:00:00"),
        ("yesterday 14:00", "2026-01-01T14:00:00"),
        ("yesterday", "2026-01-01T00:00:00"),
        ("fri 9:30", "2025-12-26T09:30:00"),
        ("thursday 9:30", "2026-01-01T09:30:00"),
        ("-15m", "2026-01-02T11:49:31"),
        ("15m ago", "2026-01-02T11:49:31"),
        ("-1d2h3m4s", "2026-01-01T10:01:27"),
        ("-2w", "2025-12-19T12:04:31"),
        ("+5m", "2025-12-31T00:05:00"),
        ("12-31", "2025-12-31T00:00:00"),
        ("12-31 23:59", "2025-12-31T23:59:00"),
        ("2025-06-07 08:09:10", "2025-06-07T08:09:10"),
        ("12:04+02:00", "2026-01-02T10:04:00"),
        ("14:04 +2", "2026-01-02T12:04:00"),
        ("10-20 14:04 +0200", "2025-10-20T12:04:00"),
        ("2026-01-02T14:04:00+02:00", "2026-01-02T12:04:00"),
        ("2026-01-02t12:04:00.5z", "2026-01-02T12:04:00.500000"),
    ],
)
def test_what_a_text_means(text: str, means: str) -> None:
    point = datetime(2025, 12, 31, tzinfo=UTC).timestamp()
    assert parse_asked(text, NOW, point) == datetime.fromisoformat(f"{means}+00:00").timestamp()


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("12:04", "2026-01-02T11:04:00"),
        ("13:05", "2026-01-01T12:05:00"),
        ("0:30", "2026-01-01T23:30:00"),
        ("yesterday 0:30", "2025-12-31T23:30:00"),
        ("12:04z", "2026-01-02T12:04:00"),
        ("07-01 12:00", "2025-07-01T10:00:00"),
        ("2026-01-02T12:04:00Z", "2026-01-02T12:04:00"),
    ],
)
def test_a_time_is_local_unless_it_says_otherwise(berlin: None, text: str, means: str) -> None:
    assert parse_asked(text, NOW) == datetime.fromisoformat(f"{means}+00:00").timestamp()


def test_a_moment_is_shown_in_both(berlin: None) -> None:
    assert both(NOW) == "2026-01-02 13:04:31 CET, 12:04:31Z"
    assert both(NOW + 11.5 * 3600) == "2026-01-03 00:34:31 CET, 01-02 23:34:31Z"


@pytest.mark.parametrize(("name", "shown"), [("UTC", "UTC"), ("Asia/Kathmandu", "UTC+05:45")])
def test_a_zone_without_a_name_is_its_offset(monkeypatch: pytest.MonkeyPatch, name: str, shown: str) -> None:
    monkeypatch.setenv("TZ", name)
    time.tzset()
    try:
        assert zone(NOW) == shown
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "text",
    ["", "soon", "25:00", "12:60", "13-45", "-", "-5", "02-30 10:00", "9999999-01-01", "13pm", "0am", "10:00 +99", "7"],
)
def test_what_is_no_time_says_how_to_write_one(text: str) -> None:
    with pytest.raises(UsageError, match=r"is not a time\. Type one as 12:04, 3am, -15m"):
        parse_asked(text, NOW)


@given(
    st.text(max_size=30)
    | st.from_regex(r"[-+0-9:dhmswTZ ]{1,30}", fullmatch=True)
    | st.from_regex(
        r"(yesterday|today|mon|10-20|) ?[0-9]{1,2}(:[0-9]{2})?(am|pm)? ?([-+][0-9]{1,2}|z)?", fullmatch=True
    )
)
def test_any_text_is_a_time_or_refused_in_words(text: str) -> None:
    with suppress(UsageError):
        assert isinstance(parse_asked(text, NOW), float)
