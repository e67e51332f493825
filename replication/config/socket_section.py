"""The section `socket` of a configuration, read and refused."""

import os
import re

from replication.config.document import RefusedError, Section
from replication.config.location import plain_path
from replication.config.program import SocketConfig
from replication.scrub import quoted

SOCKET_PATH_BYTES_MAX = 107
"""The kernel takes no longer path of a socket."""
_PERMISSIONS = re.compile(r"0?o?([0-7]{3})")


def read_socket(section: Section | None) -> SocketConfig:
    """The settings of the control socket, or their defaults without a section."""
    if section is None:
        return SocketConfig()
    section.check_keys()
    enabled, path = section.flag("enabled"), None
    if (text := section.text("path")) is not None:
        try:
            path = plain_path(section, "path", text, "the socket itself")
            if len(os.fsencode(path)) > SOCKET_PATH_BYTES_MAX:
                problem = (
                    f"is longer than the {SOCKET_PATH_BYTES_MAX} bytes that a socket may have; name a shorter path"
                )
                section.refuse(section.refusal("path", problem))
        except RefusedError as error:
            section.refuse(error)
    permissions = section.text("permissions") or "0600"
    match = _PERMISSIONS.fullmatch(permissions)
    if match is None or int(match[1], 8) & 0o600 != 0o600:
        problem = f"is {quoted(permissions)!r}; write octal digits that let the owner in, such as 0600 or 0660"
        section.refuse(section.refusal("permissions", problem))
    mode = int(match[1], 8) if match else 0o600
    return SocketConfig(True if enabled is None else enabled, path, mode)
