"""Promise 2 in the open: others write, checkpoint in every mode, vacuum and read for long, and nothing is lost.

The application is five processes on Python's own SQLite with its usual settings, autocheckpoint included. Each
transaction changes two tables alike, so that half of one would show in any restored state.
"""

import json
import random
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

from replication.restore.open_replica import OpenReplica
from replication.restore.restore import RestoreOptions, restore
from replication.restore.target import AtPosition
from tests.engine.running import (
    begun,
    client_of,
    config_of,
    in_step,
    only,
    restore_points,
    restored,
    running,
    until,
)
from tests.foreign import Shell

SECONDS_MIN = 4.0
"""For so long the others work at least; on a busy machine for longer, until enough has happened."""
SECONDS_MAX = 60.0
COMMITS_MIN = 200
INDEXES_MIN = 3
SAMPLES = 10

_APPLICATION = r"""
import json, os, random, sqlite3, sys, time
path, part, seconds, seed = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
stop = path + ".stop"
chance = random.Random(seed)
end = time.monotonic() + seconds
db = sqlite3.connect(path, isolation_level=None, timeout=30)
db.execute("PRAGMA cache_size=20")
done, errors = 0, []

def write():
    kind = chance.random()
    db.execute("BEGIN IMMEDIATE")
    try:
        if kind < 0.02:
            for table in "left", "right":
                db.execute(f"DELETE FROM {table} WHERE key > (SELECT min(key) + 200 FROM {table})")
        else:
            for _ in range(60 if kind < 0.1 else 2):
                value = chance.randbytes(chance.choice([10, 300, 3000]))
                for table in "left", "right":
                    db.execute(f"INSERT INTO {table}(value) VALUES(?)", (value,))
        db.execute("ROLLBACK" if kind > 0.95 else "COMMIT")
        # Few applications write without pause.
        time.sleep(0.001)
    except BaseException:
        db.execute("ROLLBACK")
        raise

def checkpoint():
    mode = chance.choice(["PASSIVE", "FULL", "RESTART", "TRUNCATE"])
    busy = sqlite3.connect(path, isolation_level=None, timeout=0.05)
    busy.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()
    busy.close()
    time.sleep(chance.random() * 0.2)

def vacuum():
    db.execute("VACUUM")
    time.sleep(1)

def read():
    db.execute("BEGIN")
    db.execute("SELECT count(*) FROM left").fetchall()
    time.sleep(chance.random() * 0.5)
    db.execute("COMMIT")
    time.sleep(chance.random())

while time.monotonic() < end and not os.path.exists(stop):
    try:
        {"write": write, "checkpoint": checkpoint, "vacuum": vacuum, "read": read}[part]()
        done += 1
    except Exception as error:
        errors.append(f"{type(error).__name__}: {error}")
print(json.dumps({"done": done, "errors": errors}))
"""


def start(path: Path, part: str, seed: int) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", _APPLICATION, str(path), part, str(SECONDS_MAX), str(seed)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def tables_agree(path: Path) -> bool:
    """True if a restored database is sound and no transaction is there by half."""
    with Shell(path).open() as reader:
        sound = reader.execute("PRAGMA integrity_check")
        differences = reader.execute("SELECT count(*) FROM (SELECT * FROM left EXCEPT SELECT * FROM right)")
        [[left, right]] = reader.execute("SELECT (SELECT count(*) FROM left), (SELECT count(*) FROM right)")
    return sound == [["ok"]] and differences == [[0]] and left == right


def test_promise_2_nothing_is_lost_while_others_write_checkpoint_vacuum_and_read(tmp_path: Path) -> None:
    path, folder = tmp_path / "app.db", tmp_path / "replica"
    shell = Shell(path)
    shell.run(
        "PRAGMA journal_mode=wal;"
        "CREATE TABLE left(key INTEGER PRIMARY KEY, value); CREATE TABLE right(key INTEGER PRIMARY KEY, value);"
    )
    with running(config_of(path, folder, pages_min=30, checkpoint_seconds=0.2)) as engine:
        parts = ["write", "write", "checkpoint", "vacuum", "read"]
        processes = [start(path, part, seed) for seed, part in enumerate(parts)]
        since = time.monotonic()

        def enough() -> bool:
            here = only(engine).position
            if time.monotonic() < since + SECONDS_MIN or here is None or here.index < INDEXES_MIN:
                return False
            return len(restore_points(client_of(folder), here.generation)) > COMMITS_MIN

        until(enough, SECONDS_MAX - 5)
        path.with_name(f"{path.name}.stop").touch()
        answers = [json.loads(process.communicate(timeout=60)[0]) for process in processes]
        until(lambda: in_step(engine))
        at_the_end = only(engine)
        reasons = begun(engine)
        with shell.open() as reader:
            truth = reader.sha256()

    assert [answer["errors"] for answer in answers] == [[]] * len(parts)
    assert min(answer["done"] for answer in answers[:2]) > 0
    assert reasons == ["no generation exists"]

    client = client_of(folder)
    assert at_the_end.position is not None
    [generation] = client.generations()
    points = restore_points(client, generation)
    assert points[-1] == at_the_end.position
    assert {after.index - before.index for before, after in pairwise(points)} == {0, 1}
    assert restored(client, tmp_path / "final.db") == truth

    for number, position in enumerate(random.Random(1).sample(points, SAMPLES)):
        output = tmp_path / f"sample-{number}.db"
        restore(
            [OpenReplica("test", client.storage)], output, RestoreOptions(AtPosition(position), integrity_check="none")
        )
        assert tables_agree(output), position
