"""Promises broken on purpose: one change of the program each, and the tests that must then fail.

A suite that stays green under one of these says nothing about the promise. Each names its text exactly, so that a
change of the program that moves it is noticed. One module a floor, in the order of its files.
"""

from tests.torture.broken import (
    common,
    config,
    control,
    database,
    engine,
    history,
    local,
    recall,
    replica,
    restore,
    sqlite,
    storage,
    tui,
)
from tests.torture.broken.mutation import Mutation

FLOORS = {
    "replication/config/": config.MUTATIONS,
    "replication/control/": control.MUTATIONS,
    "replication/database/": database.MUTATIONS,
    "replication/engine/": engine.MUTATIONS,
    "replication/history/": history.MUTATIONS,
    "replication/local/": local.MUTATIONS,
    "replication/recall/": recall.MUTATIONS,
    "replication/replica/": replica.MUTATIONS,
    "replication/restore/": restore.MUTATIONS,
    "replication/sqlite/": sqlite.MUTATIONS,
    "replication/storage/": storage.MUTATIONS,
    "replication/": common.MUTATIONS,
    "tui/": tui.MUTATIONS,
}

MUTATIONS: tuple[Mutation, ...] = tuple(mutation for floor in FLOORS.values() for mutation in floor)
