"""What changed from one JSON document to the next, as a patch that is small where little did. Pure.

Its promise: `patched(old, difference(old, new))` is `new`. A patch is None where nothing changed, `[new]` in place of
what was there, and an object of patches by key, or by place in a list of the same length.
"""

from replication.wire import Plain, WireError


def difference(old: Plain, new: Plain) -> Plain:
    """The patch that makes `new` of `old`."""
    if isinstance(new, dict) and isinstance(old, dict) and old.keys() <= new.keys():
        patches = {key: _of_key(old, key, value) for key, value in new.items()}
    elif isinstance(new, list) and isinstance(old, list) and len(old) == len(new):
        patches = {str(place): difference(*pair) for place, pair in enumerate(zip(old, new, strict=True))}
    else:
        # To Python True is 1, and 1 is 1.0.
        return None if type(old) is type(new) and old == new else [new]
    return {key: patch for key, patch in patches.items() if patch is not None} or None


def patched(old: Plain, patch: Plain) -> Plain:
    """The document that the patch makes of `old`. Raises WireError for a patch of another one."""
    if patch is None:
        return old
    if isinstance(patch, list) and len(patch) == 1:
        return patch[0]
    try:
        if isinstance(patch, dict) and isinstance(old, dict):
            return {**old, **{key: patched(old.get(key), one) for key, one in patch.items()}}
        if isinstance(patch, dict) and isinstance(old, list):
            made = list(old)
            for place, one in patch.items():
                made[int(place)] = patched(made[int(place)], one)
            return made
    except (ValueError, IndexError):
        pass
    raise WireError("it is a change of something else")


def _of_key(old: dict[str, Plain], key: str, value: Plain) -> Plain:
    return difference(old[key], value) if key in old else [value]
