"""Rules of the house that the import contracts cannot see."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.file_lengths import LINES_MAX, lengths, problems
from tui.version import VERSION

ROOT = Path(__file__).parent.parent


def loaded_by(module: str) -> set[str]:
    """The top-level names in sys.modules after `module` was imported alone."""
    code = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    return set(run.stdout.split())


def modules(package: str) -> list[str]:
    names = (path.relative_to(ROOT).with_suffix("").parts for path in (ROOT / package).rglob("*.py"))
    return sorted(".".join(parts).removesuffix(".__init__") for parts in names)


def test_the_engine_loads_no_screen_and_no_store_library() -> None:
    """boto3 takes a good part of a second: it is loaded when an S3 store is opened."""
    loaded = loaded_by(", ".join(name for name in modules("replication")))
    assert not loaded & {"tui", "textual", "rich", "boto3", "sqlite3"}


@pytest.mark.parametrize("name", ["replication", "tui"])
def test_packages_are_typed(name: str) -> None:
    assert (ROOT / name / "py.typed").exists()


def test_every_dependency_is_pinned() -> None:
    """What pyproject.toml asks for, constraints.txt has in one exact version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = [line.partition("==")[0] for line in lines if not line.startswith("#")]
    assert len(pinned) == len(set(pinned)) == sum("==" in line for line in lines)

    def plain(name: str) -> str:
        return name.lower().replace("_", "-")

    for requirement in asked:
        name = requirement.partition(">")[0].partition("[")[0].strip()
        assert plain(name) in map(plain, pinned), requirement


def test_the_command_line_loads_no_screen() -> None:
    """Headless commands start without Textual; it is imported when a screen is opened."""
    assert not loaded_by("tui.cli") & {"textual", "rich", "boto3", "sqlite3"}


def test_no_file_of_the_product_is_too_long() -> None:
    assert problems(lengths(ROOT)) == []


def test_a_file_that_grows_is_told() -> None:
    [grown] = problems({"a.py": LINES_MAX + 1, "b.py": LINES_MAX})
    assert "a.py has 351 lines" in grown


def test_make_check_finds_a_benchmark_that_needs_a_test_or_the_demo(tmp_path: Path) -> None:
    for name in ("replication", "tui", "tests", "peers"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "benchmarks", tmp_path / "benchmarks")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "benchmarks/forbidden.py").write_text("import tests.foreign\nimport tui.demo.play\n")
    lint = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run([lint, "--no-cache"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode != 0
    assert "Tests, benchmarks, peers, program BROKEN" in run.stdout
    assert "Nobody builds on the demo BROKEN" in run.stdout
    assert "2 broken" in run.stdout


def test_hosted_workflows_run_what_is_run_here_on_every_python() -> None:
    """The matrix of each is what pyproject.toml says is supported; CI runs .ci/run and nothing beside it."""
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    supported = [name.rpartition(" ")[2] for name in classifiers if "Python :: 3." in name]
    for name, job in (("ci", "run"), ("release", "check")):
        document = yaml.safe_load((ROOT / f".github/workflows/{name}.yml").read_text())
        assert document["jobs"][job]["strategy"]["matrix"]["python"] == supported
        if name == "ci":
            assert [step["run"] for step in document["jobs"][job]["steps"] if "run" in step] == [".ci/run"]


def test_the_version_has_its_date_in_the_changelog() -> None:
    headings = re.findall(r"^## (\S+) - \d{4}-\d{2}-\d{2}$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert VERSION.removeprefix("v") in headings


def test_hooks_run_commands_that_are_here() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert [hook["entry"].split()[0] for hook in hooks] == ["make", ".venv/bin/pytest"]
    assert all((ROOT / word).is_file() for hook in hooks for word in hook["entry"].split() if word.startswith("tests/"))
