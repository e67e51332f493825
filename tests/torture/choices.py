"""What the steps of the state machine are drawn from, and how often."""

from hypothesis import strategies as st

from tests.torture.mortal import FRAMES, TORN

SIDES = st.sampled_from(["left", "right"])
REPLICAS = st.sampled_from(["near", "near", "far"])
KINDS = st.sampled_from(["small", "small", "medium", "large", "update", "shrink", "vacuum"])
MODES = st.sampled_from(["PASSIVE", "FULL", "RESTART", "TRUNCATE"])
JUMPS = st.sampled_from([1.0, -1.0, 60.0, -3600.0, 3600.0, 86400.0 * 400, -86400.0 * 400])
OTHERS = st.sampled_from(
    ["", "", "", "commit small", "commit small", "commit large", "commit shrink", "commit vacuum"]
    + [f"checkpoint {mode}" for mode in ("PASSIVE", "FULL", "RESTART", "TRUNCATE")]
    + ["read", "spill", "end COMMIT", "end ROLLBACK"]
    + [f"die {FRAMES}", f"die {FRAMES}", f"die {TORN}", "die 0", "die 3"]
    # The WAL restarted in one place, twice if nothing of ours prevents it.
    + ["checkpoint PASSIVE, commit small", "commit small, checkpoint PASSIVE"]
    + ["commit small, checkpoint PASSIVE, commit small, checkpoint TRUNCATE"]
    + [
        f"die {FRAMES}, commit small",
        f"checkpoint PASSIVE, die {FRAMES}",
        f"checkpoint PASSIVE, die {FRAMES}, commit small",
    ]
)


def _spread(plan: list[tuple[int, str]]) -> list[str]:
    """What happens at each place between two of our steps: "" is nothing."""
    return [name for places, action in plan for name in [""] * places + [action]]


PLACES_MAX = 24
"""Places that are passed over before an action: a checkpoint of ours has about as many."""
SPREAD = st.lists(st.tuples(st.integers(0, PLACES_MAX), OTHERS), max_size=3).map(_spread)
MEANWHILE: st.SearchStrategy[list[str]] = st.one_of(st.just([]), st.lists(OTHERS, max_size=12), SPREAD, SPREAD)
RARELY = st.sampled_from([False, False, False, False, True])
"""What ends a generation comes rarely, so that generations grow long; in its place there is a commit."""
MOMENTS = st.one_of(st.sampled_from([FRAMES, FRAMES, FRAMES, TORN]), st.integers(0, 40))
"""When a writer dies: most often where its commit is whole in the WAL, and does not count."""
REWRITES = st.sampled_from(["", "commit", "closed", "closed", "tidy", "smaller tidy"])
ASKED = st.sampled_from([("near",), ("far",), ("near", "far"), ("far", "near"), ("near", "far"), ("far", "near")])
WANTED = st.sampled_from(["latest", "latest", "time", "time", "time", "index", "position"])
PICKS = st.integers(0, 10**4)
OFF = st.sampled_from([0.0, 0.0, 0.005, 1.0, -1.0])
WINDOWS = st.sampled_from([0.01, 1.0, 2.0, 5.0, 60.0, 86400.0])
VERBS = ["copy", "far", "checkpoint", "snapshot", "retention", "restart", "kill"]
ELSEWHERE = st.lists(
    st.sampled_from(["commit"] * 3 + ["near"] * 2 + VERBS),
    min_size=1,
    max_size=5,
)
"""What the other side does meanwhile."""
PUTS = st.one_of(st.none(), st.none(), st.integers(0, 3))
