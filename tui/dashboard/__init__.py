"""The dashboard: the list of databases with lag and queue, one of them beside it, the queue, the last events."""
