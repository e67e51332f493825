"""find: the commit at which something changed, named so that query and restore take it."""

import json

import pytest

from tests.cli.conftest import ROUNDS, Published
from tests.cli.program import refuses, run, succeeds


def test_promise_3_what_is_found_is_the_last_commit_before_it(published: Published) -> None:
    wanted = ["-sql", "SELECT count(*) FROM fruits"]
    lines = succeeds("find", "-json", "-all", *wanted, published.url).out.splitlines()
    found = [json.loads(line) for line in lines]
    # The first snapshot may have the first row already.
    expected = [(str(number - 1), str(number)) for number in range(ROUNDS, 0, -1)]
    assert [(item["was"], item["became"]) for item in found] == expected[: len(found)]
    assert len(found) >= ROUNDS - 1
    assert all(item["sure"] for item in found)
    for item in found:
        for where in ("before", "after"):
            out = succeeds("query", "-csv", "-position", item[where], published.url, wanted[1]).out
            assert out.splitlines()[1] == item["was" if where == "before" else "became"]
    newest = succeeds("find", *wanted, published.url)
    assert found[0]["after"] in newest.out.splitlines()[0]
    assert found[0]["before"] in newest.out.splitlines()[1]
    assert newest.err.startswith("# 2 looks in replica file")
    assert succeeds("find", "-config", published.config, *wanted, published.database).out == newest.out


def test_a_row_and_what_it_became(published: Published) -> None:
    out = succeeds("find", "-row", "fruits", "3", published.url).out
    assert "was: no rows\nbecame: fruit 2, x'0000" in out
    refuses(run("find", "-gone", "fruits", published.url), 10, "no commit at which fruits went")
    refuses(run("find", "-all", "-gone", "fruits", published.url), 10, "no commit at which fruits went")
    refuses(run("find", "-fell", "fruits", "2", published.url), 10, "lost 2 rows or more")


@pytest.mark.parametrize("given", [[], ["-gone", "a", "-appeared", "b"]])
def test_one_thing_is_looked_for(published: Published, given: list[str]) -> None:
    refuses(run("find", *given, published.url), 2, "what is to be found?", "-gone, -appeared, -fell, -row, -sql")


def test_what_is_mistyped_is_no_answer(published: Published) -> None:
    for statement in ("", " ", "; -- nothing"):
        refuses(run("find", "-sql", statement, published.url), 2, "-sql needs a statement, such as")
    refuses(run("find", "-sql", "SELEC name FROM fruits", published.url), 21, "syntax error")
    refuses(
        run("find", "-all", "-sql", "SELECT nosuch FROM fruits", published.url), 21, "no such column: nosuch", "every"
    )
    for wanted in (["-gone", "friuts"], ["-row", "friuts", "3"], ["-fell", "friuts", "1"], ["-appeared", "friuts"]):
        refuses(run("find", *wanted, published.url), 10, "has a table or view friuts. The last one has fruits.")


def test_what_cannot_be_looked_for_is_said_in_words(published: Published) -> None:
    refuses(run("find", "-fell", "fruits", "many", published.url), 2, "not a number of rows")
    refuses(run("find", "-since", "yesterday", "-gone", "fruits", published.url), 2, "not a time")
    refuses(run("find", "-sql", "DELETE FROM fruits", published.url), 21, "would write")
    for wanted in (["-sql", "SELECT '\udcff'"], ["-gone", "\udcff"], ["-row", "fruits", "\udcff"]):
        refuses(run("find", *wanted, published.url), 21, "it has to be UTF-8")
    refuses(run("find", "-generation", "0123456789abcdef", "-gone", "x", published.url), 10)
