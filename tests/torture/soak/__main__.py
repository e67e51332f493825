"""make soak: the program replicates for hours while its store comes and goes, and is restored from all the time.

Its promise: it exits 0 only if every restore was a committed state and not an old one, the last restore of each
database is its last commit, nothing is left over, and memory at its end is within a tenth of that after warm-up.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from types import SimpleNamespace

from peers import SeaweedServer
from peers import running as server_running
from tests.cli.small_disk import OwnFileSystem
from tests.torture.soak.oracle import Oracle
from tests.torture.soak.process import disk_mb, measure

STORED = ("app", "auth", "jobs", "mail")
"""Databases with a replica on the S3 server; that is stopped now and then."""
FILED = ("stats", "wiki")
"""Databases with a replica in a folder."""
SAMPLE_SECONDS = 10.0
RESTORE_SECONDS = 6.0
UP_SECONDS = (300.0, 900.0)
DOWN_SECONDS = (5.0, 60.0)
RETENTION_SECONDS = 600.0
LAG_SECONDS_MAX = 15.0
"""What has been committed for longer must be in the replica, unless its store is or was away."""
RECOVERY_SECONDS = 60.0
CATCH_UP_SECONDS = 60.0
END_SECONDS_MAX = 60.0
WARM_UP = 0.15
"""Part of the run after which memory is taken as warm."""
MEMORY_GROWTH_MAX = 1.10
SAMPLES_MIN = 60
"""With fewer, memory is still warming up."""
NOBODY = "http://127.0.0.1:1"
"""Nobody listens there."""
PROGRAM = [sys.executable, "-m", "tui.cli"]
USER = 65534
"""Whose databases they are in a hostile run."""
KEPT = "root's own\n"
WRITER = Path(__file__).with_name("writer.py")


def main() -> int:
    """Run, and say how it went."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("soak-report"), help="a folder for samples and plot")
    parser.add_argument(
        "--small-disk",
        type=int,
        default=0,
        metavar="MB",
        help="the databases on a disk of so many MB, each with a second replica that is dead",
    )
    parser.add_argument(
        "--hostile",
        action="store_true",
        help="as root: the databases are another user's, who puts links and pipes at names of ours",
    )
    options = parser.parse_args()
    if options.hostile and os.getuid() != 0:
        parser.error("--hostile needs root, whose power is at stake")
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "failures.txt").unlink(missing_ok=True)
    # What is mounted in it goes with the process.
    with tempfile.TemporaryDirectory(prefix="litestream-tui-soak-", ignore_cleanup_errors=True) as place:
        folder = Path(place)
        if options.small_disk:
            OwnFileSystem(folder / "data", options.small_disk * 1_000_000 // 4).before()
            (folder / "data" / "lost+found" / "filling").unlink()
        with server_running(SeaweedServer(folder / "server")) as server:
            assert isinstance(server, SeaweedServer)
            soak = Soak(folder, server, options.seed, options.out, bool(options.small_disk), options.hostile)
            summary = soak.run(options.hours * 3600)
    (options.out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    print(json.dumps(summary, indent=2))
    return 1 if summary["failures"] else 0


class Hostile:
    """The databases' owner, who would use root's power, and a folder that only root may enter."""

    def __init__(self, folder: Path, data: Path, seed: int) -> None:
        self.puts = 0
        self._vault = folder / "vault"
        self._vault.mkdir(mode=0o700)
        (self._vault / "target").write_text(KEPT)
        folder.chmod(0o711)
        os.chown(data, USER, USER)
        words = [sys.executable, "-m", "tests.torture.soak.hostile", str(USER), str(seed), str(self._vault)]
        self._process = subprocess.Popen([*words, str(data)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> "Hostile":
        return self

    def __exit__(self, *raised: object) -> None:
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        """Let it take away what it put there."""
        self.puts = int(self._process.communicate()[0] or 0)

    def failures(self) -> list[str]:
        """What root did for the user."""
        found = []
        if not self.puts:
            found.append("the hostile user has put nothing there")
        if [item.name for item in self._vault.iterdir()] != ["target"]:
            found.append(f"in the folder of root's there is {[item.name for item in self._vault.iterdir()]}")
        if (self._vault / "target").read_text() != KEPT or (self._vault / "target").stat().st_uid != 0:
            found.append("the file of root's was changed")
        return found


class Soak:
    """One long run."""

    def __init__(
        self,
        folder: Path,
        server: SeaweedServer,
        seed: int,
        out: Path,
        one_is_dead: bool = False,
        hostile: bool = False,
    ) -> None:
        self.folder, self.server, self.out, self.seed = folder, server, out, seed
        self.one_is_dead = one_is_dead
        """Each database has a second replica, whose store never answers."""
        self.chance = random.Random(seed)
        self.data = folder / "data"
        self.data.mkdir(exist_ok=True)
        self.hostile = Hostile(folder, self.data, seed) if hostile else None
        self.paths = [self.data / f"{name}.db" for name in (*STORED, *FILED)]
        self.oracles = {path: Oracle(path.with_suffix(".oracle")) for path in self.paths}
        self.newest_restored = dict.fromkeys(self.paths, 0)
        self.config = folder / "litestream.yml"
        self.config.write_text(self._config())
        self.counts = SimpleNamespace(restores=0, restores_in_time=0, outages=0, refused_in_outage=0)
        self.failures: list[str] = []
        self.samples: list[dict[str, float]] = []
        self.back_at = 0.0

    def run(self, seconds: float) -> dict[str, object]:
        """Write, replicate, restore and measure for so long; what came of it."""
        user = USER if self.hostile is not None else os.getuid()
        words = [sys.executable, str(WRITER), str(user), str(self.seed), *map(str, self.paths)]
        with (
            self.hostile or nullcontext(),
            subprocess.Popen(words, stdin=subprocess.PIPE) as writer,
            (self.out / "engine.log").open("w") as log,
        ):
            engine = subprocess.Popen([*PROGRAM, "replicate", "-config", str(self.config)], stdout=log, stderr=log)
            try:
                self._go_on(seconds, engine, writer)
                assert writer.stdin is not None
                writer.stdin.close()
                if writer.wait(60) != 0:
                    self._fail(f"the writer ended with {writer.returncode}")
                self._finish(engine)
            finally:
                writer.kill()
                engine.kill()
                engine.wait()
        for words_of_failure in self.hostile.failures() if self.hostile is not None else []:
            self._fail(words_of_failure)
        return self._summary(seconds)

    def _go_on(self, seconds: float, engine: "subprocess.Popen[bytes]", writer: "subprocess.Popen[bytes]") -> None:
        began = time.monotonic()
        sample_at, restore_at = began, began + LAG_SECONDS_MAX
        turn_at = began + min(seconds / 3, self.chance.uniform(*UP_SECONDS))
        with (self.out / "samples.jsonl").open("w") as file:
            while (now := time.monotonic()) < began + seconds:
                if engine.poll() is not None or writer.poll() is not None:
                    self._fail(f"the engine ended with {engine.poll()}, the writer with {writer.poll()}")
                    return
                if now >= sample_at:
                    sample_at += SAMPLE_SECONDS
                    self.samples.append({"seconds": round(now - began, 1), **measure(engine.pid), **self._disk()})
                    file.write(json.dumps(self.samples[-1]) + "\n")
                    file.flush()
                if now >= turn_at:
                    turn_at = now + self._turn_store()
                if now >= restore_at:
                    restore_at = now + RESTORE_SECONDS
                    self._restore(self.chance.choice(self.paths))
                time.sleep(0.05)
        if not self.server.running:
            self._turn_store()

    def _turn_store(self) -> float:
        """Stop the server, or start it; how long it is to stay so."""
        if self.server.running:
            self.server.stop(kill=self.chance.random() < 0.5)
            self.counts.outages += 1
            return self.chance.uniform(*DOWN_SECONDS)
        self.server.start()
        self.back_at = time.time()
        return self.chance.uniform(*UP_SECONDS)

    def _restore(self, path: Path) -> None:
        """Restore the latest state or one of a moment before, with the program, and look whether it may be that."""
        output, asked = self.folder / "restored.db", time.time()
        in_time = self.chance.random() < 0.5 and len(self.samples) * SAMPLE_SECONDS > RETENTION_SECONDS
        words = ["restore", "-config", str(self.config), "-o", str(output), str(path)]
        moment = asked - self.chance.uniform(1, RETENTION_SECONDS / 2)
        if in_time:
            words[1:1] = ["-timestamp", datetime.fromtimestamp(moment, UTC).isoformat()]
        done = subprocess.run([*PROGRAM, *words], capture_output=True, text=True, check=False, timeout=300)
        stored = path.stem in STORED
        if done.returncode != 0:
            if stored and (not self.server.running or time.time() < self.back_at + RECOVERY_SECONDS):
                self.counts.refused_in_outage += 1
            else:
                self._fail(f"restore of {path.stem} ended with {done.returncode}: {done.stderr[-500:]}")
            return
        number, committed = self.oracles[path].find(output)
        output.unlink()
        self.counts.restores += 1
        if number < 0:
            self._fail(f"{path.stem}: a restore at {asked:.0f} was never a committed state: {' '.join(words)}")
        elif in_time:
            self.counts.restores_in_time += 1
            if committed > moment + 1:
                self._fail(f"{path.stem}: a restore of {moment:.1f} has a commit of {committed:.1f}")
        else:
            reached = not stored or (self.server.running and asked > self.back_at + RECOVERY_SECONDS)
            if number < self.newest_restored[path]:
                self._fail(f"{path.stem}: a later restore of the latest state is older than one before")
            if reached and number < self.oracles[path].newest_before(asked - LAG_SECONDS_MAX):
                self._fail(f"{path.stem}: a restore at {asked:.0f} is old, its commit is of {committed:.1f}")
            self.newest_restored[path] = number
        if leftovers := [item.name for item in self.folder.iterdir() if "restored" in item.name]:
            self._fail(f"after a restore there is left: {leftovers}")

    def _finish(self, engine: "subprocess.Popen[bytes]") -> None:
        """Every last commit must arrive; then the engine ends, and leaves nothing but what is needed to go on."""
        deadline = time.monotonic() + CATCH_UP_SECONDS
        waiting = set(self.paths)
        while waiting and time.monotonic() < deadline:
            for path in list(waiting):
                output = self.folder / "last.db"
                words = ["restore", "-config", str(self.config), "-o", str(output), str(path)]
                if subprocess.run([*PROGRAM, *words], capture_output=True, check=False).returncode == 0:
                    number, _ = self.oracles[path].find(output)
                    output.unlink()
                    if number == self.oracles[path].last:
                        waiting.discard(path)
        for path in waiting:
            self._fail(f"{path.stem}: its last commit did not arrive")
        if engine.poll() is None:
            # Not SIGINT, which whoever starts this in the background has told us to ignore, and so the engine.
            engine.send_signal(signal.SIGTERM)
            try:
                if engine.wait(END_SECONDS_MAX) != 0:
                    self._fail(f"the engine ended with {engine.returncode}")
            except subprocess.TimeoutExpired:
                self._fail(f"the engine did not end within {END_SECONDS_MAX:.0f} s")
        if self.hostile is not None:
            self.hostile.end()
        names = [item.name for item in self.data.rglob("*") if ".tmp" in item.name or "-validate-" in item.name]
        if names:
            self._fail(f"at the end there is left: {names}")

    def _fail(self, words: str) -> None:
        """Written down at once, for a run of hours that is cut short must have said it."""
        self.failures.append(words)
        with (self.out / "failures.txt").open("a") as file:
            file.write(words + "\n")

    def _disk(self) -> dict[str, float]:
        metas = [self.data / f".{path.name}-litestream" for path in self.paths]
        return {
            "shadow_mb": disk_mb(*metas),
            "wal_mb": disk_mb(*(path.with_name(f"{path.name}-wal") for path in self.paths)),
            "file_replicas_mb": disk_mb(self.folder / "replicas"),
        }

    def _summary(self, seconds: float) -> dict[str, object]:
        warm = [item["memory_mb"] for item in self.samples[int(len(self.samples) * WARM_UP) :]]
        tenth = max(1, len(warm) // 10)
        growth = median(warm[-tenth:]) / median(warm[:tenth]) if warm else 0.0
        if len(warm) >= SAMPLES_MIN and growth > MEMORY_GROWTH_MAX:
            self._fail(f"memory grew {growth:.2f} times")
        last = self.samples[-1] if self.samples else {}
        return {
            "hours": round(seconds / 3600, 2),
            "seed": self.seed,
            "databases": len(self.paths),
            "commits": sum(oracle.last + 1 for oracle in self.oracles.values()),
            **vars(self.counts),
            **({"put into the hostile folder": self.hostile.puts} if self.hostile is not None else {}),
            "memory growth after warm-up": round(growth, 3),
            "at the end": last,
            "descriptors": [min(s["descriptors"] for s in self.samples), max(s["descriptors"] for s in self.samples)],
            "threads": [min(s["threads"] for s in self.samples), max(s["threads"] for s in self.samples)],
            "failures": self.failures,
        }

    def _config(self) -> str:
        settings = [
            "    snapshot-interval: 2m",
            f"    retention: {RETENTION_SECONDS:.0f}s",
            "    retention-check-interval: 30s",
            "    validation-interval: 3m",
        ]
        server = self.server
        lines = [f"access-key-id: {server.access_key}", f"secret-access-key: {server.secret_key}", "dbs:"]
        for path in self.paths:
            lines += [f"- path: {path}", "  min-checkpoint-page-count: 200", "  replicas:"]
            if path.stem in STORED:
                lines += [
                    "  - type: s3",
                    "    bucket: tests",
                    f"    path: {path.stem}",
                    f"    endpoint: {server.endpoint}",
                ]
            else:
                lines += [f"  - path: {self.folder / 'replicas' / path.stem}"]
            lines += settings
            if self.one_is_dead:
                lines += [f"  - {{type: s3, name: dead, bucket: b, path: {path.stem}, endpoint: '{NOBODY}'}}"]
        return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
