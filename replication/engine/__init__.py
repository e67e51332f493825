"""All databases of a configuration, replicated by a bounded number of threads."""

from replication.engine.engine import CLOSE_SECONDS_MAX, Engine

__all__ = ["CLOSE_SECONDS_MAX", "Engine"]
