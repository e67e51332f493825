"""The XML of S3: answers read, and the two bodies that requests have.

Its promise: whatever a server sends costs no more than its bytes do. Document types, and with them entities, are
refused; size, depth and the number of elements are bounded.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.parsers import expat
from xml.sax.saxutils import escape

from replication.storage.s3.faults import ResponseFormatError

ANSWER_BYTES_MAX = 16 * 1024 * 1024
"""The longest answer that is read; a listing of 1,000 of the longest names, all escaped, has 10 MB."""
DEPTH_MAX = 8
ELEMENTS_MAX = 250_000

_RECORD_DEPTH = 2


@dataclass(frozen=True, slots=True)
class Document:
    """An answer: its name, the fields right in it, and its records, such as the objects of a listing, each with fields.

    What lies deeper than the fields of a record is left out: nothing that is asked for does.
    """

    name: str
    fields: dict[str, str]
    records: list[tuple[str, dict[str, str]]]


def read_document(data: bytes) -> Document:
    """Read an answer; raise ResponseFormatError for what is not XML, or XML as no S3 server writes it."""
    if len(data) > ANSWER_BYTES_MAX:
        raise ResponseFormatError("too long")
    reader = _Reader()
    # S3 writes UTF-8: what encoding a document names is not looked up.
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text.append
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise ResponseFormatError(str(error)) from None
    return Document(reader.name, reader.fields, reader.records)


def deletion(keys: Iterable[str]) -> bytes:
    """The body of DeleteObjects, which is answered with refusals only."""
    objects = "".join(f"<Object><Key>{_escape(key)}</Key></Object>" for key in keys)
    return f"<Delete {_NAMESPACE}><Quiet>true</Quiet>{objects}</Delete>".encode()


def completion(etags: Sequence[str]) -> bytes:
    """The body of CompleteMultipartUpload, with the ETags of parts 1, 2, 3 and so on."""
    parts = "".join(
        f"<Part><ETag>{_escape(etag)}</ETag><PartNumber>{number}</PartNumber></Part>"
        for number, etag in enumerate(etags, 1)
    )
    return f"<CompleteMultipartUpload {_NAMESPACE}>{parts}</CompleteMultipartUpload>".encode()


_NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


class _Reader:
    """Makes a Document of what the parser comes across."""

    def __init__(self) -> None:
        self.name = ""
        self.fields: dict[str, str] = {}
        self.records: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self._record: dict[str, str] = {}
        self._depth = 0
        self._elements = 0

    def start(self, name: str, attributes: object) -> None:
        self._depth += 1
        self._elements += 1
        if self._depth > DEPTH_MAX or self._elements > ELEMENTS_MAX:
            raise ResponseFormatError("too deep or too many elements")
        self.text.clear()
        if self._depth == 1:
            self.name = name
        elif self._depth == _RECORD_DEPTH:
            self._record = {}

    def end(self, name: str) -> None:
        if self._depth == _RECORD_DEPTH + 1:
            self._record[name] = "".join(self.text)
        elif self._depth == _RECORD_DEPTH:
            if self._record:
                self.records.append((name, self._record))
            else:
                self.fields[name] = "".join(self.text)
        self._depth -= 1


def _refuse_doctype(*_: object) -> None:
    raise ResponseFormatError("it has a document type")


def _escape(text: str) -> str:
    # A parser reads a bare line end as another one: as a reference it stays what it is.
    return escape(text, {"\r": "&#13;", "\n": "&#10;", "\t": "&#9;"})
