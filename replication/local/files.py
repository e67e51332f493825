"""The files of a local folder by name: what each holds, and what its loss costs (docs/ARCHITECTURE.md lists them).

All are written by `LocalFolder.write`, one way: whole beside the name, renamed, and durable before and after that where
the loss costs more than a request or words. The lock alone is written in place, since it is a lock as long as it is
open. It leaves to folder.py how they are reached.
"""

from dataclasses import dataclass

from replication.reserved import LOCK_NAME as LOCK_NAME

GENERATION_NAME = "generation"
GENERATIONS_NAME = "generations"
STATUS_NAME = "litestream-tui.status.json"
GENERATION_INFO_NAME = "litestream-tui.json"
PROOF_NAME = "litestream-tui.digest"
REMEMBERED_NAME = "litestream-tui.snapshots.json"
DISOWNED_NAME = "litestream-tui.others.json"
PROBLEMS_NAME = "litestream-tui.check.json"
LEFT_NAME = "litestream-tui.left.json"
PAGES_PREFIX = "litestream-tui.pages-"
"""Prefix of the file in which an image keeps pages. It has no name, or one for a moment only."""
VALIDATION_PREFIX = "litestream-tui-validate-"
"""Prefix of the folders that a verification restores into. Random letters follow it: see restore/scratch.py."""


@dataclass(frozen=True, slots=True)
class PrivateFile:
    """One private file, in words for the docs. With `durable` it is on disk, and its name too, once it is written."""

    name: str
    holds: str
    loss: str
    durable: bool = False


PRIVATE_FILES = (
    PrivateFile(
        LOCK_NAME,
        "the lock that keeps a second engine away; whose it is, and how the files were at the last sync",
        "the next start decides by the files alone, as after a kill",
    ),
    PrivateFile(
        GENERATION_INFO_NAME,
        "why the generation in use began, when, after which, and where those ended here",
        "words: snapshots have noted it",
    ),
    PrivateFile(
        PROOF_NAME,
        "the checksum of a database that was never written",
        "one snapshot",
    ),
    PrivateFile(
        REMEMBERED_NAME,
        "which commit the newest snapshot of each replica holds",
        "one request for each replica",
    ),
    PrivateFile(
        LEFT_NAME,
        "where a replica stood for which too much waited",
        "a new generation",
        durable=True,
    ),
    PrivateFile(
        DISOWNED_NAME,
        "generations that another program goes on with",
        "their protection from our retention",
        durable=True,
    ),
    PrivateFile(
        PROBLEMS_NAME,
        "what SQLite's check says of the database itself",
        "words, until the next verification",
    ),
    PrivateFile(
        STATUS_NAME,
        "errors and verifications for `status`, written every 5 seconds at most",
        "words",
    ),
)
PRIVATE_NAMES = tuple(file.name for file in PRIVATE_FILES)
DURABLE_NAMES = frozenset({GENERATION_NAME, *(file.name for file in PRIVATE_FILES if file.durable)})
"""Files of which a loss of power takes nothing. The one that names the generation in use is Litestream's."""
