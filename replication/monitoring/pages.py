"""What an engine shows of itself: the server of `addr` and the heartbeat, as the configuration asks for them.

Its promise: neither keeps an engine from replicating; and another configuration is heeded at once, while what is the
same in both goes on untouched. It leaves to the engine to start and close it.
"""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from replication.config import Config
from replication.events import Emit
from replication.monitoring.readiness import Readiness
from replication.monitoring.requests import Answer, Request
from replication.monitoring.serving import Serving
from replication.status import EngineStatus

if TYPE_CHECKING:
    from replication.metrics import Metrics
    from replication.monitoring.heartbeat import Heartbeat

CHANGE_SECONDS_MAX = 0.5
"""When another address is configured, an answer that is under way has so long to end at the one before."""
PATHS = {
    "/metrics": "what Prometheus reads",
    "/healthz": "200 while the program is alive",
    "/readyz": "200 while every database is restorable to what was committed, else 503 with what is not; "
    "?lag=SECONDS says how long a commit may be missing",
}


class Monitoring:
    """The server and the heartbeat, each only if the configuration asks for it. `status` is called in any thread."""

    def __init__(self, config: Config, status: Callable[[], EngineStatus], emit: Emit) -> None:
        self._config = config
        self._status = status
        self._emit = emit
        self._readiness = Readiness(config)
        self._metrics: Metrics | None = None
        self._serving: Serving | None = None
        self._heartbeat: Heartbeat | None = None
        self._lock = threading.Lock()
        self._runs = False

    def start(self) -> None:
        """Begin with what the configuration asks for."""
        with self._lock:
            self._runs = True
            self._serve()
            self._beat()

    def use(self, config: Config) -> None:
        """Do as this configuration asks from now on."""
        with self._lock:
            before, self._config = self._config, config
            self._readiness = Readiness(config)
            if not self._runs:
                return
            if config.addr != before.addr:
                if self._serving is not None:
                    self._serving.close(CHANGE_SECONDS_MAX)
                    self._serving = None
                    self._emit("info", "metrics are served no longer", at=before.addr or "")
                self._serve()
            if (config.heartbeat_url, config.heartbeat_interval) != (before.heartbeat_url, before.heartbeat_interval):
                if self._heartbeat is not None:
                    self._heartbeat.close()
                    self._heartbeat = None
                    self._emit("info", "heartbeats end, or go on as the configuration has them now")
                self._beat()

    def close(self, timeout_seconds: float) -> list[str]:
        """End the server and the heartbeat. Return the names of what did not end in time."""
        with self._lock:
            self._runs = False
            if self._heartbeat is not None:
                self._heartbeat.close()
            serving = self._serving
        return [] if serving is None or serving.close(timeout_seconds) else ["metrics"]

    def answer(self, request: Request) -> Answer:
        """The answer to a request."""
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
            self._metrics = Metrics(self._status, lambda status: self._readiness.holds(status))
        return Answer(200, self._metrics.text(), CONTENT_TYPE)

    def _ready(self, lag: str | None) -> Answer:
        seconds = None
        if lag is not None:
            if not lag.isascii() or not lag.isdigit():
                return Answer.words(400, "lag is a whole number of seconds, such as /readyz?lag=30")
            seconds = float(lag)
        missing = self._readiness.missing(self._status(), seconds)
        return Answer.words(503, "\n".join(missing)) if missing else Answer.words(200, "ready")

    # -- the lock is held in what follows ---------------------------------------------------------------------------

    def _serve(self) -> None:
        if self._config.addr:
            self._serving = Serving(self._config.addr, self.answer, self._emit)
            self._serving.start()

    def _beat(self) -> None:
        config = self._config
        if not config.heartbeat_url:
            return
        # What sends it is of no use to anybody else here.
        from replication.monitoring.heartbeat import Heartbeat

        self._heartbeat = Heartbeat(
            config.heartbeat_url,
            config.heartbeat_interval,
            lambda: self._readiness.missing(self._status()),
            self._emit,
        )
        self._heartbeat.start()
