"""Promises broken on purpose in replication/engine/."""

from tests.torture.broken.mutation import Mutation

MUTATIONS = (
    Mutation(
        "a thread that no database needs hides that all of them hang",
        "replication/engine/shared.py",
        "            self._sync_pool.limit(lane, count)\n",
        "            pass\n",
        ("tests/test_pulse.py",),
    ),
    Mutation(
        "what is committed during a pause is not told of",
        "replication/engine/report.py",
        "if item.lag_seconds or missed.some else 0.0",
        "if item.lag_seconds else 0.0",
        ("tests/engine/test_missed.py",),
    ),
    Mutation(
        "what a killed restore left beside a live database stays",
        "replication/engine/fleet.py",
        "        sweep_beside(worker.database.path)\n",
        "        pass\n",
        ("tests/rooted/test_left_behind.py",),
    ),
    Mutation(
        "a lease lasts for ever",
        "replication/engine/leases.py",
        "        return Leases(tuple((who, end) for who, end in self.until if end > now))\n",
        "        return self\n",
        ("tests/engine/test_leases.py",),
    ),
    Mutation(
        "a database is let go of under those who work on it",
        "replication/engine/lifecycle.py",
        "        if self.phase is not Phase.PAUSING or self.at_work:\n",
        "        if self.phase is not Phase.PAUSING:\n",
        ("tests/engine/test_lifecycle.py", "tests/engine/test_pause_in_flight.py"),
    ),
    Mutation(
        "a resume while a database is being let go of is forgotten",
        "replication/engine/lifecycle.py",
        "    (_P.LEAVING, _T.RESUME): _P.RETURNING,\n",
        "    (_P.LEAVING, _T.RESUME): _P.LEAVING,\n",
        ("tests/engine/test_lifecycle_orders.py",),
    ),
    Mutation(
        "a resume wakes nobody",
        "replication/engine/worker.py",
        "            if after.phase is Phase.STARTING:\n                self.hurry()\n",
        "",
        ("tests/engine/test_lifecycle_orders.py",),
    ),
    Mutation(
        "threads that all hang are taken for threads at work",
        "replication/engine/pulse.py",
        "beaten or (share >= WORKING_SHARE_MIN and now - self._last_beat < WORKING_SECONDS_MAX)",
        "True",
        ("tests/test_pulse.py",),
    ),
    Mutation(
        "all disks share the threads of one",
        "replication/engine/disks.py",
        '"disk " + " and ".join(map(str, sorted(set(devices))))',
        '"all"',
        ("tests/test_pulse.py", "tests/rooted/test_frozen_disk.py"),
    ),
    Mutation(
        "a database that is removed ends without a last upload",
        "replication/engine/fleet.py",
        "        if ends:\n            self._drain.run()\n",
        "",
        ("tests/cli/test_reload.py",),
    ),
    Mutation(
        "who is new begins before another has left the place",
        "replication/engine/fleet.py",
        "if freed and freed & exclusive_to(pair[0].config)]",
        "if False]",
        ("tests/engine/test_reload.py",),
    ),
    Mutation(
        "a registered database has the place of another",
        "replication/engine/engine.py",
        "            refuse_clash(database, self._wanted())\n",
        "",
        ("tests/control/test_changing.py",),
    ),
    Mutation(
        "a database of the file that comes back has the settings of a stranger",
        "replication/engine/by_hand.py",
        "        if database.path in self.taken and own is not None:\n",
        "        if False:\n",
        ("tests/control/test_changing.py",),
    ),
)
