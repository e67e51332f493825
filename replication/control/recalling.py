"""Rows brought back as jobs: a preview, which keeps the staged rows, and bringing them back or writing them down.

They run in the process of the engine, whose host has the database: so a screen that is attached from another host does
it there, and one in the engine's process does it the same way.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from replication.config import DatabaseConfig
from replication.control.jobs import Run
from replication.control.requests import PreviewBack
from replication.history.cache import Tables, cache_folder
from replication.recall.opening import Asked, Origin, recall_from
from replication.recall.output import written_new
from replication.recall.recall import Brought, Live, Preview, Recall
from replication.restore.open_replica import OpenReplica
from replication.restore.options import RestoreOptions


@dataclass(frozen=True, slots=True)
class Previewed:
    """What would happen, and where the rows are from."""

    origin: Origin
    preview: Preview


def preview_back(
    request: PreviewBack, database: DatabaseConfig, sources: Sequence[OpenReplica], options: RestoreOptions, run: Run
) -> Previewed:
    """Stage the rows, try it out, and keep them for `bring_back`."""
    asked = Asked(request.wanted, request.target, request.end, request.on_conflict)
    live, tables = Live(database.path, database), Tables(cache_folder(os.environ))
    recall, origin = recall_from(sources, options, asked, live, tables, run.cancel, run.progress, run.say)
    try:
        preview = recall.preview(run.cancel, run.say)
    except BaseException:
        recall.close()
        raise
    run.keep(recall)
    return Previewed(origin, preview)


def bring_back(recall: Recall, run: Run) -> Brought:
    """Do what the preview said."""
    return recall.apply(run.cancel, run.say)


def write_rows(recall: Recall, output: Path, run: Run) -> str:
    """Write the rows to a new file, as SQL, or as CSV if it is called so. Return its path."""
    with written_new(output) as write:
        recall.write(output.suffix.lower() == ".csv", write, run.cancel)
    return str(output)
