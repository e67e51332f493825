"""A line to type into, there only while something is asked.

Its promise: closed it is neither seen nor focused, so that no letter gets lost in it.
"""

from textual.widgets import Input


class Prompt(Input):
    """`ask` opens it, `close` puts it away; a screen has one for each thing that it asks."""

    DEFAULT_CSS = """
    Prompt { padding: 0 1; display: none; }
    Prompt.shown { display: block; }
    """

    def __init__(self, id: str, placeholder: str = "") -> None:
        # What is only hidden would be given the focus when another widget goes away.
        super().__init__(id=id, placeholder=placeholder, disabled=True, compact=True)

    @property
    def is_open(self) -> bool:
        """True while something is asked."""
        return self.has_class("shown")

    def ask(self, value: str | None = None) -> None:
        """Open it with this text in it (None: as it was left), the cursor behind it."""
        if value is not None:
            self.value = value
        self.cursor_position = len(self.value)
        self.disabled = False
        self.add_class("shown")
        # At once: the letters after the key that opened it are here already, if they were typed fast.
        self.screen.set_focus(self)

    def close(self) -> bool:
        """Put it away; True if it was open."""
        was_open = self.is_open
        self.remove_class("shown")
        self.disabled = True
        if was_open:
            self.screen.set_focus(None)
        return was_open
