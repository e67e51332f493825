"""What all screens share: keys from the action table, a footer, and what to do with a new view."""

from typing import ClassVar, cast

from textual.binding import Binding
from textual.screen import Screen

from tui.actions import actions_of, keys_of
from tui.view import Shell, View
from tui.widgets.footer import KeyFooter


class ShellScreen(Screen[None]):
    """A screen of this program. PLACE is its name in the action table; `show` is called with every new view."""

    PLACE: ClassVar[str] = ""
    # Letters are keys, unless the screen itself opens a line to type into.
    AUTO_FOCUS = ""
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny-width"), (50, "-narrow"), (80, "-normal-width"), (132, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-tiny-height"), (12, "-low"), (24, "-normal-height"), (35, "-tall")]  # noqa: RUF012

    ready = False
    """True once its widgets are there."""

    @property
    def shell(self) -> Shell:
        """The application."""
        return cast(Shell, self.app)

    def footer(self) -> KeyFooter:
        """The line of keys, for `compose`."""
        options = self.shell.options
        return KeyFooter(self.PLACE, options.keys, options.read_only, options.ascii, self.absent())

    def absent(self) -> frozenset[str]:
        """Actions of its place, by id, that cannot be taken: the footer does not offer them."""
        return frozenset()

    def copy(self, text: str) -> None:
        """Give a text to the clipboard of the terminal, also over SSH (OSC 52), and say so."""
        self.app.copy_to_clipboard(text)
        self.shell.tell(f"Copied: {text}")

    def show(self, view: View) -> None:
        """Show how things stand. Called when the screen opens, and at every poll while it is in front."""

    def __init__(self) -> None:
        super().__init__()
        # Bound before the first paint: who sees a key in the footer may press it.
        self._bind()

    def _bind(self) -> None:
        options = self.shell.options
        for action in actions_of(self.PLACE, options.read_only):
            # What the screen does not do itself, the application does.
            call = action.id if hasattr(self, f"action_{action.id}") else f"app.{action.id}"
            for key in keys_of(action, options.keys):
                named = Binding(key.replace(",", "comma"), call, action.words, show=False, id=action.id)
                for binding in Binding.make_bindings([named]):
                    self._bindings.key_to_bindings[binding.key] = [binding]

    def on_mount(self) -> None:
        self.call_after_refresh(self._show_first)

    def on_screen_resume(self) -> None:
        self.shell.show_again()

    def _show_first(self) -> None:
        self.ready = True
        self.shell.show_again()
