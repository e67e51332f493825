"""An application that can be killed at any moment, and the oracle of all states that it committed.

The oracle is a file outside the database: one hash for each state, in order, written right after the commit. A writer
that is killed between the two leaves one state untold; its successor tells it before it writes anything itself.

A commit whose frames are in the WAL, and which SQLite does not count, is no state: if somebody else keeps the shared
memory alive nobody ever sees it, and otherwise SQLite's recovery makes it one, which the successor tells.
"""

import subprocess
import sys
from pathlib import Path

_WRITER = r"""
import hashlib, os, random, select, sqlite3, sys, time
path, oracle, page_size, seed, pause = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], float(sys.argv[5])
chance = random.Random(seed)
db = sqlite3.connect(path, isolation_level=None, timeout=30)
db.execute(f"PRAGMA page_size={page_size}")
db.execute("PRAGMA journal_mode=wal")
db.execute(f"PRAGMA synchronous={chance.choice(['OFF', 'NORMAL', 'FULL'])}")
db.execute(f"PRAGMA wal_autocheckpoint={chance.choice([0, 10, 50, 1000])}")
db.execute("PRAGMA cache_size=10")
db.execute("CREATE TABLE IF NOT EXISTS t(a INTEGER PRIMARY KEY, b BLOB, c INT)")
db.execute("CREATE INDEX IF NOT EXISTS i ON t(c)")
log = os.open(oracle, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
told = os.pread(log, 64, max(0, os.fstat(log).st_size - 65)).decode()
count = os.fstat(log).st_size // 65

def tell():
    global told, count
    sha = hashlib.sha256(db.serialize()).hexdigest()
    if sha != told:
        os.write(log, f"{sha}\n".encode())
        told = sha
        count += 1

def checkpoint():
    # Others that hold the WAL are waited for only shortly.
    db.execute("PRAGMA busy_timeout=5")
    db.execute(f"PRAGMA wal_checkpoint({chance.choice(['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'])})").fetchall()
    db.execute("PRAGMA busy_timeout=30000")

def rollback():
    # Larger than the cache, so that frames reach the WAL whose commit never comes.
    db.execute("BEGIN IMMEDIATE")
    for _ in range(30):
        db.execute("INSERT INTO t(b, c) VALUES(?, 0)", (chance.randbytes(page_size),))
    db.execute("ROLLBACK")

def insert():
    # Every state differs from all others, so that a hash names one commit. The largest c is its number.
    db.execute("INSERT INTO t(b, c) VALUES(?, ?)", (chance.randbytes(16), count))

def commit():
    kind = chance.random()
    if kind < 0.01:
        insert()
        tell()
        db.execute("VACUUM")
    elif kind < 0.04:
        return checkpoint()
    elif kind < 0.06:
        return rollback()
    else:
        db.execute("BEGIN IMMEDIATE")
        insert()
        if kind < 0.3:
            db.execute("UPDATE t SET b=? WHERE a % 7 = ?", (chance.randbytes(page_size // 3), chance.randrange(7)))
        elif kind < 0.4:
            for _ in range(8):
                db.execute("INSERT INTO t(b, c) VALUES(?, 0)", (chance.randbytes(page_size // 2),))
        db.execute("DELETE FROM t WHERE a < (SELECT max(a) FROM t) - 80")
        db.execute("COMMIT")
    tell()

tell()
print("ready", flush=True)
going = False
while True:
    if select.select([0], [], [], 0 if going else None)[0]:
        word = os.read(0, 1)
        if not word:
            break
        going = word == b"g"
        if going:
            insert()
            tell()
        else:
            print("paused", flush=True)
        continue
    commit()
    time.sleep(pause)
db.close()
"""


class Application:
    """A writer that commits all the time once told to `go`; it may be killed and started again."""

    def __init__(self, path: Path, page_size: int, seed: str, pause_seconds: float) -> None:
        self.path = path
        self.oracle = path.with_name("oracle")
        self._arguments = (page_size, seed, pause_seconds)
        self._lives = 0
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, if it is not running; when this returns, the oracle has every state that ever was."""
        if self._process is not None:
            return
        page_size, seed, pause_seconds = self._arguments
        self._lives += 1
        arguments = (self.path, self.oracle, page_size, f"{seed}/{self._lives}", pause_seconds)
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", _WRITER, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._expect("ready")

    def go(self) -> None:
        """Commit, once at least, until `stop`."""
        self._say("g")

    def stop(self) -> None:
        """Commit no more; when this returns, the oracle has every state that was committed."""
        self._say("s")
        self._expect("paused")

    def kill(self) -> None:
        """End it wherever it is."""
        assert self._process is not None
        self._process.kill()
        self._let_go()

    def close(self) -> None:
        """End it in good order; as the last connection to its database it checkpoints and removes the WAL."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(timeout=60) == 0
        self._let_go()

    @property
    def running(self) -> bool:
        return self._process is not None

    def states(self) -> list[str]:
        """The hash of every state, in order."""
        return self.oracle.read_text().split()

    def _say(self, word: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(word)
        self._process.stdin.flush()

    def _expect(self, word: str) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        assert self._process.stdout.readline().strip() == word, "the writer failed"

    def _let_go(self) -> None:
        assert self._process is not None
        self._process.wait(timeout=60)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process = None
