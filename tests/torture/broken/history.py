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
        "a diff leaves out rows in pages that were given back unwritten",
        "replication/history/diff/trees.py",
        "                yield branch\n",
        "                yield from ()\n",
        ("tests/history/test_diff.py",),
    ),
    Mutation(
        "a diff leaves out a long row of which only a later page was written",
        "replication/history/diff/longs.py",
        "                follow(trees, pending)\n",
        "                continue\n",
        ("tests/history/test_diff.py",),
    ),
    Mutation(
        "a diff leaves out rows WITHOUT ROWID in pages that were written",
        "replication/history/diff/keyed.py",
        "                found.written |= noting.read & likely\n",
        "                continue\n",
        ("tests/history/test_diff.py",),
    ),
    Mutation(
        "a diff takes 1 and 1.0 for the same",
        "replication/history/diff/contract.py",
        "    if type(was) is not type(became) or was != became:\n",
        "    if was != became:\n",
        ("tests/history/test_diff.py",),
    ),
    Mutation(
        "a diff tells rows that only have another rowid",
        "replication/history/diff/compare.py",
        "    if more.get(digest, 0) * step <= 0:\n",
        "    if False:\n",
        ("tests/history/test_diff.py",),
    ),
    Mutation(
        "a diff leaves out rows with a new key",
        "replication/history/diff/compare.py",
        "            if number not in found:\n",
        "            if False:\n",
        ("tests/history/test_diff.py",),
    ),
    Mutation(
        "a diff leaves out what was written before the last commit",
        "replication/history/wal03/span.py",
        "timeline.pages_between(ends[0] if here is None else here, ends[-1])",
        "timeline.pages_between(ends[-2:][0], ends[-1])",
        ("tests/history/test_diff.py",),
    ),
)
