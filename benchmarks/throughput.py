"""Much to ship: as fast as the application can, at a steady rate, and in few large transactions."""

import time

from benchmarks.sought import token
from benchmarks.stage import MEGABYTE, Figures, Stage, percentile

ROWS = 100
ROW_BYTES = 1000
PACED_BYTES_PER_SECOND = 5.9e6
BULK_BYTES = 496 * MEGABYTE
BULK_TRANSACTIONS = 24
BULK_ROW_BYTES = 1000


def flood(stage: Stage) -> Figures:
    """100-row transactions of 1 KB rows as fast as the application can, for 6 seconds."""
    last = token(0, "last")
    wal = stage.paths(1)[0].with_suffix(".db-wal")
    with stage.replicated() as (program, application):
        stage.store.sought.expect([last])
        processor = program.meter.cpu_seconds()
        flooded = application.flood(ROWS, ROW_BYTES, last, seconds=stage.scaled(6, 0.5))
        wal_end_bytes = wal.stat().st_size
        stage.wait([last], program)
        megabytes = flooded.wal_bytes / MEGABYTE
        return {
            "rate": megabytes / (stage.stored(last) - flooded.began),
            "cpu": (program.meter.cpu_seconds() - processor) / megabytes * 100,
            "memory": program.meter.peak_mb(),
            "wal": wal_end_bytes / MEGABYTE,
            "stall": max(flooded.took) * 1000,
            "p99": percentile(flooded.took, 99) * 1000,
            "written": megabytes,
        }


def paced(stage: Stage, bytes_per_second: float = PACED_BYTES_PER_SECOND) -> Figures:
    """The same transactions at 5.9 MB of WAL a second, for 20 seconds."""
    last = token(0, "last")
    with stage.replicated() as (program, application):
        stage.store.sought.expect([last])
        began, processor = time.monotonic(), program.meter.cpu_seconds()
        seconds = stage.scaled(20, 1)
        flooded = application.flood(ROWS, ROW_BYTES, last, seconds=seconds, wal_bytes_per_second=bytes_per_second)
        share = (program.meter.cpu_seconds() - processor) / (time.monotonic() - began)
        stage.wait([last], program)
        return {
            "cpu": 100 * share,
            "behind": stage.stored(last) - flooded.ended,
            "stall": max(flooded.took) * 1000,
            "memory": program.meter.peak_mb(),
        }


def bulk(stage: Stage) -> Figures:
    """496 MB of WAL in 24 transactions."""
    last = token(0, "last")
    # Four rows of 1000 bytes fit into a page of 4096, which is a frame of 4120.
    rows = round(stage.scaled(BULK_BYTES) / BULK_TRANSACTIONS / 4120 * 4)
    with stage.replicated() as (program, application):
        stage.store.sought.expect([last])
        processor = program.meter.cpu_seconds()
        flooded = application.flood(rows, BULK_ROW_BYTES, last, transactions=BULK_TRANSACTIONS)
        stage.wait([last], program)
        return {
            "seconds": stage.stored(last) - flooded.began,
            "after": stage.stored(last) - flooded.ended,
            "cpu": program.meter.cpu_seconds() - processor,
            "memory": program.meter.peak_mb(),
            "megabytes": flooded.wal_bytes / MEGABYTE,
        }
