"""Promises broken on purpose in replication/recall/."""

from tests.torture.broken.mutation import Mutation

MUTATIONS = (
    Mutation(
        "what came after the preview is brought back over, though that was to stop it",
        "replication/recall/recall.py",
        '            if self._on_conflict == "abort" and not tried.report.is_whole:\n',
        "            if False:\n",
        ("tests/recall/test_constraints.py",),
    ),
    Mutation(
        "a row gives way that the preview did not name",
        "replication/sqlite/how.py",
        "        if self.outcomes[id] not in (SAME, UPDATED, STAYS):\n",
        "        if False:\n",
        ("tests/recall/test_constraints.py",),
    ),
    Mutation(
        "a row gives way that was changed after the preview",
        "replication/sqlite/how.py",
        "        if self._of(id) != now._of(id):\n",
        "        if False:\n",
        ("tests/recall/test_changed.py",),
    ),
    Mutation(
        "the state before rows came back is said to be another",
        "replication/recall/undo.py",
        "        end = WAL_HEADER_SIZE + before.frames * (FRAME_HEADER_SIZE + made.page_size)\n",
        "        end = WAL_HEADER_SIZE + after.frames * (FRAME_HEADER_SIZE + made.page_size)\n",
        ("tests/cli/test_bring_back.py",),
    ),
)
