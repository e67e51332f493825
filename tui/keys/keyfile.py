"""The user's own keys: a file with lines `action = key, key`. A line that begins with # is a remark.

Every name in it is checked, and no key may mean two things on one screen; an error names file and line.
"""

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path

from replication.errors import ConfigError
from tui.actions import ACTIONS, EVERYWHERE, Action, Keys

FILE_BYTES_MAX = 64 << 10
_NAMED = re.compile(
    r"(?:ctrl\+[a-z]|f(?:[1-9]|1[0-2])|(?:shift\+)?(?:up|down|left|right|home|end|pageup|pagedown|tab)"
    r"|enter|space|escape|backspace|delete|insert)"
)


def key_path(environ: Mapping[str, str]) -> Path:
    """$XDG_CONFIG_HOME/litestream-tui/keys.conf, by default below ~/.config."""
    base = environ.get("XDG_CONFIG_HOME") or ""
    folder = Path(base) if base.startswith("/") else Path(os.path.expanduser("~/.config"))  # noqa: PTH111
    return folder / "litestream-tui" / "keys.conf"


def read_keys(path: Path) -> Keys:
    """The keys that a file gives to actions; none if it does not exist. Raises ConfigError."""
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise ConfigError(f"{path} is larger than {FILE_BYTES_MAX} bytes: it is no list of keys")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"{path} cannot be read: {why}") from None
    return parse_keys(text, str(path))


def parse_keys(text: str, file: str) -> Keys:
    """The keys in `text`. `file` is for errors."""
    known = {action.id: action for action in ACTIONS}
    found: dict[str, tuple[str, ...]] = {}
    lines: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        where = f"{file}: line {number}"
        name, sign, keys = line.partition("=")
        name = name.strip()
        if not sign:
            raise ConfigError(f"{where} is not of the form: action = key, key")
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(known)}"
            raise ConfigError(f"{where}: {name!r} is not an action; {hint}")
        if name in found:
            raise ConfigError(f"{where}: {name} is on line {lines[name]} already; remove one of them")
        found[name], lines[name] = _keys(keys, where), number
    _no_doubles(found, lines, file)
    return found


def _keys(text: str, where: str) -> tuple[str, ...]:
    keys = []
    # A comma between two keys parts them; alone it is the key itself.
    for key in [","] if text.strip() == "," else [part.strip() for part in text.split(",")]:
        if not (len(key) == 1 and key.isprintable() and key != " ") and not _NAMED.fullmatch(key):
            raise ConfigError(
                f"{where}: {key!r} is not a key; write one character, or a name such as ctrl+r, f5, space, up"
            )
        keys.append(key)
    return tuple(keys)


def _no_doubles(found: Keys, lines: Mapping[str, int], file: str) -> None:
    for given in (action for action in ACTIONS if action.id in found):
        for key in found[given.id]:
            for other in ACTIONS:
                taken = found.get(other.id, other.keys)
                if other is not given and key in taken and _meet(given, other):
                    raise ConfigError(
                        f"{file}: line {lines[given.id]}: {key} is the key of {other.id} on the same screen; "
                        f"give {other.id} another one too"
                    )


def _meet(one: Action, other: Action) -> bool:
    return EVERYWHERE in (*one.where, *other.where) or bool(set(one.where) & set(other.where))
