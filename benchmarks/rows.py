"""The registry: every kind of work that is measured, and the figures of each."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks import crowds, images, latency, moments, neighbours, throughput
from benchmarks.stage import Figures, Stage

BOTH = ("file", "s3")
S3 = ("s3",)


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a measurement. `ratio` is whether it is compared between the programs."""

    key: str
    label: str
    unit: str = ""
    ratio: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of work; its first sentence is the docstring of what measures it, unless it has a title."""

    name: str
    title: str
    measure: Callable[[Stage], Figures]
    figures: tuple[Figure, ...]
    stores: tuple[str, ...] = BOTH
    warm_up: bool = False
    """Whether one run of each program goes before those that count."""


SECONDS = Figure("seconds", "time", "s")
CPU = Figure("cpu", "processor time", "s")
SHARE = Figure("cpu", "processor", "%")
MEMORY = Figure("memory", "memory at its peak", "MB")
MEMORY_NOW = Figure("memory", "memory at the end", "MB")
REQUESTS = Figure("requests", "requests", "/min")
DESCRIPTORS = Figure("descriptors", "descriptors", "", ratio=False)

IDLE = (SHARE, REQUESTS, MEMORY_NOW, Figure("peak", "memory at its peak", "MB"), DESCRIPTORS)


def _percentiles(high: int) -> tuple[Figure, Figure]:
    return Figure("p50", "commit to stored, p50", "ms"), Figure(f"p{high}", f"commit to stored, p{high}", "ms")


ROWS = (
    Row(
        "latency",
        "commits at random moments, default intervals",
        latency.at_random_moments,
        (*_percentiles(95), Figure("objects", "objects stored")),
    ),
    Row(
        "latency-10ms",
        "commits at intervals of 10 ms",
        latency.at_short_intervals,
        (*_percentiles(99), SHARE, Figure("unshipped", "not shipped until the next commit", ratio=False)),
    ),
    Row(
        "flood",
        "flood: 100-row transactions as fast as the application can",
        throughput.flood,
        (
            Figure("rate", "WAL shipped a second (more is better)", "MB"),
            Figure("cpu", "processor time for 100 MB of WAL", "s"),
            MEMORY,
            Figure("wal", "the application's -wal at the end", "MB"),
            Figure("stall", "longest transaction of the writer", "ms"),
            Figure("p99", "its transactions, p99", "ms"),
            Figure("written", "WAL written", "MB", ratio=False),
        ),
    ),
    Row(
        "paced",
        "5.9 MB of WAL a second",
        throughput.paced,
        (
            SHARE,
            Figure("behind", "behind at the end", "s"),
            Figure("stall", "longest transaction of the writer", "ms"),
            MEMORY,
        ),
    ),
    Row(
        "bulk",
        "bulk: 496 MB of WAL in 24 transactions",
        throughput.bulk,
        (
            Figure("seconds", "until all is stored", "s"),
            Figure("after", "of that after the last commit", "s"),
            CPU,
            MEMORY,
            Figure("megabytes", "WAL written", "MB", ratio=False),
        ),
    ),
    Row("snapshot", "first snapshot of 1 GB", images.snapshot, (SECONDS, CPU, MEMORY)),
    Row("restore", "restore of 1 GB and 200 commits", images.restore, (SECONDS, CPU, MEMORY)),
    Row(
        "restore-segments",
        "restore of 5,000 commits in small segments",
        images.restore_segments,
        (SECONDS, CPU, MEMORY, Figure("segments", "segments", ratio=False)),
    ),
    Row("idle-1", "idle, 1 database", partial(crowds.idle, databases=1), IDLE),
    Row("idle-100", "idle, 100 databases", partial(crowds.idle, databases=100), IDLE),
    Row("idle-500", "idle, 500 databases", partial(crowds.idle, databases=500), IDLE),
    Row(
        "many",
        "200 databases, a commit a second each",
        latency.many_databases,
        (*_percentiles(95), SHARE, MEMORY_NOW),
    ),
    Row(
        "restart",
        "start with 100 replicated databases and a commit to each",
        crowds.restart,
        (
            Figure("first", "first stored", "s"),
            Figure("all", "all stored", "s"),
            Figure("requests", "requests"),
            CPU,
        ),
    ),
    Row(
        "very-many",
        "start with 2,000 databases",
        crowds.very_many,
        (
            Figure("seconds", "until all are replicated", "s"),
            Figure("cpu", "processor, idle then", "%"),
            MEMORY_NOW,
            DESCRIPTORS,
        ),
    ),
    Row(
        "outage",
        "the store is back after 20 s",
        moments.outage,
        (Figure("seconds", "until the waiting commit is stored", "s"),),
        stores=S3,
    ),
    Row(
        "neighbours",
        "worst wait from commit to stored while something else is in trouble",
        neighbours.neighbours,
        (
            Figure("own-snapshot", "beside its own snapshot of 30 MB at 1 MB/s", "s"),
            Figure("validation", "beside 8 validations of other databases", "s"),
            Figure("silent", "10 file replicas beside as many at a server that says nothing", "s"),
            Figure("deletes", "while removing is refused", "s"),
            Figure("large", "small databases beside 8 first snapshots of 60 MB", "s"),
        ),
        stores=S3,
    ),
    Row("version", "version", moments.version, (SECONDS, CPU, MEMORY), stores=("file",), warm_up=True),
)
