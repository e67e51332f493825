"""The documents tell what is there: tests, bounds, verbs, flags and exit codes; a name that is gone fails here."""

import argparse
import ast
import re
from functools import cache
from pathlib import Path

import pytest

from replication import errors
from tests.torture.broken import MUTATIONS
from tui import cli

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TESTS = re.findall(r"`(tests/\S+\.py)::(\w+)`", (ROOT / "docs/INVARIANTS.md").read_text())
BOUNDS = re.findall(r"((?:`\w+`, )*`\w+`) in `(replication/\S+\.py)`", (ROOT / "docs/INVARIANTS.md").read_text())


@cache
def functions(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


def everything() -> str:
    return "\n".join(path.read_text() for path in DOCUMENTS)


def verbs() -> dict[str, argparse.ArgumentParser]:
    """Every parser of the command line; that of the program itself is called ""."""
    parser = cli._parser()[0]
    found: dict[str, argparse.ArgumentParser] = {"": parser}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found.update(action.choices)
    return found


def exit_codes() -> dict[int, type[errors.ReplicationError]]:
    found = {}
    for name in vars(errors):
        kind = getattr(errors, name)
        if isinstance(kind, type) and issubclass(kind, errors.ReplicationError):
            found[kind.exit_code] = kind
    return found


def test_every_promise_names_tests() -> None:
    sections = re.split(r"^## ", (ROOT / "docs/INVARIANTS.md").read_text(), flags=re.MULTILINE)
    promises = [section for section in sections if re.match(r"\d+\. ", section)]
    assert [section.partition(".")[0] for section in promises] == [str(number) for number in range(1, 11)]
    for section in promises:
        assert "`tests/" in section, section.partition("\n")[0]


@pytest.mark.parametrize(("path", "name"), sorted(set(TESTS)))
def test_a_test_that_is_named_exists(path: str, name: str) -> None:
    assert (ROOT / path).is_file(), f"docs/INVARIANTS.md names {path}"
    assert name in functions(ROOT / path), f"docs/INVARIANTS.md names {path}::{name}"


@pytest.mark.parametrize(("names", "path"), BOUNDS)
def test_a_bound_that_is_named_exists(names: str, path: str) -> None:
    text = (ROOT / path).read_text()
    for name in re.findall(r"\w+", names):
        assert re.search(rf"^{name} = ", text, re.MULTILINE), f"{name} is not in {path}"


def test_every_promise_broken_on_purpose_is_listed_once_with_its_file() -> None:
    text = (ROOT / "docs/RELIABILITY.md").read_text()
    section = text[text.index("\n## Promises broken on purpose") :].split("\n## ")[1]
    listed = re.findall(r"^- (.*?)\s+\(`(\S+)`\)$", section, re.MULTILINE)
    assert sorted(listed) == sorted((mutation.name, mutation.file) for mutation in MUTATIONS)


@pytest.mark.parametrize("verb", verbs())
def test_every_verb_and_flag_is_documented(verb: str) -> None:
    """In the row of its verb in the README's table; the program's own flags anywhere."""
    readme = (ROOT / "README.md").read_text()
    text = everything()
    if verb:
        row = re.search(rf"^\| `{verb}` \|.*$", readme, re.MULTILINE)
        assert row is not None, f"the table of commands in README.md has no row for {verb}"
        text = row[0]
    for action in verbs()[verb]._actions:
        flags = [flag for flag in action.option_strings if not flag.startswith("--")]
        if "-h" not in flags and flags:
            assert any(f"`{flag}`" in text or f"`{flag} " in text for flag in flags), f"{verb} {flags[0]}"


def test_no_flag_is_documented_that_does_not_exist() -> None:
    for verb, flags in re.findall(r"^\| `(\w+)` \|.*\|(.*)\|$", (ROOT / "README.md").read_text(), re.MULTILINE):
        known = {flag for action in verbs()[verb]._actions for flag in action.option_strings}
        assert set(re.findall(r"`(-[\w-]+)`", flags)) <= known, verb


def test_every_exit_code_is_in_the_help_and_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    table = readme[readme.index("### Exit codes") :].partition("\n## ")[0]
    in_readme = {int(code) for code in re.findall(r"\| (\d+) (?=\|)", table)}
    help_text = cli._parser()[0].format_help()
    in_help = {int(code) for code in re.findall(r"\b(\d+) [a-z]", help_text[help_text.index("exit codes:") :])}
    expected = {0, 130, *exit_codes()}
    assert in_readme == expected
    assert in_help == expected


def test_every_link_between_documents_leads_somewhere() -> None:
    for document in [*DOCUMENTS, ROOT / "CHANGELOG.md"]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[\w-]+)?\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_every_make_target_of_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)\b", (ROOT / "README.md").read_text())) - targets <= {"in"}
