"""One small replica, made by the program itself, that tests may copy and damage."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from replication.storage.codecs import DEFAULT_CODEC
from tests.cli.program import Replicating
from tests.foreign import ForeignConnection
from tests.interchange.program import wait_until

ROUNDS = 6


@dataclass(frozen=True, slots=True)
class Published:
    """A database that was replicated into `root`, and how it was configured."""

    config: Path
    database: Path
    root: Path

    @property
    def url(self) -> str:
        return f"file://{self.root}"

    @property
    def generation(self) -> str:
        [folder] = (self.root / "generations").iterdir()
        return folder.name

    @property
    def snapshot(self) -> Path:
        """Its one snapshot."""
        [path] = self.root.rglob("*.snapshot.lz4")
        return path

    @property
    def segments(self) -> list[Path]:
        """Its segments in order, without the marks at the ends of indexes."""
        return [path for path in self.wal if any(DEFAULT_CODEC.open("", [path.read_bytes()]))]

    @property
    def wal(self) -> list[Path]:
        """Its segments in order, those marks among them."""
        return sorted(self.root.rglob("*.wal.lz4"))

    def name(self, path: Path) -> str:
        """The name of one of its objects."""
        return str(path.relative_to(self.root))


@pytest.fixture(scope="session")
def published_once(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """A generation of several WAL indexes, one of them in several segments."""
    folder = tmp_path_factory.mktemp("published")
    made = Published(folder / "litestream.yml", folder / "fruits.db", folder / "replica")
    made.config.write_text(
        f"dbs:\n- path: {made.database}\n  monitor-interval: 20ms\n  min-checkpoint-page-count: 12\n"
        f"  replicas:\n  - path: {made.root}\n    sync-interval: 1ms\n"
    )
    with ForeignConnection(made.database, autocheckpoint=False) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE fruits(name, weight)")
        made.database.chmod(0o640)
        with Replicating(folder / "log", "-config", made.config) as replicate:
            for number in range(ROUNDS):
                before = len(made.segments)
                writer.execute(f"INSERT INTO fruits VALUES('fruit {number}', zeroblob(20000))")
                wait_until("a segment", lambda before=before: len(made.segments) > before)  # type: ignore[misc]
            assert replicate.end() == 0
    assert len({path.name.partition("_")[0] for path in made.segments}) > 2, made.segments
    return made


@pytest.fixture
def published(published_once: Published, tmp_path: Path) -> Iterator[Published]:
    """A copy of it, with the times of its objects, that a test may damage."""
    root = tmp_path / "published"
    shutil.copytree(published_once.root, root)
    yield Published(published_once.config, published_once.database, root)
    shutil.rmtree(root)
