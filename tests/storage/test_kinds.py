"""A kind of store is a folder and a line, and no one outside asks which kind a location is of."""

import re
from pathlib import Path

import pytest

from replication.errors import ConfigError
from replication.storage.kinds import KINDS, MISSING, TYPES
from replication.storage.url import parse_replica_url

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_runs_the_contract(name: str) -> None:
    assert (Path(__file__).parent / "stores" / f"{name}.py").is_file()


def test_a_folder_of_a_kind_is_a_kind() -> None:
    folders = {path.parent.name for path in (ROOT / "replication/storage").glob("*/kind.py")}
    assert folders == set(KINDS)
    assert not folders & set(MISSING)


@pytest.mark.parametrize("name", KINDS)
def test_the_url_form_of_a_kind_names_a_place_of_it(name: str) -> None:
    location = parse_replica_url(KINDS[name].url_form)
    assert location.kind == name
    assert location.address.startswith(f"{name}://")
    assert location.identity[0] == name
    assert location.store.startswith(f"{name} ")


def test_an_unknown_kind_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=f"unknown replica type tape; use {TYPES}$"):
        parse_replica_url("tape://x")


def test_nobody_outside_a_kind_asks_for_it() -> None:
    """The demo and the tests may name a kind: they make one."""
    asks = re.compile(r"isinstance\([^)]*Location\b|[=!]= \"(?:s3|file)\"|else \"(?:s3|file)\"")
    for path in [*(ROOT / "replication").rglob("*.py"), *(ROOT / "tui").rglob("*.py")]:
        if path.parent.name not in KINDS:
            assert asks.search(path.read_text()) is None, path
