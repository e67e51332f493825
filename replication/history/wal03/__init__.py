"""Moments of a replica in Litestream 0.3's layout: pages of snapshots and of WAL segments, read by ranges."""
