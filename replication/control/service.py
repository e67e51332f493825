"""The control of an engine of this process and its socket, from before the engine starts until it is closed.

Its promise: what goes wrong with the socket is reported, and has no other effect: replication does not depend on who
can ask about it. While another engine listens there, as during a deploy, its end is waited for.
"""

import os
import signal
import threading
from collections.abc import Callable

from replication.config import Config
from replication.control.listener import TakenError
from replication.control.local import Local
from replication.control.place import path_of
from replication.control.rereading import Rereading
from replication.control.server import Server
from replication.engine import Engine
from replication.errors import LocalFileError

AGAIN_SECONDS = 0.2
"""Between two tries for a socket path that another engine has."""


def end_by_signal() -> None:
    """End this process in good order, as systemd does when it stops a service."""
    os.kill(os.getpid(), signal.SIGTERM)


class ControlService:
    """`control` is for the screen of this process; others ask over the socket, from `start` to `close`."""

    def __init__(
        self,
        engine: Engine,
        config: Config,
        version: str,
        kind: str = "service",
        ends: Callable[[], None] = end_by_signal,
        rereading: Rereading | None = None,
    ) -> None:
        self.control = Local(engine, config, version, kind, ends, rereading)
        self._events = engine.events
        self._server: Server | None = None
        self._closed = threading.Event()
        self._config = config
        self._thread: threading.Thread | None = None
        path = path_of(config)
        if path is not None:
            engine.name_control(str(path))
            self._server = Server(self.control, path, config.socket.permissions)

    def start(self) -> None:
        """Listen, if the configuration has it so; trouble is an event."""
        if self._server is None or self._listens(self._server):
            return
        self._thread = threading.Thread(target=self._wait, args=(self._server,), name="control waits", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Close the socket and the jobs."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join(AGAIN_SECONDS * 5)
        if self._server is not None:
            self._server.close()

    def _listens(self, server: Server) -> bool:
        """True once the socket listens, or never will."""
        try:
            server.start()
        except TakenError:
            return False
        except LocalFileError as error:
            self._events.emit("warning", str(error))
            return True
        self._events.emit("info", "control socket", path=str(server.path))
        return True

    def _wait(self, server: Server) -> None:
        self._events.emit("warning", f"another engine listens at {server.path}; its end is waited for")
        while not self._closed.wait(AGAIN_SECONDS):
            if self._listens(server):
                return
