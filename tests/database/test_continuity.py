"""Whether a generation goes on, as a table: what the shadow WAL and the WAL look like, and the answer."""

from collections.abc import Callable
from pathlib import Path

import pytest

from replication.database.continuity import Begin, Continue, decide, last_commit
from replication.local.shadow_wal import ShadowWAL
from replication.permissions import Ownership
from replication.position import INDEX_MAX
from replication.sqlite.wal import WALHeader, frames_in
from tests.foreign import ForeignConnection

GENERATION = "00112233445566aa"
PAGE = 512
FRAME = 24 + PAGE


class Scene:
    """A WAL of SQLite's own, and a shadow WAL that has all of it but the last commit."""

    def __init__(self, folder: Path) -> None:
        path = folder / "app.db"
        self.wal = folder / "app.db-wal"
        with ForeignConnection(path, autocheckpoint=False) as app:
            app.execute(f"PRAGMA page_size={PAGE}")
            app.execute("PRAGMA journal_mode=wal")
            app.execute("CREATE TABLE t(b)")
            for _ in range(5):
                app.execute("INSERT INTO t VALUES(randomblob(1200))")
            self.content = self.wal.read_bytes()
        # The application has gone, and the WAL with it: here it is as it was.
        self.wal.write_bytes(self.content)
        header = WALHeader.parse(self.content)
        frames = frames_in(self.content[32:], header, header.sums)
        self.copied = 32 + (int(frames.commits[:-1].nonzero()[0][-1]) + 1) * FRAME
        self.shadow = ShadowWAL(folder / "meta", Ownership())
        self.shadow.make()
        self.shadow.make_generation(GENERATION)
        self.shadow.use_generation(GENERATION)
        self.write_shadow(self.content[: self.copied])

    def write_shadow(self, data: bytes, index: int = 3) -> None:
        self.shadow.path(GENERATION, index).write_bytes(data)

    def decide(self) -> Continue | Begin:
        return decide(self.shadow, self.wal, PAGE)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_it_goes_on_where_the_shadow_wal_ends(scene: Scene) -> None:
    decision = scene.decide()
    assert isinstance(decision, Continue)
    assert (decision.generation, decision.index, decision.cursor.offset) == (GENERATION, 3, scene.copied)
    assert decision.cursor.database_pages > 0


def test_a_shadow_wal_that_a_crash_tore_goes_on_from_its_last_commit(scene: Scene) -> None:
    for torn in (scene.content[: scene.copied + 100], scene.content[: scene.copied] + bytes(3 * FRAME)):
        scene.write_shadow(torn)
        decision = scene.decide()
        assert isinstance(decision, Continue)
        assert decision.cursor.offset == scene.copied


def cut_wal(scene: Scene) -> None:
    scene.wal.write_bytes(scene.content[: scene.copied - 1])


def empty_wal(scene: Scene) -> None:
    scene.wal.write_bytes(b"")


def other_frame(scene: Scene) -> None:
    changed = bytearray(scene.content)
    changed[32 + FRAME + 100] ^= 1
    scene.wal.write_bytes(changed)


def restarted(scene: Scene) -> None:
    header = WALHeader.parse(scene.content)
    again = WALHeader(header.big_endian, header.page_size, header.sequence, header.salt1 + 1, 7, (0, 0))
    scene.wal.write_bytes(again.pack() + scene.content[32:])


def no_shadow_file(scene: Scene) -> None:
    scene.shadow.path(GENERATION, 3).unlink()


def no_generation(scene: Scene) -> None:
    (scene.shadow.meta_path / "generation").unlink()


def odd_generation(scene: Scene) -> None:
    (scene.shadow.meta_path / "generation").write_text("../../etc/passwd\n")


def highest_index(scene: Scene) -> None:
    scene.write_shadow(scene.content[: scene.copied], INDEX_MAX)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (no_generation, "no generation exists"),
        (odd_generation, "no generation exists"),
        (no_shadow_file, "no shadow wal"),
        (highest_index, "max index exceeded"),
        (lambda scene: scene.write_shadow(b""), "short shadow wal"),
        (lambda scene: scene.write_shadow(scene.content[:31]), "short shadow wal"),
        (lambda scene: scene.write_shadow(bytes(4096)), "short shadow wal"),
        (lambda scene: scene.wal.unlink(), "wal missing: it was checkpointed and removed while not replicating"),
        (empty_wal, "wal empty: it was checkpointed while not replicating"),
        (restarted, "wal header mismatch: it was restarted while not replicating"),
        (cut_wal, "wal truncated by another process"),
        (other_frame, "wal overwritten by another process"),
    ],
)
def test_every_reason_for_a_new_generation(scene: Scene, change: Callable[[Scene], None], reason: str) -> None:
    change(scene)
    assert scene.decide() == Begin(reason)


def test_another_page_size_begins_a_generation(scene: Scene) -> None:
    assert decide(scene.shadow, scene.wal, 2 * PAGE) == Begin("page size changed")


def test_a_shadow_wal_with_a_header_alone_goes_on(scene: Scene) -> None:
    # Litestream makes such a file before the first commit.
    scene.write_shadow(scene.content[:32])
    decision = scene.decide()
    assert isinstance(decision, Continue)
    assert decision.cursor.frames == 0


def test_the_last_commit_of_a_file(scene: Scene, tmp_path: Path) -> None:
    cursor = last_commit(scene.shadow.file(GENERATION, 3))
    assert cursor is not None
    assert cursor.offset == scene.copied
