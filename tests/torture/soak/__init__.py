"""The long run: the real program on several databases for hours, restored from all the time, and measured."""
