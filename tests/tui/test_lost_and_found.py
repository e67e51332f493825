"""A table went while the application goes on: from the dashboard to its rows back in a few keys, on a real terminal."""

import json
from pathlib import Path

import pytest

import peers
from tests.foreign import ForeignConnection, Shell
from tests.tui.window import Window

ENTER, ESCAPE = "\r", "\x1b"
ROWS = 2_000
OPENING_BYTES_MAX, STEP_BYTES_MAX = 16_000, 700
_FILL = (
    f"WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS}) "
    "INSERT INTO lines SELECT i, i % 7, 'thing ' || i FROM n"
)


@pytest.fixture
def shop(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path / "shop.db")
    shell.run(
        "PRAGMA journal_mode=wal; CREATE TABLE orders(id INTEGER PRIMARY KEY, name TEXT);"
        "CREATE TABLE lines(id INTEGER PRIMARY KEY, ord INT, what TEXT); CREATE INDEX by_order ON lines(ord);"
    )
    shell.run(_FILL)
    return shell


@pytest.mark.server
@pytest.mark.parametrize("size", [(80, 24), (60, 15)])
def test_what_was_dropped_is_back_with_five_keys(shop: Shell, tmp_path: Path, size: tuple[int, int]) -> None:
    with peers.running(peers.SeaweedServer(tmp_path / "server")) as server:
        config = tmp_path / "litestream.yml"
        config.write_text(
            f"access-key-id: {server.access_key}\nsecret-access-key: {server.secret_key}\n"
            f"socket:\n  path: {tmp_path}/s.sock\ndbs:\n- path: {shop.path}\n  replicas:\n"
            f"  - {{type: s3, bucket: tests, path: shop, endpoint: {server.endpoint}, sync-interval: 100ms}}\n"
        )
        before = shop.rows("SELECT * FROM lines ORDER BY id")
        with Window("-config", config, home=tmp_path, size=size) as window, shop.open() as application:
            window.shows("● ok", "shop.db")
            for number in range(30):
                application.execute(f"INSERT INTO orders(name) VALUES('early {number}')")
            application.execute("DROP TABLE lines")
            for number in range(30):
                application.execute(f"INSERT INTO orders(name) VALUES('late {number}')")
            window.shows("● ok", "shop.db", " 0s")
            window.press("r")
            window.shows("orders +1")
            window.press("F" + ENTER)
            window.shows("lines went with the next commit")
            window.shows("lines gone", f"−{ROWS:,}"[:4])
            window.press("b")
            window.shows("lines: made again", f"{ROWS:,} to be inserted")
            # The application wrote since the preview, and goes on.
            application.execute("INSERT INTO orders(name) VALUES('meanwhile')")
            window.press(ENTER)
            window.shows(f"✔ {ROWS:,} rows brought back")
            application.execute("INSERT INTO orders(name) VALUES('after')")
            assert application.execute("SELECT count(*) FROM orders") == [[62]]
            window.press(ESCAPE)
            window.shows("point ", "committed")
            window.press("q")
            window.shows("n ends it now")
            window.press("n")
            assert window.end() == 0
    assert json.dumps(shop.rows("SELECT * FROM lines ORDER BY id")) == json.dumps(before)
    assert shop.rows("SELECT count(*) FROM sqlite_schema WHERE name = 'by_order'") == [[1]]
    assert shop.rows("PRAGMA integrity_check") == [["ok"]]


def test_the_picker_sends_little_and_nothing_while_nothing_changes(shop: Shell, tmp_path: Path) -> None:
    config = tmp_path / "litestream.yml"
    config.write_text(
        f"socket:\n  path: {tmp_path}/s.sock\ndbs:\n- path: {shop.path}\n  replicas:\n  - path: {tmp_path}/replica\n"
    )
    with Window("-slow", "-config", config, home=tmp_path) as window, ForeignConnection(shop.path) as application:
        window.shows("● ok", "shop.db")
        for number in range(40):
            application.execute(f"INSERT INTO orders(name) VALUES('early {number}')")
        window.shows("● ok", "shop.db", " 0s")
        window.said = b""
        window.press("r")
        window.shows("fetch", "snapshot")
        window.shows("orders +1")
        while len(window.listen(1.5)) > 0:
            pass
        opened = len(window.said)
        window.said = b""
        assert window.listen(2.5) == b""
        for _ in range(10):
            window.press("k")
        while len(window.listen(0.5)) > 0:
            pass
        assert opened < OPENING_BYTES_MAX
        assert len(window.said) < 10 * STEP_BYTES_MAX
        window.press("q")
