"""Installed as people install it: the steps of the Dockerfile, pipx, and uv, each from what this tree has."""

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

import peers
from tests.service.dockerfile import copied, stages
from tests.service.test_contrib import DOCKERFILE
from tests.test_docs_links import ROOT
from tui.version import version

pytestmark = [pytest.mark.server, pytest.mark.timeout(400)]
PIPX, UV = "pipx==1.8.0", "uv==0.9.11"
PYTHON_IN_IMAGE = "python"


def done(*words: str | Path, environment: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    environment = {**peers.clean_environment(), "PYTHONWARNINGS": "ignore", **(environment or {})}
    result = subprocess.run(words, capture_output=True, text=True, check=False, env=environment, cwd=cwd)
    assert result.returncode == 0, (words, result.stdout[-3000:], result.stderr[-3000:])
    return result.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the Dockerfile copies, and nothing else."""
    folder = tmp_path_factory.mktemp("image")
    [build] = [stage for stage in stages(DOCKERFILE) if stage.name == "build"]
    for names, target in copied(build):
        for name in names:
            place = folder / target.lstrip("/")
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, place, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                place.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, place)
    return folder


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    done(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, source / "source")
    [found] = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """pipx and uv, as PyPI has them."""
    folder = tmp_path_factory.mktemp("tools")
    venv.create(folder, with_pip=True)
    done(folder / "bin/python", "-m", "pip", "install", "--quiet", PIPX, UV)
    yield folder / "bin"
    shutil.rmtree(folder)


def works(program: Path, folder: Path) -> None:
    """The program replicates, restores and compares; the screen's style sheets came with it."""
    assert done(program, "version", cwd=folder).strip() == version()
    assert "equal" in done(program, "demo", "-no-screen", cwd=folder)
    python = program.resolve().parent / "python"
    found = "import tui, pathlib; print(*pathlib.Path(tui.__file__).parent.rglob('*.tcss'))"
    assert "app.tcss" in done(python, "-c", found, cwd=folder)


def test_the_steps_of_the_dockerfile(source: Path, tmp_path: Path) -> None:
    """Those that build the program, with other folders; then what the image runs, from there."""
    [build] = [stage for stage in stages(DOCKERFILE) if stage.name == "build"]
    [program] = [stage for stage in stages(DOCKERFILE) if stage.name == "program"]
    opt = tmp_path / "opt"
    for step in build.all("RUN"):
        words = step.replace("/opt/", f"{opt}/").replace("/source", str(source / "source"))
        words = words.replace(f"{PYTHON_IN_IMAGE} -m venv", f"{sys.executable} -m venv", 1)
        done("sh", "-euc", words)
    bin_folder = opt / "litestream-tui/bin"
    assert not (bin_folder / "pip").exists()
    works(bin_folder / "litestream-tui", tmp_path)
    path = f"{bin_folder}:{os.environ['PATH']}"
    _, *health = program.words("HEALTHCHECK")
    config = tmp_path / "litestream.yml"
    config.write_text(f"dbs: [{{path: {tmp_path}/app.db, replicas: [{{path: {tmp_path}/replica}}]}}]")
    environment = {"PATH": path, "LITESTREAM_CONFIG": str(config)}
    said = done("litestream-tui", *health, environment=environment, cwd=tmp_path)
    assert said == "ok: 1 database, of which 1 not there yet\n"


def test_pipx_installs_the_wheel(wheel: Path, tools: Path, tmp_path: Path) -> None:
    places = {"PIPX_HOME": f"{tmp_path}/home", "PIPX_BIN_DIR": f"{tmp_path}/bin", "PIPX_MAN_DIR": f"{tmp_path}/man"}
    done(tools / "pipx", "install", "--python", sys.executable, str(wheel), environment=places)
    works(tmp_path / "bin/litestream-tui", tmp_path)


def test_uv_installs_the_wheel(wheel: Path, tools: Path, tmp_path: Path) -> None:
    places = {"UV_TOOL_DIR": f"{tmp_path}/tools", "UV_TOOL_BIN_DIR": f"{tmp_path}/bin", "UV_CACHE_DIR": f"{tmp_path}/c"}
    done(tools / "uv", "tool", "install", "--python", sys.executable, str(wheel), environment=places)
    works(tmp_path / "bin/litestream-tui", tmp_path)
