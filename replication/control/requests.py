"""What may be asked for as a job: frozen values, named in words as the command line names them.

A database is named by its path as the status shows it, a replica by its name; "" leaves it open. Paths are absolute,
for the engine is somewhere else than who asks.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from replication.errors import UsageError
from replication.recall.wanted import Pick, Wanted
from replication.restore.target import Latest, Target, parse_index, parse_position, parse_time
from replication.sqlite.brought import OnConflict
from replication.sqlite.later import Look as DatabaseLook

IntegrityCheck = Literal["none", "quick", "full"]
Change = Literal["gone", "appeared", "fell", "row", "sql"]
SECONDS_MAX = 30 * 24 * 3600.0
"""No lease is longer, and no wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sync:
    """Look at a database ("": at all) and try its replicas now; with `wait` until they have what is copied then."""

    DO: ClassVar = "sync"
    database: str = ""
    wait: bool = False
    timeout: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteSnapshot:
    """Write a snapshot now, to one replica or to all."""

    DO: ClassVar = "snapshot"
    database: str
    replica: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verify:
    """Restore the newest commit from each replica to a temporary file, and compare it with the database."""

    DO: ClassVar = "verify"
    database: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Let go of a database for `holder`, who has to renew it in time; 0 seconds is no lease. Done once it is."""

    DO: ClassVar = "pause"
    database: str
    holder: str
    lease_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Which commit: `position`, `timestamp` or `index`, one of them, or the newest. As the flags of `restore`.

    `replica` is where it was picked: others that have the very same commit stand in if that one fails, unless `only`.
    """

    database: str
    replica: str = ""
    only: bool = False
    generation: str = ""
    position: str = ""
    timestamp: str = ""
    index: str = ""

    @property
    def target(self) -> Target:
        """Where to stop. Raises UsageError."""
        given = [name for name in ("index", "timestamp", "position") if getattr(self, name)]
        if len(given) > 1:
            raise UsageError(f"cannot specify {' & '.join(given)} to restore; give one of them")
        if self.index:
            return parse_index(self.index)
        if self.timestamp:
            return parse_time(self.timestamp)
        return parse_position(self.position) if self.position else Latest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore(Moment):
    """Restore to a new file, `output`, which must not exist."""

    DO: ClassVar = "restore"
    output: str
    integrity_check: IntegrityCheck = "quick"
    keep_failed: bool = False
    """Keep a file that fails the check, beside `output`."""
    parallelism: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreOver(Moment):
    """Restore into the live database, whose content is kept as `kept`: the path that the user was told, or chosen.

    Replication is paused meanwhile. A warning names commits after the look `since`.
    """

    DO: ClassVar = "restore-over"
    kept: str = ""
    since: DatabaseLook | None = None
    integrity_check: IntegrityCheck = "quick"
    parallelism: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Moment):
    """What restoring would fetch."""

    DO: ClassVar = "plan"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look(Moment):
    """Restore to a temporary file of the engine's and say what tables are in it; rows by `Rows`, until forgotten."""

    DO: ClassVar = "look"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The rows of a table that differ, of a look by the id of its job."""

    DO: ClassVar = "rows"
    look: str
    table: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """List a replica, or the one that answers best; more by `Commits` and `PlanPoint`, until forgotten."""

    DO: ClassVar = "points"
    database: str
    replica: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generations:
    """The generations that a replica holds, newest first."""

    DO: ClassVar = "generations"
    database: str
    replica: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Commits:
    """Read the commits at one stop of a list: `points` is the id of its job, `object` the name of the stop's object."""

    DO: ClassVar = "commits"
    points: str
    object: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanPoint:
    """What restoring a position of a list would fetch, and whether it is a snapshot by itself."""

    DO: ClassVar = "plan-point"
    points: str
    position: str


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Keep a replica open to look at its commits, by `Entries` and `Query`, until forgotten."""

    DO: ClassVar = "history"
    database: str
    replica: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """What commits did, from `position` back, the newest first; of a history by the id of its job.

    There may be fewer than `limit` although there are older ones: ask again from the last one on. None at all means
    that none are older.
    """

    DO: ClassVar = "entries"
    history: str
    position: str
    limit: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Ask SQL that only reads of the database at a commit; of a history by the id of its job."""

    DO: ClassVar = "query"
    history: str
    position: str
    sql: str
    limit: int = 200
    timeout: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Find:
    """Find the newest change up to `position` (or of all): a table that went (with "" any), appeared, or lost so many
    `rows`; the one `row`, by its key, that came, changed or went; another answer to `sql`.
    """

    DO: ClassVar = "find"
    database: str
    replica: str
    what: Change
    table: str = ""
    rows: int = 1
    row: str = ""
    sql: str = ""
    generation: str = ""
    position: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewBack(Moment):
    """Stage rows of a moment, and say what bringing them back would do; done by `BringBack`, until forgotten.

    With `until`, a position, a time or "now": what commits from the moment up to then deleted.
    """

    DO: ClassVar = "preview-back"
    picks: tuple[Pick, ...] = ()
    until: str = ""
    on_conflict: OnConflict = "skip"

    @property
    def wanted(self) -> Wanted:
        """Which rows. Raises UsageError."""
        return Wanted(self.picks, bool(self.until))

    @property
    def end(self) -> Target | None:
        """The second moment. Raises UsageError."""
        if not self.until:
            return None
        if self.until == "now":
            return Latest()
        return parse_position(self.until) if "/" in self.until else parse_time(self.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class BringBack:
    """Bring rows back as a preview said: `preview` is the id of its job. `database` is what is told of the job."""

    DO: ClassVar = "bring-back"
    preview: str
    database: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteRows:
    """Write the rows of a preview to a new file, as SQL, or as CSV if it is called so."""

    DO: ClassVar = "write-rows"
    preview: str
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reload:
    """Read the configuration anew: databases and replicas come, go and change. One with an error changes nothing."""

    DO: ClassVar = "reload"


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """Replicate a database that is not in the configuration to this URL, until the engine ends."""

    DO: ClassVar = "register"
    database: str
    replica_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unregister:
    """Replicate a database no longer: first its replicas get what they lack, within `timeout`, or it stays."""

    DO: ClassVar = "unregister"
    database: str
    timeout: float = 30.0


Request = (
    Sync
    | WriteSnapshot
    | Verify
    | Pause
    | Restore
    | RestoreOver
    | Plan
    | Look
    | Rows
    | Points
    | Generations
    | Commits
    | PlanPoint
    | History
    | Entries
    | Query
    | Find
    | PreviewBack
    | BringBack
    | WriteRows
    | Reload
    | Register
    | Unregister
)
REQUESTS: dict[str, type[Request]] = {str(one.DO): one for one in get_args(Request)}
"""All of them, by what they do."""
_BY_THE_OWNER = frozenset(
    {"pause", "restore", "restore-over", "bring-back", "write-rows", "reload", "register", "unregister"}
)
CHANGES = _BY_THE_OWNER | {"sync", "snapshot", "verify"}
"""Those that a client which may only read does not get; others leave nothing but a temporary file of the engine's."""
FOR_THE_OWNER = _BY_THE_OWNER | {"look", "rows", "entries", "query", "find", "preview-back"}
"""Those that write to a path, show what a database holds or say what is replicated: for who runs it, and for root."""
