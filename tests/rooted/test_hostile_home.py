"""The real program as root, on the database of a user who wants root's power (promise 10)."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from replication.local.files import LOCK_NAME, STATUS_NAME
from tests.cli.program import Replicating, refuses, run, succeeds
from tests.foreign import Shell
from tests.interchange.program import wait_until
from tests.rooted.conftest import USER, Home

SWAPS = 3000

SWAP = """
import glob, os, sys, time
os.setgid({user}); os.setuid({user})
name, target = {name!r}, {target!r}
swaps = 0
end = time.monotonic() + 50
while swaps < {swaps} and time.monotonic() < end and not os.path.exists({stop!r}):
    # Another name each time: whatever was made meanwhile stands in the way of no swap.
    aside = name + ".aside-" + str(swaps)
    try:
        os.rename(name, aside)
        os.symlink(target, name)
        swaps += 1
        time.sleep(0.0002)
        os.unlink(name)
        os.rename(aside, name)
    except OSError:
        # A generation may have ended, and its folder be gone.
        name = max(glob.glob({pattern!r}), key=os.path.getmtime, default=name)
    time.sleep(0.0005)
print(swaps, flush=True)
"""

COMMIT = """
import os, sqlite3, time
os.setgid({user}); os.setuid({user})
c = sqlite3.connect({path!r}, timeout=30)
n = 0
while not os.path.exists({stop!r}):
    c.execute("INSERT INTO t VALUES(?)", (os.urandom(500).hex(),)); c.commit()
    n += 1
    time.sleep(0.002)
print(n, flush=True)
"""


@contextmanager
def as_user(code: str, **values: object) -> Iterator[subprocess.Popen[str]]:
    code = code.format(user=USER, **values)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()


def users(act: Callable[[], object]) -> None:
    """Do something as the user, and so only what the user may do."""
    child = os.fork()
    if not child:
        code = 1
        with suppress(BaseException):
            os.setgid(USER)
            os.setuid(USER)
            act()
            code = 0
        os._exit(code)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("where", ["", "generations"])
def test_a_link_of_the_user_leads_root_nowhere(home: Home, tmp_path: Path, where: str) -> None:
    """As it was found: root wrote files of the user's choosing into a folder that only root may enter."""
    before = home.vault_content()
    if where:
        succeeds("replicate", "-config", home.config, "-exec", "true")
        users(lambda: (home.meta / where).rename(home.meta / "aside"))
    users(lambda: (home.meta / where).symlink_to(home.vault / where))
    with Replicating(tmp_path / "log", "-config", home.config) as replicate:
        wait_until("words", lambda: "symbolic link" in replicate.said or not replicate.running)
        replicate.end()
    assert "symbolic link" in replicate.said
    assert "Traceback" not in replicate.said
    assert home.vault_content() == before


def test_the_users_own_link_to_the_users_own_folder_works(home: Home) -> None:
    """As with a folder of releases: the link is the user's, and so is what it leads to."""
    elsewhere = home.folder / "elsewhere"
    users(elsewhere.mkdir)
    users(lambda: home.meta.symlink_to(elsewhere))
    succeeds("replicate", "-config", home.config, "-exec", "true")
    assert (elsewhere / LOCK_NAME).exists()
    assert [item.stat().st_uid for item in (elsewhere / "generations").iterdir()] == [USER]
    output = home.vault.parent / "restored.db"
    succeeds("restore", "-o", output, f"file://{home.replica}")
    assert Shell(output).rows("SELECT a FROM t") == [[1]]


def test_a_pipe_in_the_place_of_a_file_is_named_and_waits_for_nobody(home: Home, tmp_path: Path) -> None:
    succeeds("replicate", "-config", home.config, "-exec", "true")
    users((home.meta / STATUS_NAME).unlink)
    users(lambda: os.mkfifo(home.meta / STATUS_NAME))
    with Replicating(tmp_path / "log", "-config", home.config) as replicate:
        wait_until("words", lambda: "is a pipe where" in replicate.said or not replicate.running)
        replicate.end()
    assert f"{STATUS_NAME} is a pipe where a plain file of litestream-tui should be" in replicate.said
    # Nor does a command that only looks.
    assert json.loads(succeeds("status", "-json", "-config", home.config).out)


@pytest.mark.parametrize("place", ["meta", "generations", "wal", "home"])
def test_a_user_who_swaps_folder_and_link_in_a_loop_gains_nothing(home: Home, tmp_path: Path, place: str) -> None:
    """Thousands of swaps of one folder on the way, while the application commits and root copies."""
    succeeds("replicate", "-config", home.config, "-exec", "true")
    [generation] = (home.meta / "generations").iterdir()
    # The same generation is in the vault, so that no name stands in the way of writing there.
    there = home.vault / "generations"
    (there / "0123456789abcdef").rename(there / generation.name)
    swapped, target = {
        "meta": (home.meta, home.vault),
        "generations": (home.meta / "generations", home.vault / "generations"),
        "wal": (generation / "wal", home.vault / "wal"),
        "home": (home.folder / "data", home.vault),
    }[place]
    if place == "home":
        users(swapped.mkdir)
        for path in (home.database, home.meta):
            path.rename(swapped / path.name)
        home.config.write_text(home.config.read_text().replace(str(home.database), str(swapped / "app.db")))
    pattern = str(home.meta / "generations" / "*" / "wal") if place == "wal" else str(swapped)
    database = swapped / "app.db" if place == "home" else home.database
    stop, before = home.vault.parent / "stop", home.vault_content()
    with (
        Replicating(tmp_path / "log", "-config", home.config) as replicate,
        as_user(COMMIT, path=str(database), stop=str(stop)) as application,
        as_user(SWAP, name=str(swapped), pattern=pattern, target=str(target), swaps=SWAPS, stop=str(stop)) as attacker,
    ):
        assert attacker.stdout is not None
        assert application.stdout is not None
        swaps = int(attacker.stdout.read())
        stop.touch()
        application.stdout.read()
        replicate.end()
    assert "Traceback" not in replicate.said
    # On a busy machine its time is over before.
    assert swaps >= SWAPS // 100
    assert home.vault_content() == before


def test_a_restore_into_a_folder_that_is_swapped(home: Home, tmp_path: Path) -> None:
    """Whatever becomes of it: the file is in the user's folder, or nowhere."""
    succeeds("replicate", "-config", home.config, "-exec", "true")
    out = home.folder / "out"
    users(out.mkdir)
    before, stop = home.vault_content(), home.vault.parent / "stop"
    with as_user(
        SWAP, name=str(out), pattern=str(out), target=str(home.vault), swaps=1 << 30, stop=str(stop)
    ) as attacker:
        codes = [
            run("restore", "-config", home.config, "-o", out / f"{number}.db", home.database).code
            for number in range(12)
        ]
        stop.touch()
        assert attacker.stdout is not None
        assert int(attacker.stdout.read()) > 100
    assert set(codes) <= {0, 14}, codes
    assert home.vault_content() == before


def test_a_restore_through_a_link_of_the_user_is_refused(home: Home) -> None:
    succeeds("replicate", "-config", home.config, "-exec", "true")
    before = home.vault_content()
    users(lambda: (home.folder / "out").symlink_to(home.vault))
    result = run("restore", "-config", home.config, "-o", home.folder / "out" / "restored.db", home.database)
    assert result.code != 0
    assert "symbolic link" in result.err
    assert home.vault_content() == before


def test_a_local_folder_with_other_content_is_refused_in_words(home: Home, tmp_path: Path) -> None:
    """`meta-path: /data`: every file that ended in .tmp was removed there, the user's too."""
    data = home.folder / "data"
    (data / "deep").mkdir(parents=True)
    for name in ("photos.tmp", "deep/notes.tmp", "letters"):
        (data / name).write_text("precious")
    text = home.config.read_text().replace("  monitor", f"  meta-path: {data}\n  monitor")
    home.config.write_text(text)
    result = run("replicate", "-config", home.config)
    refuses(result, result.code, "not litestream-tui's", "meta-path")
    assert sorted(str(path.relative_to(data)) for path in data.rglob("*") if path.is_file()) == [
        "deep/notes.tmp",
        "letters",
        "photos.tmp",
    ]
