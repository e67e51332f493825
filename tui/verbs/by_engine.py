"""A restore or a verification that the engine which runs does, where the store cannot be reached from here.

A service has the keys of the store, and its network; a person at the same machine may have neither. Its promise: it is
said when the engine does it; whatever interrupts the command cancels the job; and a file that the engine wrote is
looked for, since one in a container, or with a /tmp of its own, may have written it elsewhere.
"""

import os
import threading
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from replication.control import requests as ask
from replication.control.commands import carry_out
from replication.control.values import JobStatus
from replication.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    EngineError,
    LocalFileError,
    NoEngineError,
    ReplicationError,
    RestoreCancelledError,
    StorageError,
    UsageError,
)
from replication.restore.meter import RestoreProgress
from replication.restore.retry import CANCELLED
from replication.storage.url import is_replica_url
from tui.verbs.console import warn
from tui.verbs.named import Named

if TYPE_CHECKING:
    from replication.control.client import Client

_UNREACHED = (AccessDeniedError, BucketNotFoundError)


class Bar(Protocol):
    """How far it is, for people."""

    def show(self, progress: RestoreProgress) -> None:
        """So far."""

    def clear(self) -> None:
        """Something else is said."""


class ByEngine:
    """The engine that does it, for `database` as it knows that."""

    def __init__(self, client: "Client", database: str, pid: int) -> None:
        self.database = database
        self.pid = pid
        self._client = client

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    def for_each(self) -> "list[ByEngine]":
        """A `ByEngine` for each database of the engine."""
        return [ByEngine(self._client, name, self.pid) for name in self._client.info().databases]

    def forget(self, id: str) -> None:
        """Let go of what a job keeps."""
        self._client.forget(id)

    def do(
        self,
        request: ask.Request,
        bar: Bar,
        cancel: threading.Event,
        began: Callable[[str], None] = lambda id: None,
        is_kept: bool = False,
    ) -> Any:
        """What came of a job; raises its error, and RestoreCancelledError once `cancel` is set.

        `began` is told its id. With `is_kept` what was done although `cancel` is set is given all the same.
        """
        said: list[str] = []

        def told(job: JobStatus) -> None:
            began(job.id)
            if job.progress is not None:
                bar.show(job.progress)
            if job.words and job.words not in said:
                said.append(job.words)
                bar.clear()
                warn(job.words)

        try:
            result = carry_out(self._client, request, told, cancel)
        except NoEngineError as error:
            raise EngineError(f"{error}. What it had not finished is not at its output") from None
        if cancel.is_set() and not is_kept:
            raise RestoreCancelledError(CANCELLED)
        return result

    def look_for(self, output: Path) -> None:
        """Raise LocalFileError if what the engine has restored cannot be seen here."""
        if not os.path.lexists(output):
            raise LocalFileError(
                f"the engine, pid {self.pid}, has restored to {output} as it sees it, and there is no such file here: "
                "it is in a container, or has folders of its own (PrivateTmp). Name an output in a folder that both see"
            )


def named_by_socket(args: Namespace, or_all: bool = False) -> ByEngine:
    """The engine of -socket, and the database that is named: none, with `or_all`. Raises NoEngineError, UsageError."""
    # Loaded for who names one, as below.
    from tui.verbs.running_engine import client_of, database_of

    if args.source and is_replica_url(args.source):
        raise UsageError("cannot specify a replica URL and -socket: an engine knows databases by their paths")
    client = client_of(args)
    database = "" if or_all and not args.source else database_of(args, client)
    return ByEngine(client, database, client.info().pid)


def instead(error: ReplicationError, named: Named) -> ByEngine | None:
    """The engine that has a database whose store cannot be reached from here, as `error` says; None if none can."""
    if named.config is None or named.database is None or not _is_unreached(error):
        return None
    from replication.control.client import Client
    from replication.control.place import find

    database = named.database.path
    try:
        path = find(named.config)
        if path is None:
            return None
        client = Client(path)
        info = client.info()
    except ReplicationError as refused:
        warn(f"the engine that runs cannot do it either: {refused}")
        return None
    if str(database) not in info.databases:
        client.close()
        return None
    warn(f"{_sentence(error)}. That is from here; the engine that runs, pid {info.pid}, does it")
    return ByEngine(client, str(database), info.pid)


def _is_unreached(error: ReplicationError) -> bool:
    """Whether keys or the network are what is missing; what a store says of an object is the same for everybody."""
    return type(error) is StorageError or isinstance(error, _UNREACHED)


def _sentence(error: ReplicationError) -> str:
    return str(error).rstrip(".!? ")
