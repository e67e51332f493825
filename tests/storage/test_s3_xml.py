"""Answers of servers that mean harm, or no good."""

import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replication.storage.s3 import xml as s3_xml
from replication.storage.s3.faults import ResponseFormatError
from replication.storage.s3.xml import completion, deletion, read_document


def test_fields_and_records() -> None:
    found = read_document(
        b'<?xml version="1.0" encoding="UTF-8"?>\n<R xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        b"<A>1 &amp; 2</A><E/>"
        b"<C><K>a</K><Owner><ID>x</ID></Owner></C><C><K>b\xc3\xbc</K></C></R>"
    )
    assert (found.name, found.fields) == ("R", {"A": "1 & 2", "E": ""})
    assert [(name, fields["K"]) for name, fields in found.records] == [("C", "a"), ("C", "bü")]


BOMB = "".join(f"<!ENTITY e{n} '{f'&e{n - 1};' * 10 if n else 'ha'}'>" for n in range(9))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no XML",
        "<a>",
        "<a></b>",
        "<a/><a/>",
        f"<!DOCTYPE a [{BOMB}]><a>&e8;</a>",
        "<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
        "<a>&unknown;</a>",
        "<a>" * 100 + "</a>" * 100,
        "<a>" * 1_000_000,
        "<a>" + "<b/>" * (s3_xml.ELEMENTS_MAX + 1) + "</a>",
        "<a>\0</a>",
    ],
    ids=range(12),
)
def test_what_is_refused(text: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ResponseFormatError):
            read_document(text.encode())
        assert tracemalloc.get_traced_memory()[1] < 100_000_000
    finally:
        tracemalloc.stop()


def test_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_xml, "ANSWER_BYTES_MAX", 10)
    with pytest.raises(ResponseFormatError):
        read_document(b"<a>01234567</a>")


@given(st.binary())
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with suppress(ResponseFormatError):
        read_document(data)


# What XML cannot carry at all is left out.
CARRIED = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cn"]) | st.sampled_from("\t\n\r"))


@given(CARRIED.filter(bool))
def test_names_go_out_as_they_are(name: str) -> None:
    [(_, fields)] = [item for item in read_document(deletion([name])).records if item[0] == "Object"]
    assert fields == {"Key": name}
    [(_, part)] = read_document(completion([name])).records
    assert part == {"ETag": name, "PartNumber": "1"}
