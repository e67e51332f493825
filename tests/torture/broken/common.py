"""Promises broken on purpose in what every floor stands on: the files directly in replication/."""

from tests.torture.broken.mutation import Mutation

MUTATIONS = (
    Mutation(
        "a link in the place of a folder is followed",
        "replication/nofollow.py",
        "return os.open(name, FOLDER_FLAGS | os.O_NOFOLLOW, dir_fd=folder)",
        "return os.open(name, FOLDER_FLAGS, dir_fd=folder)",
        ("tests/rooted/test_local_folder.py",),
    ),
    Mutation(
        "a link in the place of a file is followed",
        "replication/nofollow.py",
        "FILE_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC",
        "FILE_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC",
        ("tests/rooted/test_local_folder.py",),
    ),
    Mutation(
        "a pipe in the place of a file is waited for",
        "replication/nofollow.py",
        "    if not stat.S_ISREG(status.st_mode):\n        os.close(file)\n",
        "    if False:\n        os.close(file)\n",
        ("tests/rooted/test_local_folder.py",),
    ),
    Mutation(
        "a file with another name is written through",
        "replication/nofollow.py",
        "    if status.st_nlink > 1 and flags & os.O_ACCMODE != os.O_RDONLY:\n",
        "    if False:\n",
        ("tests/rooted/test_local_folder.py",),
    ),
    Mutation(
        "root follows a user's link to a folder of somebody else",
        "replication/nofollow.py",
        "    if others:\n",
        "    if False:\n",
        ("tests/rooted/test_local_folder.py",),
    ),
    Mutation(
        "what took the place of a fresh folder is given away",
        "replication/nofollow.py",
        "if made and os.fstat(below).st_uid == os.geteuid() and not os.listdir(below):",
        "if made:",
        ("tests/rooted/test_file_replica.py",),
    ),
    Mutation(
        "the mask of an access list is taken for the group's permission",
        "replication/permissions.py",
        "    return mode if acl is None else mode & ~0o077 | others_bits(acl)\n",
        "    return mode\n",
        ("tests/test_permissions.py",),
    ),
    Mutation(
        "all work for all stores shares its threads",
        "replication/pool.py",
        "                if lane.running < lane.limit:\n",
        "                if sum(one.running for one in self._lanes.values()) < lane.limit:\n",
        ("tests/test_pool.py", "tests/engine/test_neighbours.py"),
    ),
    Mutation(
        "a key in a URL is repeated",
        "replication/scrub.py",
        "        text = _BARE_USER_INFO.sub(",
        "        text = text or _BARE_USER_INFO.sub(",
        ("tests/rooted/test_secrets.py",),
    ),
    Mutation(
        "what is asked for may take the application's reserve",
        "replication/space.py",
        "return self.free - needed >= self.reserve",
        "return self.free >= needed",
        ("tests/test_space.py",),
    ),
    Mutation(
        "room is not asked for what is needed",
        "replication/space.py",
        "not disk.has_room(needed):",
        "not disk.has_room(0):",
        ("tests/test_space.py",),
    ),
    Mutation(
        "what grows is not ended at the reserve",
        "replication/space.py",
        "        if since >= GUARD_BYTES:\n",
        "        if False:\n",
        ("tests/test_space.py",),
    ),
    Mutation(
        "the picker offers what lies behind a lost object",
        "replication/archive.py",
        "self._damaged, self._holes.get(catalog.generation, ()))\n",
        "self._damaged)\n",
        ("tests/cli/test_offered_points.py",),
    ),
    Mutation(
        "secrets cross the control socket",
        "replication/wire.py",
        "    return scrub(json.dumps(plain(value), indent=indent, allow_nan=False))\n",
        "    return json.dumps(plain(value), indent=indent, allow_nan=False)\n",
        ("tests/test_wire.py",),
    ),
)
