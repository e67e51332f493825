"""Beside the real Litestream 0.3.13: the same names, types, labels and meaning, on the same load."""

import itertools
from pathlib import Path

import peers
from tests.foreign import Shell
from tests.interchange.program import PROGRAM, Running, wait_until
from tests.monitoring.scraped import Scrape, ask

PREFIX = "litestream_"
_EVENTUALLY = {"litestream_checkpoint_error_count"}
"""Not there before the first error, in both."""


def _scraped(program: Path, folder: Path, server: peers.S3Server) -> tuple[Scrape, Path]:
    """What a program says of a database that is written to, verified and trimmed, in two replicas."""
    folder.mkdir()
    database = folder / "app.db"
    shell = Shell(database)
    shell.run("PRAGMA journal_mode=WAL; CREATE TABLE t(a)")
    [port] = peers.free_ports(1)
    config = folder / "litestream.yml"
    config.write_text(f"""\
addr: 127.0.0.1:{port}
dbs:
  - path: {database}
    min-checkpoint-page-count: 10
    replicas:
      - type: s3
        bucket: {server.make_bucket()}
        path: app
        endpoint: {server.endpoint}
        force-path-style: true
        validation-interval: 2s
        retention: 3s
        retention-check-interval: 1s
      - type: file
        path: {folder}/replica
""")
    environment = server.litestream_environment()
    with Running(program, "-config", config, log=folder / "log", environment=environment) as running:
        running.wait_for_line("serving metrics on" if program == peers.litestream03() else "serving metrics")
        scrape, looks = Scrape({}, {}), itertools.count()

        def complete() -> bool:
            nonlocal scrape
            # At a pace at which Litestream gets to its validations.
            if next(looks) % 20 == 0:
                shell.run("INSERT INTO t VALUES(randomblob(9000))")
            scrape = Scrape.of(ask(port, "/metrics").text)
            return (
                scrape.value(f"{PREFIX}replica_operation_total", replica_type="s3", operation="DELETE") is not None
                and (scrape.value(f"{PREFIX}checkpoint_count", db=str(database), mode="PASSIVE") or 0) > 2
                and bool(scrape.value(f"{PREFIX}replica_validation_total", db=str(database), name="s3", status="ok"))
            )

        wait_until("all that can be measured", complete, lambda: f"{scrape}\n{running.log}")
    return scrape, database


def test_litestreams_names_types_and_labels(weed: peers.S3Server, litestream03: Path, tmp_path: Path) -> None:
    theirs, their_database = _scraped(litestream03, tmp_path / "theirs", weed)
    ours, our_database = _scraped(PROGRAM, tmp_path / "ours", weed)
    names = {name for name in theirs.types if name.startswith(PREFIX)} - _EVENTUALLY
    assert {name for name in ours.types if name.startswith(PREFIX) and "_tui_" not in name} - _EVENTUALLY == names
    for name in sorted(names):
        assert ours.types[name] == theirs.types[name], name
        assert ours.labels[name] == theirs.labels[name], name
    # The values of labels, but for the mode, of which we have one.
    for name, labels in theirs.samples:
        if name in names and dict(labels).get("mode", "PASSIVE") == "PASSIVE":
            as_ours = {key: value.replace(str(their_database), str(our_database)) for key, value in labels}
            assert ours.value(name, **as_ours) is not None, (name, labels)
