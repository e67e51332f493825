"""Durations read and written as Go does."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import peers
from replication.config.durations import NANOSECONDS_MAX, format_duration, parse_duration, parse_nanoseconds

HOUR = 3600 * 10**9

GOOD = {
    "0": 0,
    "+0": 0,
    "-0": 0,
    "0s": 0,
    "1ns": 1,
    "300ms": 300 * 10**6,
    "15s": 15 * 10**9,
    "24h": 24 * HOUR,
    "1h30m": 90 * 60 * 10**9,
    "1h1h": 2 * HOUR,
    "1.5h": 90 * 60 * 10**9,
    ".5s": 5 * 10**8,
    "5.s": 5 * 10**9,
    "1us": 1000,
    "1µs": 1000,
    "1μs": 1000,
    "1.9ns": 1,
    "-1m30s": -90 * 10**9,
    "2562047h47m16.854775807s": NANOSECONDS_MAX,
}

BAD = [
    "",
    "s",
    "1",
    "5",
    "1d",
    "1w",
    "1 h",
    " 1h",
    "1h ",
    "1H",
    "h1",
    ".s",
    "1..5s",
    "1e3s",
    "--1s",
    "1_0s",
    "١s",
]
BAD += ["2562047h47m16.854775808s", "9999999999h", "24hours", "1m-30s"]


@pytest.mark.parametrize(("text", "nanoseconds"), GOOD.items())
def test_what_go_takes(text: str, nanoseconds: int) -> None:
    assert parse_nanoseconds(text) == nanoseconds
    assert parse_duration(text) == nanoseconds / 1e9


@pytest.mark.parametrize("text", [*BAD, "1" * 200 + "s"])
def test_what_go_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@pytest.mark.server
def test_litestream_itself_agrees(tmp_path: Path) -> None:
    """Litestream reads a file whose duration is good, and none whose is bad. Bare numbers are YAML's own."""
    config = tmp_path / "litestream.yml"
    for text in [*GOOD, *BAD]:
        if text.lstrip("+-").isdecimal() or not text.isascii() or not text:
            continue
        config.write_text(f"dbs: [{{path: /x, monitor-interval: '{text}'}}]\n")
        run = subprocess.run(
            [peers.litestream03(), "databases", "-config", config], capture_output=True, text=True, timeout=30
        )
        assert (run.returncode == 0) == (text in GOOD), text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (1e-9, "1ns"),
        (1.5e-6, "1.5µs"),
        (0.3, "300ms"),
        (1, "1s"),
        (1.5, "1.5s"),
        (60, "1m0s"),
        (90, "1m30s"),
        (86400, "24h0m0s"),
        (3661.25, "1h1m1.25s"),
        (-2, "-2s"),
    ],
)
def test_written_as_go_does(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.integers(min_value=-(10**15), max_value=10**15))
def test_what_is_written_reads_back(nanoseconds: int) -> None:
    assert parse_nanoseconds(format_duration(nanoseconds / 1e9)) == nanoseconds


@given(st.text(max_size=40))
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    try:
        seconds = parse_duration(text)
    except ValueError:
        return
    assert abs(seconds) <= NANOSECONDS_MAX / 1e9
