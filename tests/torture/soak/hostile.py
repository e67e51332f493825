"""The application's user, who wants root's power: what stands at names of ours, and leads into a folder of root's.

hostile.py USER SEED VAULT FOLDER: until its standard input ends. It takes away nothing of ours, for that would be the
user's own loss; whoever follows what it puts there writes into VAULT, or waits for ever.
"""

import os
import random
import select
import socket
import sys
from contextlib import suppress
from pathlib import Path

from replication.local.files import GENERATION_NAME, PRIVATE_NAMES, VALIDATION_PREFIX

AT_ONCE_MAX = 12
SECONDS = 0.05


def names(folder: Path, chance: random.Random) -> list[Path]:
    """Where something of ours may come to stand, or is looked for."""
    found = []
    for meta in folder.glob(".*.db-litestream"):
        found += [meta / f"{name}.tmp" for name in (GENERATION_NAME, *PRIVATE_NAMES)]
        found += [meta / f"{VALIDATION_PREFIX}{chance.randbytes(4).hex()}"]
        found += [meta / "generations" / chance.randbytes(8).hex()]
        for wal in meta.glob("generations/*/wal"):
            found += [wal / f"{chance.randrange(200):08x}.wal.tmp", wal / f"{10**6 + chance.randrange(9):08x}.wal"]
    for database in folder.glob("*.db"):
        found += [database.with_name(f".{database.name}.replacement"), database.with_name(f".{database.name}.keeping")]
    return found


def put(path: Path, vault: Path, own: Path, chance: random.Random) -> None:
    """A link, a pipe, a socket, or a second name of another file."""
    kind = chance.randrange(5)
    if kind == 0:
        path.symlink_to(vault / "target")
    elif kind == 1:
        path.symlink_to(vault)
    elif kind == 2:
        os.mkfifo(path)
    elif kind == 3:
        path.hardlink_to(own)
    else:
        with socket.socket(socket.AF_UNIX) as there, suppress(OSError):
            there.bind(str(path))


def main() -> int:
    user, seed, vault, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])
    # Once all is loaded, which may lie where only root looks.
    os.setgid(user)
    os.setuid(user)
    chance = random.Random(seed)
    own = folder / "of-the-user"
    own.write_text("this is not litestream-tui's\n")
    there: list[Path] = []
    puts = 0
    while not select.select([sys.stdin], [], [], SECONDS)[0]:
        while len(there) >= AT_ONCE_MAX:
            with suppress(OSError):
                there.pop(0).unlink()
        path = chance.choice(names(folder, chance) or [own])
        with suppress(OSError):
            put(path, vault, own, chance)
            there.append(path)
            puts += 1
    for path in there:
        with suppress(OSError):
            path.unlink()
    own.unlink()
    print(puts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
