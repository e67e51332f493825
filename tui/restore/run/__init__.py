"""A restore under way, to a new file or over the live database."""
