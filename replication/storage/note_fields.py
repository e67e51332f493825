"""A note as an object carries it: plain values by name. What they mean is told by notes.py, their bytes by codec.py."""

from collections.abc import Mapping

NoteFields = Mapping[str, str | int]
