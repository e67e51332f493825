"""A home of another user, and a vault that only root may enter."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.foreign import Shell

USER = 12345


@dataclass(frozen=True, slots=True)
class Home:
    """`folder` and the database in it are the user's; `vault` is root's, and `config` replicates to `replica`."""

    folder: Path
    vault: Path
    config: Path
    replica: Path

    @property
    def database(self) -> Path:
        return self.folder / "app.db"

    @property
    def meta(self) -> Path:
        return self.folder / ".app.db-litestream"

    def vault_content(self) -> dict[str, tuple[str, int, int]]:
        """What is in the vault: content, owner and time of writing of each name."""
        found = {}
        for path in [self.vault, *sorted(self.vault.rglob("*"))]:
            status = path.lstat()
            content = path.read_text() if path.is_file() else ",".join(sorted(item.name for item in path.iterdir()))
            found[str(path)] = (content, status.st_uid, status.st_mtime_ns)
        return found


@pytest.fixture
def home() -> Iterator[Home]:
    """Outside of pytest's own folders, which let nobody else in."""
    if os.geteuid() != 0:
        pytest.skip("only root can be fooled so")
    base = Path(tempfile.mkdtemp(prefix="rooted-"))
    base.chmod(0o755)
    folder, vault = base / "home", base / "vault"
    folder.mkdir()
    vault.mkdir(0o700)
    (vault / "secret").write_text("precious")
    (vault / "generations" / "0123456789abcdef" / "wal").mkdir(parents=True)
    (vault / "generations" / "0123456789abcdef" / "wal" / "00000000.wal").write_text("precious")
    (vault / "wal").mkdir()
    made = Home(folder, vault, base / "litestream.yml", base / "replica")
    Shell(made.database).run("PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES(1)")
    made.config.write_text(
        f"dbs:\n- path: {made.database}\n  monitor-interval: 10ms\n  checkpoint-interval: 1s\n"
        f"  replicas:\n  - path: {made.replica}\n    sync-interval: 1ms\n"
    )
    for path in (folder, *folder.iterdir()):
        os.chown(path, USER, USER)
    try:
        yield made
    finally:
        shutil.rmtree(base)
