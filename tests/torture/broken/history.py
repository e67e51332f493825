"""Promises broken on purpose in replication/history/."""

from tests.torture.broken.mutation import Mutation

MUTATIONS = (
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
    Mutation(
        "halving that finds nothing is taken for a proof",
        "replication/history/changes.py",
        "                    yield found\n                    return\n",
        "                    yield found\n                return\n",
        ("tests/history/test_find_nothing.py",),
    ),
    Mutation(
        "a search that left commits out says that there is none",
        "replication/history/wal03/find.py",
        "        if self._unknown:\n",
        "        if False:\n",
        ("tests/history/test_find_nothing.py", "tests/history/test_generations.py"),
    ),
    Mutation(
        "an older change is sure although newer commits were passed over",
        "replication/history/wal03/find.py",
        "            is_sure &= not self._between and not self._unknown\n",
        "",
        ("tests/history/test_find_nothing.py",),
    ),
    Mutation(
        "a search passes over what the header counts",
        "replication/history/wal03/timeline.py",
        "        if header:\n",
        "        if False:\n",
        ("tests/history/test_find_nothing.py",),
    ),
    Mutation(
        "a search ends with the newest generation",
        "replication/history/wal03/older.py",
        "    older = order[order.index(chosen) + 1 :] if chosen in order else []\n",
        "    older = order[:0]\n",
        ("tests/history/test_generations.py",),
    ),
    Mutation(
        "a key is only the text that was typed",
        "replication/history/keys.py",
        "    if not column.has_affinity and _NUMBER.fullmatch(text):\n",
        "    if False:\n",
        ("tests/history/test_find_row.py",),
    ),
)
