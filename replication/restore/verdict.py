"""What becomes of a restored file of which SQLite's own check says that something is wrong with it.

Every frame was verified and every object whole, so most likely the source is so itself. Where that is known the file is
put in place, with a warning. Where it is not, it may be the replica, or this program: then it does not get its name,
but it is nobody's to throw away either.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from replication.errors import IntegrityCheckError
from replication.restore.output import Output
from replication.restore.retry import check
from replication.sqlite import integrity

Check = Literal["none", "quick", "full"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`word` is for people: ok, skipped, as in the source, or why it could not be checked."""

    thoroughness: Check
    word: str
    problems: tuple[str, ...] = ()

    def is_noted_in(self, noted: Sequence[str]) -> bool:
        """True if SQLite found nothing but what the snapshot's note says of the source."""
        return bool(self.problems) and integrity.are_among(self.problems, noted)

    def accepted(self, output: Output, noted: Sequence[str], known: str, keep: bool) -> str:
        """The warning with which `output` is put in place. `known` says why the source is known to have the same
        problems.

        Raises IntegrityCheckError if it is not known, after the file was kept beside the output if `keep` says so.
        """
        said = f"SQLite's {self.thoroughness} check of the restored database says: {'; '.join(self.problems)}."
        if self.is_noted_in(noted):
            known = "the database itself failed it so before the snapshot was taken"
        if known:
            return f"{said} It is put in place all the same, for {known}. The application, or REINDEX, can mend it."
        unknown = f"{said} It is not known whether the database it comes from says the same, so "
        others = "restore an earlier point, or this one with -integrity-check none."
        if not keep:
            raise IntegrityCheckError(f"{unknown}nothing was put in place. To go on, {others}")
        raise IntegrityCheckError(
            f"{unknown}it was not put in place, and is kept as {output.keep_aside()}. Look at it there; or {others}"
        )


def look_at(output: Output, thoroughness: Check, stop: threading.Event) -> Verdict:
    """Let SQLite check the file. Raises RestoreCancelledError."""
    if thoroughness == "none":
        return Verdict(thoroughness, "skipped")
    found: Sequence[str] = ()
    try:
        found = integrity.problems(output.temporary, thoroughness, stop.is_set)
    except integrity.Inconclusive as error:
        return Verdict(thoroughness, f"inconclusive: {error}")
    except integrity.Interrupted:
        check(stop)
        return Verdict(thoroughness, "inconclusive: interrupted")
    return Verdict(thoroughness, "as in the source" if found else "ok", tuple(found))
