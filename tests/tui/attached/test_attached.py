"""What an attached screen knows of its engine: of another version, newer than it understands, gone and back."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from replication.config import Config
from replication.control.client import Client
from replication.control.server import Server
from replication.control.values import API
from replication.errors import UsageError
from tests.control.serving import VERSION, Served, served
from tests.interchange.program import wait_until
from tui.cli import main
from tui.session.attached import Attached
from tui.session.place import Place, gone_news, place_words
from tui.text.style import Style
from tui.verbs import screen
from tui.version import version
from tui.view import Options

STYLE = Style(False, False, 1000.0)


@contextmanager
def attached(at: Served) -> Iterator[Attached]:
    with closing(Attached(Client(at.server.path), 0.05)) as engine:
        engine.start()
        yield engine


def until(engine: Attached, what: Callable[[], bool]) -> None:
    wait_until("the screen knows it", what, lambda: str(engine.place))


def test_an_engine_of_another_version_is_named_and_shown(tmp_path: Path) -> None:
    with served(tmp_path) as at, attached(at) as engine:
        until(engine, lambda: bool(engine.status().databases))
        assert engine.place.words == f"{VERSION}, this screen is {version()}"
        assert engine.status().databases[0].state == "ok"
        assert engine.events_since(0) == at.engine.events_since(0)


def test_what_an_engine_says_that_is_newer_than_understood_is_shown_where_it_can_be(tmp_path: Path) -> None:
    with served(tmp_path) as at:
        at.local._info = replace(at.local._info, api=API + 1)
        with attached(at) as engine:
            until(engine, lambda: bool(engine.status().databases))
            assert "newer than this program" in place_words(engine.place, STYLE)
            assert gone_news(Place("service"), engine.place)[0][1] == "warning"


def test_gone_it_is_not_shown_as_if_it_were_there_and_back_it_is(tmp_path: Path) -> None:
    with served(tmp_path) as at, attached(at) as engine:
        until(engine, lambda: bool(engine.status().databases))
        at.server.close()
        until(engine, lambda: engine.place.gone > 0)
        [database] = engine.status().databases
        assert (database.state, "does not answer" in database.error) == ("unknown", True)
        again = Server(at.local, at.server.path)
        again.start()
        try:
            until(engine, lambda: not engine.place.gone)
            until(engine, lambda: engine.status().databases[0].state == "ok")
        finally:
            again.close()


def test_the_words_say_what_ends_with_the_screen() -> None:
    service = Place("service", pid=812, started=1000.0 - 3 * 86400)
    assert place_words(service, STYLE) == "engine: service, pid 812, up 3d"
    assert place_words(Place("here"), STYLE) == "engine: here, ends with this screen"
    gone = replace(service, gone=988.0)
    assert place_words(gone, STYLE) == "engine: gone for 12s (was pid 812); attaches again when back"
    assert gone_news(service, gone)[0][1] == "error"
    assert gone_news(gone, replace(service, pid=900))[0][0] == "The engine is back, another one than before: pid 900"


@pytest.mark.parametrize(
    ("arguments", "again"),
    [
        ([], "litestream-tui"),
        (["-config", "a b.yml", "-read-only"], "litestream-tui -config 'a b.yml' -read-only"),
        (["attach", "-config", "c.yml", "-no-expand-env"], "litestream-tui attach -config c.yml -no-expand-env"),
        (["attach", "-socket", "s", "-slow"], "litestream-tui attach -socket s"),
    ],
)
def test_who_detaches_is_told_what_attaches_again(
    arguments: list[str], again: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the same way to the same engine: another configuration may have another, or none."""
    seen: list[str] = []

    def options_of(args: object, again: str = "") -> Options:
        seen.append(again)
        raise UsageError("enough is known")

    for name, stands in (("terminal_problem", lambda *words: None), ("options_of", options_of)):
        monkeypatch.setattr(screen, name, stands)
    monkeypatch.setattr(screen, "_config", lambda args: Config(None, (), directories=(cast(Any, None),)))
    assert main(arguments) == UsageError.exit_code
    assert seen == [again]
