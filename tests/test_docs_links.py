"""What a reader of the documents clicks on or types: links, command lines and make targets."""

import contextlib
import io
import re
import shlex
from functools import cache
from pathlib import Path

import pytest

from replication.errors import UsageError
from tui import cli

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
BY_NAME = {str(page.relative_to(ROOT)): page for page in PAGES}
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"^ {4}(make .*|litestream-tui .*)$", re.MULTILINE)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_INLINE = re.compile(r"`((?:litestream-tui|make) [^`]*)`")


@cache
def anchors(page: Path) -> frozenset[str]:
    """The names that GitHub gives the titles of a page."""
    text = _FENCE.sub("", page.read_text())
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles)


def typed(page: Path) -> list[str]:
    """Every line of its code that somebody may type, and every command in its text."""
    text = page.read_text()
    lines = [line.removeprefix("$ ") for _, block in _FENCE.findall(text) for line in block.splitlines()]
    return [*lines, *_INDENTED.findall(text), *(" ".join(command.split()) for command in _INLINE.findall(text))]


def command_lines(page: Path) -> list[list[str]]:
    """The arguments of every `litestream-tui ...`; what is in capitals or brackets is a pattern and no command."""
    found = []
    for line in typed(page):
        if not line.startswith("litestream-tui ") or re.search(r"\[|\bVERB\b|\.\.\.", line):
            continue
        found.append(shlex.split(line, comments=True)[1:])
    return found


@pytest.mark.parametrize("name", BY_NAME)
def test_every_link_leads_somewhere(name: str) -> None:
    page = BY_NAME[name]
    for target in _LINK.findall(_FENCE.sub("", page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{name} links to {target}"
        assert there == ROOT or ROOT in there.parents, f"{name} links out of the project: {target}"
        if anchor:
            assert anchor in anchors(there), f"{name} links to {target}, and {there.name} has no such title"


@pytest.mark.parametrize("name", [name for name, page in BY_NAME.items() if command_lines(page)])
def test_every_command_line_is_understood(name: str) -> None:
    for arguments in command_lines(BY_NAME[name]):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
            try:
                cli._parse(arguments)
            except UsageError as error:
                pytest.fail(f"{name}: litestream-tui {shlex.join(arguments)}: {error}")


@pytest.mark.parametrize("name", BY_NAME)
def test_every_make_target_exists(name: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in typed(BY_NAME[name]):
        for arguments in re.findall(r"^(?:[A-Z0-9]+=\S+ )?make\b([^#]*)", line):
            words = [word for word in shlex.split(arguments) if "=" not in word]
            assert set(words) - {"TARGET"} <= targets, f"{name}: {line}"


def test_there_is_something_to_look_at() -> None:
    assert sum(len(command_lines(page)) for page in PAGES) > 30


def test_every_page_is_reached_from_the_readme() -> None:
    """By links, from page to page."""
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen:
            continue
        seen.add(page)
        for target in _LINK.findall(page.read_text()):
            there = (page.parent / target.partition("#")[0]).resolve()
            if there.suffix == ".md" and there.is_file():
                waiting.append(there)
    assert set(PAGES) - seen == set()
