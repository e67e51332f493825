"""A replica that has begun anew has a hole in its generation: all programs restore its newest state."""

from pathlib import Path

from tests.interchange.program import litestream_tui, restore03, restore05
from tests.interchange.replicated import sha
from tests.replica.bench import Bench
from tests.replica.test_left_behind import commits, die


def test_both_litestreams_restore_what_comes_after_the_hole(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.database.sync()
    bench.replica("a")
    bench.replica("b")
    commits(bench, 3, ("a", "b"))
    die(bench, "b")
    commits(bench, 30)
    bench.settle()
    commits(bench, 3, ("a", "b"))
    bench.settle()
    assert len(bench.reasons()) == 1
    root = tmp_path / "replica"
    for name in bench.storages["b"].names():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(bench.storages["b"].read(name))
    newest = bench.app.sha256()
    bench.close()
    url = f"file://{root}"
    litestream_tui("restore", "-o", tmp_path / "ours", url)
    restore03(tmp_path / "0.3", url)
    restore05(tmp_path / "0.5", url)
    assert sha(tmp_path / "ours") == sha(tmp_path / "0.3") == sha(tmp_path / "0.5") == newest
