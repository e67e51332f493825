"""The relay: it carries questions from a pipe to the socket of an engine beside it, and the answers back (see far.py).

Two kinds of message come: an Ask is a request that goes to the socket as it is; a Watch is a look, which is answered
once something is new, with what is new. One thread reads the pipe, one writes it, one serves looks, and each Ask has
one of its own.

    pipe --> _receive --Ask----> thread of its own --> socket --> Sender --> pipe
                      --Watch--> _watch: asks the socket again and again, until there is news --^

Its promise: looks take at most LINE_BYTES_A_SECOND of the line, whatever the engine has to tell; nothing runs while
nobody looks; and the relay ends when its input does.
"""

import json
import os
import queue
import select
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

from replication.control.client import UPLOADS_MARGIN_SECONDS, Client
from replication.control.differences import difference
from replication.control.frames import MAGIC, FrameError, Receiver, Sender, Sent, packed, unpacked
from replication.control.http import Message
from replication.control.values import Failure, error_of, failure_of
from replication.errors import BusyError, EngineError, ReplicationError
from replication.wire import Plain, WireError, loads, plain, value_of

LINE_BYTES_A_SECOND = 2000
"""What looks may take on the average: where their answers are longer, they come more rarely."""
LOOK_SECONDS_MAX = 4.0
"""An engine that does not answer within this time hangs."""
EVENTS_FIRST_MAX = 200
"""A first look is answered with so many of the newest events."""
ASKING_MAX = 32
"""Requests at once; more are refused."""
REQUEST_BYTES_MAX = 1 << 20
IDLE_SECONDS_MAX = 120.0
"""Where nothing is asked for so long, the other end is gone, though the pipe is open."""
_READ_BYTES = 64 << 10
_SECONDS_MAX = 60.0


@dataclass(frozen=True, slots=True)
class Ask:
    """A request for the engine's socket: `again` if it may be sent twice. Its body is what follows in the message."""

    method: str
    target: str
    seconds: float
    again: bool = False
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Watch:
    """A look: the engine is asked every `refresh` seconds, and it is answered after `wait` seconds at the latest.

    `after` is the number of the last event that is known, of the start of the engine that `engine` names.
    """

    refresh: float
    wait: float
    engine: str = ""
    after: int = 0


class Relay:
    """From `source` to the engine that `client` asks, and back to `sink`: two descriptors."""

    def __init__(self, client: Client, source: int, sink: int) -> None:
        self._client = client
        self._source = source
        self._sink = sink
        self._sender = Sender(self._write)
        self._watcher = _Watcher(client)
        self._asking = threading.Semaphore(ASKING_MAX)
        self._broken, self._breaks = os.pipe()

    def run(self) -> None:
        """Carry until `source` ends, or nobody takes what is sent any more. Raises FrameError for a stranger."""
        try:
            self._write(MAGIC)
            for work in (self._send, self._watch):
                threading.Thread(target=work, name="relay", daemon=True).start()
            self._receive()
        except BrokenPipeError:
            pass
        finally:
            self._watcher.close()
            self._sender.close()

    def _receive(self) -> None:
        receiver = Receiver(REQUEST_BYTES_MAX)
        while True:
            ready = select.select([self._source, self._broken], [], [], IDLE_SECONDS_MAX)[0]
            if self._source not in ready or self._broken in ready:
                return
            data = os.read(self._source, _READ_BYTES)
            if not data:
                return
            for id, message in receiver.feed(data):
                self._begin(id, message)

    def _begin(self, id: int, message: bytes) -> None:
        head, body = unpacked(message)
        try:
            if "watch" in head:
                if self._watcher.asked.qsize() >= ASKING_MAX:
                    raise FrameError("who looks waits for the answer")
                self._watcher.asked.put((id, value_of(Watch, head["watch"])))
                return
            asked = value_of(Ask, head.get("ask"))
        except WireError as error:
            raise FrameError(str(error)) from None
        if not self._asking.acquire(blocking=False):
            self._answer(id, failure_of(BusyError(f"{ASKING_MAX} requests are under way already; ask again")))
            return
        threading.Thread(target=self._ask, args=(id, asked, body), name="relay asks", daemon=True).start()

    def _ask(self, id: int, asked: Ask, body: bytes) -> None:
        try:
            seconds = min(max(0.0, asked.seconds), _SECONDS_MAX)
            sent = body if asked.method == "POST" else None
            found = self._client.exchange(asked.method, asked.target, sent, seconds, asked.again, asked.read_only)
            self._answer(id, found)
        except Exception as error:  # one request that cannot be carried ends no other
            self._answer(id, failure_of(error))
        finally:
            self._asking.release()
            if asked.method != "GET":
                # Something was done: what came of it is looked at at once.
                self._watcher.hurry()

    def _answer(self, id: int, found: Message | Failure) -> None:
        if isinstance(found, Failure):
            self._sender.add(id, packed({"failure": plain(found)}))
        else:
            head = {"status": found.status, "kind": found.header("content-type")}
            self._sender.add(id, packed(head, found.body))

    def _watch(self) -> None:
        while (asked := self._watcher.asked.get()) is not None:
            id, watch = asked
            try:
                found = self._watcher.news(watch)
            except Exception as error:  # whatever it is, whoever looks is told
                self._sender.add(id, packed({"failure": plain(failure_of(error))}))
            else:
                self._watcher.sent = self._sender.add(id, packed({}, json.dumps(found, separators=(",", ":")).encode()))

    def _send(self) -> None:
        try:
            self._sender.run()
        except OSError:
            # Nobody reads any more.
            os.write(self._breaks, b"!")

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(self._sink, left) :]


class _Watcher:
    """Serves looks: it asks the engine until there is news, and remembers what the other end knows."""

    def __init__(self, client: Client) -> None:
        self.asked: queue.SimpleQueue[tuple[int, Watch] | None] = queue.SimpleQueue()
        self.sent = Sent(memoryview(b""))
        """The last answer, which knows how many bytes of the line it took: by that the next look may wait."""
        self._client = client
        self._known: Plain = None
        """The status that the other end knows, as it was told last."""
        self._failure = ""
        self._uploads = _Uploads()
        self._answered = 0.0
        self._hurry = threading.Event()

    def close(self) -> None:
        self.asked.put(None)

    def hurry(self) -> None:
        """Look at once."""
        self._hurry.set()

    def news(self, watch: Watch) -> Plain:
        """What is new, once there is something, or once `wait` is over.

        Where the engine does not answer that is news too: its error is raised, at once when it is another than was told
        last, and else when `wait` is over.
        """
        end = time.monotonic() + min(watch.wait, _SECONDS_MAX)
        free = self._answered + self.sent.size / LINE_BYTES_A_SECOND
        while True:
            hurried = self._hurry.is_set()
            self._hurry.clear()
            now = time.monotonic()
            if now >= free or hurried:
                try:
                    if (found := self._look(watch, now >= end)) is not None:
                        return found
                except ReplicationError as error:
                    if str(error) != self._failure or time.monotonic() >= end:
                        self._failure = str(error)
                        raise
            elif now >= end:
                # The line is full: an answer without news says that the relay lives.
                return {}
            self._hurry.wait(max(0.0, min(max(watch.refresh, free - now), end - time.monotonic())))

    def _look(self, watch: Watch, in_any_case: bool) -> Plain:
        status = self._get(f"/v1/status?uploads_after={self._uploads.after!r}")
        uploads = self._uploads.with_news(status)
        events = self._get(f"/v1/events?after={watch.after}")
        if events["engine"] != watch.engine:
            if watch.after:
                # All that it has is news.
                events = self._get("/v1/events?after=0")
            events["events"] = events["events"][-EVENTS_FIRST_MAX:]
        patch = difference(self._known, status)
        if _is_quiet(patch) and not (events["events"] or self._failure or in_any_case):
            return None
        self._known, self._failure, self._answered = status, "", time.monotonic()
        self._uploads = uploads
        return {"status": patch, "engine": events["engine"], "events": events["events"]}

    def _get(self, target: str) -> dict[str, Plain]:
        try:
            message = self._client.exchange("GET", target, None, LOOK_SECONDS_MAX, True)
        except EngineError as error:
            if not isinstance(error.__cause__, TimeoutError):
                raise
            raise EngineError("the engine there does not answer; it may hang: look at its log") from None
        try:
            if message.status != 200:
                raise error_of(value_of(Failure, loads(message.body)))
            found = json.loads(message.body, parse_float=_to_the_millisecond, object_hook=_without_totals)
            assert isinstance(found, dict)
        except (ValueError, KeyError, AssertionError):
            raise EngineError(f"the engine answers {message.status} to {target}, which cannot be understood") from None
        return found


class _Uploads:
    """Which uploads the other end knows, so that each goes over the line once."""

    def __init__(self, after: float = 0.0) -> None:
        self.after = after
        """Uploads until this time are known there."""
        self._seen: dict[tuple[str, str], list[Plain]] = {}
        """Those that the engine said at the last look, by database and replica: none of them is news."""
        self._told: dict[tuple[str, str], list[Plain]] = {}

    def with_news(self, status: dict[str, Plain]) -> "_Uploads":
        """Cut the uploads of a status down to new ones, and return what is known afterwards.

        Where none are new, those that were told last stay in it, so that they are no change of the status.
        """
        known = _Uploads(max(0.0, status["time"] - UPLOADS_MARGIN_SECONDS))
        for database in status["databases"]:
            for replica in database["replicas"]:
                key, uploads = (database["path"], replica["name"]), replica["uploads"]
                before = self._seen.get(key, ())
                new = [item for item in uploads if item not in before]
                known._seen[key] = uploads
                replica["uploads"] = known._told[key] = new or self._told.get(key, [])
        return known


def _to_the_millisecond(digits: str) -> float:
    """Nobody is shown more of a time, and its other digits would be most of what the line carries."""
    return round(float(digits), 3)


def _without_totals(found: dict[str, Plain]) -> dict[str, Plain]:
    """A status as a screen needs it: what was counted since the start is for /metrics."""
    found.pop("totals", None)
    return found


def _is_quiet(patch: Plain) -> bool:
    """True if nothing in a status changed but its time, and when databases were synced last."""
    if patch is None:
        return True
    if not isinstance(patch, dict) or not patch.keys() <= {"time", "databases"}:
        return False
    databases = patch.get("databases", {})
    return isinstance(databases, dict) and all(
        isinstance(one, dict) and one.keys() <= {"last_sync"} for one in databases.values()
    )


def serve(client: Client, source: int, sink: int) -> None:
    """Carry between these two descriptors until the first one ends."""
    with suppress(KeyboardInterrupt):
        Relay(client, source, sink).run()
