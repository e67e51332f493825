"""Promises broken on purpose: one change of the program each, and the tests that must then fail.

A suite that stays green under one of these says nothing about the promise. Each names its text exactly, so that a
change of the program that moves it is noticed.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutation:
    """In `file`, `old`, which stands there once, becomes `new`; one of `tests` must fail."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


MUTATIONS = (
    Mutation(
        "the tail is not copied under the barrier",
        "replication/sqlite/hold.py",
        "is the pin while the real one is moved.\n            copy()\n",
        "is the pin while the real one is moved.\n",
        ("tests/database/test_pin.py", "tests/engine/test_commit_oracle.py"),
    ),
    Mutation(
        "no reader is pinned",
        "replication/sqlite/hold.py",
        '                page_size = connection.pragma("page_size")\n                _begin_reading(connection)\n',
        '                page_size = connection.pragma("page_size")\n                connection.execute("BEGIN")\n',
        ("tests/sqlite/test_hold.py",),
    ),
    Mutation(
        "the pin is moved with no other reader beside it",
        "replication/sqlite/hold.py",
        "        _begin_reading(helper)\n        try:\n            copy()\n",
        '        _begin_reading(helper)\n        helper.execute("COMMIT; BEGIN")\n        try:\n            copy()\n',
        ("tests/database/test_pin.py",),
    ),
    Mutation(
        "checksums of frames are not looked at",
        "replication/sqlite/wal.py",
        "count, sums_after = valid_frames(rows[:count], header.page_size, sums, header.big_endian)",
        "sums_after = valid_frames(rows[:count], header.page_size, sums, header.big_endian)[1]",
        ("tests/database/test_tail.py", "tests/restore/test_faults.py"),
    ),
    Mutation(
        "salts of frames are not looked at",
        "replication/sqlite/wal.py",
        "    count = whole if salted.all() else int(np.argmin(salted))\n",
        "    count = whole if salted.any() else int(np.argmin(salted))\n",
        ("tests/database/test_tail.py", "tests/restore/test_faults.py"),
    ),
    Mutation(
        "the first pin is not proven",
        "replication/database/follower.py",
        "        self._may_restart = False\n"
        "        self.copy()\n"
        "        counted = self._wal_index.read()\n"
        "        if counted is None or (counted.salts != mark.header.salts and not self._was_whole(counted)):\n"
        '            raise ContinuityLostError("wal restarted while it was opened")\n',
        "        self.copy()\n",
        ("tests/database/test_opening.py", "tests/database/test_pin.py"),
    ),
    Mutation(
        "what was copied before is not looked at again",
        "replication/database/tail.py",
        "    if not _holds(descriptor, header, mark.offset, mark.sums):\n",
        "    if False:\n",
        ("tests/database/test_tail.py",),
    ),
    Mutation(
        "frames beyond SQLite's count are copied",
        "replication/database/follower.py",
        "        self._append(wal, mark, counted.end, counted.sums)\n",
        "        last = last_commit(wal, mark, OFFSET_LIMIT_BYTES - 1)\n"
        "        self._append(wal, mark, last.offset, last.sums)\n",
        ("tests/database/test_interrupted_commit.py",),
    ),
    Mutation(
        "the checksum that SQLite published is not compared",
        "replication/database/tail.py",
        "    if running != sums or not pages:\n",
        "    if not pages:\n",
        ("tests/database/test_tail.py",),
    ),
    Mutation(
        "frames that may come to count are not looked at again",
        "replication/database/follower.py",
        "        if counted is not None and not self._holds_more(wal, counted):\n",
        "        if True:\n",
        ("tests/database/test_interrupted_commit.py",),
    ),
    Mutation(
        "an older life of the WAL that counts again is followed",
        "replication/database/follower.py",
        "        if header == self._passed_over:\n",
        "        if False:\n",
        ("tests/database/test_interrupted_commit.py",),
    ),
    Mutation(
        "a removed -shm is not noticed",
        "replication/database/source_files.py",
        "            if not self._hold.wal_index.is_in_place():\n",
        "            if False:\n",
        ("tests/database/test_source_files.py",),
    ),
    Mutation(
        "a database file written in place is not noticed",
        "replication/database/source_files.py",
        "                self._look(index, Written.of(status))\n",
        "",
        ("tests/database/test_source_files.py",),
    ),
    Mutation(
        "a file written in place while the engine is stopped is not noticed",
        "replication/database/database.py",
        "            if isinstance(decision, Continue) and not held.files.were_left_alone(\n",
        "            if False and not held.files.were_left_alone(\n",
        ("tests/database/test_source_files.py",),
    ),
    Mutation(
        "what was copied over a foreign file is not taken back",
        "replication/database/held.py",
        "                follower.go_back(place)\n",
        "                pass\n",
        ("tests/database/test_source_files.py",),
    ),
    Mutation(
        "the WAL over a foreign file is let go with its frames",
        "replication/database/held.py",
        "        self._hold.empty_wal()\n",
        "",
        ("tests/database/test_source_files.py",),
    ),
    Mutation(
        "a WAL with the same header is taken for the one that was copied",
        "replication/database/continuity.py",
        "        if not _same_start(shadow_path, wal, mark.offset):\n",
        "        if False:\n",
        ("tests/database/test_continuity.py",),
    ),
    Mutation(
        "a replica counts a segment before it is stored",
        "replication/replica/sender.py",
        "            chunks = read_range(path, position.offset, stop, self._sent)\n"
        "            stored = self.client.write_segment(position, chunks, note, create=True)\n",
        "            chunks = read_range(path, position.offset, stop, self._sent)\n"
        "            self.position = replace(position, offset=stop)\n"
        "            stored = self.client.write_segment(position, chunks, note, create=True)\n",
        ("tests/replica/test_upload.py", "tests/replica/test_any_order.py"),
    ),
    Mutation(
        "a replica is appended to without comparing its last segment",
        "replication/replica/compare.py",
        "                if offset + len(piece) > end or os.pread(descriptor, len(piece), offset) != piece:\n",
        "                if False:\n",
        ("tests/replica",),
    ),
    Mutation(
        "the first segment need not reach what the snapshot holds",
        "replication/replica/replica.py",
        "            self._floor = image.position.offset\n",
        "            self._floor = 0\n",
        ("tests/replica/test_snapshots.py",),
    ),
    Mutation(
        "retention keeps no snapshot from before the window",
        "replication/replica/retention.py",
        "        if times[item.name] <= begin and (first is None or held.place(item) <= first)\n",
        "",
        ("tests/replica/test_retention.py",),
    ),
    Mutation(
        "retention removes the generation in use",
        "replication/replica/retention.py",
        "if held.generation != current and newest is not None and newest < begin and _is_over(held, holdings, begin):",
        "if newest is not None and newest < begin and _is_over(held, holdings, begin):",
        ("tests/replica/test_retention.py",),
    ),
    Mutation(
        "a restore steps over the missing end of an index",
        "replication/restore/replay.py",
        "        if short or torn or behind:\n",
        "        if False:\n",
        ("tests/restore/test_faults.py",),
    ),
    Mutation(
        "a restore steps over a missing segment",
        "replication/restore/replay.py",
        "        if info.offset > index.end:\n",
        "        if False:\n",
        ("tests/restore/test_faults.py",),
    ),
    Mutation(
        "the times of the store do not order generations",
        "replication/restore/order.py",
        "    if not _later(item, other) or mine.counter < theirs.counter:\n",
        "    if mine.counter < theirs.counter:\n",
        ("tests/restore/test_choose.py",),
    ),
    Mutation(
        "who begins at a place does not name what is there",
        "replication/replica/lineage.py",
        "        noted = _at_the_place(client, origin)\n",
        "        noted = []\n",
        ("tests/cli/test_newest_commit.py",),
    ),
    Mutation(
        "a replica is taken to end where its last segment begins",
        "replication/restore/offers.py",
        "        answers = [_measured(item, target, backoff, stop) for item in answers]\n",
        "        pass\n",
        ("tests/cli/test_newest_commit.py",),
    ),
    Mutation(
        "another replica takes over although it is behind",
        "replication/restore/restore.py",
        "    return following if following.end >= failed.known else None\n",
        "    return following\n",
        ("tests/restore/test_choose.py",),
    ),
    Mutation(
        "a snapshot of Litestream needs nothing written after it",
        "replication/restore/plan.py",
        "    return sum(item.index == index and item.created > snapshot.info.created for item in catalog.segments)\n",
        "    return WRITTEN_AFTER_MIN\n",
        ("tests/restore/test_plan.py", "tests/cli/test_newest_commit.py"),
    ),
    Mutation(
        "a lost index is taken for the one before it",
        "replication/restore/plan.py",
        "    if not any(item.info.index == target.index for item in catalog.snapshots):\n",
        "    if False:\n",
        ("tests/cli/test_newest_commit.py",),
    ),
    Mutation(
        "what follows the end of a restore is not looked at",
        "replication/restore/restore.py",
        "        replay.check_following(note)\n",
        "        pass\n",
        ("tests/cli/test_newest_commit.py",),
    ),
    Mutation(
        "a restore goes on past the commit asked for",
        "replication/restore/replay.py",
        'ends, stop.offset, side="right"))',
        'ends, stop.offset, side="right") + 1)',
        ("tests/restore/test_every_commit.py",),
    ),
    Mutation(
        "an object that was cut off is taken as whole",
        "replication/storage/container.py",
        '    if not decompressor.eof:\n        raise CorruptObjectError(name, "it ends in the middle',
        '    if False:\n        raise CorruptObjectError(name, "it ends in the middle',
        ("tests/restore/test_faults.py", "tests/restore/test_litestream.py"),
    ),
    Mutation(
        "a restored file gets its name although one is there",
        "replication/restore/output.py",
        "                os.link(self.temporary, self.path, follow_symlinks=False)\n"
        "            except FileExistsError:\n"
        "                check_free(self.path)\n"
        "                raise\n",
        "                os.replace(self.temporary, self.path)\n"
        "            except FileExistsError:\n"
        "                check_free(self.path)\n"
        "                raise\n",
        ("tests/restore/test_output.py",),
    ),
    Mutation(
        "an object of a folder gets its name before it is durable",
        "replication/storage/file.py",
        "                    os.fsync(output.fileno())\n",
        "",
        ("tests/torture/test_power_loss.py",),
    ),
    Mutation(
        "the shadow WAL is not durable before SQLite may forget",
        "replication/database/follower.py",
        "        self._shadow.fsync(self.generation, self.index)\n",
        "        pass\n",
        ("tests/torture/test_power_loss.py",),
    ),
    Mutation(
        "a restored file gets its name before it is durable",
        "replication/restore/output.py",
        "            os.fsync(self.descriptor)\n",
        "",
        ("tests/torture/test_power_loss.py",),
    ),
    Mutation(
        "a snapshot of commits that were lost is gone on with",
        "replication/replica/compare.py",
        "    if database.shadow.frame_mark(position.generation, position.index, position.offset, page_size) != mark:\n",
        "    if False:\n",
        ("tests/replica/test_set_back.py",),
    ),
    Mutation(
        "the live file is replaced by a rename",
        "replication/restore/replace.py",
        "        unfinished = held.write(fresh, go_on)\n",
        '        unfinished = ""\n        fresh.rename(live)\n',
        ("tests/torture/test_requests.py", "tests/restore/test_replace_inode.py"),
    ),
    Mutation(
        "others may write while the old content is kept",
        "replication/sqlite/exclusive.py",
        '                connection.execute("PRAGMA locking_mode=EXCLUSIVE").fetchall()\n',
        "",
        ("tests/torture/test_requests.py", "tests/restore/test_replace.py"),
    ),
    Mutation(
        "the live file is written before the old content is kept durably",
        "replication/restore/kept.py",
        "            os.fsync(self._descriptor)\n",
        "",
        ("tests/torture/test_power_loss.py",),
    ),
    Mutation(
        "the mask of an access list is taken for the group's permission",
        "replication/permissions.py",
        "    return mode if acl is None else mode & ~0o077 | others_bits(acl)\n",
        "    return mode\n",
        ("tests/test_permissions.py",),
    ),
    Mutation(
        "a segment is written over another's",
        "replication/replica/sender.py",
        "            stored = self.client.write_segment(position, chunks, note, create=True)\n",
        "            stored = self.client.write_segment(position, chunks, note)\n",
        ("tests/replica/test_one_writer.py",),
    ),
    Mutation(
        "an index ends without a mark",
        "replication/replica/sender.py",
        "        self._end_index(position)\n        self.position = Position",
        "        self.position = Position",
        ("tests/replica/test_one_writer.py",),
    ),
    Mutation(
        "a folder gives an object the name of another",
        "replication/storage/links.py",
        "        os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)\n",
        "        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)\n",
        ("tests/storage/test_contract.py",),
    ),
    Mutation(
        "a server that ignores If-None-Match is taken for one that heeds it",
        "replication/storage/s3/create.py",
        "        if _put(request, bucket, key, body):\n            heeded[bucket] = False\n",
        "        if _put(request, bucket, key, body):\n            heeded[bucket] = True\n",
        ("tests/storage/test_s3_create.py",),
    ),
    Mutation(
        "a snapshot takes the place of the one of its index",
        "replication/replica/replica.py",
        "                if same is None:\n                    self._send(here)\n",
        '                if same is None or same != "unknown":\n'
        "                    if same:\n"
        "                        self.client.delete([snapshot_name(here.generation, here.index)])\n"
        "                    self._send(here)\n",
        ("tests/replica/test_window.py", "tests/replica/test_snapshots.py"),
    ),
    Mutation(
        "what retention removes is not checked on paper",
        "replication/replica/retention.py",
        "        if at == 0 or reach[at - 1][1] <= place:\n            return place\n",
        "",
        ("tests/replica/test_retention.py",),
    ),
    Mutation(
        "the host's clock says what is old",
        "replication/replica/keeping.py",
        "return self.clock.now(times, self._monotonic(), host)",
        "return host",
        ("tests/replica/test_window.py",),
    ),
    Mutation(
        "ok is said without a look at what is there",
        "replication/replica/proof.py",
        "        restorable=found,\n",
        "        restorable=True,\n",
        ("tests/replica/test_proof.py",),
    ),
    Mutation(
        "a late listing is taken for a loss",
        "replication/replica/keeping.py",
        "        if any(self._is_there(name) for name in asked):\n",
        "        if False:\n",
        ("tests/replica/test_proof.py",),
    ),
    Mutation(
        "a checkpoint under an image does not keep the pages first",
        "replication/database/held.py",
        "            for image in self.images:\n                image.keep(follower.position)\n",
        "",
        ("tests/database/test_kept_pages.py",),
    ),
    Mutation(
        "the pin moves past what was kept for an image",
        "replication/database/held.py",
        "exact=bool(self.images)",
        "exact=False",
        ("tests/database/test_kept_pages.py",),
    ),
    Mutation(
        "pages that a checkpoint cuts off the file are not kept for an image",
        "replication/database/kept_pages.py",
        "np.arange(smallest + 1, self._smallest + 1, dtype=np.int64)",
        "np.empty(0, np.int64)",
        ("tests/database/test_kept_pages.py",),
    ),
    Mutation(
        "an end mark says nothing of who left",
        "replication/replica/sender.py",
        "        if left and not left_for:\n",
        "        if False:\n",
        ("tests/replica/test_one_writer.py",),
    ),
    Mutation(
        "another file after an orderly end is taken for the one that was followed",
        "replication/database/source_files.py",
        "        if exact and (not index.frames or index.salts == mark.header.salts):\n",
        "        if False:\n",
        ("tests/database/test_source_files.py",),
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
        "    (_P.LEAVING, _S.RESUME): _P.RETURNING,\n",
        "    (_P.LEAVING, _S.RESUME): _P.LEAVING,\n",
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
        "a lease lasts for ever",
        "replication/engine/holds.py",
        "        return Holds(tuple((who, end) for who, end in self.until if end > now))\n",
        "        return self\n",
        ("tests/engine/test_leases.py",),
    ),
    Mutation(
        "quitting asks nothing of a paused database",
        "tui/app.py",
        "        if left_to_upload(self.view.status) or stopped(self.view.status):\n",
        "        if left_to_upload(self.view.status):\n",
        ("tests/tui/test_actions.py",),
    ),
    Mutation(
        "bytes that SQLite does not count are compared",
        "replication/sqlite/content.py",
        "        found.update(piece[: max(0, counted - at)] if counted else piece)\n",
        "        found.update(piece)\n",
        ("tests/sqlite/test_content.py",),
    ),
    Mutation(
        "a fault of another kind is taken for the one that is known",
        "replication/sqlite/integrity.py",
        "    return {_kind(line) for line in found} <= {_kind(line) for line in known}\n",
        "    return bool({_kind(line) for line in known})\n",
        ("tests/cli/test_unsound_sources.py",),
    ),
    Mutation(
        "a restored file that fails SQLite's check is removed",
        "replication/restore/verdict.py",
        "        if not keep:\n",
        "        if True:\n",
        ("tests/cli/test_unsound_sources.py",),
    ),
    Mutation(
        "listings that stay late are waited for without end",
        "replication/replica/keeping.py",
        "            if self._late_looks >= LATE_LOOKS_MAX:\n",
        "            if False:\n",
        ("tests/storage/test_broken_listings.py",),
    ),
    Mutation(
        "a place is not looked at as a restore looks at it",
        "replication/replica/keeping.py",
        "            found = [self._reader.of(generation)] if generation in self._client.generations() else []\n",
        "            found = [self._reader.of(generation)]\n",
        ("tests/storage/test_broken_listings.py",),
    ),
)
