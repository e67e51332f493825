"""The version of the program, from its installed metadata."""

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version


def version() -> str:
    """Such as v0.1.0; "(development)" when run without being installed."""
    try:
        return f"v{installed_version('litestream-tui')}"
    except PackageNotFoundError:
        return "(development)"
