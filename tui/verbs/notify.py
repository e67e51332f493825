"""The protocol by which a service tells systemd how it is (sd_notify): lines in a datagram to a socket.

Its promises: nothing waits for systemd, and what it had no room for goes with the next datagram. Only this process
speaks: the variables are taken from the environment, lest a command of -exec speak for us.
"""

import os
import socket
import threading
from collections.abc import MutableMapping
from contextlib import suppress

_ADDRESS, _PING_USEC, _PING_PID = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"


class Notifier:
    """Sends to the service manager that started us, if it wants to know; else every call does nothing."""

    def __init__(self, address: str = "", watchdog_seconds: float = 0.0) -> None:
        self.watchdog_seconds = watchdog_seconds
        """We are killed if nothing is heard of us for so long; 0 if nobody watches."""
        # A name that begins with @ is one of the kernel's own, and lies in no folder.
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self.is_heard = address[:1] in ("/", "@")
        """True if a service manager wants to know."""
        self._unsent: dict[str, str] = {}
        self._lock = threading.Lock()

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str] = os.environ) -> "Notifier":
        """The notifier that the environment asks for. Its variables are gone from there afterwards."""
        address, usec, pid = (environment.pop(name, "") for name in (_ADDRESS, _PING_USEC, _PING_PID))
        is_ours = pid in ("", str(os.getpid())) and usec.isascii() and usec.isdigit()
        return cls(address, int(usec) / 1e6 if is_ours else 0.0)

    def send(self, **values: str | int) -> None:
        """Tell it, as NAME=value; a later value of a name takes the place of one that could not be sent."""
        if not self.is_heard:
            return
        with self._lock:
            self._unsent |= {name: " ".join(str(value).split()) for name, value in values.items()}
            if "READY" in values:
                # systemd takes READY=1 after RELOADING=1 for the end of the reload.
                self._unsent.pop("RELOADING", None)
            text = "\n".join(f"{name}={value}" for name, value in self._unsent.items())
            # No service manager, or no room: the values go with the next datagram.
            with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.sendto(text.encode(errors="backslashreplace"), socket.MSG_DONTWAIT, self._address)
                self._unsent = {}
