"""What an engine shows of itself: the server of `addr` and the heartbeat, as the configuration asks for them.

Its promise: neither keeps an engine from replicating. An address that cannot be listened on is reported, and tried
again until it is free, for the engine before may still have it. It leaves to the engine to start and close it.
"""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from replication.config import Config
from replication.errors import ReplicationError
from replication.events import Emit
from replication.monitoring.address import listen, shown
from replication.monitoring.readiness import Readiness
from replication.monitoring.requests import Answer, Request
from replication.monitoring.server import Server
from replication.status import EngineStatus

if TYPE_CHECKING:
    from replication.metrics import Metrics
    from replication.monitoring.heartbeat import Heartbeat

LISTEN_AGAIN_SECONDS = 5.0
PATHS = {
    "/metrics": "what Prometheus reads",
    "/healthz": "200 while the program is alive",
    "/readyz": "200 while every database is restorable to what was committed, else 503 with what is not; "
    "?lag=SECONDS says how long a commit may be missing",
}


class Monitoring:
    """Nothing runs unless the configuration asks for it. `status` may be asked in any thread."""

    def __init__(self, config: Config, status: Callable[[], EngineStatus], emit: Emit) -> None:
        self._config = config
        self._status = status
        self._emit = emit
        self._readiness = Readiness(config)
        self._metrics: Metrics | None = None
        self._server: Server | None = None
        self._heartbeat: Heartbeat | None = None
        self._ended = threading.Event()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin with what the configuration asks for."""
        config = self._config
        if config.addr:
            self._listen(config.addr)
        if config.heartbeat_url:
            # What sends it is of no other use here.
            from replication.monitoring.heartbeat import Heartbeat

            self._heartbeat = Heartbeat(
                config.heartbeat_url,
                config.heartbeat_interval,
                lambda: self._readiness.missing(self._status()),
                self._emit,
            )
            self._heartbeat.start()

    def close(self, timeout_seconds: float) -> list[str]:
        """End the server and the heartbeat. Return the names of what did not end in time."""
        self._ended.set()
        if self._heartbeat is not None:
            self._heartbeat.close()
        with self._lock:
            server = self._server
        return [] if server is None or server.close(timeout_seconds) else ["metrics"]

    def answer(self, request: Request) -> Answer:
        """What is said to a request."""
        if request.path == "/metrics":
            return self._scrape()
        if request.path == "/healthz":
            return Answer.words(200, "alive")
        if request.path == "/readyz":
            return self._ready(request.query.get("lag"))
        return Answer.words(404, "\n".join(f"{path}  {words}" for path, words in PATHS.items()))

    def _scrape(self) -> Answer:
        # Loaded at the first scrape: it takes longer than all the rest of a start.
        from replication.metrics import CONTENT_TYPE, Metrics

        if self._metrics is None:
            self._metrics = Metrics(self._status, self._readiness.holds)
        return Answer(200, self._metrics.text(), CONTENT_TYPE)

    def _ready(self, lag: str | None) -> Answer:
        seconds = None
        if lag is not None:
            if not lag.isascii() or not lag.isdigit():
                return Answer.words(400, "lag is a whole number of seconds, such as /readyz?lag=30")
            seconds = float(lag)
        missing = self._readiness.missing(self._status(), seconds)
        return Answer.words(503, "\n".join(missing)) if missing else Answer.words(200, "ready")

    def _listen(self, addr: str) -> None:
        try:
            self._serve(addr)
        except ReplicationError as error:
            self._emit("error", "no metrics are served", error=f"{error}. Replication goes on; it is tried again")
            threading.Thread(target=self._listen_later, args=(addr,), name="metrics-listen", daemon=True).start()

    def _listen_later(self, addr: str) -> None:
        while not self._ended.wait(LISTEN_AGAIN_SECONDS):
            try:
                self._serve(addr)
            except ReplicationError:
                continue
            return

    def _serve(self, addr: str) -> None:
        with self._lock:
            if self._ended.is_set():
                return
            listening = listen(addr)
            self._server = Server(listening, self.answer)
            where = shown(listening)
            self._server.start()
        self._emit("info", "serving metrics", at=f"{where}/metrics")
