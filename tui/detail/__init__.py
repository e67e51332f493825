"""One database whole: its WAL, its replicas, the generations that a replica holds."""
