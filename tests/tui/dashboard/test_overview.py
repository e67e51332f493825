"""The panels of the dashboard as text: what has failed, and what happened, in the room that there is."""

from dataclasses import replace

from replication.events import Event
from replication.status import DatabaseStatus
from tests.tui import fake
from tui.dashboard.panels import NAME_CELLS_MAX, event_line, facts, name_cells, wide
from tui.text.style import Style

STYLE = Style(False, False, fake.NOW)


def lines(database: DatabaseStatus) -> list[str]:
    return [line.plain for line in wide(facts(database, STYLE), 80)]


def event(database: str) -> Event:
    position = "7ecd33100da8c41f/00000003:4152"
    return Event(1, fake.NOW, "info", "snapshot written", database, "s3", (("position", position),))


def test_a_failed_upload_is_told_once() -> None:
    """So that the panel has room for the retries below."""
    failed = fake.replica(
        state="error",
        errors_in_a_row=3,
        last_error="cannot reach the store",
        uploading="generations/7ecd33100da8c41f/wal/00000003_00000020.wal.lz4",
    )
    found = lines(replace(fake.database("/srv/app.db"), replicas=(failed,)))
    assert [line for line in found if "cannot reach" in line] == found[:1]
    assert any("retries 3" in line for line in found[:4])


def test_an_upload_under_way_is_told() -> None:
    busy = fake.replica(state="syncing", uploading="generations/7ecd33100da8c41f/wal/00000003_00000020.wal.lz4")
    assert "uploading 7ecd3310" in lines(replace(fake.database("/srv/app.db"), replicas=(busy,)))[0]


def test_the_position_in_an_event_is_whole_beside_short_names() -> None:
    assert name_cells([event("/srv/a.db"), event("/srv/日本.db")]) == 7
    assert name_cells([event("/srv/" + "a" * 40)]) == NAME_CELLS_MAX
    assert name_cells([]) == 0
    line = event_line(event("/srv/日本.db"), 80, 7)
    assert line.plain.endswith("日本.db s3: snapshot written, position 7ecd3310/00000003:4152")
