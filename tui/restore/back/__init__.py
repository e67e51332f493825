"""Bring rows of another moment back into the live database."""
