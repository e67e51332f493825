"""What SQLite asks of a file that is no file, and that no other program has: nothing is locked, synced or closed.

https://www.sqlite.org/c3ref/io_methods.html
"""


class LoneFile:
    """A file of a VFS in Python (apsw). What it holds is for the classes that are made of it."""

    def xSectorSize(self) -> int:  # noqa: N802
        return 4096

    def xFileControl(self, op: int, pointer: int) -> bool:  # noqa: N802
        return False

    def xLock(self, level: int) -> None:  # noqa: N802
        pass

    def xUnlock(self, level: int) -> None:  # noqa: N802
        pass

    def xCheckReservedLock(self) -> bool:  # noqa: N802
        return False

    def xSync(self, flags: int) -> None:  # noqa: N802
        pass

    def xClose(self) -> None:  # noqa: N802
        pass
