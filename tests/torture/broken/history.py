"""Promises broken on purpose in replication/history/."""

from tests.torture.broken.mutation import Mutation

MUTATIONS = (
    Mutation(
        "a question that was cancelled spoils the next one",
        "replication/history/past.py",
        "                if cancel.is_set():\n                    # A store",
        "                if False:\n                    # A store",
        ("tests/history/test_past.py",),
    ),
    Mutation(
        "what is told of commits is told of those of another run",
        "replication/history/past.py",
        "            if timeline.covers(position) and position != timeline.position(timeline.ends()[0]):\n",
        "            if timeline.covers(position):\n",
        ("tests/history/test_past.py",),
    ),
    Mutation(
        "a commit is told of a table that it did not touch",
        "replication/history/log.py",
        "        return page in noting.read\n",
        "        return True\n",
        ("tests/history/test_log.py",),
    ),
    Mutation(
        "rows are counted by pages although some were given back",
        "replication/history/log.py",
        "        in_place = pages[0] != 1 and len(pages) <= PAGES_ASKED_MAX\n",
        "        in_place = len(pages) <= PAGES_ASKED_MAX\n",
        ("tests/history/test_log.py",),
    ),
    Mutation(
        "a search passes over a change of the schema",
        "replication/history/wal03/indexed.py",
        "            if total != self._first_sum:\n",
        "            if False:\n",
        ("tests/history/test_find.py",),
    ),
    Mutation(
        "a search begins where its last look was",
        "replication/history/changes.py",
        "        return number - 1 if number else None\n",
        "        return number - 2 if number > 1 else None\n",
        ("tests/history/test_find.py",),
    ),
    Mutation(
        "a look at a commit shows pages of later ones",
        "replication/history/versions.py",
        "int(np.searchsorted(rows.places[low:high], np.uint64(end)))",
        "int(high - low)",
        ("tests/history/test_versions.py", "tests/history/test_every_commit.py"),
    ),
    Mutation(
        "a page that was cut off comes back as it was",
        "replication/history/versions.py",
        "            return ZEROS\n",
        "            return found\n",
        ("tests/history/test_versions.py",),
    ),
    Mutation(
        "a commit in the index of a snapshot of Litestream's is looked at",
        "replication/history/wal03/timeline.py",
        "        if snapshot.note is None and place_of(position) < sure and position != self.end:\n",
        "        if False:\n",
        ("tests/history/test_every_commit.py",),
    ),
)
