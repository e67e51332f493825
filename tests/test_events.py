"""The log of events: in order, bounded, and safe to add to from a signal handler."""

import signal
from types import FrameType

from replication.events import EVENTS_MAX, EventLog


def test_in_order_and_bounded() -> None:
    log = EventLog(clock=lambda: 1.0)
    for number in range(EVENTS_MAX + 5):
        log.emit("info", "x", database="/a", n=number)
    kept = log.since(0)
    assert [event.number for event in kept] == list(range(6, EVENTS_MAX + 6))
    assert kept[-1].attributes == (("n", EVENTS_MAX + 4),)
    assert log.since(EVENTS_MAX + 5) == []
    assert [event.number for event in log.since(EVENTS_MAX + 3)] == [EVENTS_MAX + 4, EVENTS_MAX + 5]


def test_a_signal_may_add_an_event_while_others_are_read() -> None:
    """The handler of replicate does so, in the thread that reads."""
    log = EventLog()
    for _ in range(EVENTS_MAX):
        log.emit("info", "x")

    def handler(number: int, frame: FrameType | None) -> None:
        log.emit("info", "signal")

    previous = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        while sum(event.message == "signal" for event in log.since(0)) < 100:
            pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, previous)
