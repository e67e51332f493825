"""How many descriptors an engine needs, and whether it may have them.

A process that has none left gets errors wherever it opens a file: it is said once, before, with the number.
"""

import resource

DESCRIPTORS_PER_DATABASE = 7
"""An open database has the file three times (SQLite keeps some after a checkpoint), -wal, -shm twice, and the lock."""
DESCRIPTORS_BESIDE = 100
"""The rest of the engine: standard streams, inotify, claims; for a moment connections, shadow WAL, scratch files."""


def too_few(databases: int) -> str:
    """What to say if so many databases need more than this process may open; "" if they do not."""
    needed = DESCRIPTORS_BESIDE + DESCRIPTORS_PER_DATABASE * databases
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY or limit >= needed:
        return ""
    return (
        f"{databases} databases need {needed} descriptors, and this process may have {limit}: some will not be "
        f"replicated. Raise the hard limit, as with LimitNOFILE={needed} in systemd, --ulimit nofile={needed} in "
        "docker, or in /etc/security/limits.conf"
    )
