"""Which of many rows are in sight, and which one the cursor is on. Pure.

Its promise: the cursor is on a row that exists and is in sight, however the rows change. Rows are numbers here.
"""


class Scroll:
    """`cursor` and `top` are row numbers; `keep` is called before each drawing."""

    def __init__(self) -> None:
        self.cursor = 0
        self.top = 0
        self._height = 1

    def keep(self, count: int, height: int) -> range:
        """The rows to draw, for so many rows in all and so many that fit."""
        self._height = max(1, height)
        self.cursor = max(0, min(self.cursor, count - 1))
        self.top = max(self.cursor - self._height + 1, min(self.top, self.cursor))
        # No empty place below the last row while there are rows above.
        self.top = max(0, min(self.top, count - self._height))
        return range(self.top, min(count, self.top + self._height))

    def move(self, rows: int) -> None:
        """Down, or up if negative; `keep` holds it within bounds."""
        self.cursor = max(0, self.cursor + rows)

    def page(self, pages: int) -> None:
        """A page down, or up if negative, with one row in common."""
        self.move(pages * max(1, self._height - 1))

    def first(self) -> None:
        self.cursor = 0

    def last(self, count: int) -> None:
        self.cursor = max(0, count - 1)
