"""Promises broken on purpose in tui/."""

from tests.torture.broken.mutation import Mutation

MUTATIONS = (
    Mutation(
        "quitting asks nothing of a paused database",
        "tui/app.py",
        "        elif self.can_leave_running() or left_to_upload(self.view.status) or stopped(self.view.status):\n",
        "        elif self.can_leave_running() or left_to_upload(self.view.status):\n",
        ("tests/tui/test_actions.py",),
    ),
    Mutation(
        "a restore ends with the screen that began it",
        "tui/session/jobs.py",
        "        if leaving.is_set():\n            raise",
        "        if leaving.is_set():\n            control.cancel(job.id)\n            raise",
        ("tests/tui/attached/test_attach.py",),
    ),
    Mutation(
        "an engine that is gone is shown as it was",
        "tui/session/attached.py",
        "tuple(_gone(item) for item in self._status.databases)",
        "self._status.databases",
        ("tests/tui/attached/test_attach.py",),
    ),
    Mutation(
        "a screen ends before another process stands by",
        "tui/session/background.py",
        "        while not all(map(handover.is_awaited, ours)):\n",
        "        while not ours:\n",
        ("tests/tui/attached/test_leave_running.py",),
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
        "tui/session/screen_log.py",
        'os.rename(name, f"{name}.1", src_dir_fd=self._folder, dst_dir_fd=self._folder)',
        'os.rename(self.baseFilename, f"{self.baseFilename}.1")',
        ("tests/rooted/test_screen_log.py",),
    ),
    Mutation(
        "the log of the screen is opened by its path",
        "tui/session/screen_log.py",
        "file = open_plain(self._folder, Path(self.baseFilename).name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)",
        "file = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)",
        ("tests/rooted/test_screen_log.py",),
    ),
    Mutation(
        "the command gets the store's keys although it should not",
        "tui/verbs/child_process.py",
        "env=None if self._inherits_keys else _without_keys()",
        "env=None",
        ("tests/rooted/test_secrets.py",),
    ),
    Mutation(
        "a command of -exec may speak for us to systemd",
        "tui/verbs/notify.py",
        'environment.pop(name, "")',
        'environment.get(name, "")',
        ("tests/service/test_notify.py",),
    ),
    Mutation(
        "the watchdog is fed although nothing is copied",
        "tui/verbs/service.py",
        "        if self._engine.makes_progress():\n",
        "        if True:\n",
        ("tests/service/test_service.py", "tests/service/test_notify.py"),
    ),
    Mutation(
        "ready is said before databases were opened",
        "tui/verbs/service.py",
        "    return all(opened) or (late and any(opened))\n",
        "    return True\n",
        ("tests/service/test_service.py",),
    ),
    Mutation(
        "a restore by the engine goes on when the command is interrupted",
        "tui/verbs/by_engine.py",
        "            result = carry_out(self._client, request, told, cancel)\n",
        "            result = carry_out(self._client, request, told)\n",
        ("tests/control/test_by_engine.py",),
    ),
    Mutation(
        "a file that the engine wrote elsewhere is taken for restored",
        "tui/verbs/by_engine.py",
        "        if not os.path.lexists(output):\n",
        "        if False:\n",
        ("tests/control/test_by_engine.py",),
    ),
)
