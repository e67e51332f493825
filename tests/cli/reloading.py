"""`replicate` as a service, which SIGHUP asks to read its configuration anew: no terminal controls it."""

import os
import signal
from pathlib import Path

from tests.cli.program import Replicating, succeeds
from tests.foreign import Shell
from tests.interchange.program import wait_until


def entry(path: Path, replica: Path, more: str = "", of_replica: str = "sync-interval: 1ms") -> str:
    """One database of a configuration."""
    return f"- {{path: {path}, {more}replicas: [{{path: {replica}, {of_replica}}}]}}\n"


def directory(path: Path, replica: Path, more: str = "watch: true", pattern: str = "*.db") -> str:
    """One folder of databases."""
    return f"- {{dir: {path}, pattern: '{pattern}', {more}, replicas: [{{path: {replica}, sync-interval: 1ms}}]}}\n"


def made(path: Path) -> Path:
    """A database with one row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Shell(path).run("PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES('first')")
    return path


def restored(replica: Path, output: Path) -> list[str]:
    """The rows of the newest commit of a replica."""
    output.unlink(missing_ok=True)
    succeeds("restore", "-o", output, f"file://{replica}")
    return [row[0] for row in Shell(output).rows("SELECT a FROM t ORDER BY rowid")]


def generations(replica: Path) -> list[str]:
    folder = replica / "generations"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def has_snapshot(replica: Path) -> bool:
    return next(replica.glob("generations/*/snapshots/*"), None) is not None


class Service(Replicating):
    """It reads `config`, which `write` writes."""

    def __init__(self, folder: Path, config: Path, *entries: str) -> None:
        self._config = config
        self._asked = 0
        self.write(*entries)
        super().__init__(folder, "-config", config, session=True)

    def write(self, *entries: str) -> None:
        self._config.write_text("dbs:\n" + "".join(entries))

    def reload(self, *entries: str) -> str:
        """Let it read another configuration; the line that says what changed."""
        self.wait_for("msg=litestream-tui")
        self.write(*entries)
        self._asked += 1
        self.send(signal.SIGHUP)
        return self.wait_for("configuration read anew", times=self._asked)

    @property
    def threads(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/task").iterdir()))

    @property
    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    @property
    def memory(self) -> int:
        """Bytes that are resident and its own."""
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()
        return (int(pages[1]) - int(pages[2])) * os.sysconf("SC_PAGE_SIZE")


def wait_for_snapshots(*replicas: Path) -> None:
    wait_until("a snapshot in each", lambda: all(has_snapshot(replica) for replica in replicas))
