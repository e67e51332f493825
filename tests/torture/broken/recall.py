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
        "the state before rows came back is said to be another",
        "replication/recall/undo.py",
        "        end = WAL_HEADER_SIZE + before.frames * (FRAME_HEADER_SIZE + made.page_size)\n",
        "        end = WAL_HEADER_SIZE + after.frames * (FRAME_HEADER_SIZE + made.page_size)\n",
        ("tests/cli/test_bring_back.py",),
    ),
    Mutation(
        "a file of rows takes the row number of another row",
        "replication/recall/export.py",
        'f"(SELECT {rowid} WHERE NOT EXISTS ({there}))"',
        "str(rowid)",
        ("tests/recall/test_export.py",),
    ),
    Mutation(
        "a file of rows lets a row give way that came after the preview",
        "replication/recall/export.py",
        'how = "keep" if on_conflict == "replace" and outcome == INSERTED else on_conflict\n',
        "how = on_conflict\n",
        ("tests/recall/test_export.py",),
    ),
    Mutation(
        "a file of rows has its name before it is whole",
        "replication/recall/output.py",
        "        yield write\n        output.sync(None)\n        output.put_in_place()\n",
        "        output.put_in_place()\n        yield write\n",
        ("tests/recall/test_export.py",),
    ),
    Mutation(
        "a commit that nobody copied is called restorable",
        "replication/recall/recall.py",
        "is_replicated = live.config is not None and look(live.config).pid is not None\n",
        "is_replicated = True\n",
        ("tests/cli/test_bring_back.py",),
    ),
)
