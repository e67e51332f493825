"""Moments: what the database was at any commit that a replica holds, without restoring it."""
