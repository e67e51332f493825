"""How long a request may wait. A module of its own: those that make requests are loaded with the first request."""

from dataclasses import dataclass

CONNECT_TIMEOUT_SECONDS = 5.0
READ_TIMEOUT_SECONDS = 30.0
"""The longest silence of a server within an answer, or before one."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long one request may take to connect, and to be silent, in seconds."""

    connect_seconds: float = CONNECT_TIMEOUT_SECONDS
    read_seconds: float = READ_TIMEOUT_SECONDS
