"""From a replica back to a database file: plan, fetch, verify, write."""
