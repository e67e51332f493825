"""Values as JSON and back: the same again, and nothing but values of that class, whatever comes."""

import json
import math
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replication.control import requests as ask
from replication.control.values import JobStatus, error_of, failure_of
from replication.errors import DatabaseLockedError, NoJobError, ReplicationError
from replication.events import Event
from replication.position import Position
from replication.restore.meter import RestoreProgress
from replication.restore.target import AtIndex, AtPosition, Latest, Target
from replication.scrub import register_secret
from replication.sqlite.later import Look
from replication.status import DatabaseStatus, EngineStatus, ReplicaStatus, Upload, Verification
from replication.wire import WireError, dumps, loads, plain, value_of, values_of

SECRET = "a-secret-of-the-wire-tests"
TEXT = st.text(max_size=20)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
COUNTS = st.integers(0, 1 << 60)
POSITIONS = st.builds(
    Position, st.from_regex(r"[0-9a-f]{16}", fullmatch=True), st.integers(0, 0x7FFFFFFF), st.integers(0, (1 << 32) - 1)
)
VALUES = st.one_of(
    st.from_type(Upload),
    st.from_type(RestoreProgress),
    st.from_type(ask.Sync),
    st.from_type(Event),
    st.from_type(Look),
    st.builds(ask.RestoreOver, database=TEXT, since=st.none() | st.from_type(Look)),
    st.builds(
        Verification,
        TEXT,
        st.sampled_from(["ok", "failed", "inconclusive"]),
        TEXT,
        st.none() | POSITIONS,
        NUMBERS,
        NUMBERS,
    ),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@dataclass(frozen=True)
class Aimed:
    target: Target


def _finite(value: Any) -> bool:
    return all(not isinstance(item, float) or math.isfinite(item) for item in vars_of(value))


def vars_of(value: Any) -> list[Any]:
    return [getattr(value, name) for name in value.__dataclass_fields__]


@given(VALUES)
def test_what_goes_out_comes_back_equal(value: Any) -> None:
    if _finite(value):
        assert value_of(type(value), json.loads(json.dumps(plain(value)))) == value


@given(st.sampled_from([EngineStatus, JobStatus, ask.Restore, Verification, Aimed, Event]), JSON)
def test_whatever_comes_is_a_value_of_that_class_or_refused(kind: type[Any], data: Any) -> None:
    try:
        found = value_of(kind, data)
    except WireError:
        return
    assert type(found) is kind
    assert value_of(kind, plain(found)) == found


@given(st.binary(max_size=40) | st.text(max_size=40))
def test_whatever_text_comes_is_json_or_refused(text: bytes | str) -> None:
    with suppress(WireError):
        loads(text)


def test_what_is_nested_too_deep_is_refused() -> None:
    with pytest.raises(WireError):
        loads("[" * 100_000)


def test_a_status_with_all_that_it_may_hold() -> None:
    position = Position("0123456789abcdef", 3, 4152)
    verified = Verification("s3", "ok", "equal", position, 1.0, 2.0)
    upload = Upload("x", 1, 2, 3.0, 4.0)
    replica = ReplicaStatus(
        "s3",
        "s3",
        "s3://b",
        "ok",
        position,
        0,
        0.0,
        "",
        0,
        0,
        1,
        2,
        3.0,
        0,
        "",
        0.0,
        0.0,
        verified=verified,
        uploads=(upload,),
    )
    status = EngineStatus(1.0, (DatabaseStatus("/a\udcff", "ok", "", None, "", 4096, 0, 0.0, 0.0, 0, (replica,)),))
    assert value_of(EngineStatus, loads(dumps(status))) == status


def test_one_of_several_classes_has_its_name() -> None:
    for target in (Latest(), AtIndex(3), AtPosition(Position("0" * 16, 1, 2))):
        assert value_of(Aimed, loads(dumps(Aimed(target)))) == Aimed(target)
    with pytest.raises(WireError, match='"is" must be one of'):
        value_of(Aimed, {"target": {"is": "Path"}})


def test_two_versions_understand_each_other() -> None:
    upload = Upload("x", 1, 2, 3.0, 4.0)
    assert value_of(Upload, {**plain(upload), "colour": "red"}) == upload
    event = Event(1, 2.0, "info", "x")
    assert value_of(Event, {"number": 1, "time": 2, "level": "info", "message": "x"}) == event
    with pytest.raises(WireError, match="size is missing"):
        value_of(Upload, {"name": "x"})


def test_a_position_of_an_earlier_version_is_read() -> None:
    before = {"generation": "0123456789abcdef", "index": 3, "offset": 4152}
    value = Verification("s3", "ok", "", Position("0123456789abcdef", 3, 4152), 0.0, 0.0)
    assert value_of(Verification, {**plain(value), "position": before}) == value


def test_a_number_that_is_none_of_json_is_null() -> None:
    event = Event(1, math.inf, "info", "x")
    assert plain(event)["time"] is None
    assert value_of(Event, plain(event)) == event


def test_no_secret_goes_out() -> None:
    register_secret(SECRET)
    shown = dumps(Event(1, 2.0, "error", f"key {SECRET} of s3://me:{SECRET}@host", attributes=(("k", SECRET),)))
    assert SECRET not in shown
    assert json.loads(shown)["number"] == 1


def test_errors_keep_their_class_words_and_what_they_know() -> None:
    error = error_of(failure_of(DatabaseLockedError(Path("/a.db"), "77")))
    assert type(error) is DatabaseLockedError
    assert (error.holder, error.exit_code) == ("77", 5)
    assert str(error) == str(DatabaseLockedError(Path("/a.db"), "77"))
    assert type(error_of(failure_of(NoJobError("x")))) is NoJobError
    unknown = error_of(replace(failure_of(NoJobError("x")), error="OfALaterVersion"))
    assert (type(unknown), str(unknown)) == (ReplicationError, "x")
    assert "this is a bug" in str(error_of(failure_of(ZeroDivisionError("x"))))


def test_lists_are_read_one_by_one() -> None:
    assert values_of(str, ["a", "b"]) == ("a", "b")
    wrong: list[Any] = [{}, None, "ab", [1]]
    for data in wrong:
        with pytest.raises(WireError):
            values_of(str, data)
