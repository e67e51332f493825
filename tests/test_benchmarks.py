"""The benchmarks run: a few rows at a tiny scale, all three programs, both stores. No figure is judged."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import table
from benchmarks.rows import ROWS
from benchmarks.stage import Figures
from benchmarks.table import Result

ROOT = Path(__file__).parents[1]
TITLES = {"ours": "litestream-tui", "0.3": "Litestream 0.3.13"}


def bench(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.run", *words],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=110,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="the benchmarks read /proc")
@pytest.mark.parametrize(
    ("store", "rows"), [("file", ["restore", "version"]), ("s3", ["latency-10ms"])], ids=["file", "s3"]
)
def test_rows_give_figures_for_all_three(tmp_path: Path, store: str, rows: list[str]) -> None:
    output = tmp_path / "figures.md"
    run = bench(tmp_path, *rows, "--stores", store, "--scale", "0.01", "--runs", "1", "-o", str(output))
    assert run.returncode == 0, run.stderr
    document = json.loads(output.with_suffix(".json").read_text())
    assert document["about"]["scale"] == 0.01
    assert [result["row"] for result in document["results"]] == rows
    for result in document["results"]:
        assert set(result["runs"]) == {"ours", "0.3", "0.5"}
        for name, [figures] in result["runs"].items():
            assert isinstance(figures, dict), f"{name}: {figures}"
            assert figures
        assert result["title"] in output.read_text()
        assert result["title"] in run.stdout
    assert not list(tmp_path.glob("litestream-tui-bench-*"))


def test_a_row_that_is_unknown_is_refused(tmp_path: Path) -> None:
    run = bench(tmp_path, "no-such-row")
    assert run.returncode == 2
    assert "no such row: no-such-row" in run.stderr


def test_a_failure_stands_in_its_cell() -> None:
    row = next(row for row in ROWS if row.name == "version")
    good: Figures = {"seconds": 2.0, "cpu": 1.0, "memory": 10.0}
    result = Result(row, "file", {"ours": [good, good], "0.3": ["ProgramError: it ended", {**good, "seconds": 4.0}]})
    [time, *_] = table.lines(result, TITLES)
    assert time == ["time, s", "2.00", "4.00, 1 failed", "0.50"]
    assert "Failed: Litestream 0.3.13: ProgramError: it ended." in table.markdown([result], TITLES)


def test_the_ratio_is_of_runs_side_by_side() -> None:
    row = next(row for row in ROWS if row.name == "version")
    result = Result(row, "file", {"ours": [{"seconds": 1.0}, {"seconds": 9.0}], "0.3": [{"seconds": 2.0}, {}]})
    assert result.ratio("0.3", "seconds") == 0.5
    assert result.ratio("0.3", "cpu") is None


def test_rows_have_names_of_their_own() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
