"""SQLite replication in the layout of Litestream 0.3: the engine, without any screen.

Nothing below this package imports `tui`, Textual or Rich.
"""
