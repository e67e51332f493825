"""Promises broken on purpose in replication/config/."""

from tests.torture.broken.mutation import Mutation

MUTATIONS = (
    Mutation(
        "a replica may lie in a local folder, where it is removed with old generations",
        "replication/config/conflicts.py",
        "        if (found := lies_in(location, local)) is not None:\n",
        "        if (found := None) is not None:\n",
        ("tests/test_config_refusals.py",),
    ),
    Mutation(
        "a key of the configuration that is not known is repeated",
        "replication/config/unknown_keys.py",
        'else "(a key that is not shown)"',
        "else quoted(key)",
        ("tests/rooted/test_secrets.py",),
    ),
    Mutation(
        "a host may be an option of ssh",
        "replication/config/hosts_section.py",
        '_NAME = re.compile(r"[^\\s:/-][^\\s:/]*")\n',
        '_NAME = re.compile(r"[^\\s:/]+")\n',
        ("tests/tui/attached/test_hosts.py", "tests/test_config_refusals.py"),
    ),
)
