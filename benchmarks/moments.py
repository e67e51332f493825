"""Single moments: the store comes back, the program says its version."""

import time

from benchmarks.programs import ProgramError
from benchmarks.sought import token
from benchmarks.stage import Figures, Stage
from benchmarks.stores import S3Store

OUTAGE_SECONDS = 20.0
BACK_SECONDS_MAX = 120.0


def outage(stage: Stage) -> Figures:
    """The server is away for 20 seconds; a commit is made right after it went; nobody writes any more."""
    store, waiting = stage.store, token(0, "waiting")
    assert isinstance(store, S3Store)
    store.sought.expect([waiting])
    with stage.replicated() as (program, application):
        time.sleep(stage.scaled(5))
        store.proxy.down()
        application.commit([waiting])
        time.sleep(stage.scaled(OUTAGE_SECONDS, 2))
        back = time.monotonic()
        store.proxy.up()
        if not store.sought.wait([waiting], stage.scaled(BACK_SECONDS_MAX, 20), program.check):
            raise ProgramError(f"not stored within {stage.scaled(BACK_SECONDS_MAX, 20):.0f} s, without another write")
        return {"seconds": stage.stored(waiting) - back}


def version(stage: Stage) -> Figures:
    """From the start of `version` to its end."""
    finished = stage.program.run(["version"], stage.store.environment(), stage.folder / "log")
    return {"seconds": finished.seconds, "cpu": finished.cpu_seconds, "memory": finished.peak_mb}
