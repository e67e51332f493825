"""Files that only have to stay open, kept without a descriptor each.

A file that is on its way through a socket (SCM_RIGHTS) stays open, and has no descriptor meanwhile. So files that only
have to stay open, such as the claims of databases (claim.py), wait in a pair of sockets that nobody else can reach.
What one call of `keep` gives is one message; `let_go` takes it out and closes it. When the process ends, however it
ends, the kernel closes all of it.

Its promise: what is kept stays open until it is let go of. Where no message fits, the descriptors themselves are kept.
"""

import os
import socket
import threading
from array import array
from collections.abc import Sequence

MESSAGES_MAX = 64
"""Messages in each pair of sockets. The kernel has room for more, but all are looked at to find one."""
_FILES_MAX = 4
_KEY_SIZE = 8


class Safe:
    """Keeps open files. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next = 0
        self._pairs: list[_Pair] = []
        self._plain: dict[int, list[int]] = {}
        """Files that found no room, as descriptors by key."""
        self._leaving: set[int] = set()
        """Keys of files that could not be closed yet, since no descriptor was left to take them out."""

    def keep(self, descriptors: Sequence[int]) -> int:
        """Keep these files open until `let_go` is called with the key that is returned."""
        with self._lock:
            self._let_go_of_the_leaving()
            key, self._next = self._next, self._next + 1
            if not any(pair.put(key, descriptors) for pair in self._pairs) and not self._put_into_new(key, descriptors):
                self._plain[key] = list(descriptors)
            else:
                _close(descriptors)
            return key

    def let_go(self, key: int) -> None:
        """Close the files that were kept under a key: at once, or with a later call if no descriptor is left now."""
        with self._lock:
            self._leaving.add(key)
            self._let_go_of_the_leaving()

    def _let_go_of_the_leaving(self) -> None:
        for key in list(self._leaving):
            _close(self._plain.pop(key, ()))
            for pair in [pair for pair in self._pairs if key in pair.keys]:
                self._plain.update(pair.take(key))
                if not pair.keys:
                    self._pairs.remove(pair)
                    pair.close()
            if not any(key in pair.keys for pair in self._pairs):
                self._leaving.discard(key)

    def _put_into_new(self, key: int, descriptors: Sequence[int]) -> bool:
        try:
            pair = _Pair(*socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM))
        except OSError:
            return False
        if not pair.put(key, descriptors):
            pair.close()
            return False
        self._pairs.append(pair)
        return True


class _Pair:
    """Two sockets, and what is on its way from one to the other."""

    def __init__(self, sender: socket.socket, receiver: socket.socket) -> None:
        self.keys: set[int] = set()
        self._sender = sender
        self._receiver = receiver

    def put(self, key: int, descriptors: Sequence[int]) -> bool:
        """Put in these files. Return False if there is no room."""
        if len(self.keys) >= MESSAGES_MAX:
            return False
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", descriptors))
        try:
            self._sender.sendmsg([key.to_bytes(_KEY_SIZE, "big")], [rights], socket.MSG_DONTWAIT)
        except OSError:
            return False
        self.keys.add(key)
        return True

    def take(self, key: int) -> dict[int, list[int]]:
        """Close what is kept under a key, if descriptors are left for that. Return what could not be put back.

        Messages come out in the order in which they went in: each that comes before is put in again, at the end.
        """
        outside = {}
        while key in self.keys and (received := self._receive()) is not None:
            found, descriptors = received
            self.keys.discard(found)
            if found == key or self.put(found, descriptors):
                _close(descriptors)
            else:
                outside[found] = descriptors
        return outside

    def close(self) -> None:
        self._sender.close()
        self._receiver.close()

    def _receive(self) -> tuple[int, list[int]] | None:
        """The next message, or None if there are not enough descriptors for what is in it."""
        size = socket.CMSG_SPACE(_FILES_MAX * array("i").itemsize)
        # The kernel closes what it has no descriptor for. So it is looked at first: that hands over the same files.
        data, ancillary, flags, _ = self._receiver.recvmsg(_KEY_SIZE, size, socket.MSG_DONTWAIT | socket.MSG_PEEK)
        rights = array("i")
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                rights.frombytes(content[: len(content) - len(content) % rights.itemsize])
        if flags & socket.MSG_CTRUNC:
            _close(rights)
            return None
        self._receiver.recv(_KEY_SIZE, socket.MSG_DONTWAIT)
        return int.from_bytes(data, "big"), rights.tolist()


def _close(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
