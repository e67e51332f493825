"""Promises broken on purpose in replication/local/."""

from tests.torture.broken.mutation import Mutation

MUTATIONS = (
    Mutation(
        "what waits for one replica is not bounded",
        "replication/local/backlog.py",
        "        if limit and self.size > limit:\n",
        "        if False:\n",
        ("tests/replica/test_left_behind.py",),
    ),
    Mutation(
        "what waits may take the last tenth of the disk",
        "replication/local/backlog.py",
        "        if disk is not None and short and ",
        "        if disk is None and ",
        ("tests/replica/test_left_behind.py",),
    ),
    Mutation(
        "a file that was known is written to by its path alone",
        "replication/local/folder.py",
        "                if _identity(status) == known and status.st_nlink == 1:\n",
        "                if status.st_nlink == 1:\n",
        ("tests/rooted/test_local_folder.py",),
    ),
    Mutation(
        "private files follow the umask",
        "replication/local/folder.py",
        "                    os.fchmod(file, mode)\n",
        "                    pass\n",
        ("tests/rooted/test_local_folder.py",),
    ),
    Mutation(
        "whatever ends in .tmp is swept",
        "replication/local/folder.py",
        "                if name in _TEMPORARIES or name in _BEFORE or _PAGES.fullmatch(name):\n",
        "                if name.endswith(_TEMPORARY):\n",
        ("tests/rooted/test_local_folder.py",),
    ),
    Mutation(
        "a folder of somebody else is taken as the local folder",
        "replication/local/folder.py",
        "        if strange and not any(",
        "        if False and not any(",
        ("tests/rooted/test_local_folder.py",),
    ),
    Mutation(
        "where a replica was left is forgotten by a loss of power",
        "replication/local/folder.py",
        "shared, durable = name == GENERATION_NAME, name in DURABLE_NAMES",
        "shared, durable = name == GENERATION_NAME, name == GENERATION_NAME",
        ("tests/local/test_files.py",),
    ),
    Mutation(
        "where a generation was left is known of the last one only",
        "replication/local/generation_info.py",
        "        lefts = (*([str(left)] if left is not None else ()), *previous.lefts)[:LEFTS_KEPT_MAX]\n",
        "        lefts = (*([str(left)] if left is not None else ()),)\n",
        ("tests/replica/test_parted_by_place.py",),
    ),
)
