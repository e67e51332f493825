"""Restoring: the picker of a point, a look at its tables, the restore under way, and over the live file."""
