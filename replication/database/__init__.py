"""One source database: its shadow WAL, its checkpoints, and how its changes are noticed."""
