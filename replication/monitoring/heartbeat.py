"""A request to a URL now and then, as long as all is restorable: a watcher at the other end is alarmed when none comes.

Its promise: a URL that is dead, silent or drips costs nobody anything but the heartbeat itself, and what it is appears
in no message, for most of them hold a key. It leaves to the caller what is restorable.
"""

import threading
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Sequence
from urllib.parse import SplitResult, unquote, urlsplit

from replication.events import Emit

CHECK_SECONDS = 15.0
"""How often to look whether a heartbeat may go that was due and did not."""
ANSWER_SECONDS_MAX = 30.0
HUNG_MAX = 2
"""Requests that did not end in time and are still there; no other begins beyond that."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect, which would send a key elsewhere."""

    def redirect_request(self, *_: object) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)


class Heartbeat:
    """Sends heartbeats in one thread, and each request in another.

    `missing` says in sentences what is not restorable.
    """

    def __init__(
        self,
        url: str,
        interval_seconds: float,
        missing: Callable[[], Sequence[str]],
        emit: Emit,
        check_seconds: float = CHECK_SECONDS,
        answer_seconds: float = ANSWER_SECONDS_MAX,
    ) -> None:
        self._url = url
        self._interval = interval_seconds
        self._missing = missing
        self._emit = emit
        self._check_seconds = min(check_seconds, interval_seconds)
        self._answer_seconds = answer_seconds
        self._host = urlsplit(url).hostname or ""
        self._told: str | None = None
        self._requests: list[threading.Thread] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin, with the first one as soon as all is restorable."""
        self._thread.start()

    def close(self) -> None:
        """Send no more. What is under way is not waited for."""
        self._ended.set()

    def _run(self) -> None:
        wait = min(1.0, self._check_seconds)
        while not self._ended.wait(wait):
            wait = self._check_seconds
            try:
                if self._beat():
                    wait = self._interval
            except Exception as error:  # whatever it is: the next one comes
                self._tell(f"this is a bug, please report it: {type(error).__name__}")

    def _beat(self) -> bool:
        """Send one, if all is restorable. Return True if it was tried."""
        if missing := self._missing():
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            self._tell(f"none is sent, as not all is restorable: {missing[0]}{more}")
            return False
        self._tell(self._send())
        return True

    def _tell(self, words: str) -> None:
        # Numbers in it are others each time.
        kind = "".join(char for char in words if not char.isdigit())
        if kind != self._told:
            self._told = kind
            if words:
                self._emit("warning", "no heartbeat", error=words)
            else:
                self._emit("info", "heartbeat sent", to=self._host)

    def _send(self) -> str:
        """Send one. Return why it did not arrive, or "" if it did."""
        self._requests = [thread for thread in self._requests if thread.is_alive()]
        if len(self._requests) >= HUNG_MAX:
            return f"{self._host} does not answer"
        outcome = [f"{self._host} did not answer within {self._answer_seconds:g} s"]
        # Names are looked up and headers are read without a bound of our own.
        thread = threading.Thread(target=lambda: outcome.append(self._request()), name="heartbeat-request", daemon=True)
        self._requests.append(thread)
        thread.start()
        deadline = time.monotonic() + self._answer_seconds
        while thread.is_alive() and not self._ended.is_set() and time.monotonic() < deadline:
            thread.join(0.1)
        return outcome[-1]

    def _request(self) -> str:
        try:
            with _OPENER.open(_request(urlsplit(self._url)), timeout=self._answer_seconds):
                # The body of the answer is of no interest.
                return ""
        except urllib.error.HTTPError as error:
            with error:
                more = "; write the URL that it leads to" if 300 <= error.code < 400 else ""
                return f"{self._host} answered with status {error.code}{more}"
        except urllib.error.URLError as error:
            why = error.reason.strerror if isinstance(error.reason, OSError) else None
            return f"{self._host} was not reached: {why or type(error.reason).__name__}"
        except Exception as error:  # its words may hold the URL
            return f"{self._host} did not answer as HTTP does: {type(error).__name__}"


def _request(url: SplitResult) -> urllib.request.Request:
    host = url.netloc.rpartition("@")[2]
    request = urllib.request.Request(url._replace(netloc=host, fragment="").geturl())
    request.add_header("User-Agent", "litestream-tui")
    if url.username is not None:
        both = f"{unquote(url.username)}:{unquote(url.password or '')}"
        request.add_header("Authorization", f"Basic {b64encode(both.encode()).decode()}")
    return request
