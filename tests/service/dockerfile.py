"""A Dockerfile as values: its stages, and the instructions of each."""

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Stage:
    """`base` is an image or an earlier stage; the instructions are in order, as (NAME, text)."""

    base: str
    name: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        return [text for name, text in self.instructions if name == instruction]

    def words(self, instruction: str) -> list[str]:
        """The last one that is written as a JSON array, with what stands before the array left out."""
        text = self.all(instruction)[-1]
        words: list[str] = json.loads(text[text.index("[") :])
        return words


def stages(path: Path) -> list[Stage]:
    """All of them, in order."""
    found: list[Stage] = []
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    for line in re.sub(r"\s*\\\n\s*", " ", "\n".join(lines)).splitlines():
        name, _, text = line.partition(" ")
        if name == "FROM":
            base, _, stage = text.partition(" AS ")
            found.append(Stage(base, stage))
        else:
            found[-1].instructions.append((name, text))
    return found


def copied(stage: Stage) -> list[tuple[list[str], str]]:
    """What COPY takes from the folder of the Dockerfile, and where to."""
    found = [shlex.split(text) for text in stage.all("COPY")]
    return [(words[:-1], words[-1]) for words in found if not words[0].startswith("--from")]
