"""The documents tell what is there: tests, bounds, verbs, keys and exit codes; a name that is gone fails here.

The links, command lines and make targets of the documents are in test_docs_links.py; the tutorial is run by
test_tutorial.py.
"""

import argparse
import ast
import re
from functools import cache
from pathlib import Path

import pytest

from docs import command_reference as commands
from replication import errors
from replication.config import unknown_keys as keys
from tests.torture.broken import MUTATIONS
from tui import cli

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
PROMISES = sorted({*DOCS.glob("INVARIANTS.md"), *DOCS.glob("reports/*.md")})
"""Where tests and bounds of promises are named."""
NAMED = "\n".join(path.read_text() for path in PROMISES)
TESTS = re.findall(r"`(tests/\S+\.py)::(\w+)`", NAMED)
BOUNDS = re.findall(r"((?:`\w+`, )*`\w+`) in `(replication/\S+\.py)`", NAMED)
PROMISES_MAX = 10
README_LINES_MAX = 150


@cache
def functions(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


def section(page: Path, title: str) -> str:
    """What stands below a title of the second order, up to the next one."""
    match = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", page.read_text(), re.MULTILINE | re.DOTALL)
    assert match is not None, f"{page.name} has no section {title}"
    return match[1]


def rows(text: str) -> list[list[str]]:
    """The rows of its tables, without their heads."""
    found = []
    for table in re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE):
        found += [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    return found


def exit_codes() -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.ReplicationError):
            found.setdefault(kind.exit_code, set()).add(kind.__name__)
    return found


def known_keys() -> dict[str, tuple[str, ...]]:
    """The keys that the loader reads at each level, as the documents call the levels. The only place that asks it."""
    return {"Top level" if level == "top" else level: names for level, names in keys.KEYS.items()}


def refused_keys() -> set[str]:
    """Keys of Litestream 0.3 that are known only to be refused."""
    return {*keys.FOREIGN_KEYS, "age"}


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < README_LINES_MAX


def test_every_promise_names_tests() -> None:
    """By its number: the promises stand in INVARIANTS.md, their tests there or in reports/promises.md."""
    named: dict[str, str] = {}
    for page in (DOCS / "INVARIANTS.md", DOCS / "reports/promises.md"):
        sections = re.split(r"^## ", page.read_text(), flags=re.MULTILINE)
        for text in sections:
            if match := re.match(r"(\d+)\. ", text):
                named[match[1]] = named.get(match[1], "") + text
    assert list(named) == [str(number) for number in range(1, PROMISES_MAX + 1)]
    for number, text in named.items():
        assert "`tests/" in text, f"promise {number}"


@pytest.mark.parametrize(("path", "name"), sorted(set(TESTS)))
def test_a_test_that_is_named_exists(path: str, name: str) -> None:
    assert (ROOT / path).is_file(), f"the promises name {path}"
    assert name in functions(ROOT / path), f"the promises name {path}::{name}"


@pytest.mark.parametrize(("names", "path"), BOUNDS)
def test_a_bound_that_is_named_exists(names: str, path: str) -> None:
    text = (ROOT / path).read_text()
    for name in re.findall(r"\w+", names):
        assert re.search(rf"^{name} = ", text, re.MULTILINE), f"{name} is not in {path}"


def test_every_promise_broken_on_purpose_is_listed() -> None:
    listed = re.findall(r"^- (.*?)\s\(`(\S+)`\)$", (DOCS / "reports/broken-promises.md").read_text(), re.M | re.DOTALL)
    assert {(" ".join(name.split()), file) for name, file in listed} == {(one.name, one.file) for one in MUTATIONS}


def test_the_reference_of_commands_is_that_of_the_parser() -> None:
    page = commands.PAGE.read_text()
    assert page == commands.with_generated(page), "docs/reference/commands.md is not current: run make reference"


def test_every_exit_code_is_in_the_help_and_in_the_reference() -> None:
    help_text = cli._parser()[0].format_help()
    in_help = {int(code) for code in re.findall(r"\b(\d+) [a-z]", help_text[help_text.index("exit codes:") :])}
    assert in_help == {0, 130, *exit_codes()}
    page = (REFERENCE / "exit-codes.md").read_text()
    listed = {int(code): set(re.findall(r"`(\w+)`", names)) for code, _, _, names in rows(page)}
    assert listed == {0: set(), 130: set(), **exit_codes()}


@pytest.mark.parametrize("level", known_keys())
def test_every_key_of_the_configuration_is_in_the_reference(level: str) -> None:
    text = section(REFERENCE / "configuration.md", level)
    listed = [cells[0].strip("`") for cells in rows(text)]
    refused = refused_keys() & set(known_keys()[level])
    assert len(listed) == len(set(listed))
    assert set(listed) == set(known_keys()[level]) - refused
    assert all(f"`{key}`" in text for key in refused)


def test_defaults_of_the_reference_are_those_of_the_example() -> None:
    """The example is loaded by tests/test_config.py, which compares its defaults with the program's."""
    example = dict(re.findall(r"^ *#([a-z-]+): (\S+)$", (ROOT / "litestream.yml.example").read_text(), re.MULTILINE))
    compared = set()
    for level in known_keys():
        for key, default, *_ in rows(section(REFERENCE / "configuration.md", level)):
            name, value = key.strip("`"), re.match(r"`([^`]*)`$", default)
            if value is not None and name in example and name not in ("type", "name", "url"):
                assert example[name] == value[1], f"{level} {name}"
                compared.add(name)
    assert len(compared) > 10, compared


def test_every_key_of_litestream_05_that_is_passed_over_is_in_the_reference() -> None:
    text = section(REFERENCE / "configuration.md", "Keys of Litestream 0.5")
    understood = {key for names in keys.ALSO.values() for key in names}
    assert set(re.findall(r"`([a-z0-9-]+)`", text)) == understood | set(keys.IDLE_KEYS_OF_05)


def test_every_flag_of_the_program_is_spelled_with_one_dash() -> None:
    """So the documents spell them; two dashes are understood as well."""
    for verb, parser in commands.parsers().items():
        for action in parser._actions:
            if action.option_strings and not isinstance(action, argparse._HelpAction):
                assert f"--{action.option_strings[0].lstrip('-')}" in action.option_strings, (verb, action.dest)
