"""Promises broken on purpose in replication/config/."""

from tests.torture.broken.mutation import Mutation

MUTATIONS = (
    Mutation(
        "a key of the configuration that is not known is repeated",
        "replication/config/keys.py",
        'else "(a key that is not shown)"',
        "else quoted(key)",
        ("tests/rooted/test_secrets.py",),
    ),
)
