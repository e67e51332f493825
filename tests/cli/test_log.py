"""log: what each commit did, the newest first, named so that query and restore take it."""

import json

from tests.cli.conftest import ROUNDS, Published
from tests.cli.program import refuses, run, succeeds


def test_commits_are_told_the_newest_first(published: Published) -> None:
    lines = succeeds("log", "-json", published.url).out.splitlines()
    found = [json.loads(line) for line in lines]
    # The first snapshot may have the first row already.
    assert ROUNDS - 1 <= len(found) <= ROUNDS
    assert all(item["tables"] == [{"name": "fruits", "rows": 1}] and item["whole"] for item in found)
    assert all(item["bytes"] == item["pages"] * 4096 for item in found)
    assert [item["position"] for item in found] == sorted((item["position"] for item in found), reverse=True)
    for item, expected in zip(found, range(ROUNDS, 0, -1), strict=False):
        out = succeeds("query", "-csv", "-position", item["position"], published.url, "SELECT count(*) FROM fruits").out
        assert out.splitlines()[1] == str(expected)
        # The time that is told is one that brings it back, and one before it brings back the one before.
        out = succeeds(
            "query", "-csv", "-timestamp", item["committed"], published.url, "SELECT count(*) FROM fruits"
        ).out
        assert out.splitlines()[1] == str(expected)
    words = succeeds("log", "-limit", "2", published.url)
    assert [line.split()[2] for line in words.out.splitlines()] == [item["position"] for item in found[:2]]
    assert words.out.splitlines()[0].endswith("fruits +1")
    assert words.err.startswith("# 2 commits; committed: as it was seen at the database")
    assert all(line.startswith("committed 2") for line in words.out.splitlines())
    # Each was made before its object was stored, and they were made one after the other.
    assert all(item["committed"] <= item["stored"] for item in found)
    assert [item["committed"] for item in found] == sorted((item["committed"] for item in found), reverse=True)
    assert len(succeeds("log", "-table", "FRUITS", published.url).out.splitlines()) == len(found)
    refuses(run("log", "-table", "other", published.url), 10, "No commit that was looked at has a table other")
    # A table that was there, and that no commit since then touched, is no error.
    assert succeeds("log", "-table", "fruits", "-since", found[0]["stored"], published.url).err.startswith(
        "# 1 commit;"
    )


def test_it_is_bounded_by_times(published: Published) -> None:
    found = [json.loads(line) for line in succeeds("log", "-json", published.url).out.splitlines()]
    middle = found[len(found) // 2]["stored"]
    late = succeeds("log", "-json", "-since", middle, published.url).out.splitlines()
    assert [json.loads(line) for line in late] == [item for item in found if item["stored"] >= middle]
    early = succeeds("log", "-json", "-until", middle, published.url).out.splitlines()
    assert [json.loads(line) for line in early] == [item for item in found if item["stored"] <= middle]
    refuses(run("log", "-since", "yesterday", published.url), 2, "not a time")
    refuses(run("log", "-until", "2001-01-01T00:00:00Z", published.url), 10)
