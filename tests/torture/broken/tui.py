"""Promises broken on purpose in tui/."""

from tests.torture.broken.mutation import Mutation

MUTATIONS = (
    Mutation(
        "quitting asks nothing of a paused database",
        "tui/app.py",
        "        if left_to_upload(self.view.status) or stopped(self.view.status):\n",
        "        if left_to_upload(self.view.status):\n",
        ("tests/tui/test_actions.py",),
    ),
    Mutation(
        "closed descriptors are left to whatever is opened next",
        "tui/cli.py",
        "    open_standard_descriptors()\n",
        "",
        ("tests/cli/test_streams.py",),
    ),
    Mutation(
        "the log of the screen is renamed by its path",
        "tui/session/crashlog.py",
        'os.rename(name, f"{name}.1", src_dir_fd=self._folder, dst_dir_fd=self._folder)',
        'os.rename(self.baseFilename, f"{self.baseFilename}.1")',
        ("tests/rooted/test_screen_log.py",),
    ),
    Mutation(
        "the log of the screen is opened by its path",
        "tui/session/crashlog.py",
        "file = open_plain(self._folder, Path(self.baseFilename).name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)",
        "file = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)",
        ("tests/rooted/test_screen_log.py",),
    ),
    Mutation(
        "the command gets the store's keys although it should not",
        "tui/verbs/command.py",
        "env=None if self._inherits_keys else _without_keys()",
        "env=None",
        ("tests/rooted/test_secrets.py",),
    ),
)
