"""Lines of text that are repainted only where they changed: the piece that most panels are made of.

Its promise: giving it equal lines sends nothing to the terminal, and a changed one is sent up to its last
difference. Every line is a rich Text, so that no name from outside is taken for markup.
"""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.segment import Segment
from rich.text import Text
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

_PLAIN = {"…": "~", "─": "-", "×": "x", "→": ">", "✓": "+"}


class Lines(Widget):
    """A block of lines, cut at its edges. `set_lines` is all there is to it."""

    DEFAULT_CSS = "Lines { height: auto; }"

    def __init__(
        self, lines: Sequence[Text] = (), id: str | None = None, classes: str | None = None, fixed: bool = False
    ) -> None:
        """`fixed`: its height is the layout's to give, and a change in the number of lines is no new layout."""
        super().__init__(id=id, classes=classes)
        self._lines: list[Text] = list(lines)
        self._fixed = fixed

    @property
    def lines(self) -> Sequence[Text]:
        return self._lines

    def set_lines(self, lines: Sequence[Text]) -> None:
        """Show these lines."""
        before, self._lines = self._lines, list(lines)
        if len(before) != len(self._lines) and not self._fixed:
            self.refresh(layout=True)
            return
        regions = []
        for y in range(max(len(before), len(self._lines))):
            old = before[y] if y < len(before) else Text()
            new = self._lines[y] if y < len(self._lines) else Text()
            span = difference(old, new)
            if span is not None and y < self.size.height:
                regions.append(Region(span[0], y, span[1] - span[0], 1).intersection(self.size.region))
        regions = [region for region in regions if region]
        if regions:
            self.refresh(*regions)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._lines)

    def render_line(self, y: int) -> Strip:
        line = self._lines[y] if y < len(self._lines) else Text()
        return strip_of(line, self.size.width, self)


def strip_of(line: Text, width: int, widget: Widget) -> Strip:
    """A line as a strip of exactly `width` cells in the widget's own style."""
    style = widget.rich_style
    options = getattr(widget.app, "options", None)
    letters = plain_letters if getattr(options, "ascii", False) else str
    segments = [
        Segment(letters(segment.text), style + segment.style if segment.style else style)
        for segment in line.render(widget.app.console)
        if segment.text != "\n"
    ]
    return Strip(segments).adjust_cell_length(width, style)


def plain_letters(text: str) -> str:
    """A text for a terminal that has ASCII only, in the same cells."""
    return "".join(char if char.isascii() else _PLAIN.get(char, "?" * cell_len(char)) for char in text)


def difference(old: Text, new: Text) -> tuple[int, int] | None:
    """The first and the last differing cell (exclusive) of two lines; None if they look the same."""
    if old == new and old.spans == new.spans and old.style == new.style:
        return None
    a, b = old.plain, new.plain
    wide = old.cell_len != len(a) or new.cell_len != len(b)
    if old.style != new.style or old.spans != new.spans or wide:
        return (0, max(old.cell_len, new.cell_len))
    first = next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    if len(a) != len(b):
        return (first, max(len(a), len(b)))
    last = next(n for n in range(len(a), 0, -1) if a[n - 1] != b[n - 1])
    return (first, last)
