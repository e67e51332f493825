"""Times as people type them."""

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replication.errors import UsageError
from tui.restore.picker.times import parse_asked

NOW = datetime(2026, 1, 2, 12, 4, 31, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("12:04", "2026-01-02T12:04:00"),
        ("12:05", "2026-01-01T12:05:00"),
        (" 9:00:07z ", "2026-01-02T09:00:07"),
        ("-15m", "2026-01-02T11:49:31"),
        ("-1d2h3m4s", "2026-01-01T10:01:27"),
        ("12-31", "2025-12-31T00:00:00"),
        ("12-31 23:59", "2025-12-31T23:59:00"),
        ("2025-06-07 08:09:10", "2025-06-07T08:09:10"),
        ("2026-01-02T14:04:00+02:00", "2026-01-02T12:04:00"),
        ("2026-01-02t12:04:00.5z", "2026-01-02T12:04:00.500000"),
    ],
)
def test_what_a_text_means(text: str, means: str) -> None:
    assert parse_asked(text, NOW) == datetime.fromisoformat(f"{means}+00:00").timestamp()


@pytest.mark.parametrize("text", ["", "soon", "25:00", "12:60", "13-45", "-", "-5", "02-30 10:00", "9999999-01-01"])
def test_what_is_no_time_says_how_to_write_one(text: str) -> None:
    with pytest.raises(UsageError, match=r"is not a time\. Type one as 12:04, -15m"):
        parse_asked(text, NOW)


@given(st.text(max_size=30) | st.from_regex(r"[-0-9:dhmsTZ ]{1,30}", fullmatch=True))
def test_any_text_is_a_time_or_refused_in_words(text: str) -> None:
    with suppress(UsageError):
        assert isinstance(parse_asked(text, NOW), float)
