"""docs/tutorial.md, run as it is written: each console block, against a real S3 server in the place of MinIO.

Two names are put in the place of others, the folder and the address of the server. What a command prints is compared,
with "..." for anything. `replicate` runs beside the rest until "^C"; docker compose stops and starts the server.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import peers
from tests.interchange.program import DEADLINE_SECONDS, PROGRAM, Running, wait_until

TUTORIAL = Path(__file__).parent.parent / "docs/tutorial.md"
BUCKET = "litestream-bucket"
PROMPT = "sqlite> "
_BLOCK = re.compile(r"^```(console|yaml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_EXPORT = re.compile(r"(\w+)=(\S+)")


class TutorialServer(peers.JuiceServer):
    """MinIO's code, with MinIO's keys."""

    access_key = "minioadmin"
    secret_key = "minioadmin"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[peers.S3Server]:
    with peers.running(TutorialServer(tmp_path / "server")) as server:
        server.make_bucket(BUCKET)
        yield server


class Walk:
    """Somebody who types what the page says."""

    def __init__(self, folder: Path, store: peers.S3Server, log: Path) -> None:
        self.folder = folder
        self.store = store
        self.environment = peers.clean_environment(PATH=f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}")
        self.replicating: Running | None = None
        self._log = log
        self._stored = 0
        self._waiting = False
        """A commit was made that is not known to be stored."""

    def read(self, page: str) -> None:
        page = page.replace("/usr/src", str(self.folder)).replace("minio:9000", f"localhost:{self.store.port}")
        for kind, block in _BLOCK.findall(page):
            if kind == "yaml":
                (self.folder / "litestream.yml").write_text(block)
                continue
            for part in re.split(r"^(?=\$ |\^C$)", block, flags=re.MULTILINE):
                if part:
                    self._enter(part.splitlines())

    def close(self) -> None:
        if self.replicating is not None:
            self.replicating.__exit__(None, None, None)

    def _enter(self, lines: list[str]) -> None:
        command, answer = lines[0].removeprefix("$ "), lines[1:]
        if command == "^C":
            assert self.replicating is not None
            assert self.replicating.interrupt() == 0
            self.replicating = None
        elif command.startswith("docker compose"):
            self._docker(command)
        elif command.startswith("export "):
            self.environment.update(_EXPORT.findall(command))
        elif command.startswith("litestream-tui replicate "):
            arguments = command.split()[2:]
            self._log.unlink(missing_ok=True)
            self.replicating = Running(
                PROGRAM, *arguments, log=self._log, cwd=self.folder, environment=self.environment
            )
            for line in answer:
                self.replicating.wait_for_line(line.strip("."))
            self._stored = self._objects()
        else:
            typed = [line.removeprefix(PROMPT) for line in answer if line.startswith(PROMPT)]
            self._run(command, typed, [line for line in answer if not line.startswith(PROMPT)])
            if self.replicating is not None and any(line.startswith(("INSERT", "DELETE")) for line in typed):
                self._waiting = True
            self._settle()

    def _run(self, command: str, typed: list[str], expected: list[str]) -> None:
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=self.folder,
            env=self.environment,
            input="\n".join(typed) + "\n",
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            preexec_fn=peers.die_with_parent,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        pattern = r"\n".join(re.escape(line).replace(r"\.\.\.", "(?s:.*)") for line in expected)
        assert re.fullmatch(pattern, done.stdout.rstrip("\n")), f"{command}\n{done.stdout}\nand not\n{expected}"

    def _docker(self, command: str) -> None:
        if command == "docker compose stop minio":
            self.store.stop()
        elif command == "docker compose start minio":
            self.store.start()
            self._settle()
        else:
            assert command == "docker compose up -d", command

    def _settle(self) -> None:
        """Wait for what replication does by itself while a reader reads on."""
        if self.replicating is None or not self._waiting:
            return
        if not self.store.running:
            self.replicating.wait_for_line("level=ERROR")
            return
        wait_until("the commit in the bucket", lambda: self._objects() > self._stored, lambda: self._log.read_text())
        self._stored, self._waiting = self._objects(), False

    def _objects(self) -> int:
        client = self.store.client()
        try:
            return len(client.list_objects_v2(Bucket=BUCKET).get("Contents", []))
        finally:
            client.close()


@pytest.mark.long
@pytest.mark.server
def test_the_tutorial(store: peers.S3Server, tmp_path: Path) -> None:
    folder = tmp_path / "src"
    folder.mkdir()
    walk = Walk(folder, store, tmp_path / "log")
    try:
        walk.read(TUTORIAL.read_text())
    finally:
        walk.close()
    assert walk.replicating is None, "the page leaves replication running"
    assert sorted(path.name for path in folder.glob("*.db")) == [
        "again.db",
        "fruits.db",
        "restore_fruits.db",
        "restore_fruits2.db",
    ]
