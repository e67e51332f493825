"""An engine with one database and a replica, asked in its process, over a socket or a relay: the same tests for all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from replication.config import load_config
from replication.control import JobControl
from replication.control.client import Client
from replication.control.local import Local
from replication.control.rereading import Rereading
from replication.control.server import Server
from replication.engine import Engine
from tests.control.relayed import far_client
from tests.engine.running import in_step, running, until
from tests.foreign import Shell

Way = Literal["here", "socket", "relay"]
WAYS: tuple[Way, ...] = ("here", "socket", "relay")
VERSION = "v9.8.7"


@dataclass(frozen=True, slots=True)
class Served:
    """The engine, what it may be asked by, and its database."""

    engine: Engine
    control: JobControl
    local: Local
    server: Server
    path: Path
    file: Path
    """Its configuration."""
    replicas: tuple[Path, ...]

    def rewrite(self, *more: str, top: str = "") -> None:
        """Write these entries into the configuration beside its own database."""
        self.file.write_text(f"{top}dbs:\n{entry(self.path, *self.replicas)}{''.join(more)}")

    @property
    def name(self) -> str:
        """Its database, as the status names it."""
        return str(self.path)


def entry(path: Path, *replicas: Path) -> str:
    """A database of a configuration, with settings that make things happen soon."""
    shown = ", ".join(f"{{name: {one.name}, path: {one}, sync-interval: 1ms}}" for one in replicas)
    return f"- {{path: {path}, monitor-interval: 100ms, checkpoint-interval: 0s, replicas: [{shown}]}}\n"


@contextmanager
def served(folder: Path, way: Way = "socket", replicas: tuple[str, ...] = ("replica",)) -> Iterator[Served]:
    """An engine in step with its replicas, and one row in the table t."""
    path = folder / "app.db"
    Shell(path).run("PRAGMA journal_mode=wal; CREATE TABLE t(a); INSERT INTO t VALUES(1)")
    file = folder / "litestream.yml"
    folders = tuple(folder / name for name in replicas)
    file.write_text(f"dbs:\n{entry(path, *folders)}")
    config = load_config(file)
    ended: list[int] = []
    with running(config) as engine:
        until(lambda: in_step(engine))
        rereading = Rereading(engine, lambda: load_config(file))
        local = Local(engine, config, VERSION, ends=lambda: ended.append(os.getpid()), rereading=rereading)
        server = Server(local, folder / "s")
        server.start()
        client = far_client(server.path) if way == "relay" else Client(server.path)
        try:
            if way == "relay":
                client.look(0)
            yield Served(engine, local if way == "here" else client, local, server, path, file, folders)
        finally:
            client.close()
            server.close()
            left = local.close()
    assert left == []
