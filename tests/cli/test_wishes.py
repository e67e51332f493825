"""Which signal is a wish to end, and which one to end at once."""

import signal

from tui.verbs.signals import SAME_WISH_SECONDS, Wish, Wishes


def test_a_stop_that_comes_as_two_signals_is_one_wish() -> None:
    now = 100.0
    wishes = Wishes(lambda: now)
    assert wishes.add(signal.SIGTERM) is Wish.FIRST
    assert wishes.any
    now += SAME_WISH_SECONDS / 2
    assert wishes.add(signal.SIGTERM) is Wish.SAME
    assert wishes.add(signal.SIGINT) is Wish.AT_ONCE


def test_whoever_asks_again_waits_no_longer() -> None:
    now = 100.0
    wishes = Wishes(lambda: now)
    assert wishes.add(signal.SIGINT) is Wish.FIRST
    now += SAME_WISH_SECONDS
    assert wishes.add(signal.SIGINT) is Wish.AT_ONCE
