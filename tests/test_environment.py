"""Environment variables in a text, against Litestream itself."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import peers
from replication.config.environment import Expansion, expand_environment

ENVIRON = {"FOO": "value", "FOO_2": "second", "EMPTY": ""}

TABLE = {
    "a$FOO.b": "avalue.b",
    "a${FOO}b": "avalueb",
    "a$FOOy": "a",
    "a${FOO_2}$FOO_2": "asecondsecond",
    "a$$FOO": "aFOO",
    "a$1y": "ay",
    "a$-z": "az",
    "a$12": "a2",
    "a$EMPTY.": "a.",
    "a$UNSET.": "a.",
    "a$ b": "a$ b",
    "a$": "a$",
    "a$.b": "a$.b",
    "a$é": "a$é",
    "a$$": "a",
    "a$*b$@c$!d$?e": "abcde",
}
DEFAULTS = {
    "a${FOO:-def}b": "avalueb",
    "a${FOO-def}b": "avalueb",
    "a${EMPTY:-def}b": "adefb",
    "a${EMPTY-def}b": "ab",
    "a${UNSET:-def}b": "adefb",
    "a${UNSET-def}b": "adefb",
    "a${UNSET:-}b": "ab",
    "a${UNSET-}b": "ab",
    "a${UNSET:-a:-b-c/d.e $}b": "aa:-b-c/d.e $b",
    "a${UNSET--1}b": "a-1b",
    "${UNSET:-x}${FOO}${EMPTY-y}$FOO": "xvaluevalue",
}
ODD = [
    "${}",
    "${1}",
    "${FOO?}",
    "${FOO:?message}",
    "${FOO+x}",
    "${FOO:+x}",
    "${FOO=x}",
    "${FOO:=x}",
    "${#FOO}",
    "${!FOO}",
]
ODD += [
    "${FOO%x}",
    "${FOO/x/y}",
    "${FOO.b}",
    "${ FOO }",
    "${FOO",
    "${FOO:-",
    "${FOO:-${EMPTY}}",
    "${FOO:-a\nb}",
    "${FOO:1:2}",
]


@pytest.mark.parametrize(("text", "expanded"), TABLE.items())
def test_expansion(text: str, expanded: str) -> None:
    assert expand_environment(text, ENVIRON).text == expanded


@pytest.mark.parametrize(("text", "expanded"), DEFAULTS.items())
def test_defaults_are_those_of_a_shell(text: str, expanded: str) -> None:
    assert expand_environment(text, ENVIRON) == Expansion(expanded, ())
    printed = subprocess.run(
        ["sh", "-c", f'printf %s "{text}"'], env=ENVIRON, capture_output=True, text=True, timeout=30, check=True
    ).stdout
    assert printed == expanded


@pytest.mark.parametrize("text", ODD)
def test_whatever_else_is_in_braces_is_handed_back_with_its_line(text: str) -> None:
    assert expand_environment(f"a: b\nc: {text}\n# {text}\n", ENVIRON).odd_lines == (2,)


@pytest.mark.server
def test_litestream_itself_agrees(tmp_path: Path) -> None:
    """The replica names that `litestream databases` prints are the expanded texts."""
    config = tmp_path / "litestream.yml"
    databases = "".join(
        f"- {{path: /db{n}, replicas: [{{path: /x{n}, name: '{text}'}}]}}\n" for n, text in enumerate(TABLE)
    )
    config.write_text(f"dbs:\n{databases}")
    printed = subprocess.run(
        [peers.litestream03(), "databases", "-config", config],
        capture_output=True,
        text=True,
        timeout=30,
        env=peers.clean_environment(**ENVIRON),
        check=True,
    ).stdout
    names = [line.split("  ", 1)[1].strip() for line in printed.splitlines()[1:]]
    assert names == list(TABLE.values())


def test_lines_where_nothing_stood_are_told_but_not_in_comments() -> None:
    text = "# $UNSET\na: $FOO\nb: $UNSET\n  # ${UNSET}\nc: ${UNSET}$UNSET\nd: $EMPTY"
    assert expand_environment(text, ENVIRON).unset_lines == (3, 5)


@given(st.text(st.characters(exclude_characters="$")))
def test_a_text_without_dollars_stays(text: str) -> None:
    assert expand_environment(text, ENVIRON).text == text


@given(st.text(alphabet="${}FO_1a \n"))
def test_nothing_is_invented(text: str) -> None:
    expanded = expand_environment(text, {}).text
    remaining = iter(text)
    assert all(char in remaining for char in expanded)
