"""Many databases: idle, started anew with something to ship, and very many."""

import time

from benchmarks.application import application
from benchmarks.sought import token
from benchmarks.stage import Figures, Stage

IDLE_SECONDS = 20
SETTLE_SECONDS = 5
VERY_MANY_SECONDS_MAX = 600.0


def idle(stage: Stage, databases: int) -> Figures:
    """Replicated databases that nobody writes to."""
    with stage.replicated(stage.count(databases)) as (program, _):
        # What the program still has to do after its start, tables of its own among it.
        time.sleep(stage.scaled(SETTLE_SECONDS))
        began, processor, requests = time.monotonic(), program.meter.cpu_seconds(), stage.store.requests
        time.sleep(stage.scaled(IDLE_SECONDS))
        seconds, asked = time.monotonic() - began, stage.store.requests
        return {
            "cpu": 100 * (program.meter.cpu_seconds() - processor) / seconds,
            "requests": None if asked is None or requests is None else (asked - requests) * 60 / seconds,
            "memory": program.meter.memory_mb(),
            "peak": program.meter.peak_mb(),
            "descriptors": program.meter.descriptors(),
        }


def restart(stage: Stage, databases: int = 100) -> Figures:
    """Started with replicated databases, each of which got a commit meanwhile."""
    count = stage.count(databases)
    paths = stage.paths(count)
    later = [token(number, "later") for number in range(count)]
    with stage.replicated(count) as (program, writer):
        program.stop()
        writer.commit(later)
        stage.store.sought.expect(later)
        requests = stage.store.requests
        with stage.running(paths) as again:
            stage.wait(later, again)
            asked = stage.store.requests
            seconds = [stage.stored(one) - again.began for one in later]
            return {
                "first": min(seconds),
                "all": max(seconds),
                "requests": None if asked is None or requests is None else asked - requests,
                "cpu": again.meter.cpu_seconds(),
            }


def very_many(stage: Stage, databases: int = 2000) -> Figures:
    """From the start until all are replicated, and what they cost then."""
    count = stage.count(databases)
    paths = stage.paths(count)
    first = [token(number, "first") for number in range(count)]
    stage.store.sought.expect(first)
    with application(paths) as writer:
        writer.commit(first)
        with stage.running(paths) as program:
            stage.wait(first, program, VERY_MANY_SECONDS_MAX)
            seconds = max(stage.stored(one) for one in first) - program.began
            time.sleep(stage.scaled(SETTLE_SECONDS))
            began, processor = time.monotonic(), program.meter.cpu_seconds()
            time.sleep(stage.scaled(IDLE_SECONDS))
            return {
                "seconds": seconds,
                "cpu": 100 * (program.meter.cpu_seconds() - processor) / (time.monotonic() - began),
                "memory": program.meter.memory_mb(),
                "descriptors": program.meter.descriptors(),
            }
