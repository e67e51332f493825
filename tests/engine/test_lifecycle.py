"""The life of a database on paper: everything that can become of a state, walked to the end."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from replication.engine.lifecycle import ADMITS, ENDS, HELD, TABLE, Phase, State, Transition

AT_WORK_MAX = 3
FOREVER = float("inf")
LEASE_END, AFTER_IT = 1.0, 2.0
HOLDERS = {"a person": FOREVER, "a client": LEASE_END}


@dataclass(frozen=True)
class Node:
    """A state, and what those who work know: how many do, and whether one of them lets go of the database."""

    state: State
    workers: int = 0
    letting_go: bool = False


def commands(node: Node) -> Iterator[tuple[str, Node]]:
    """What a person, a client or the engine may ask for."""
    state = node.state
    if state.phase not in ENDS:
        for holder, until in HOLDERS.items():
            yield f"hold by {holder}", Node(state.held(holder, until), node.workers, node.letting_go)
    for holder in HOLDERS:
        yield f"release by {holder}", Node(state.released(holder), node.workers, node.letting_go)
    yield "lapse", Node(state.lapsed(AFTER_IT), node.workers, node.letting_go)
    yield "close", Node(state.closing(), node.workers, node.letting_go)
    yield "stayed", finished(node, Transition.STAYED) if node.letting_go else node


def progress(node: Node) -> Iterator[tuple[str, Node]]:
    """What comes by itself, however long it takes."""
    state = node.state
    begun = state.begun()
    if begun is not None and node.workers < AT_WORK_MAX:
        yield "work begins", Node(begun, node.workers + 1, node.letting_go)
    if node.workers:
        yield "work ends", Node(state.ended(), node.workers - 1, node.letting_go)
        for transition in (Transition.FOUND, Transition.MISSING):
            yield transition.name, Node(state.after(transition), node.workers, node.letting_go)
    if (leaving := state.leaving()) is not None:
        yield "let go", Node(leaving, node.workers, True)
    if node.letting_go:
        yield "left", finished(node, Transition.LEFT)
    yield "no more time", Node(state.ending(), node.workers, node.letting_go)
    if state.phase is Phase.ENDING and not state.at_work:
        yield "end", Node(state.after(Transition.END), node.workers, node.letting_go)


def finished(node: Node, transition: Transition) -> Node:
    return Node(node.state.left(transition), node.workers, False)


def everything() -> dict[Node, list[Node]]:
    """Every node that can be reached, with what may follow it by itself."""
    found: dict[Node, list[Node]] = {}
    left = [Node(State())]
    while left:
        node = left.pop()
        if node in found:
            continue
        found[node] = [after for _, after in progress(node)]
        left += [*found[node], *(after for _, after in commands(node))]
    return found


NODES = everything()


def test_what_is_promised_of_every_state() -> None:
    assert {node.state.phase for node in NODES} == set(Phase)
    for node in NODES:
        state = node.state
        assert state.at_work == node.workers + node.letting_go
        # Somebody wants it paused: that and nothing else makes it so.
        assert bool(state.leases) == (state.phase in HELD), state
        if state.phase in (Phase.PAUSED, Phase.CLOSED):
            assert not state.at_work, state
        if node.letting_go:
            # Nobody works on what is being let go of, and nobody begins to.
            assert not node.workers, state
            assert state.begun() is None, state
            assert state.phase in (Phase.LEAVING, Phase.RETURNING, Phase.ENDING), state


def test_every_row_of_the_table_is_walked() -> None:
    """And nothing comes that is not in it: that would have been a KeyError."""
    walked: set[tuple[Phase, Transition]] = set()

    class Watched(dict[tuple[Phase, Transition], Phase]):
        def __getitem__(self, key: tuple[Phase, Transition]) -> Phase:
            walked.add(key)
            return super().__getitem__(key)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("replication.engine.lifecycle.TABLE", Watched(TABLE))
        everything()
    assert walked == set(TABLE)


def test_promise_2_whatever_was_asked_for_comes_true_once_nothing_hangs() -> None:
    """No order of steps ends where a database is neither replicated nor paused for somebody nor closed."""
    goals: dict[str, Callable[[State], bool]] = {
        "paused": lambda state: state.phase is Phase.PAUSED,
        "closed": lambda state: state.phase is Phase.CLOSED,
        "replicated": lambda state: state.phase in (Phase.RUNNING, Phase.WAITING) and state.begun() is not None,
    }
    for node in NODES:
        state = node.state
        goal = "closed" if state.phase in ENDS else "paused" if state.leases else "replicated"
        for seen in reached_from(node):
            # It stays what was asked for,
            wanted = "closed" if seen.state.phase in ENDS else "paused" if seen.state.leases else "replicated"
            assert wanted == goal, (state, seen.state)
        # and it comes true, from wherever progress has led to, if those at work come to their end.
        assert goals[goal](settled(node).state), (state, settled(node).state)


def reached_from(node: Node) -> set[Node]:
    found: set[Node] = set()
    left = [node]
    while left:
        here = left.pop()
        if here not in found:
            found.add(here)
            left += NODES[here]
    return found


def settled(node: Node) -> Node:
    """After everything that can end by itself has ended; a sync comes if one may begin."""
    for _ in range(20):
        after = dict(progress(node))
        for name in ("work ends", "left", "let go", "no more time", "end"):
            if name in after and after[name] != node:
                node = after[name]
                break
        else:
            if node.state.phase is not Phase.STARTING:
                return node
            node = Node(node.state.after(Transition.FOUND), node.workers, node.letting_go)
    raise AssertionError(f"it does not settle: {node}")


def test_a_database_that_may_be_worked_on_is_never_one_that_others_may_have() -> None:
    assert not ADMITS & HELD
    for (phase, transition), after in TABLE.items():
        if after is Phase.PAUSED:
            assert (phase, transition) == (Phase.LEAVING, Transition.LEFT)
        if phase is Phase.PAUSED:
            assert after in (Phase.STARTING, Phase.ENDING)


def test_a_hold_is_renewed_and_lapses_alone() -> None:
    state = State().held("a person", FOREVER).held("a client", LEASE_END)
    assert state.lapsed(0.5) == state
    assert state.held("a client", 3.0).lapsed(AFTER_IT).leases.holders == ("a person", "a client")
    assert state.lapsed(AFTER_IT).leases.holders == ("a person",)
    assert state.released("a person").lapsed(AFTER_IT) == State()
