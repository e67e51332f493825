"""The private files of the local folder: one list, one way to write them, and the documents say the same."""

import ast
import os
import re
from pathlib import Path

import pytest

from replication.local.files import DURABLE_NAMES, LOCK_NAME, PAGES_PREFIX, PRIVATE_FILES, VALIDATION_PREFIX
from replication.local.folder import LocalFolder

ROOT = Path(__file__).parents[2]
WRITTEN = ("generation", *(file.name for file in PRIVATE_FILES if file.name != LOCK_NAME))


def test_the_architecture_lists_every_private_file() -> None:
    text = (ROOT / "docs/ARCHITECTURE.md").read_text()
    rows = re.findall(r"^\| `(litestream-tui\S*)` \| (.*?) \| (yes|no) \| (.*?) \|$", text, re.MULTILINE)
    assert rows == [(file.name, file.holds, "yes" if file.durable else "no", file.loss) for file in PRIVATE_FILES]


def test_no_other_module_names_one() -> None:
    names = (*(file.name for file in PRIVATE_FILES), PAGES_PREFIX, VALIDATION_PREFIX)
    # reserved.py lies below local/, and has the one name that is refused in any folder.
    lists = (ROOT / "replication/local/files.py", ROOT / "replication/reserved.py")
    for path in (path for package in ("replication", "tui") for path in (ROOT / package).rglob("*.py")):
        tree = ast.parse(path.read_text())
        texts = [
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        docs = {text for node in ast.walk(tree) if (text := words_of(node))}
        named = [name for name in names for text in texts if name in text and text not in docs]
        assert not named or path in lists, f"{path} names {named}"


def words_of(node: ast.AST) -> str:
    """A docstring, or the words after a constant."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return node.value.value
    return ""


@pytest.mark.parametrize("name", WRITTEN)
def test_each_is_written_one_way(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole beside its name; durable before the rename, and its name after it, where the list says so."""
    done: list[str] = []
    fsync, rename = os.fsync, os.rename

    def synced(descriptor: int) -> None:
        done.append("fsync of " + Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    def renamed(old: str, new: str, **folders: int) -> None:
        assert (tmp_path / old).read_bytes() == b"whole"
        done.append(f"{old} is {new}")
        rename(old, new, **folders)

    (tmp_path / name).write_bytes(b"before")
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "rename", renamed)
    LocalFolder(tmp_path).write(name, b"whole")
    moved = f"{name}.tmp is {name}"
    durable = [f"fsync of {name}.tmp", moved, f"fsync of {tmp_path.name}"]
    assert done == (durable if name in DURABLE_NAMES else [moved])
    assert (tmp_path / name).read_bytes() == b"whole"
