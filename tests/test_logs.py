"""Log lines in the shapes of Litestream, and secrets kept out of them."""

import io
import json
import logging
import re
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote as percent_encoded

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replication import scrub as scrub_module
from replication.logs import VALUE_CHARS_MAX, attrs, quote, register_secret, set_up_logging
from replication.scrub import scrub

LOGGER = logging.getLogger("replication.tests")


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Logging and the registered secrets as they were."""
    monkeypatch.setattr(scrub_module, "_spellings", frozenset())
    monkeypatch.setattr(scrub_module, "_pattern", None)
    root, level = logging.getLogger(), logging.getLogger().level
    yield
    for handler in [handler for handler in root.handlers if type(handler).__module__ == "replication.logs"]:
        root.removeHandler(handler)
    root.setLevel(level)
    for name in ("replication", "tui"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def logged(level: str = "info", type: str = "text") -> io.StringIO:
    stream = io.StringIO()
    # pytest's own handler would raise where ours must not.
    logging.getLogger().handlers.clear()
    set_up_logging(level, type, stream=stream)
    return stream


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_text_line() -> None:
    stream = logged()
    LOGGER.info(
        "replicating to",
        extra=attrs(db=Path("/srv/a b.db"), replica="s3", **{"sync-interval": "1s"}, size=12),
    )
    assert re.fullmatch(
        r"time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=INFO "
        r'msg="replicating to" db="/srv/a b\.db" replica=s3 sync-interval=1s size=12\n',
        stream.getvalue(),
    )


def test_a_json_line() -> None:
    stream = logged(type="json")
    LOGGER.warning(
        'a "b"\n',
        extra=attrs(db=Path("/a"), size=12, ok=True, none=None, rate=1.5, bad=float("nan"), e="\x9b1m"),
    )
    text = stream.getvalue()
    assert text.endswith("\n")
    assert text[:-1].isprintable()
    line = json.loads(text)
    when = datetime.fromisoformat(line.pop("time"))
    assert abs((datetime.now(UTC) - when).total_seconds()) < 60
    assert line == {
        "level": "WARN",
        "msg": 'a "b"\n',
        "db": "/a",
        "size": 12,
        "ok": True,
        "none": None,
        "rate": 1.5,
        "bad": "nan",
        "e": "\x9b1m",
    }


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("debug", ["DEBUG", "INFO", "WARN", "ERROR"]),
        ("info", ["INFO", "WARN", "ERROR"]),
        ("warn", ["WARN", "ERROR"]),
        ("error", ["ERROR"]),
    ],
)
def test_levels(level: str, shown: list[str]) -> None:
    stream = logged(level)
    for method in (LOGGER.debug, LOGGER.info, LOGGER.warning, LOGGER.error):
        method("x")
    assert re.findall("level=([A-Z]+)", stream.getvalue()) == shown


def test_libraries_are_heard_from_warnings_up() -> None:
    stream = logged("debug")
    logging.getLogger("botocore").debug("signed request")
    logging.getLogger("botocore").info("found credentials")
    logging.getLogger("botocore").warning("careful")
    assert re.findall("msg=(.*)", stream.getvalue()) == ["careful"]


def test_unknown_words() -> None:
    with pytest.raises(ValueError, match="'loud'"):
        set_up_logging("loud")
    with pytest.raises(ValueError, match="'xml'"):
        set_up_logging("info", "xml")


@pytest.mark.parametrize(("stderr", "name"), [(False, "out"), (True, "err")])
def test_streams(stderr: bool, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(stderr=stderr)
    set_up_logging(stderr=stderr)
    LOGGER.info("once")
    captured = capsys.readouterr()
    assert getattr(captured, name).count("msg=once") == 1
    assert captured.out == "" or captured.err == ""


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("", '""'),
        ("plain", "plain"),
        ("/a-b_c.d:e,{f}[g]'h'", "/a-b_c.d:e,{f}[g]'h'"),
        ("back\\slash", "back\\slash"),
        ("a b", '"a b"'),
        ("a=b", '"a=b"'),
        ('say "x" \\', '"say \\"x\\" \\\\"'),
        ("a\nb\tc\r", '"a\\nb\\tc\\r"'),
        ("\x1b[31m", '"\\x1b[31m"'),
        ("\x00\x7f", '"\\x00\\x7f"'),
        ("果物", "果物"),
        ("a\u00a0b", '"a\\u00a0b"'),
        ("\u202e", '"\\u202e"'),
        ("\U000e0001", '"\\U000e0001"'),
    ],
)
def test_quoting_is_that_of_slog(text: str, quoted: str) -> None:
    assert quote(text) == quoted


@given(st.text())
def test_a_value_can_do_nothing_to_a_line(text: str) -> None:
    quoted = quote(text)
    assert quoted.isprintable()
    if text.isprintable() and "'" not in text and "\\" not in text:
        assert shlex.split(f"k={quoted}", comments=False) == [f"k={text}"]


def test_values_of_many_kinds() -> None:
    stream = logged()
    LOGGER.info(
        "x",
        extra=attrs(a=True, b=None, c=1.0, d=0.25, e=datetime(2026, 11, 22, tzinfo=UTC), f=ValueError("no")),
    )
    assert stream.getvalue().rstrip().endswith("msg=x a=true b=<nil> c=1 d=0.25 e=2026-11-22T00:00:00.000Z f=no")


def test_an_exception_is_an_attribute_and_no_traceback() -> None:
    stream = logged()
    try:
        raise ValueError("the reason")
    except ValueError:
        LOGGER.exception("it failed")
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().endswith('level=ERROR msg="it failed" error="the reason"\n')


def test_long_values_are_cut() -> None:
    stream = logged()
    LOGGER.info("m" * 10_000, extra=attrs(v="v" * 10_000))
    assert len(stream.getvalue()) < 2 * VALUE_CHARS_MAX + 100


def test_a_line_is_not_lost_over_its_arguments() -> None:
    stream = logged()
    LOGGER.info("%d files", "some")
    assert stream.getvalue().endswith('msg="%d files"\n')


def test_a_closed_stream_stops_nothing() -> None:
    stream = logged()
    stream.close()
    LOGGER.info("nobody hears")


def test_colours_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = Terminal()
    set_up_logging(stream=terminal)
    LOGGER.error("x")
    assert " level=\x1b[31mERROR\x1b[0m msg=x\n" in terminal.getvalue()
    plain = Terminal()
    monkeypatch.setenv("NO_COLOR", "1")
    set_up_logging(stream=plain)
    LOGGER.error("x")
    assert "\x1b" not in plain.getvalue()
    assert "\x1b" not in _error_in(io.StringIO())


def _error_in(stream: io.StringIO) -> str:
    set_up_logging(stream=stream)
    LOGGER.error("x")
    return stream.getvalue()


@pytest.mark.parametrize("type", ["text", "json"])
@pytest.mark.parametrize("secret", ["CANARY", 'CAN"AR\\Y', "CA/NA+RY==", "CANARY ÄÖ", "CAN\nARY", "$CAN%41RY"])
def test_secrets_are_in_no_line(type: str, secret: str) -> None:
    register_secret(secret)
    register_secret(None)
    register_secret("a")
    stream = logged(type=type)
    url = f"http://x/?k={percent_encoded(secret, safe='')}"
    LOGGER.info("key %s", secret, extra=attrs(db=secret, nested={"k": secret}, error=ValueError(secret), url=url))
    LOGGER.error(f"before{secret}after", extra=attrs(**{secret: 1}))
    try:
        raise ValueError(secret)
    except ValueError:
        LOGGER.exception("failed")
    text = stream.getvalue()
    assert "ARY" not in text.replace("\\", "")
    assert "NA" not in text
    assert text.count("[hidden]") >= 7
    assert len(text.splitlines()) == 3


TEXT = st.characters(exclude_characters="\0")


@given(st.text(TEXT, min_size=4, max_size=30), st.text(TEXT, max_size=30), st.text(TEXT, max_size=30))
def test_scrub_removes_every_copy(secret: str, before: str, after: str) -> None:
    register_secret(secret)
    assert secret not in scrub(f"{before}{secret}{after}{secret}").replace("[hidden]", "\0")


def test_one_secret_inside_another_leaves_no_rest() -> None:
    register_secret("short")
    register_secret("shorter-secret")
    assert scrub("a shorter-secret b") == "a [hidden] b"
