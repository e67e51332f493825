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
        "a line carries all that is known with each look",
        "replication/control/relay.py",
        "        patch = difference(self._known, status)\n",
        "        patch = difference(None, status)\n",
        ("tests/control/test_relay.py",),
    ),
    Mutation(
        "looks fill a line, whatever else wants to use it",
        "replication/control/relay.py",
        "            if now >= free or hurried:\n",
        "            if True:\n",
        ("tests/control/test_relay.py",),
    ),
    Mutation(
        "over a relay one that may only read gives commands",
        "replication/control/far.py",
        "self.read_only or read_only",
        "False",
        ("tests/control/test_relay.py",),
    ),
    Mutation(
        "a host that hangs is waited for by everybody who asks",
        "replication/control/far.py",
        "            self._silent = not connection.ended\n",
        "            self._silent = False\n",
        ("tests/control/test_relay.py",),
    ),
    Mutation(
        "a host that is gone is connected to without a pause",
        "replication/control/far.py",
        "        self._next_try = self._clock() + self._again\n",
        "        self._next_try = 0.0\n",
        ("tests/control/test_relay.py",),
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
