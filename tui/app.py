"""The application: it owns the poll timer, the screens, background jobs, and the way out.

It asks the engine through Control alone. Starting and closing the engine is left to the caller.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import PurePath
from typing import Any, ClassVar, TypeVar, cast

from textual.message import Message
from textual.screen import Screen

from replication.config import Config
from replication.control import JobControl
from replication.errors import ReplicationError, without_frames
from replication.events import EVENTS_MAX, Event
from replication.scrub import scrub
from replication.status import EngineStatus
from tui.actions import Action
from tui.dashboard.screen import DashboardScreen
from tui.session import screen_log
from tui.session.place import HERE, Place, gone_news
from tui.session.toasts import Told, Trouble, news, told, trouble_of
from tui.session.under_way import under_way
from tui.text.cells import cut_end
from tui.text.format import plain
from tui.view import Options, View
from tui.widgets.key_order import KeyOrder
from tui.widgets.screen import ShellScreen

__all__ = ["LitestreamApp", "Options", "View"]

JOBS_MAX = 16
"""Background jobs at one time. A key press beyond that is refused in words."""
TOAST_CELLS_MAX = 240
"""A longer toast is cut: the whole of an error stands in the panels and in the log."""

T = TypeVar("T")


class LitestreamApp(KeyOrder[int]):
    """Opens on the dashboard; its return value is the exit code."""

    TITLE = "litestream-tui"
    ENABLE_COMMAND_PALETTE: ClassVar[bool] = False
    # Textual reads the files of screens that are pushed; the first one is not.
    CSS_PATH: ClassVar[list[str | PurePath]] = ["app.tcss", "dashboard/screen.tcss"]

    @dataclass
    class Finished(Message):
        """A background job has ended. `call` is to be called on the thread of the screen."""

        call: Callable[[], None]
        counts: bool = True
        """False if it was none of the counted jobs."""

    def __init__(
        self, control: JobControl, config: Config, options: Options, place: Callable[[], Place] = lambda: HERE
    ) -> None:
        super().__init__(ansi_color=True)
        self.theme = "ansi-dark"
        self.control = control
        self.config = config
        self.options = options
        self.view = View(EngineStatus(options.clock(), ()))
        self.running: set[tuple[str, str]] = set()
        self.leaving = threading.Event()
        self.frozen = False
        self.jobs = 0
        """Background jobs that have not ended."""
        self.painted: Callable[[], None] = lambda: None
        """Called once, after the first paint."""
        self.crash = ""
        """Why the screen ended, if it ended by itself."""
        self.hurried = False
        """True when the user wants out without waiting for uploads."""
        self.background: Callable[[], int] | None = None
        """Starts the engine's successor in the background, from a thread: its process. None where nothing can."""
        self.successor = 0
        """The process that goes on with what this one replicates, once there is one."""
        self._place = place
        self._events: deque[Event] = deque(maxlen=EVENTS_MAX)
        self._last_event = 0
        self._threads: list[threading.Thread] = []
        self._poll_error = ""
        self._trouble: Trouble = {}
        self._jobs_untold = False
        self._told: tuple[Told, ...] = ()
        """The toasts that stand, newest last."""

    # -- life -----------------------------------------------------------------------------------------------------

    def get_default_screen(self) -> Screen[Any]:
        return DashboardScreen()

    def on_mount(self) -> None:
        self.set_class(self.options.ascii, "-ascii")
        self.poll()
        self.call_after_refresh(self.painted)
        if self.options.welcome:
            self.tell(self.options.welcome)
        if self.options.log_problem:
            self.tell(self.options.log_problem, "warning")
        self.set_interval(self.options.refresh_seconds, self.poll)

    def leave(self, code: int = 0, hurried: bool = False) -> None:
        """End the application. The caller then closes the engine: `hurried` means without waiting for uploads."""
        self.hurried = hurried
        self.leaving.set()
        self.exit(code)

    def can_leave_running(self) -> bool:
        return self.background is not None

    def leave_running(self) -> None:
        background = self.background
        if background is None or ("background", "") in self.running:
            return
        self.running.add(("background", ""))

        def started(pid: int) -> None:
            self.successor = pid
            self.leave()

        def failed(error: ReplicationError) -> None:
            self.running.discard(("background", ""))
            self.tell(f"It was not left running: {error}", "error")
            self.poll()

        self.in_background(background, started, failed)

    def leave_from_outside(self) -> None:
        """Like `leave`, from any thread."""
        self.leaving.set()
        self.post_message(self.Finished(self.leave, counts=False))

    def poll_from_outside(self) -> None:
        """Like `poll`, from any thread."""
        if not self.leaving.is_set():
            self.post_message(self.Finished(self.poll, counts=False))

    def wait_for_jobs(self, seconds: float) -> bool:
        """Wait so long for background jobs to give up, when the application has ended. Return True if none is left."""
        self.leaving.set()
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def now(self) -> float:
        """Seconds since the epoch, by the clock of the options."""
        return self.options.clock()

    def poll(self) -> None:
        """Ask the engine, and let the screen in front show what it says."""
        place = self._place()
        if place.pid != self.view.place.pid:
            # Another engine counts its events from the first.
            self._last_event = 0
        try:
            status = self.control.status()
            new = self.control.events_since(self._last_event)
        except Exception as error:  # whatever it is: the screen stays, and the next poll comes
            words = str(error) if isinstance(error, ReplicationError) else screen_log.record(error, "status")
            if words != self._poll_error:
                self._poll_error = words
                self.tell(f"The engine does not say how it stands: {words}", "error")
            return
        self._poll_error = ""
        events = self.view.events
        if new:
            self._last_event = new[-1].number
            self._events.extend(new)
            screen_log.write(new)
            events = tuple(self._events)
        before, self._trouble = self._trouble, trouble_of(status)
        # That the engine is gone is one piece of news, and not one for each database.
        changes = gone_news(self.view.place, place) or (() if place.gone else news(before, self._trouble, status))
        for words, severity in changes:
            self.tell(words, severity)
        self._jobs_untold |= bool(place.pid) and place.pid != self.view.place.pid
        self.view = View(status, events, place)
        if self._jobs_untold:
            self._ask_for_jobs()
        if not self.frozen:
            self.show_again()

    def _ask_for_jobs(self) -> None:
        """Say, when the screen attaches, what is under way, or how the last restore ended.

        It is asked again if the engine does not answer.
        """
        self._jobs_untold = False

        def tell(words: str) -> None:
            if words:
                self.tell(words)

        def asked() -> str:
            words: str = import_module("tui.jobs.lines").attach_news(self.control.jobs())
            return words

        def failed(error: ReplicationError) -> None:
            self._jobs_untold = True

        self.in_background(asked, tell, failed)

    def show_again(self) -> None:
        """Let the screen in front show the view as it is."""
        screen = self.screen_stack[-1] if self.screen_stack else None  # none while it ends
        if isinstance(screen, ShellScreen) and screen.ready:
            self._safely(lambda: screen.show(self.view), type(screen).__name__)

    def _safely(self, call: Callable[[], None], where: str) -> None:
        try:
            call()
        except Exception as error:  # one panel that cannot be drawn must not end the program
            self._unforeseen(error, where)

    def _unforeseen(self, error: BaseException, where: str) -> None:
        words = screen_log.record(error, where)
        log = f" Details: {self.options.log_path}" if self.options.log_path else ""
        self.tell(f"Unforeseen: {words}. Replication goes on.{log}", "error")

    def _handle_exception(self, error: Exception) -> None:
        # Textual would print a traceback with all local variables. One line is printed when the terminal is given back.
        words = screen_log.record(error, "the screen")
        if self.is_headless:
            super()._handle_exception(error)
            return
        log = f"; details are in {self.options.log_path}" if self.options.log_path else ""
        self.crash = f"the screen ended: {words}{log}"
        self.leave(1)

    # -- what screens ask for ---------------------------------------------------------------------------------------

    def tell(self, words: str, severity: str = "information") -> None:
        """Show a toast. Nothing in it is markup, an escape or a secret."""
        self._told, changed = told(self._told, cut_end(plain(scrub(words)), TOAST_CELLS_MAX), severity, self.now())
        if changed:
            self.clear_notifications()
        for item in self._told if changed else self._told[-1:]:
            left, level = max(0.1, item.until - self.now()), cast(Any, item.severity)
            self.notify(item.shown, severity=level, timeout=left, markup=False)

    def in_background(
        self,
        work: Callable[[], T],
        done: Callable[[T], None] | None = None,
        failed: Callable[[ReplicationError], None] | None = None,
    ) -> None:
        """Do `work` in a thread of its own; one message brings back its result, or why it failed.

        The thread is a daemon: a store that never answers must not keep the program from ending.
        """
        fail = failed or (lambda error: self.tell(str(error), "error"))
        if self.jobs >= JOBS_MAX:
            fail(ReplicationError(f"{JOBS_MAX} things are under way already; wait for one to end"))
            return
        self.jobs += 1

        def run() -> None:
            try:
                result = work()
            except ReplicationError as error:
                known = without_frames(error)
                self.post_message(self.Finished(lambda: fail(known)))
            except Exception as error:
                unforeseen = ReplicationError(screen_log.record(error, "a background job"))
                self.post_message(self.Finished(lambda: fail(unforeseen)))
            else:
                self.post_message(self.Finished(lambda: done(result) if done is not None else None))

        thread = threading.Thread(target=run, name="screen-job", daemon=True)
        self._threads = [*(other for other in self._threads if other.is_alive()), thread]
        thread.start()

    def on_litestream_app_finished(self, message: Finished) -> None:
        self.jobs -= message.counts
        self._safely(message.call, "the end of a background job")

    def open_detail(self, database: str) -> None:
        self._open("tui.detail.screen", "DetailScreen", database)

    def open_restore(self, database: str) -> None:
        self._open("tui.restore.picker.screen", "RestoreScreen", database)

    def open_uploads(self) -> None:
        self._open("tui.uploads.screen", "UploadsScreen")

    def open_jobs(self) -> None:
        self._open("tui.jobs.screen", "JobsScreen")

    def open_log(self) -> None:
        self._open("tui.log.screen", "LogScreen")

    def _open(self, module: str, name: str, *arguments: str) -> None:
        # Imported when first opened: the first paint does not wait for screens that nobody looks at.
        self.push_screen(getattr(import_module(module), name)(*arguments))

    # -- actions of every screen ------------------------------------------------------------------------------------

    async def action_back(self) -> None:
        if len(self.screen_stack) > 1:
            self.pop_screen()

    async def action_quit(self) -> None:
        """Detach from an engine that goes on; one of this screen is ended, and while anything is under way asked."""
        self.frozen = False
        self.poll()
        if self.view.place.kind != "here":
            self.leave()
        elif self.can_leave_running() or under_way(self.view.status, self.control.jobs()):
            self.push_screen(import_module("tui.session.quit").QuitScreen())
        else:
            self.leave()

    def action_help(self) -> None:
        where = self._where()
        if where != "help":
            self.push_screen(import_module("tui.keys.help").HelpScreen(where))

    def action_palette(self) -> None:
        screen, where = self.screen, self._where()
        if where == "palette":
            return

        def chosen(action: Action) -> None:
            call = action.id if hasattr(screen, f"action_{action.id}") else f"app.{action.id}"
            self.call_later(self.run_action, call, screen)

        self.push_screen(import_module("tui.keys.palette").PaletteScreen(where, chosen))

    def _where(self) -> str:
        return self.screen.PLACE if isinstance(self.screen, ShellScreen) else ""

    def action_freeze(self) -> None:
        self.frozen = not self.frozen
        self.tell("Frozen: the display stands still, replication goes on. f lets it go on" if self.frozen else "Live")
        self.poll()
        self.show_again()

    def action_next_panel(self) -> None:
        self.screen.focus_next()
