"""Who wrote an object: the host, process and start of an engine, as notes carry them.

Two programs that go on with one history are told apart by the bytes that they write, and by nothing else; this is
for people, to find the other one. What a note says comes from outside: only plain values are taken from it.
"""

import os
import re
import socket
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from replication.storage.note_fields import NoteFields

HOST_CHARS_MAX = 64
_HOST = re.compile(r"[\w.:-]{1,64}")


@dataclass(frozen=True, slots=True)
class Writer:
    """One life of one engine. `since` is RFC 3339 in UTC, in whole seconds."""

    host: str
    pid: int
    since: str

    @classmethod
    def here(cls) -> "Writer":
        """This process, for an engine that begins now."""
        host = re.sub(r"[^\w.:-]", "-", socket.gethostname())[:HOST_CHARS_MAX] or "unknown"
        return cls(host, os.getpid(), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))

    @classmethod
    def noted(cls, note: NoteFields) -> "Writer | None":
        """The writer that a note names; None if it names none, as those of older programs and Litestream."""
        host, pid, since = note.get("host"), note.get("pid"), note.get("since")
        if isinstance(host, str) and _HOST.fullmatch(host) and isinstance(pid, int) and isinstance(since, str):
            with suppress(ValueError):
                return cls(host, pid, datetime.fromisoformat(since).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
        return None

    def fields(self) -> dict[str, str | int]:
        """What a note says of it."""
        return {"host": self.host, "pid": self.pid, "since": self.since}

    def __str__(self) -> str:
        return f"litestream-tui on host {self.host}, pid {self.pid}, running since {self.since}"


def writer_words(other: Writer | None, ours: Writer) -> str:
    """The other writer, for people."""
    if other is None:
        return "a program that left no name"
    if other == ours:
        return f"{other}: the name of this very program, as after a virtual machine was copied while it ran"
    return str(other)
