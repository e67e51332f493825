"""The two streams: results go to stdout, everything about them to stderr. No secret passes either."""

import io
import os
import select
import sys
from contextlib import suppress
from typing import NoReturn, TextIO

from replication.errors import LocalFileError
from replication.scrub import scrub


def say(text: str) -> None:
    """A result, for people and pipes. Raises LocalFileError if it cannot be written, as to a full disk."""
    _print(scrub(text))


def _print(text: str, end: str = "\n") -> None:
    try:
        print(text, end=end, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        silence(sys.stdout)
        raise LocalFileError(
            f"the result cannot be written to standard output: {error.strerror}; send it elsewhere"
        ) from None


def give(text: str, end: str = "\n") -> None:
    """Rows of a database, as they are: what looks like a password there is the user's. Raises as `say`."""
    _print(text, end)


def warn(text: str) -> None:
    """Something to know that does not stop the command."""
    _tell(f"warning: {text}")


def remark(text: str) -> None:
    """What goes with a result and is none of it: on stderr, so that the result can be read by a program."""
    _tell(text, "# ")


def complain(text: str, wait_seconds: float | None = None) -> None:
    """Why the command failed. With `wait_seconds`, the text is dropped if stderr takes nothing for that long."""
    if wait_seconds is None or sys.stderr is None or _takes_more(sys.stderr, wait_seconds):
        _tell(text)


def _takes_more(stream: TextIO, seconds: float) -> bool:
    look = select.poll()
    try:
        look.register(stream.fileno(), select.POLLOUT)
    except (OSError, ValueError):
        return True
    return bool(look.poll(seconds * 1000))


def open_standard_descriptors() -> None:
    """Give 0, 1 and 2 to /dev/null where they were closed. Else the next file has the number, a database perhaps.

    And an error message would be written into it.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free, which is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


def spell_names_in_utf8() -> None:
    """Start anew, in UTF-8, if the locale has another encoding, which keeps us from files whose names it cannot spell.

    A configuration is UTF-8, and so are the names of files wherever people have accents in them. What is shown goes on
    in the terminal's encoding. Who runs as C or POSIX has Python's UTF-8 mode already.
    """
    if sys.getfilesystemencoding().lower() not in ("utf-8", "utf8") and not sys.flags.utf8_mode and sys.executable:
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


def escape_what_cannot_be_written() -> None:
    """Let no file name that the terminal has no letters for end a command."""
    encoding = _encoding_of_the_terminal()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=encoding, errors="backslashreplace")


def _encoding_of_the_terminal() -> str | None:
    """The locale's encoding if Python runs in UTF-8 mode, for then the streams may have the wrong one.

    None if they have the right one.
    """
    if not sys.flags.utf8_mode:
        return None
    import locale

    encoding = locale.getencoding()
    # C and POSIX say ASCII only because nobody chose anything: the streams stay UTF-8. With PYTHONUTF8=0 ASCII was
    # chosen, and UTF-8 mode is on only by our own -X utf8.
    nothing = encoding.lower() in ("ansi_x3.4-1968", "us-ascii", "ascii", "646")
    return None if nothing and os.environ.get("PYTHONUTF8") != "0" else encoding


def leave(code: int) -> NoReturn:
    """End the process at once, whatever its threads are waiting for."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with suppress(OSError):
                stream.flush()
    os._exit(code)


def silence(stream: TextIO | None) -> None:
    """Send what is still waiting in `stream` nowhere, so that the end of the program does not trip over it."""
    if stream is None:
        return
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        return  # It has none of its own, as under a test.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _tell(text: str, mark: str = "litestream-tui: ") -> None:
    # Names from outside must not add lines. Without a stderr, print would write to stdout.
    if sys.stderr is not None:
        line = "".join(char if char.isprintable() else repr(char)[1:-1] for char in scrub(text))
        print(f"{mark}{line}", file=sys.stderr, flush=True)
