"""Promises broken on purpose in replication/restore/."""

from tests.torture.broken.mutation import Mutation

MUTATIONS = (
    Mutation(
        "a generation that went on in the same second is called older",
        "replication/restore/wal03/generations.py",
        "    if not times or late or max(times) < chosen.newest:\n",
        "    if not times or late or max(times) <= chosen.newest:\n",
        ("tests/restore/test_choose.py",),
    ),
    Mutation(
        "who goes on where another left a generation with an empty WAL is not seen",
        "replication/restore/wal03/generations.py",
        "    refuse_gone_on_with(candidates[wanted], by_name, target)\n",
        "",
        ("tests/replica/test_one_writer.py",),
    ),
    Mutation(
        "what one replica had seen of a generation is held against another",
        "replication/restore/wal03/gone_on.py",
        "            places = here or {place for place in lefts if place.generation == name}\n",
        "            places = {place for one in known.values() for place in one if place.generation == name}\n",
        ("tests/replica/test_parted_by_place.py",),
    ),
    Mutation(
        "a replica that is silent is left out although it may have later commits",
        "replication/restore/wal03/choose.py",
        "best.end.generation == known.generation and best.end >= known\n",
        "best.end.generation == known.generation\n",
        ("tests/cli/test_silent_replica.py",),
    ),
    Mutation(
        "the live file is written before the old content is kept durably",
        "replication/restore/kept.py",
        "            os.fsync(self._descriptor)\n",
        "",
        ("tests/torture/test_power_loss.py",),
    ),
    Mutation(
        "a replica is taken to end where its last segment begins",
        "replication/restore/wal03/offers.py",
        "    if len(answers) > 1 and not _one_commit(target):\n",
        "    if False:\n",
        ("tests/cli/test_newest_commit.py",),
    ),
    Mutation(
        "what another replica's snapshot of Litestream may hold is passed over",
        "replication/restore/wal03/offers.py",
        "        if alone is None and item.plan.proof:\n",
        "        if False:\n",
        ("tests/restore/test_unproven_snapshots.py",),
    ),
    Mutation(
        "the times of the store do not order generations",
        "replication/restore/wal03/order.py",
        "    if not _later(item, other) or mine.counter < theirs.counter:\n",
        "    if mine.counter < theirs.counter:\n",
        ("tests/restore/test_choose.py",),
    ),
    Mutation(
        "two copies that name each other are put in order by their salts",
        "replication/restore/wal03/order.py",
        "all(_later(item, other) if in_a_ring else _after(item, other, contents) for other in others)",
        "all(_after(item, other, contents) for other in others)",
        ("tests/restore/test_choose.py",),
    ),
    Mutation(
        "a restored file gets its name although one is there",
        "replication/restore/output.py",
        "                os.link(*names, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)\n"
        "            except FileExistsError:\n"
        "                check_free(self.path)\n"
        "                raise\n",
        "                os.replace(*names, src_dir_fd=folder, dst_dir_fd=folder)\n"
        "            except FileExistsError:\n"
        "                check_free(self.path)\n"
        "                raise\n",
        ("tests/restore/test_output.py",),
    ),
    Mutation(
        "a restored file gets its name before it is durable",
        "replication/restore/output.py",
        "            os.fsync(self.descriptor)\n",
        "",
        ("tests/torture/test_power_loss.py",),
    ),
    Mutation(
        "another commit stands in for the one that was picked",
        "replication/restore/picked.py",
        "    if not is_exact(offer.plan, target.position) or open_end(offer) is not None:\n",
        "    if False:\n",
        ("tests/tui/restore/test_picked.py",),
    ),
    Mutation(
        "a snapshot of Litestream needs nothing written after it",
        "replication/restore/wal03/plan.py",
        "    return sum(item.index == index and item.created > snapshot.info.created for item in catalog.segments)\n",
        "    return WRITTEN_AFTER_MIN\n",
        ("tests/restore/test_plan.py", "tests/cli/test_newest_commit.py"),
    ),
    Mutation(
        "a lost index is taken for the one before it",
        "replication/restore/wal03/cut.py",
        "    if not any(item.info.index == target.index for item in catalog.snapshots):\n",
        "    if False:\n",
        ("tests/cli/test_newest_commit.py",),
    ),
    Mutation(
        "the live file is replaced by a rename",
        "replication/restore/replace.py",
        "        unfinished = held.write(fresh, go_on)\n",
        '        unfinished = ""\n        fresh.rename(live)\n',
        ("tests/torture/test_requests.py", "tests/restore/test_replace_inode.py"),
    ),
    Mutation(
        "a restore steps over the missing end of an index",
        "replication/restore/wal03/replay.py",
        "        if short or torn or behind:\n",
        "        if False:\n",
        ("tests/restore/test_faults.py",),
    ),
    Mutation(
        "a restore steps over a missing segment",
        "replication/restore/wal03/replay.py",
        "        if info.offset > index.end:\n",
        "        if False:\n",
        ("tests/restore/test_faults.py",),
    ),
    Mutation(
        "a restore goes on past the commit asked for",
        "replication/restore/wal03/replay.py",
        'ends, stop.offset, side="right"))',
        'ends, stop.offset, side="right") + 1)',
        ("tests/restore/test_every_commit.py",),
    ),
    Mutation(
        "an index goes on from that of a copy",
        "replication/restore/wal03/replay.py",
        "            check_mark(following.info.name, following.note.frame if following.note else None, index.mark)\n",
        "            pass\n",
        ("tests/replica/test_one_writer.py",),
    ),
    Mutation(
        "a snapshot is gone on from with WAL of a copy",
        "replication/restore/wal03/replay.py",
        "            check_mark(self._plan.snapshot.info.name, note.frame, mark_of(frames, row))\n",
        "            pass\n",
        ("tests/replica/test_one_writer.py",),
    ),
    Mutation(
        "another replica takes over although it is behind",
        "replication/restore/wal03/attempts.py",
        "    return following if following.end >= failed.known else None\n",
        "    return following\n",
        ("tests/restore/test_choose.py",),
    ),
    Mutation(
        "what follows the end of a restore is not looked at",
        "replication/restore/wal03/pages.py",
        "        replay.check_following(note)\n",
        "        pass\n",
        ("tests/cli/test_newest_commit.py",),
    ),
    Mutation(
        "an older state is given although a snapshot of Litestream may hold a later one",
        "replication/restore/wal03/attempts.py",
        "                if may_be_newer(snapshot, self.options.target):\n",
        "                if False:\n",
        ("tests/restore/test_unproven_snapshots.py",),
    ),
    Mutation(
        "a scratch folder that is in use is swept",
        "replication/restore/scratch.py",
        "                    fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)\n",
        "                    pass\n",
        ("tests/rooted/test_left_behind.py",),
    ),
    Mutation(
        "no temporary folder ends the program",
        "replication/restore/scratch.py",
        "    with suppress(LocalFileError):\n        sweep(temporary_folder(), prefix)\n",
        "    sweep(temporary_folder(), prefix)\n",
        ("tests/rooted/test_left_behind.py",),
    ),
    Mutation(
        "a restored file that fails SQLite's check is removed",
        "replication/restore/verdict.py",
        "        if not keep:\n",
        "        if True:\n",
        ("tests/cli/test_unsound_sources.py",),
    ),
)
