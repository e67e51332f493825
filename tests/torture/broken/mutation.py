"""One promise broken on purpose: a change of the program, and the tests that must then fail."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutation:
    """In `file`, `old`, which stands there once, becomes `new`; one of `tests` must fail."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
