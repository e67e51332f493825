"""How the program itself runs, as it is configured: its log, where others can ask it, and what it gives a database that
is added then.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from replication.key_rows import Key, row


@dataclass(frozen=True, slots=True)
class LoggingConfig:
    """How to log: `level` debug, info, warn or error; `type` text or json; to stderr, else to stdout."""

    level: str = row("level", "debug, info, warn or error", "text", "info")
    type: str = row("type", "text or json", "text", "text")
    stderr: bool = row("stderr", "true writes to stderr, false to stdout", "flag", False)


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


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the top of a file says for every replica: for a database that is registered while the engine runs."""

    for_all: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    """Keys of a kind of store, the pair of S3 among them."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Settings of a replica, by their keys."""


@dataclass(frozen=True, slots=True)
class HostConfig:
    """A host whose engine a screen shows beside others: how it is reached, and how its relay is called there."""

    name: Annotated[
        str,
        Key(
            name="name",
            why="What the screen calls it, and ssh too if ssh: says nothing else. A text in place of the entry is its "
            "name.",
            reader="text",
            example="web1",
        ),
    ]
    ssh: str = row(
        "ssh",
        "What ssh is told to connect to: a Host of ~/.ssh/config, or USER@HOST. Default: the name. It must work "
        "without a question.",
        "text",
        "",
        otherwise="the name",
        example="app@web1.example.com",
    )
    command: str = row(
        "command",
        "How litestream-tui is called there, for the shell of that host.",
        "text",
        "litestream-tui",
    )
    config: str = row(
        "config",
        "The path of its configuration there. Default: as always.",
        "text",
        "",
        otherwise="as always",
        example="/etc/litestream.yml",
    )
    socket: str = row(
        "socket",
        "The path of its control socket there. Default: that of its configuration.",
        "text",
        "",
        otherwise="that of its configuration",
        example="/run/litestream-tui/etc-litestream.yml.sock",
    )

    @property
    def address(self) -> str:
        """What ssh is told."""
        return self.ssh or self.name
