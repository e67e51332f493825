"""From a commit to its object: at the default intervals, at short ones, and with many databases."""

import random
import time

from benchmarks.programs import SHORT
from benchmarks.sought import token
from benchmarks.stage import Figures, Stage, percentile

GAP_SECONDS_MAX = 2.0
UNSHIPPED_SECONDS = 2.0
"""After so long at 10 ms intervals a commit counts as waiting for the next."""
SHORT_GAP_SECONDS_MAX = 0.1


def at_random_moments(stage: Stage) -> Figures:
    """100 commits, 0 to 2 seconds apart, at the default settings."""
    chance = random.Random(1)
    tokens = [token(0, number) for number in range(stage.count(100, 3))]
    gaps = [chance.uniform(0, GAP_SECONDS_MAX) for _ in tokens]
    with stage.replicated() as (program, application):
        # What the program writes by itself after its start is over.
        time.sleep(GAP_SECONDS_MAX)
        stage.store.sought.expect(tokens)
        objects = stage.store.objects
        moments = application.schedule([(sum(gaps[: at + 1]), one) for at, one in enumerate(tokens)])
        stage.wait(tokens, program)
        seconds = [stage.stored(one) - moment for one, moment in zip(tokens, moments, strict=True)]
        return {
            "p50": percentile(seconds, 50) * 1000,
            "p95": percentile(seconds, 95) * 1000,
            "objects": stage.store.objects - objects,
        }


def at_short_intervals(stage: Stage) -> Figures:
    """100 commits at intervals of 10 ms, each made when the one before is stored, or was given up."""
    chance = random.Random(2)
    seconds, unshipped = [], 0
    with stage.replicated(intervals=SHORT) as (program, application):
        time.sleep(GAP_SECONDS_MAX)
        began, processor = time.monotonic(), program.meter.cpu_seconds()
        for number in range(stage.count(100, 3)):
            time.sleep(chance.uniform(0, SHORT_GAP_SECONDS_MAX))
            one = token(0, number)
            stage.store.sought.expect([one])
            [moment] = application.commit([one])
            if stage.store.sought.wait([one], UNSHIPPED_SECONDS, program.check):
                seconds.append(stage.stored(one) - moment)
            else:
                unshipped += 1
        share = (program.meter.cpu_seconds() - processor) / (time.monotonic() - began)
    return {
        "p50": percentile(seconds, 50) * 1000 if seconds else None,
        "p99": percentile(seconds, 99) * 1000 if seconds else None,
        "unshipped": unshipped,
        "cpu": 100 * share,
    }


def many_databases(stage: Stage) -> Figures:
    """200 databases with a commit a second each, evenly spread, for 20 seconds."""
    databases, rounds = stage.count(200, 2), stage.count(20, 3)
    tokens = [token(database, number) for number in range(rounds) for database in range(databases)]
    with stage.replicated(databases) as (program, application):
        stage.store.sought.expect(tokens)
        began, processor = time.monotonic(), program.meter.cpu_seconds()
        moments = application.schedule([(at / databases, one) for at, one in enumerate(tokens)])
        share = (program.meter.cpu_seconds() - processor) / (time.monotonic() - began)
        stage.wait(tokens, program)
        seconds = [stage.stored(one) - moment for one, moment in zip(tokens, moments, strict=True)]
        return {
            "p50": percentile(seconds, 50) * 1000,
            "p95": percentile(seconds, 95) * 1000,
            "cpu": 100 * share,
            "memory": program.meter.memory_mb(),
        }
