"""Replicas in the layout of Litestream 0.3: generations of snapshots and WAL segments, and how a commit comes back."""
