"""A table was dropped an hour of commits ago, and nobody knows when: its rows are back within a minute, from far away.

`make torture MINUTES=1 ARGS="-k three_in_the_morning -s"` has a database of 1 GB, 50,000 commits and a store behind
20 ms.
"""

import json
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import peers
from tests.foreign import ForeignConnection, Shell
from tests.torture.conftest import Torture
from tests.torture.far_line import far_line
from tests.tui.window import Window

ENTER = "\r"
KEYS_MAX, SECONDS_MAX = 25, 60.0
LOST = 18_211
LATENCY_SECONDS = 0.02

_FILL = (
    "PRAGMA journal_mode=wal; CREATE TABLE filler(id INTEGER PRIMARY KEY, b BLOB);"
    "CREATE TABLE orders(id INTEGER PRIMARY KEY, at INT, who TEXT);"
    "CREATE TABLE lines(id INTEGER PRIMARY KEY, ord INT, what TEXT); CREATE INDEX by_order ON lines(ord);"
    f"WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {LOST})"
    " INSERT INTO lines SELECT i, i % 977, 'thing ' || i FROM n;"
    "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ROWS)"
    " INSERT INTO filler SELECT i, randomblob(3900) FROM n"
)


def commits(application: ForeignConnection, number: int) -> None:
    for at in range(number):
        application.execute(f"INSERT INTO orders(at, who) VALUES({at}, 'somebody {at}')")


@pytest.mark.server
@pytest.mark.explores
def test_promise_3_three_in_the_morning(torture: Torture, tmp_path: Path) -> None:
    size_mb, half = (1000, 25_000) if torture.long else (20, 300)
    shell = Shell(tmp_path / "shop.db")
    shell.run(_FILL.replace("ROWS", f"{size_mb * 250}"))
    before = shell.rows("SELECT * FROM lines ORDER BY id")
    with (
        peers.running(peers.SeaweedServer(tmp_path / "server")) as server,
        far_line(urlsplit(server.endpoint).port or 0, LATENCY_SECONDS / 2) as port,
        shell.open() as application,
    ):
        config = tmp_path / "litestream.yml"
        config.write_text(
            f"access-key-id: {server.access_key}\nsecret-access-key: {server.secret_key}\n"
            f"socket:\n  path: {tmp_path}/s.sock\ndbs:\n- path: {shell.path}\n  replicas:\n"
            f"  - {{type: s3, bucket: tests, path: shop, endpoint: 'http://127.0.0.1:{port}'}}\n"
        )
        with Window("-config", config, home=tmp_path, size=(80, 24)) as window:
            window.shows("● ok", "shop.db", seconds=600.0)
            commits(application, half)
            application.execute("DROP TABLE lines")
            commits(application, half)
            window.shows("● ok", "shop.db", " 0s", seconds=600.0)
            keys, began = 0, time.monotonic()

            def press(text: str) -> None:
                nonlocal keys
                keys += len(text)
                window.press(text)
                # The application goes on.
                commits(application, 5)

            def shows(*words: str) -> None:
                window.shows(*words, seconds=600.0)
                print(f"{time.monotonic() - began:6.1f} s: {' '.join(words)}", flush=True)

            press("r")
            shows("orders +1")
            press("F" + ENTER)
            shows("lines went with the next commit")
            press("b")
            shows(f"{LOST:,} to be inserted")
            press(ENTER)
            shows(f"✔ {LOST:,} rows brought back")
            took = time.monotonic() - began
            torture.counts.update(keys=keys, milliseconds=int(took * 1000))
            print(f"{keys} keys, {took:.1f} s", flush=True)
            commits(application, 5)
    assert json.dumps(shell.rows("SELECT * FROM lines ORDER BY id")) == json.dumps(before)
    assert shell.rows("PRAGMA quick_check") == [["ok"]]
    assert keys <= KEYS_MAX
    if torture.long:
        assert took <= SECONDS_MAX
