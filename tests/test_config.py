"""litestream.yml read into values."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import peers
from replication.config import (
    Config,
    DatabaseConfig,
    LoggingConfig,
    ReplicaConfig,
    config_for,
    default_config_path,
    load_config,
)
from replication.config.program import Defaults
from replication.config.reference import Row, rows
from replication.config.unknown_keys import FOREIGN_KEYS, KEYS
from replication.errors import ConfigError, UsageError
from replication.scrub import scrub
from replication.storage.file.location import FileLocation
from replication.storage.s3.location import S3Location

EXAMPLE = Path(__file__).parent.parent / "litestream.yml.example"


@pytest.fixture
def write(tmp_path: Path) -> "Write":
    return Write(tmp_path)


class Write:
    """Writes a configuration and loads it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "litestream.yml"

    def __call__(self, text: str, expand_env: bool = True) -> Config:
        self.path.write_text(text, encoding="utf-8")
        return load_config(self.path, expand_env)


def test_defaults_are_those_of_litestream(write: Write) -> None:
    config = write("dbs: [{path: /srv/app.db, replicas: [{path: /mnt/backup}]}]")
    replica = ReplicaConfig(
        name="file",
        location=FileLocation(Path("/mnt/backup")),
        retention=86400,
        retention_check_interval=3600,
        sync_interval=1,
        snapshot_interval=0,
        validation_interval=0,
    )
    database = DatabaseConfig(
        path=Path("/srv/app.db"),
        meta_path=Path("/srv/.app.db-litestream"),
        replicas=(replica,),
        monitor_interval=1,
        checkpoint_interval=60,
        min_checkpoint_page_count=1000,
        max_checkpoint_page_count=10000,
    )
    assert not config.defaults.seconds
    assert not any(config.defaults.for_all.values())
    assert replace(config, defaults=Defaults()) == Config(
        write.path, (database,), None, None, LoggingConfig("info", "text", False), ()
    )


def test_every_key(write: Write) -> None:
    config = write("""
addr: ":9090"
exec: app -x 1
logging: {level: WARNING, type: json, stderr: true}
access-key-id: TOPKEYID
secret-access-key: TOPSECRET
dbs:
  - path: /srv/a.db
    meta-path: /var/meta/a
    monitor-interval: 2s
    checkpoint-interval: 0
    min-checkpoint-page-count: 5
    max-checkpoint-page-count: 0
    replicas:
      - type: s3
        name: near
        bucket: b
        path: /lead/trail/
        endpoint: minio:9000
        region: eu-west-1
        force-path-style: false
        skip-verify: yes
        retention: 30m
        retention-check-interval: 1h
        sync-interval: 10s
        snapshot-interval: 4h
        validation-interval: 12h
      - url: s3://b2.minio:9000/p
        access-key-id: OWNKEYID
        secret-access-key: OWNSECRET
        region: us-west-2
      - url: file:///mnt/a%20b
        type: s3
""")
    assert config.addr == ":9090"
    assert config.exec_command == "app -x 1"
    assert config.logging == LoggingConfig("warn", "json", True)
    database = config.databases[0]
    assert database.meta_path == Path("/var/meta/a")
    assert (database.monitor_interval, database.checkpoint_interval) == (2, 0)
    assert (database.min_checkpoint_page_count, database.max_checkpoint_page_count) == (5, 0)
    near, by_url, by_file = database.replicas
    assert near == ReplicaConfig(
        name="near",
        location=S3Location("b", "lead/trail", "http://minio:9000", "eu-west-1", "TOPKEYID", "TOPSECRET", False, True),
        retention=1800,
        retention_check_interval=1800,
        sync_interval=10,
        snapshot_interval=4 * 3600,
        validation_interval=12 * 3600,
    )
    assert by_url.location == S3Location(
        "b2", "p", "http://minio:9000", "us-west-2", "OWNKEYID", "OWNSECRET", None, False
    )
    assert (by_url.name, by_file.name) == ("s3", "file")
    assert by_file.location == FileLocation(Path("/mnt/a b"))
    assert config.warnings == ()


def test_secrets_are_in_no_repr_and_are_scrubbed(write: Write) -> None:
    config = write("""
access-key-id: CANARYTOPID
secret-access-key: CANARY/TOP+SECRET
dbs:
  - path: /srv/a.db
    replicas:
      - {type: s3, bucket: b, path: a, access-key-id: CANARYOWNID, secret-access-key: CANARYOWNSECRET}
      - {type: s3, bucket: b, path: b, name: other}
""")
    assert "CANARY" not in repr(config)
    spelled = "CANARYTOPID CANARY/TOP+SECRET CANARY%2FTOP%2BSECRET CANARYOWNID CANARYOWNSECRET"
    assert "CANARY" not in scrub(spelled)


def test_paths_follow_home_and_the_folder_of_the_start(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.chdir(tmp_path)
    config = write("dbs: [{path: ~/a.db, meta-path: ~/meta, replicas: [{path: x/../backup}]}]")
    database = config.databases[0]
    assert database.path == Path("/home/someone/a.db")
    assert database.meta_path == Path("/home/someone/meta")
    assert database.replicas[0].location == FileLocation(tmp_path / "backup")


def test_text_is_taken_as_it_is_written(write: Write) -> None:
    config = write(
        "dbs: [{path: /1, replicas: [{type: s3, bucket: 0123, name: yes, access-key-id: 0x10AB, "
        "secret-access-key: 2026-11-22}]}]"
    )
    replica = config.databases[0].replicas[0]
    assert replica.name == "yes"
    assert replica.location == S3Location("0123", access_key_id="0x10AB", secret_access_key="2026-11-22")


def test_environment(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUCKET", "from-env")
    monkeypatch.setenv("SECRET", "pa$$word")
    text = (
        "dbs:\n- path: /a\n  replicas:\n  - type: s3\n    bucket: x$BUCKET\n"
        "    access-key-id: KEYID\n    secret-access-key: ${SECRET}\n"
    )
    location = write(text).databases[0].replicas[0].location
    assert location == S3Location("xfrom-env", access_key_id="KEYID", secret_access_key="pa$$word")
    kept = write(text.replace("x$BUCKET", "b"), expand_env=False).databases[0].replicas[0].location
    assert isinstance(kept, S3Location)
    assert kept.secret_access_key == "${SECRET}"


def test_an_unset_variable_is_noted_without_its_name(write: Write) -> None:
    config = write("# $UNSET\ndbs:\n- path: /a\n  replicas: [{path: /b, name: 'pw$CANARY'}]\n")
    assert config.warnings == (
        f"{write.path}:4: an environment variable is not set, and nothing stands in its place; "
        "where $ is meant as it is, use -no-expand-env",
    )


def test_an_empty_key_pair_leaves_credentials_to_the_environment(write: Write) -> None:
    config = write("""
dbs:
  - path: /a
    replicas: [{type: s3, bucket: b, access-key-id: $UNSET, secret-access-key: "$UNSET"}]
""")
    assert config.databases[0].replicas[0].location == S3Location("b")


def test_a_bare_number_is_nanoseconds_and_noted(write: Write) -> None:
    config = write("dbs:\n- path: /a\n  monitor-interval: 2000000000\n  replicas: [{path: /b}]\n")
    assert config.databases[0].monitor_interval == 2
    assert config.warnings == (
        f"{write.path}:3: dbs[0].monitor-interval has no unit: 2000000000 nanoseconds are 2s; "
        "write a number and a unit, such as 300ms, 15s, 1h30m or 24h",
    )


def test_nothing_in_a_section_is_the_default(write: Write) -> None:
    assert write("").databases == ()
    assert write("dbs:\n").databases == ()
    assert write("logging:\ndbs: []\n").logging == LoggingConfig()
    config = write("dbs: [{path: /a, monitor-interval:, replicas: [{path: /b, retention: ''}]}]")
    assert config.databases[0].monitor_interval == 1
    assert config.databases[0].replicas[0].retention == 86400


def test_a_database_without_replicas_is_noted(write: Write) -> None:
    config = write("dbs:\n  - path: /a\n")
    assert config.databases[0].replicas == ()
    assert config.warnings == (f"{write.path}:2: dbs[0].path has no replicas, so nothing of it is replicated",)


def test_anchors_and_merges(write: Write) -> None:
    config = write("""
x-defaults: &defaults
  type: s3
  bucket: shared
  sync-interval: 5s
dbs:
  - path: /a
    replicas: [{<<: *defaults, path: a}]
  - path: /b
    replicas: [{<<: [*defaults, {retention: 1h}], path: b, sync-interval: 7s}]
""")
    first, second = (database.replicas[0] for database in config.databases)
    assert first.location == S3Location("shared", "a")
    assert second.location == S3Location("shared", "b")
    assert (first.sync_interval, second.sync_interval, second.retention) == (5, 7, 3600)


def test_many_aliases_of_aliases_cost_nothing(write: Write) -> None:
    levels = "".join(f"x-{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 30))
    assert write(f"x-0: &a0 [lol]\n{levels}").databases == ()


def test_a_thousand_databases(write: Write) -> None:
    entry = "  - {{path: /srv/{0}.db, replicas: [{{type: s3, bucket: b, path: '{0}', sync-interval: 5s}}]}}\n"
    config = write("dbs:\n" + "".join(entry.format(n) for n in range(1000)))
    assert len(config.databases) == 1000


def test_the_default_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert default_config_path({}) == "/etc/litestream.yml"
    assert default_config_path({"LITESTREAM_CONFIG": ""}) == "/etc/litestream.yml"
    path = tmp_path / "mine.yml"
    path.write_text("addr: ':1'")
    monkeypatch.setenv("LITESTREAM_CONFIG", str(path))
    assert load_config().addr == ":1"


def turn_on(example: str) -> str:
    """The example with every setting that is a comment made one."""
    return re.sub(r"(?m)^( *)#(?=[a-z-]+:|- )", r"\1", example)


def test_the_example_is_a_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = load_config(EXAMPLE)
    assert config.warnings == ()
    assert [database.path for database in config.databases] == [tmp_path / "fruits.db"]
    location = config.databases[0].replicas[0].location
    assert location == S3Location(
        "litestream-bucket", "fruits.db", "http://localhost:9000", None, "minioadmin", "minioadmin"
    )


def test_the_example_holds_every_key_at_its_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MY_ACCESS_KEY_ID", "someone")
    monkeypatch.setenv("MY_SECRET_ACCESS_KEY", "something")
    text = turn_on(EXAMPLE.read_text())
    path = tmp_path / "litestream.yml"
    path.write_text(text)
    config = load_config(path)
    assert config.warnings == ()
    assert config.logging == LoggingConfig()
    first, plain = config.databases[0], load_config(EXAMPLE).databases[0]
    assert [type(replica.location) for replica in first.replicas] == [
        S3Location,
        FileLocation,
        S3Location,
        FileLocation,
    ]
    assert first.meta_path == plain.meta_path
    assert first.checkpoint_interval == plain.checkpoint_interval
    assert first.monitor_interval == plain.monitor_interval
    assert first.min_checkpoint_page_count == plain.min_checkpoint_page_count
    assert first.max_checkpoint_page_count == plain.max_checkpoint_page_count
    for name in (field for field in ReplicaConfig.__slots__ if field != "location"):
        assert getattr(first.replicas[0], name) == getattr(plain.replicas[0], name)
    keys = set(re.findall(r"(?m)^ *(?:- )?([a-z-]+):", text))
    everything = {key for level in KEYS.values() for key in level}
    assert keys == everything - set(FOREIGN_KEYS) - {"age"}
    assert all(key in EXAMPLE.read_text() for key in [*FOREIGN_KEYS, "age"])


def words_of(text: str) -> str:
    """The sentences in the comments of a text, on one line."""
    return " ".join(" ".join(re.findall(r"(?m)^ *# (.*)$", text)).split())


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row.level} {row.key.name}")
def test_the_example_shows_each_row(row: Row) -> None:
    """With its sentences above it, and its default or the example of its row; set or as a comment."""
    example, key = EXAMPLE.read_text(), row.key
    shown = key.example or key.shown
    if key.is_for_all and row.level == "top":
        shown = f"${{MY_{key.name.upper().replace('-', '_')}}}"
    mark = "" if key.is_set and not (key.is_for_all and row.level == "top") else "#"
    lines = re.findall(rf"(?m)^ *(?:{mark}|- |{mark}- ){key.name}:(.*)$", example)
    assert shown in [line.strip() for line in lines], f"# {key.why}\n{mark}{key.name}: {shown}"
    if not key.is_for_all and key.name not in ("dbs", "logging", "type"):
        assert key.why in words_of(example), f"{key.name}: {key.why}"


@pytest.mark.server
def test_litestream_itself_reads_the_example(tmp_path: Path) -> None:
    """With every key turned on, it names the same database and replicas."""
    # It has no folders of databases.
    text = turn_on(re.sub(r"(?ms)^  # In place of path:.*?^(?=# )", "", EXAMPLE.read_text()))
    assert "tenants" not in text
    (tmp_path / "litestream.yml").write_text(text)
    printed = subprocess.run(
        [peers.litestream03(), "databases", "-config", "litestream.yml"],
        cwd=tmp_path,
        env=peers.clean_environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout
    assert printed.split() == ["path", "replicas", str(tmp_path / "fruits.db"), "s3,disk,archive,usb"]


def test_command_line() -> None:
    config = config_for("/srv/app.db", ["s3://b/p", "file:///mnt/x", "s3://b/other"])
    assert config == Config(
        None,
        (
            DatabaseConfig(
                Path("/srv/app.db"),
                Path("/srv/.app.db-litestream"),
                (
                    ReplicaConfig("s3", S3Location("b", "p")),
                    ReplicaConfig("file", FileLocation(Path("/mnt/x"))),
                    ReplicaConfig("s3-2", S3Location("b", "other")),
                ),
            ),
        ),
    )
    assert config_for("app.db", ["s3://b"]).databases[0].path == Path.cwd() / "app.db"


def test_command_line_refusals() -> None:
    with pytest.raises(UsageError, match=r"must specify at least one replica URL for app\.db"):
        config_for("app.db", [])
    with pytest.raises(UsageError, match="two of the replica URLs name the same place"):
        config_for("app.db", ["s3://b/p", "s3://b/p/"])
    with pytest.raises(ConfigError, match="replica url scheme required"):
        config_for("app.db", ["/mnt/x"])
    with pytest.raises(UsageError, match="the database is given as a URL; write the path of the file itself"):
        config_for("file:///srv/app.db", ["s3://b/p"])


@pytest.mark.parametrize("below", ["", "/replica"])
def test_replica_in_the_local_folder(tmp_path: Path, below: str) -> None:
    """It would go with old generations of the shadow WAL, and with the folder: it is refused, through links too."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(UsageError, match=r"lies in the local folder .*\.app\.db-litestream.* a folder of its own"):
        config_for(tmp_path / "real/app.db", [f"file://{tmp_path}/link/.app.db-litestream{below}"])
    beside = config_for(tmp_path / "real/app.db", [f"file://{tmp_path}/link/.app.db-litestream-replica", "s3://b/p"])
    assert [replica.name for replica in beside.databases[0].replicas] == ["file", "s3"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(
    st.one_of(
        st.text(max_size=80),
        st.text(alphabet="dbs:-path[]{}& *<!|>'\"\n#,/ay0", max_size=120),
        st.binary(max_size=80),
    )
)
def test_any_file_is_a_configuration_or_a_config_error(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "any.yml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    words = None
    try:
        load_config(path, expand_env=False)
    except ConfigError as error:
        words = str(error)
    assert words is None or str(path) in words


def test_links_to_one_database_are_found(write: Write, tmp_path: Path) -> None:
    (tmp_path / "real.db").touch()
    (tmp_path / "link.db").symlink_to("real.db")
    with pytest.raises(ConfigError, match=r"is the same database as dbs\[0\] on line 2; remove one of them"):
        write(f"dbs:\n- path: {tmp_path}/real.db\n- path: {tmp_path}/link.db\n")
