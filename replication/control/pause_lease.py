"""A database that is kept paused for as long as its holder needs that, and not longer than the holder lives.

Its promise: whatever becomes of the caller, replication goes on: a pause that is not renewed ends by itself.
"""

import secrets
import threading

from replication.control import Control
from replication.errors import PausedError

LEASE_SECONDS = 15.0
RENEWALS = 3
"""How often the pause is renewed while one lease lasts."""


class PauseLease:
    """The caller that needs the pause calls `begin` and `end`. It is renewed meanwhile, until `stop` is set."""

    def __init__(
        self, control: Control, database: str, what: str, stop: threading.Event, seconds: float = LEASE_SECONDS
    ) -> None:
        self.paused = False
        """True from when the database is paused until `end`."""
        self.lost = ""
        """Why the pause was lost before `end`, in words; then `stop` is set as well."""
        self.kept_by: tuple[str, ...] = ()
        """The holders that keep it paused after `end`."""
        self._control = control
        self._database = database
        self._holder = f"{what} {secrets.token_hex(2)}"
        self._stop = stop
        self._seconds = seconds
        self._ended = threading.Event()

    def begin(self) -> None:
        """Pause the database.

        Raises ReplicationError, and PausedError if `give_up` or the end of a lease came first.
        """
        threading.Thread(target=self._renew, name="pause-lease", daemon=True).start()
        try:
            self._control.pause(self._database, self._holder, self._seconds)
        except BaseException:
            self._ended.set()
            raise
        self.paused = True

    def end(self) -> None:
        """End the pause."""
        self._ended.set()
        self.paused = False
        self.kept_by = self._control.resume(self._database, self._holder)

    def give_up(self) -> None:
        """Give up waiting for the pause, so that `begin` raises. Called from any thread."""
        if not self.paused:
            self._control.resume(self._database, self._holder)

    def _renew(self) -> None:
        # A thread of its own: a terminal that takes nothing stops the screen, and must not stop a restore.
        while not self._ended.wait(self._seconds / RENEWALS) and not self._stop.is_set():
            try:
                self._control.renew(self._database, self._holder, self._seconds)
            except PausedError as error:
                # Before it is paused `begin` says so itself.
                if self.paused:
                    self.lost = str(error)
                    self._stop.set()
                    return
