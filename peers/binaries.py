"""Where `make peers` put the real programs, and what they may know of this machine."""

import os
from pathlib import Path

PEERS = Path(__file__).parent.parent / ".peers"


def peer(folder: str, name: str) -> Path:
    """The path of a peer's binary; fails the test if `make peers` has not been run, and in `make quick`."""
    if os.environ.get("NO_PEERS"):
        raise AssertionError(f"{name} is asked for in a test that is not marked: use @pytest.mark.server")
    path = PEERS / folder / "bin" / name
    if not os.access(path, os.X_OK):
        raise AssertionError(f"{path} is not there: run make peers")
    return path


def litestream03() -> Path:
    """Litestream 0.3.13, whose layout is ours."""
    return peer("litestream-0.3", "litestream")


def litestream05() -> Path:
    """Litestream 0.5, which restores what 0.3 wrote."""
    return peer("litestream-0.5", "litestream")


def clean_environment(**more: str) -> dict[str, str]:
    """This process's environment without what would send a peer elsewhere, and `more`."""
    unwanted = ("AWS_", "LITESTREAM_", "MINIO_")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(unwanted) and not name.lower().endswith("_proxy")
    }
    return kept | more
