"""Where the control socket is and whom it lets in, as it is configured: the keys of Litestream 0.5."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from replication.keys import Key, row


@dataclass(frozen=True, slots=True)
class SocketConfig:
    """The control socket; without a path it is where control/place.py says. `permissions` as chmod has them."""

    enabled: bool = row(
        "enabled", "Whether a running engine can be asked and told by others, over a socket.", "flag", True
    )
    path: Annotated[
        Path | None,
        Key(
            name="path",
            why="Where the socket is, absolute or from the folder where the program starts. Default: a name from the "
            "path of this file, in /run/litestream-tui for root, else in $XDG_RUNTIME_DIR/litestream-tui.",
            reader="path",
            otherwise="from the path of this file",
            example="/var/run/litestream.sock",
        ),
    ] = None
    permissions: Annotated[
        int,
        Key(
            name="permissions",
            why="Who may connect, in octal digits. Others than the user who replicates, and root, can read how things "
            "stand, sync and stop, and cannot restore or look into a database.",
            reader="text",
            default="0600",
        ),
    ] = 0o600
