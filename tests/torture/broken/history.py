"""Promises broken on purpose in replication/history/."""

from tests.torture.broken.mutation import Mutation

MUTATIONS = (
    Mutation(
        "a commit is told of a table that it did not touch",
        "replication/history/owners.py",
        "        return page in noting.read\n",
        "        return True\n",
        ("tests/history/test_log.py",),
    ),
    Mutation(
        "a table of blocks that is kept here and wrong makes a snapshot damaged",
        "replication/history/wal03/parts.py",
        "                if source.name not in self._unproven:\n",
        "                if True:\n",
        ("tests/history/test_every_commit.py",),
    ),
    Mutation(
        "what was read of a snapshot that is damaged is believed",
        "replication/history/wal03/parts.py",
        "            # What was kept of it is only right if all of it is.\n            self._drop(name)\n",
        "",
        ("tests/history/test_every_commit.py",),
    ),
    Mutation(
        "a look goes on past damage without a word",
        "replication/history/wal03/timeline.py",
        "                options.waiting(words)\n",
        "                pass\n",
        ("tests/history/test_every_commit.py",),
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
        "an entry of the log is whole although a table could not be asked",
        "replication/history/owners.py",
        "            is_sure = is_sure and leads is not None\n",
        "",
        ("tests/history/test_log.py",),
    ),
    Mutation(
        "a filter of the log hides what may have touched its table",
        "replication/history/log.py",
        "        return not self.is_whole or any(",
        "        return any(",
        ("tests/history/test_log.py",),
    ),
    Mutation(
        "a key that flows over is read from its page alone",
        "replication/history/pages.py",
        "        while len(self._data) < min(size, self.cell.size) and self._link:\n",
        "        while False:\n",
        ("tests/history/test_log.py",),
    ),
)
