"""make reference: the verbs and flags of docs/reference/commands.md, written from the parser of the command line.

What stands above the first mark and below the second is written by hand and is kept. A test compares what is
between them with the parser (tests/test_docs.py).
"""

import argparse
from pathlib import Path

from tui import cli

PAGE = Path(__file__).parent / "reference/commands.md"
BEGIN = "<!-- From here on it is written by make reference: do not edit. -->\n"
END = "<!-- As far as here. -->\n"


def parsers() -> dict[str, argparse.ArgumentParser]:
    """Every parser of the command line; that of the program itself is called ""."""
    parser = cli._parser()[0]
    found: dict[str, argparse.ArgumentParser] = {"": parser}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found.update(action.choices)
    return found


def generated() -> str:
    """A section for each verb: what it does, how it is called, its flags, and an example."""
    return "\n".join(_section(verb, parser) for verb, parser in parsers().items())


def with_generated(page: str) -> str:
    """The page with the part between the marks written anew."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{generated()}\n{END}{rest.partition(END)[2]}"


def _section(verb: str, parser: argparse.ArgumentParser) -> str:
    words = "Replicates and shows it: the screen." if not verb else parser.description or ""
    places = [action for action in parser._actions if not action.option_strings and action.dest != "verb"]
    flags = [action for action in parser._actions if action.option_strings and "-h" not in action.option_strings]
    call = " ".join(["litestream-tui", *filter(None, [verb]), *(["[FLAGS]"] if flags else []), *map(_place, places)])
    lines = [f"## {verb or 'No verb'}", "", words.strip(), "", "```", call, "```"]
    if flags:
        lines += ["", "| flag | what it does |", "|---|---|", *map(_row, flags)]
    if verb and parser.epilog:
        lines += ["", "```sh", *(line.strip() for line in parser.epilog.removeprefix("example: ").splitlines()), "```"]
    return "\n".join(lines) + "\n"


def _place(action: argparse.Action) -> str:
    name = str(action.metavar or action.dest)
    return f"[{name}...]" if action.nargs == "*" else f"[{name}]"


def _row(action: argparse.Action) -> str:
    value = f" {action.metavar}" if action.metavar else ""
    words = (action.help or "").replace("|", "\\|")
    return f"| `{action.option_strings[0]}{value}` | {words} |"


def main() -> None:
    PAGE.write_text(with_generated(PAGE.read_text()))


if __name__ == "__main__":
    main()
