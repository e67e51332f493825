"""An engine with one database and a replica, asked in its process or over a socket: the same tests for both."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from replication.control import JobControl
from replication.control.client import Client
from replication.control.local import Local
from replication.control.server import Server
from replication.engine import Engine
from tests.engine.running import config_of, in_step, running, until
from tests.foreign import Shell

Way = Literal["here", "socket"]
WAYS: tuple[Way, ...] = ("here", "socket")
VERSION = "v9.8.7"


@dataclass(frozen=True, slots=True)
class Served:
    """The engine, what it may be asked by, and its database."""

    engine: Engine
    control: JobControl
    local: Local
    server: Server
    path: Path

    @property
    def name(self) -> str:
        """Its database, as the status names it."""
        return str(self.path)


@contextmanager
def served(folder: Path, way: Way = "socket", replicas: tuple[str, ...] = ("replica",)) -> Iterator[Served]:
    """An engine in step with its replicas, and one row in the table t."""
    path = folder / "app.db"
    Shell(path).run("PRAGMA journal_mode=wal; CREATE TABLE t(a); INSERT INTO t VALUES(1)")
    config = config_of(path, *(folder / name for name in replicas))
    ended: list[int] = []
    with running(config) as engine:
        until(lambda: in_step(engine))
        local = Local(engine, config, VERSION, ends=lambda: ended.append(os.getpid()))
        server = Server(local, folder / "s")
        server.start()
        client = Client(server.path)
        try:
            yield Served(engine, client if way == "socket" else local, local, server, path)
        finally:
            client.close()
            server.close()
            left = local.close()
    assert left == []
