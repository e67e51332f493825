"""The version of the program: its one place, which pyproject.toml reads as well.

A constant, for the metadata of the installed program takes longer to read than all else that `version` does.
"""

VERSION = "0.1.0"


def version() -> str:
    """As it is printed, such as v0.1.0."""
    return f"v{VERSION}"
