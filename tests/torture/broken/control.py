"""Promises broken on purpose in replication/control/."""

from tests.torture.broken.mutation import Mutation

MUTATIONS = (
    Mutation(
        "a cancelled job goes on",
        "replication/control/jobs.py",
        "        self.cancel.set()\n",
        "",
        ("tests/control/test_control.py",),
    ),
    Mutation(
        "a file in the place of the control socket is removed",
        "replication/control/listener.py",
        "        if not stat.S_ISSOCK(found.st_mode):\n",
        "        if False:\n",
        ("tests/control/test_socket.py",),
    ),
    Mutation(
        "the control socket is for everybody",
        "replication/control/listener.py",
        "        os.chmod(path.name, permissions, dir_fd=folder)\n",
        "        os.chmod(path.name, 0o666, dir_fd=folder)\n",
        ("tests/control/test_socket.py",),
    ),
    Mutation(
        "a client that may only read gives commands",
        "replication/control/routes.py",
        "        if self.asked.read_only:\n",
        "        if False:\n",
        ("tests/control/test_socket.py",),
    ),
    Mutation(
        "another user has files written",
        "replication/control/routes.py",
        "        if not self.asked.owner:\n",
        "        if False:\n",
        ("tests/control/test_socket.py",),
    ),
    Mutation(
        "clients that say nothing keep others away",
        "replication/control/server.py",
        "                    _shut(longest.connected)\n",
        "",
        ("tests/control/test_socket.py",),
    ),
    Mutation(
        "a misspelt field of a command is passed over",
        "replication/control/routes.py",
        "    if strange:\n",
        "    if False:\n",
        ("tests/control/test_socket.py",),
    ),
    Mutation(
        "a database is unregistered before its replica has all of it",
        "replication/control/changing.py",
        "        if found.state not in _NOTHING_TO_SYNC:\n",
        "        if False:\n",
        ("tests/control/test_changing.py",),
    ),
    Mutation(
        "another user registers a database",
        "replication/control/routes.py",
        "            call.owner_only(path)\n",
        "            pass\n",
        ("tests/control/test_litestream.py",),
    ),
)
