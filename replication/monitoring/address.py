"""Listening where `addr` says: a host and a port, or a port on every interface."""

import socket

from replication.errors import ReplicationError

BACKLOG = 16


def listen(addr: str) -> socket.socket:
    """A socket that listens at `addr`. Raises ReplicationError with what is in the way."""
    host, _, port = addr.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        if not host:
            both = socket.has_dualstack_ipv6()
            family = socket.AF_INET6 if both else socket.AF_INET
            return socket.create_server(("", int(port)), family=family, backlog=BACKLOG, dualstack_ipv6=both)
        found = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # A name with both kinds of address, such as localhost, is taken as IPv4, which most clients try first.
        found.sort(key=lambda item: item[0] != socket.AF_INET)
        family, _, _, _, where = found[0]
        return socket.create_server(where[:2], family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        raise ReplicationError(f"cannot listen on addr {addr}: {_why(error)}") from None


def _why(error: OSError | UnicodeError) -> str:
    import errno

    if isinstance(error, UnicodeError):
        return "its host is no name"
    if isinstance(error, socket.gaierror):
        return f"its host is not known ({error.strerror})"
    return {
        errno.EADDRINUSE: "another program listens there; end that one, or choose another port",
        errno.EACCES: "this user may not; choose a port from 1024 on",
        errno.EADDRNOTAVAIL: "this machine does not have that address; choose one that it has, or leave the host out",
    }.get(error.errno or 0, error.strerror or str(error))


def shown(listening: socket.socket) -> str:
    """The URL at which the socket can be asked."""
    host, port = listening.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "localhost"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
