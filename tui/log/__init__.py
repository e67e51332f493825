"""The log: everything that happened."""
