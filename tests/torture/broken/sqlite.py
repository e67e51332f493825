"""Promises broken on purpose in replication/sqlite/."""

from tests.torture.broken.mutation import Mutation

MUTATIONS = (
    Mutation(
        "a look shows nothing of a table that is gone",
        "replication/sqlite/diff.py",
        "        return Differences(table, tuple(columns), tuple(found[:ROWS_MAX]), words)\n",
        "        return Differences(table, tuple(columns), (), words)\n",
        ("tests/sqlite/test_diff.py",),
    ),
    Mutation(
        "a query writes",
        "replication/sqlite/moment.py",
        "        if not cursor.is_readonly:\n",
        "        if False:\n",
        ("tests/sqlite/test_moment.py",),
    ),
    Mutation(
        "a pipe beside a database is waited for",
        "replication/sqlite/beside.py",
        "            if not stat.S_ISREG(status.st_mode):\n",
        "            if False:\n",
        ("tests/rooted/test_source.py",),
    ),
    Mutation(
        "bytes that SQLite does not count are compared",
        "replication/sqlite/content.py",
        "        found.update(piece[: max(0, counted - at)] if counted else piece)\n",
        "        found.update(piece)\n",
        ("tests/sqlite/test_content.py",),
    ),
    Mutation(
        "others may write while the old content is kept",
        "replication/sqlite/exclusive.py",
        '                connection.execute("PRAGMA locking_mode=EXCLUSIVE").fetchall()\n',
        "",
        ("tests/torture/test_requests.py", "tests/restore/test_replace.py"),
    ),
    Mutation(
        "the tail is not copied under the barrier",
        "replication/sqlite/pin.py",
        "is the pin while the real one is moved.\n            copy()\n",
        "is the pin while the real one is moved.\n",
        ("tests/database/test_pin.py", "tests/engine/test_commit_oracle.py"),
    ),
    Mutation(
        "no reader is pinned",
        "replication/sqlite/pin.py",
        '                page_size = connection.pragma("page_size")\n                begin_reading(connection)\n',
        '                page_size = connection.pragma("page_size")\n                connection.execute("BEGIN")\n',
        ("tests/sqlite/test_pin.py",),
    ),
    Mutation(
        "the pin is moved with no other reader beside it",
        "replication/sqlite/pin.py",
        "        begin_reading(helper)\n        try:\n            self._copy_and_pin(copy)\n",
        (
            '        begin_reading(helper)\n        helper.execute("COMMIT; BEGIN")\n'
            "        try:\n            self._copy_and_pin(copy)\n"
        ),
        ("tests/database/test_pin.py",),
    ),
    Mutation(
        "the helper of a checkpoint opens another file than the one that is pinned",
        "replication/sqlite/pin.py",
        "        return opening(self.path, self.identity)\n",
        "        return opening(self.path)\n",
        ("tests/sqlite/test_opening.py",),
    ),
    Mutation(
        "a fault of another kind is taken for the one that is known",
        "replication/sqlite/integrity.py",
        "    return {_kind(line) for line in found} <= {_kind(line) for line in known}\n",
        "    return bool({_kind(line) for line in known})\n",
        ("tests/cli/test_unsound_sources.py",),
    ),
    Mutation(
        "sqlite opens a database of another user by its path as root",
        "replication/sqlite/opening.py",
        '        yield Opening(real, f"{_DESCRIPTORS}/{folder}/{name}", found)\n',
        "        yield Opening(real, str(real), found)\n",
        ("tests/sqlite/test_opening.py",),
    ),
    Mutation(
        "checksums of frames are not looked at",
        "replication/sqlite/wal.py",
        "count, sums_after = valid_frames(rows[:count], header.page_size, sums, header.big_endian)",
        "sums_after = valid_frames(rows[:count], header.page_size, sums, header.big_endian)[1]",
        ("tests/database/test_wal_scanner.py", "tests/restore/test_faults.py"),
    ),
    Mutation(
        "salts of frames are not looked at",
        "replication/sqlite/wal.py",
        "    count = whole if salted.all() else int(np.argmin(salted))\n",
        "    count = whole if salted.any() else int(np.argmin(salted))\n",
        ("tests/database/test_wal_scanner.py", "tests/restore/test_faults.py"),
    ),
    Mutation(
        "a row of now goes for one that is brought back",
        "replication/sqlite/statements.py",
        '_OR_ABORT = " OR ABORT"\n',
        '_OR_ABORT = ""\n',
        ("tests/recall/test_constraints.py",),
    ),
    Mutation(
        "rows without parents are brought back",
        "replication/sqlite/foreign_keys.py",
        "                failing = _failing(connection, rows) - known\n",
        "                failing: set[int] = set()\n",
        ("tests/recall/test_constraints.py",),
    ),
    Mutation(
        "what a trigger did before it failed stays",
        "replication/sqlite/rows.py",
        "        with Savepoint(self.connection) if table.triggers else nullcontext():\n",
        "        with nullcontext():\n",
        ("tests/recall/test_constraints.py", "tests/recall/test_triggers.py"),
    ),
    Mutation(
        "a key that is spelled in another way stays so, and is said to be replaced",
        "replication/sqlite/rows.py",
        "sql.update if found[1] else sql.update_with_key",
        "sql.update",
        ("tests/recall/test_spelled.py",),
    ),
    Mutation(
        "a row of now goes where a trigger has a conflict of its own",
        "replication/sqlite/rows.py",
        "            if not self.connection.changes() or watch.made_room(table.name):\n",
        "            if not self.connection.changes():\n",
        ("tests/recall/test_triggers.py",),
    ),
    Mutation(
        "a look at the live database reads a WAL that others may restart",
        "replication/sqlite/live_pages.py",
        "            if before[1] == frames or not frames:\n",
        "            if not frames:\n",
        ("tests/sqlite/test_overlay.py",),
    ),
    Mutation(
        "a schema of a replica runs what it likes",
        "replication/sqlite/making.py",
        "        if statements > 1 or not _MAKES.match(text):\n",
        "        if False:\n",
        ("tests/recall/test_tables.py",),
    ),
)
