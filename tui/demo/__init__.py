"""The demo: a small database that another process writes to, replicated, stopped, restored and compared."""
