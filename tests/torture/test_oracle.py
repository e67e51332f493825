"""What the oracle of the state machine takes for one commit after another, and what it does not."""

from tests.torture.oracle import Oracle


def test_only_commits_by_another_name_may_be_passed_by() -> None:
    oracle = Oracle()
    for sha256, by_another_name in (("a", False), ("b", True), ("c", True), ("d", False), ("e", False)):
        oracle.add(sha256, by_another_name)
    other = oracle.fork()
    assert [oracle.between(early, 3) for early in (0, 1, 2)] == [2, 1, 0]
    assert oracle.between(3, 4) == 0
    assert oracle.between(2, 4) is None, "a commit by our own name lies between"
    assert oracle.between(0, 4) is None
    assert oracle.between(3, 3) is None
    assert oracle.between(4, 3) is None, "it is the later one"
    other.add("f", by_another_name=True)
    oracle.add("g")
    assert oracle.between(5, 6) is None, "they are of two lines"
