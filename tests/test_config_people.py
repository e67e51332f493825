"""litestream.yml as people have it: spellings, keys of Litestream 0.5, and everything that is wrong told at once."""

from pathlib import Path

import pytest

from replication.config import Config, config_for, load_config
from replication.config.document import REFUSALS_MAX
from replication.config.unknown_keys import IDLE_KEYS_OF_05, KEYS_OF_05
from replication.errors import ConfigError
from replication.storage.file.location import FileLocation
from replication.storage.s3.location import S3Location

DATABASE = "dbs:\n  - path: /a\n    "
REPLICA = DATABASE + "replicas:\n      - "
S3 = REPLICA + "type: s3\n        bucket: b\n        "


def load(folder: Path, text: str) -> Config:
    (folder / "litestream.yml").write_text(text)
    return load_config(folder / "litestream.yml")


def refused(folder: Path, text: str) -> list[str]:
    """The lines that a file is refused with, without its own name."""
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    return [line.removeprefix(f"{folder}/litestream.yml") for line in str(caught.value).splitlines()]


def informed(config: Config) -> list[str]:
    return [line.partition("litestream.yml")[2] for line in config.information]


def test_one_replica_as_a_map(tmp_path: Path) -> None:
    config = load(tmp_path, DATABASE + "replica:\n      type: s3\n      bucket: b\n      path: p\n")
    assert config.databases[0].replicas[0].location == S3Location("b", "p")
    assert informed(config) == [":3: dbs[0].replica is read as the only one of replicas"]
    assert config.warnings == ()


def test_one_replica_beside_a_list_is_refused_with_both_lines(tmp_path: Path) -> None:
    text = DATABASE + "replica: {path: /b}\n    replicas:\n      - path: /c\n"
    assert refused(tmp_path, text) == [
        ":3: dbs[0].replica stands beside replicas on line 4; put it there as an entry of the list"
    ]


@pytest.mark.parametrize("kind", ["[{path: /b}]", "s3://b/p"])
def test_one_replica_that_is_no_map_is_refused(tmp_path: Path, kind: str) -> None:
    assert refused(tmp_path, DATABASE + f"replica: {kind}\n") == [
        ":3: dbs[0].replica must be a mapping of keys to values"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "snapshot:\n  interval: 6h\n  retention: 72h\n" + REPLICA + "path: /b\n      - {path: /c, name: c}\n",
        DATABASE + "snapshot: {interval: 6h, retention: 72h}\n    replicas: [{path: /b}, {path: /c, name: c}]\n",
        # The same is said twice.
        "snapshot: {interval: 6h}\n" + DATABASE + "snapshot: {interval: 360m, retention: 72h}\n    replicas:\n"
        "      - {path: /b, retention: 72h}\n      - {path: /c, name: c, snapshot-interval: 6h}\n",
    ],
)
def test_snapshots_of_all_replicas(tmp_path: Path, text: str) -> None:
    config = load(tmp_path, text)
    for replica in config.databases[0].replicas:
        assert (replica.snapshot_interval, replica.retention) == (6 * 3600, 72 * 3600)
    assert any("snapshot.interval is read as snapshot-interval of each replica" in line for line in config.information)
    assert any("snapshot.retention is read as retention of each replica" in line for line in config.information)


@pytest.mark.parametrize(
    ("text", "words"),
    {
        "snapshot: {retention: 24h}\n" + REPLICA + "path: /b\n        retention: 72h\n": ":6: dbs[0].replicas[0]"
        ".retention is 72h0m0s, and snapshot.retention on line 1 is 24h0m0s; remove one of them",
        "snapshot: {interval: 1h}\n" + DATABASE + "snapshot: {interval: 2h}\n": ":4: dbs[0].snapshot.interval is "
        "2h0m0s, and snapshot.interval on line 1 is 1h0m0s; remove one of them",
        DATABASE + "snapshot: {interval: 1h}\n    replicas: [{path: /b, snapshot-interval: 0s}]\n": ":4: dbs[0]."
        "replicas[0].snapshot-interval is 0s, and dbs[0].snapshot.interval on line 3 is 1h0m0s; remove one of them",
        S3 + "access-key-id: ONE\n        access_key_id: TWO\n        secret-access-key: x\n": ":7: dbs[0].replicas[0]"
        ".access_key_id is access-key-id in another spelling, which line 6 has with another value; remove one",
        S3 + "forcePathStyle: true\n        force-path-style: false\n": ":6: dbs[0].replicas[0].forcePathStyle is "
        "force-path-style in another spelling, which line 7 has with another value; remove one",
    }.items(),
)
def test_two_that_contradict_are_refused_with_both_lines(tmp_path: Path, text: str, words: str) -> None:
    assert refused(tmp_path, text) == [words]


def test_spellings_that_are_plain(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        "dbs:\n- path: /a\n  metaPath: /m\n  monitor_interval: 2s\n  replicas:\n  - type: s3\n    bucket: b\n"
        "    access_key_id: KEYID\n    secret_access_key: SECRET\n    forcePathStyle: true\n    SyncInterval: 5s\n"
        "    skip_verify: true\n    skip-verify: true\n",
    )
    database = config.databases[0]
    assert (database.meta_path, database.monitor_interval) == (Path("/m"), 2)
    assert database.replicas[0].location == S3Location(
        "b", access_key_id="KEYID", secret_access_key="SECRET", force_path_style=True, skip_verify=True
    )
    assert database.replicas[0].sync_interval == 5
    assert len(config.information) == 7
    assert informed(config)[0] == ":3: dbs[0].metaPath is read as meta-path, which is how that key is spelled"
    assert "SECRET" not in "".join(config.information)


@pytest.mark.parametrize("key", IDLE_KEYS_OF_05)
@pytest.mark.parametrize("before", ["", DATABASE, REPLICA + "path: /b\n        "])
def test_keys_of_05_that_change_nothing_are_a_warning(tmp_path: Path, key: str, before: str) -> None:
    config = load(tmp_path, before + f"{key}: {{enabled: true}}\n")
    found = [line for line in config.warnings if key in line]
    assert len(found) == 1
    assert f"{key} is a key of Litestream 0.5 that changes nothing here: " in found[0]
    assert config.information == ()


@pytest.mark.parametrize("key", KEYS_OF_05)
def test_keys_of_05_that_would_change_where_or_how_data_is_kept_are_refused(tmp_path: Path, key: str) -> None:
    [line] = refused(tmp_path, REPLICA + f"path: /b\n        {key}: x\n")
    assert line.startswith(f":5: dbs[0].replicas[0].{key} is a key of Litestream 0.5, and this file is read as")


def test_all_refusals_at_once_by_their_lines(tmp_path: Path) -> None:
    lines = refused(
        tmp_path,
        "addr: nowhere\nlogging: {level: loud}\ndbs:\n- path: /a/*.db\n  monitor-interval: 5\n  replicas:\n"
        "  - type: s3\n    buckett: b\n    retention: 7d\n  - path: /b\n    colour: red\n- path: /c\n"
        "  min-checkpoint-page-count: 0\n  replicas: [{path: /b/*}]\n- meta-path: /d\n",
    )
    assert [line.split(":")[1] for line in lines] == ["1", "2", "4", "5", "8", "9", "11", "13", "14", "15"]
    assert lines[2].endswith("holds a *, and patterns are not expanded; write one entry for each, by its name")
    # What a misspelt key lacks is not told beside it.
    assert "did you mean bucket?" in lines[4]


@pytest.mark.parametrize("kind", ["gcs", "abs", "sftp", "nats", "webdav", "oss"])
def test_a_type_that_is_not_there_is_told_before_what_belongs_to_it(tmp_path: Path, kind: str) -> None:
    text = REPLICA + f"project-id: x\n        account-key: CANARY\n        host: h\n        type: {kind}\n"
    [line] = refused(tmp_path, text + "        bucket: b\n        retention: 7d\n")
    assert line.startswith(f":7: dbs[0].replicas[0].type is {kind}, which this program does not have; ")


def test_very_many_refusals_are_counted(tmp_path: Path) -> None:
    lines = refused(tmp_path, "".join(f"zzz{number}: 1\n" for number in range(100)))
    assert len(lines) == REFUSALS_MAX + 1
    assert lines[-1] == f": and {100 - REFUSALS_MAX} more"


@pytest.mark.parametrize(
    "text",
    [
        "dbs: [{path: '/data/*.db'}]",
        "dbs: [{path: /a, meta-path: '/m/*'}]",
        "dbs: [{path: /a, replicas: [{path: '/b/*'}]}]",
        "dbs: [{path: /a, replicas: [{type: s3, bucket: b, path: 'p/*'}]}]",
        "dbs: [{path: /a, replicas: [{url: 's3://b/p/*'}]}]",
        "dbs: [{path: /a, replicas: [{url: 'file:///p/*'}]}]",
    ],
)
def test_a_pattern_is_refused(tmp_path: Path, text: str) -> None:
    [line] = refused(tmp_path, text)
    assert "holds a *" in line


def test_defaults_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMPTY", "")
    text = "dbs: [{path: /a, replicas: [{path: '/b/${NAME:-app}/${EMPTY-x}y'}]}]"
    config = load(tmp_path, text)
    assert config.databases[0].replicas[0].location == FileLocation(Path("/b/app/y"))
    assert config.warnings == ()


def test_anything_else_in_braces_is_refused_with_its_line_and_not_repeated(tmp_path: Path) -> None:
    lines = refused(tmp_path, "dbs:\n- path: /a\n  replicas:\n  - path: ${CANARY:?}\n    name: ${CANARY/x}\n# ${}\n")
    assert [line.split(":")[1] for line in lines] == ["4", "5"]
    assert all("the line has ${ with something else behind it than NAME}" in line for line in lines)
    assert "CANARY" not in "".join(lines)
    assert load(tmp_path, "exec: a\n# ${odd!}\n").exec_command == "a"


def test_options_of_05_in_a_url_are_noted_or_refused_with_file_and_line(tmp_path: Path) -> None:
    config = load(tmp_path, REPLICA + "url: s3://b/p?region=eu&signPayload=true&part-size=5MB\n")
    assert config.databases[0].replicas[0].location == S3Location("b", "p", region="eu")
    assert [note.partition("litestream.yml")[2].partition(", an option")[0] for note in config.warnings] == [
        ":4: dbs[0].replicas[0].url has sign-payload in its query",
        ":4: dbs[0].replicas[0].url has part-size in its query",
    ]
    assert refused(tmp_path, REPLICA + "url: s3://b/p?storageClass=CANARY\n") == [
        ":4: dbs[0].replicas[0].url cannot be used: the s3 replica URL has storage-class in its query, an option of "
        "Litestream 0.5; remove it: objects are stored without it"
    ]
    config = config_for("/a", ["s3://b/p?concurrency=5"])
    assert config.warnings == (
        "the replica URL has concurrency in its query, an option of Litestream 0.5 that changes nothing here: parts of "
        "an upload go two at a time",
    )
