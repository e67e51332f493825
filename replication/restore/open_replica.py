"""One replica that is open for reading, whatever layouts its objects have."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar, cast

from replication.storage.base import Storage
from replication.storage.codec import Codec
from replication.storage.codecs import DEFAULT_CODEC

_Client = TypeVar("_Client")

Warn = Callable[[str], None]
"""Called with a warning in words: what a store has to say beside its answers."""


def _silently(message: str) -> None:
    """For a caller that has nobody to warn."""


@dataclass(frozen=True, slots=True)
class OpenReplica:
    """A replica to restore from: its name in the configuration, its objects, and how they are opened."""

    name: str
    storage: Storage
    warn: Warn = _silently
    codec: Codec = DEFAULT_CODEC
    _clients: dict[object, object] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def address(self) -> str:
        """Where it is, for people; no secrets."""
        return self.storage.address

    def client(self, make: Callable[[Storage, Warn, Codec], _Client]) -> _Client:
        """What reads its objects in one layout, made by `make` when it is first asked for and the same ever after."""
        if make not in self._clients:
            # Two threads that ask at once both get the client that was put there first.
            self._clients.setdefault(make, make(self.storage, self.warn, self.codec))
        return cast(_Client, self._clients[make])
