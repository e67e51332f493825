"""Crash steps: the points at which a crash would find something half done, by name.

Between any two of them at most one thing becomes durable. A test ends a process at each in turn, so that none is left
to luck; that is why they are named here, in the product: only the code itself can say where they are. Without a hook,
reaching one costs a comparison.
"""

from collections.abc import Callable

STEPS = (
    "lock: written",
    "generation: folder made",
    "shadow: header written",
    "shadow: frames written",
    "generation: first frames copied",
    "generation: name written",
    "generation: name in place",
    "generation: in use",
    "generation: origin saved",
    "shadow: index sealed",
    "shadow: generation sealed",
    "shadow: durable",
    "shadow: durable at the end",
    "shadow: old index removed",
    "shadow: old generation removed",
    "checkpoint: pin moved",
    "checkpoint: large part done",
    "checkpoint: writers kept out",
    "checkpoint: tail copied",
    "checkpoint: pin let go",
    "checkpoint: backfilled",
    "checkpoint: pinned anew",
    "checkpoint: writers let in",
    "notes: written",
    "replica: snapshot stored",
    "remembered: written",
    "replica: segment stored",
    "replica: old generation whole",
    "retention: objects removed",
    "retention: generation removed",
    "object: folder made",
    "object: begun",
    "object: partly written",
    "object: written",
    "object: durable",
    "object: named",
    "object: stored",
    "object: removed",
    "output: begun",
    "output: snapshot written",
    "output: written",
    "output: durable",
    "output: named",
    "output: hidden name removed",
    "output: in place",
    "replacement: alone",
    "replacement: wal folded in",
    "replacement: old one copied",
    "replacement: old one durable",
    "replacement: old one named",
    "replacement: old one kept",
    "replacement: partly written",
    "replacement: committed",
    "replacement: folded in",
    "replacement: done",
    "bring back: begun",
    "bring back: rows written",
    "bring back: committed",
)
"""Every step there is, in no order that a reader may rely on."""

hook: Callable[[str], None] | None = None
"""What a test wants done at each step; nothing in the program sets it."""


def reached(step: str) -> None:
    """Say that a step was reached."""
    if hook is not None:
        hook(step)
