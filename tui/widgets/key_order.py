"""Keys one after the other: each goes where the one before it has led.

Textual gives a key at once to what has the focus, also if a key before it, which has not been handled yet, is about to
open a line to type into or another screen. Typed fast, pasted, or in one packet of a slow line, "t12:03" and enter
would lose letters that way, and restore another moment. However slow the machine is: a key waits for the one before it,
and not for a time.
"""

from collections import deque
from collections.abc import Sequence
from functools import partial
from time import monotonic
from typing import Any, TypeVar

from textual import events
from textual.app import App
from textual.message_pump import MessagePump

LOOK_SECONDS = 0.5
"""How often it is looked whether what handles a key is still there: one that went leads nowhere."""
WAIT_SECONDS_MAX = 30.0
"""A screen that hangs in a key does not keep others waiting for longer."""

T = TypeVar("T")


class KeyOrder(App[T], inherit_bindings=False):
    """An application that takes keys in order. It has no keys of Textual's own, such as ctrl+q for its end."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._waiting: deque[events.Key | events.Paste] = deque()
        """Keys that were pressed before the one before them was handled."""
        self._number = 0
        self._handling = 0
        """The number of the key that is being handled; 0 for none."""
        self._began = 0.0
        self._at: MessagePump = self
        """Whose queue that key is in."""

    async def on_event(self, event: events.Event) -> None:
        if not isinstance(event, events.Key | events.Paste) or event.is_forwarded:
            await super().on_event(event)
        elif not self._handling:
            await self._give(event)
        else:
            if not self._waiting:
                self.set_timer(LOOK_SECONDS, partial(self._look, self._handling))
            self._waiting.append(event)

    async def _give(self, event: events.Key | events.Paste) -> None:
        self._number += 1
        self._handling = number = self._number
        self._began = monotonic()
        target, screen = self.focused or self.screen, self.screen
        await super().on_event(event)
        # From its target it comes back here by way of the screen, and its action is done. What a line to type into
        # makes of enter is a message in its own queue by then, which goes on to the screen in front.
        self._follow(number, (target, screen, self, target, None, self))

    def _follow(self, number: int, hops: Sequence[MessagePump | None]) -> None:
        """Go from queue to queue, behind the key."""
        for place, hop in enumerate(hops):
            pump = hop or self.screen
            if pump.call_later(self._follow, number, hops[place + 1 :]):
                self._at = pump if number == self._handling else self._at
                return
        self.call_next(self._handled, number)

    async def _look(self, number: int) -> None:
        """Go on if what has the key in its queue is gone, or hangs."""
        if number != self._handling:
            return
        if self._at.is_running and monotonic() - self._began < WAIT_SECONDS_MAX:
            self.set_timer(LOOK_SECONDS, partial(self._look, number))
        else:
            await self._handled(number)

    async def _handled(self, number: int) -> None:
        if number != self._handling:
            return
        self._handling = 0
        if not self.screen_stack:
            self._waiting.clear()
        if self._waiting:
            await self._give(self._waiting.popleft())
            if self._waiting:
                self.set_timer(LOOK_SECONDS, partial(self._look, self._handling))
