"""Private JSON files of a local folder, whose loss costs words or requests and no data: so nothing here raises."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from replication.local.folder import LocalFolder


def read_object(meta_path: Path, name: str) -> dict[str, Any]:
    """The JSON object in the file `name` of a local folder, or {} if it is not there or cannot be believed."""
    with suppress(OSError, ValueError, RecursionError):
        found = json.loads(LocalFolder(meta_path).read(name))
        if isinstance(found, dict):
            return found
    return {}


def write_object(meta_path: Path, name: str, values: Mapping[str, Any], step: str = "") -> bool:
    """Write a JSON object to the file `name`, whole. Return False if it could not be written.

    `step` is reached once the content is written (replication/steps.py).
    """
    with suppress(OSError):
        LocalFolder(meta_path).write(name, f"{json.dumps(values)}\n".encode(), step)
        return True
    return False
