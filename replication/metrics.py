"""How an engine stands, as Prometheus reads it: the measures of measures.py as text.

Its promise: a scrape asks neither disk nor store, and no label holds a secret. It leaves to the caller to serve the
text. Nobody else imports the library.
"""

from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from replication.measures import LITESTREAM, OURS, READY, ROWS, OfDatabase, OfEngine, OfReplica, Row, Samples
from replication.scrub import scrub
from replication.status import EngineStatus

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


class Metrics(Collector):
    """The text of a scrape, of whatever `status` says at that moment. `ready` is what /readyz finds in it."""

    def __init__(self, status: Callable[[], EngineStatus], ready: Callable[[EngineStatus], bool]) -> None:
        self._status = status
        self._ready = ready
        self._registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._registry)
        self._registry.register(self)

    def text(self) -> bytes:
        """All of it, in the format of CONTENT_TYPE."""
        text = generate_latest(self._registry)
        for row in ROWS:
            # The library takes every counter's name to end in _total; those of Litestream do not.
            if row.kind == "counter" and not row.name.endswith("_total"):
                for word in ("HELP", "TYPE"):
                    text = text.replace(f"# {word} {row.name}_total ".encode(), f"# {word} {row.name} ".encode())
        return text

    def describe(self) -> Iterator[Metric]:
        """Nothing is collected at the beginning, when nothing runs yet."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """All metrics that have a value."""
        status = self._status()
        # The labels of a database or a replica are made once, and not for every metric.
        databases = [(database, (scrub(database.path),)) for database in status.databases]
        replicas = [
            (replica, (path, scrub(replica.name))) for database, (path,) in databases for replica in database.replicas
        ]
        for row in (*LITESTREAM, *OURS):
            metric = Metric(row.name.removesuffix("_total") if row.kind == "counter" else row.name, row.words, row.kind)
            if isinstance(row, OfDatabase):
                for database, labels in databases:
                    _add(metric, row, labels, row.of(database, status.time))
            elif isinstance(row, OfReplica):
                for replica, both in replicas:
                    _add(metric, row, both, row.of(replica, status.time))
            elif isinstance(row, OfEngine):
                _add(metric, row, (), row.of(status))
            if metric.samples:
                yield metric
        metric = Metric(READY.name, READY.words, READY.kind)
        metric.add_sample(READY.name, {}, float(self._ready(status)))
        yield metric


def _add(metric: Metric, row: Row, labels: Sequence[str], samples: Samples) -> None:
    for more, value in samples:
        if value is not None:
            metric.add_sample(row.name, dict(zip(row.labels, (*labels, *more), strict=True)), value)
