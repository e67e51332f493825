"""What litestream.yml must not hold, with the exact words it is refused in."""

# ruff: noqa: E501  A table of whole sentences.

from pathlib import Path

import pytest

from replication.config import load_config
from replication.config.load import CONFIG_BYTES_MAX
from replication.config.unknown_keys import ALSO, IDLE_KEYS_OF_05, KEYS, KEYS_OF_05
from replication.errors import ConfigError
from replication.storage.kinds import TYPES

REPLICA = "dbs:\n  - path: /a\n    replicas:\n      - "
S3 = REPLICA + "type: s3\n        bucket: b\n        "
FORMS = "a number and a unit, such as 300ms, 15s, 1h30m or 24h"

REFUSALS = {
    # The document
    "- a\n": ":1: the document must be a mapping of keys to values",
    "dbs: {path: /a}": ':1: dbs must be a list: each entry begins with "- "',
    "dbs: [/a]": ":1: dbs[0] must be a mapping of keys to values",
    "dbs:\n  -\n": ":2: dbs[0] must be a mapping of keys to values",
    "addr: [1]": ":1: addr must be text, not a list",
    "addr: {a: 1}": ":1: addr must be text, not a mapping",
    "addr: ':1'\nexec: x\naddr: ':2'": ":3: addr is on line 1 already; remove one of them",
    "? [a]\n: b": ":1: the document has a key that is not plain text; write a word",
    "exec: !run x": ":1: exec has a YAML tag (!), which is not read here; remove it",
    "exec: !!int x": ":1: exec has the YAML tag !!int and is none; remove the tag",
    "exec: !!binary eA==": ":1: exec has a YAML tag (!), which is not read here; remove it",
    'exec: "a\\0b"': ":1: exec holds a NUL character",
    "x-a: &a\n  b: *a": ":1: x-a.b contains itself or is nested too deep; write it out",
    "<<: [a]": ":1: the document merges (<<) something that is not a mapping",
    "x: " + "[" * 50 + "]" * 50: f":1: x{'[0]' * 40} contains itself or is nested too deep; write it out",
    "x: " + "[" * 1500: ": nested deeper than a configuration can be; write it flat",
    "a: 1\n---\nb: 2": ":2:1: this is not YAML: but found another document; look at indentation and quotes",
    "dbs:\n\t- path: /a": ":2:1: this is not YAML: found character that cannot start any token; "
    "look at indentation and quotes",
    "dbs: [a": ":1:8: this is not YAML: expected , or ], but got <stream end>; look at indentation and quotes",
    "dbs: [": ":1:7: this is not YAML: expected the node content, but found <stream end>; look at indentation and quotes",
    "secret-access-key: *CANARY": ":1:20: this is not YAML: found undefined alias; look at indentation and quotes",
    "a: b\nsecret-access-key: CANARY: x": ":2:26: this is not YAML: mapping values are not allowed here; "
    "look at indentation and quotes",
    "a: b\nc: \x07": ":2: a character that YAML does not allow; remove it",
    # Keys
    "databases: []": ":1: databases is not a known key; here may be "
    "access-key-id, addr, dbs, exec, exec-inherit-keys, heartbeat-interval, heartbeat-url, hosts, logging, "
    "secret-access-key, socket",
    "db: []": ":1: db is not a known key; did you mean dbs?",
    "retention: 24h": ":1: retention does not belong here; it is a key of dbs[].replicas[]",
    "path: /a": ":1: path does not belong here; it is a key of socket and dbs[] and dbs[].replicas[]",
    "logging: {addr: x}": ":1: logging.addr does not belong here; it is a key of the top level",
    "dbs: [{path: /a/x.db-wal}]": ":1: dbs[0].path has the name of a file that SQLite keeps beside the database x.db; "
    "name another",
    "dbs: [{path: /a/.x.db-litestream/y}]": ":1: dbs[0].path lies in the local folder /a/.x.db-litestream, which is the "
    "engine's own; name one elsewhere",
    "dbs:\n- dir: /a": """:2: dbs[0] has no pattern; write pattern: and which files, such as "*.db\"""",
    "dbs:\n- dir: /a\n  path: /b\n  pattern: a": ":3: dbs[0].path stands beside dir; keep one of them",
    "dbs:\n- dir: /a\n  meta-path: /b\n  pattern: a": ":3: dbs[0].meta-path stands beside dir; write meta-dir, for the "
    "folders of all of them",
    "dbs:\n- dir: /a\n  pattern: b/*": ":3: dbs[0].pattern holds a /, and is for the name of the file alone; write "
    """pattern: and which files, such as "*.db\"""",
    "dbs:\n- dir: /a\n  pattern: '[b'": ":3: dbs[0].pattern is no pattern: a [ has no ] behind it, or nothing between "
    """them; write pattern: and which files, such as "*.db\"""",
    "dbs:\n- path: /a\n  watch: true": ":3: dbs[0].watch goes with dir, and there is none; remove it",
    "dbs:\n- {dir: /a, pattern: a, replicas: [{path: /r}]}\n- {dir: /b, pattern: a, replicas: [{path: /r}]}": ":3: "
    "dbs[1].replicas[0] is the same place as dbs[0].replicas[0] on line 2; two histories in one place destroy each other: "
    "give each its own path",
    S3 + "sse-kms-key-id: x": ":6: dbs[0].replicas[0].sse-kms-key-id is a key of Litestream 0.5, and this file is "
    "read as Litestream 0.3 does; remove it: objects are stored without it",
    S3 + "storage_klass: IA": ":6: dbs[0].replicas[0].storage_klass is not a known key; storage-class is one of "
    "Litestream 0.5: remove it: objects are stored without it",
    "restore-if-db-not-exists: true": ":1: restore-if-db-not-exists is a key of Litestream 0.5, and this file is read "
    "as Litestream 0.3 does; run restore -if-db-not-exists before replicate",
    "snapshot: {every: 1h}": ":1: snapshot.every is not a known key; here may be interval, retention",
    "replica: {path: /b}": ":1: replica does not belong here; it is a key of dbs[]",
    S3 + "retnetion: 72h": ":6: dbs[0].replicas[0].retnetion is not a known key; did you mean retention?",
    '"exec\\e[31m": 1': ":1: exec\N{REPLACEMENT CHARACTER}[31m is not a known key; did you mean exec?",
    # It may be a secret that slipped there.
    '"a\\e[31m": 1': ":1: (a key that is not shown) is not a known key; here may be "
    "access-key-id, addr, dbs, exec, exec-inherit-keys, heartbeat-interval, heartbeat-url, hosts, logging, "
    "secret-access-key, socket",
    # Settings of the whole
    "addr: 127.0.0.1": ":1: addr must be HOST:PORT or :PORT, such as 127.0.0.1:9090, not '127.0.0.1'",
    "addr: ':70000'": ":1: addr must be HOST:PORT or :PORT, such as 127.0.0.1:9090, not ':70000'",
    "heartbeat-url: ftp://CANARY": ":1: heartbeat-url must be a URL such as https://heartbeat.example.com/KEY",
    "heartbeat-url: https://:80/CANARY": ":1: heartbeat-url must be a URL such as https://heartbeat.example.com/KEY",
    "heartbeat-url: https://[CANARY/": ":1: heartbeat-url must be a URL such as https://heartbeat.example.com/KEY",
    "heartbeat-url: https://h:CANARY/": ":1: heartbeat-url must be a URL such as https://heartbeat.example.com/KEY",
    "heartbeat-interval: 59s": ":1: heartbeat-interval must be at least 1m, or whoever gets the requests may take them "
    "for an attack",
    "logging: {level: verbose}": ":1: logging.level is 'verbose'; write debug, info, warn or error",
    "logging: {type: pretty}": ":1: logging.type is 'pretty'; write text or json",
    "logging: {stderr: 'true'}": ":1: logging.stderr must be true or false, without quotes, not 'true'",
    # Hosts of a screen
    "hosts: {name: web1}": ':1: hosts must be a list: each entry begins with "- "',
    "hosts: [[web1]]": ":1: hosts[0] must be a mapping of keys to values",
    "hosts: [{command: x}]": ":1: hosts[0] has no name; add name: and what ssh calls it",
    "hosts: [-oProxyCommand=x]": ":1: hosts[0].name is no name of a host; write one that ssh knows, such as a Host of "
    "~/.ssh/config, or USER@HOST",
    "hosts: [{name: web1, ssh: -oProxyCommand=x}]": ":1: hosts[0].ssh is nothing that ssh could connect to; write HOST "
    "or USER@HOST",
    "hosts: [web1, {ssh: web1}]": ":1: hosts[1].ssh is 'web1' already; give each its own name",
    "hosts: ['web1:22']": ":1: hosts[0].name is no name of a host; write one that ssh knows, such as a Host of "
    "~/.ssh/config, or USER@HOST",
    # Databases
    "dbs: [{replicas: []}]": ":1: dbs[0] has no path; add path: and the database file, or dir: and a folder",
    "dbs:\n- path: /a\n- path: /x/../a": ":3: dbs[1].path is the same database as dbs[0] on line 2; remove one of them",
    "dbs:\n- {path: /a, meta-path: /m}\n- {path: /b, meta-path: /m/}": ":3: dbs[1].meta-path keeps its local files "
    "where dbs[0] on line 2 does; give each database a meta-path of its own",
    "dbs: [{path: /a, monitor-interval: 0}]": ":1: dbs[0].monitor-interval must be more than 0: with 0 nothing "
    "would be replicated; leave it out for 1s",
    "dbs: [{path: /a, checkpoint-interval: -1s}]": ":1: dbs[0].checkpoint-interval must not be negative; "
    "0 switches it off",
    "dbs: [{path: /a, min-checkpoint-page-count: 0}]": ":1: dbs[0].min-checkpoint-page-count must be at least 1, "
    "not 0; leave it out for 1000",
    "dbs: [{path: /a, max-backlog-size: -1}]": ":1: dbs[0].max-backlog-size must be a size: a whole number of bytes, or one with its unit, such as 512MB or 2GiB, not '-1'",
    "dbs: [{path: /a, max-backlog-size: 1.5GB}]": ":1: dbs[0].max-backlog-size must be a size: a whole number of bytes, or one with its unit, such as 512MB or 2GiB, not '1.5GB'",
    "dbs: [{path: /a, max-backlog-size: [1]}]": ":1: dbs[0].max-backlog-size must be a size: a whole number of bytes, or one with its unit, such as 512MB or 2GiB, not a list",
    "dbs: [{path: /a, max-checkpoint-page-count: many}]": ":1: dbs[0].max-checkpoint-page-count must be a whole "
    "number, such as 10000, not 'many'",
    # Replicas
    REPLICA + "type: s3": ":4: dbs[0].replicas[0] has no bucket: bucket required for s3 replica; "
    "add bucket: and its name",
    REPLICA + "name: x": ":4: dbs[0].replicas[0] has no path: file replica path required; add path: and a folder",
    REPLICA + "type: tape": f":4: dbs[0].replicas[0].type is 'tape', an unknown replica type; use {TYPES}",
    REPLICA + "type: gcs": ":4: dbs[0].replicas[0].type is gcs, which this program does not have; use type s3 with "
    "endpoint https://storage.googleapis.com and an HMAC key of the bucket's service account",
    REPLICA + "type: sftp\n        host: h": ":4: dbs[0].replicas[0].type is sftp, which this program does not "
    "have; mount it, as with sshfs, and use type file",
    REPLICA + "url: gcs://b/p": ":4: dbs[0].replicas[0].url is of type gcs, which this program does not have; use type "
    "s3 with endpoint https://storage.googleapis.com and an HMAC key of the bucket's service account",
    REPLICA + "path: s3://b/p": ":4: dbs[0].replicas[0].path cannot be a URL; use the url key instead",
    REPLICA + "url: s3://b/p\n        path: x": ":5: dbs[0].replicas[0].path stands beside url: cannot specify "
    "url & path for s3 replica",
    REPLICA + "url: s3://b/p\n        bucket: x": ":5: dbs[0].replicas[0].bucket stands beside url: cannot specify "
    "url & bucket for s3 replica",
    REPLICA + "bucket: b\n        path: x": ":4: dbs[0].replicas[0].bucket belongs to type s3, and a replica without "
    "type is of type file; add type: s3",
    REPLICA + "type: file\n        path: /x\n        region: r": ":6: dbs[0].replicas[0].region belongs to type s3, "
    "and this replica is of type file; remove it",
    S3 + "host: h": ":6: dbs[0].replicas[0].host belongs to type sftp, and this replica is of type s3; remove it",
    S3 + "age: {recipients: [age1CANARY]}": ":6: dbs[0].replicas[0].age asks for encryption, which this program "
    "does not have: it would store the data readable. Go on with Litestream 0.3 for this database, or remove age",
    S3 + "secret-access-key: CANARY": ":4: dbs[0].replicas[0] has secret-access-key without access-key-id; "
    "set both, or neither to take them from the environment",
    "access-key-id: CANARYID\n" + S3 + "name: x": ":5: dbs[0].replicas[0] has access-key-id without "
    "secret-access-key; set both, or neither to take them from the environment",
    S3 + "secret-access-key: [CANARY]": ":6: dbs[0].replicas[0].secret-access-key must be text, not a list",
    S3 + "region: us east": ":6: dbs[0].replicas[0].region is 'us east', which is no region; "
    "write one such as us-east-1",
    S3 + "force-path-style: 1": ":6: dbs[0].replicas[0].force-path-style must be true or false, without quotes, "
    "not '1'",
    S3 + "retention: 7d": ":6: dbs[0].replicas[0].retention has no unit for days; write 168h",
    S3 + "retention: 2 weeks": ":6: dbs[0].replicas[0].retention has no unit for weeks; write 336h",
    S3 + "retention: 24hours": f":6: dbs[0].replicas[0].retention must be a duration: {FORMS}, not '24hours'",
    S3 + "retention: 1.5": f":6: dbs[0].replicas[0].retention must be a duration: {FORMS}, not '1.5'",
    S3 + "retention: [1h]": f":6: dbs[0].replicas[0].retention must be a duration: {FORMS}, not a list",
    S3 + "retention: 86400": ":6: dbs[0].replicas[0].retention is 86.4µs, and the shortest is 1ms: a bare number is "
    "nanoseconds; write 86400s if you mean seconds",
    S3 + "retention: 10us": ":6: dbs[0].replicas[0].retention is 10µs, and the shortest is 1ms",
    S3 + "retention: -24h": ":6: dbs[0].replicas[0].retention must not be negative; 0 switches it off",
    S3 + "retention-check-interval: 0s": ":6: dbs[0].replicas[0].retention-check-interval must be more than 0: "
    "retention would be checked without pause; leave it out for 1h0m0s",
    S3 + "sync-interval: 0": ":6: dbs[0].replicas[0].sync-interval must be more than 0: uploads would never pause; "
    "leave it out for 1s",
    S3 + "sync-interval: -1s": ":6: dbs[0].replicas[0].sync-interval must not be negative",
    S3 + "name: x\n      - name: x\n        path: /b": ":7: dbs[0].replicas[1].name has a duplicate replica name: 'x'; "
    "give each its own name",
    REPLICA + "path: /b\n      - path: /c": ":5: dbs[0].replicas[1] has a duplicate replica name: 'file'; "
    "give each its own name",
    REPLICA + "path: /b\n- path: /c\n": ":5:1: this is not YAML: expected <block end>, but found -; "
    "look at indentation and quotes",
    "dbs:\n- {path: /a, replicas: [{url: 's3://b/p'}]}\n- {path: /c, replicas: [{type: s3, bucket: b, path: p/}]}": (
        ":3: dbs[1].replicas[0] is the same place as dbs[0].replicas[0] on line 2; two histories in one place "
        "destroy each other: give each its own path"
    ),
    # Places on this machine
    "dbs:\n- path: file:///srv/app.db": ":2: dbs[0].path is a URL; write the path of the file itself, such as /srv/app.db",
    "dbs:\n- path: sqlite:////srv/app.db\n- path: /b\n  meta-path: file:///m": ":2: dbs[0].path is a URL; write the path "
    "of the file itself, such as /srv/app.db\n{file}:4: dbs[1].meta-path is a URL; write the path of the folder itself",
    REPLICA + "path: /.a-litestream": ":4: dbs[0].replicas[0] lies in the local folder of dbs[0] on line 2, where old "
    "generations are removed: give it a folder of its own",
    "dbs:\n- {path: /a, replicas: [{url: 'file:///m/b'}]}\n- {path: /c, meta-path: /x/../m}": (
        ":2: dbs[0].replicas[0] lies in the local folder of dbs[1] on line 3, where old generations are removed: give "
        "it a folder of its own"
    ),
}


@pytest.mark.parametrize(("text", "words"), REFUSALS.items())
def test_refusals(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "litestream.yml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value) == f"{path}{words}".replace("{file}", str(path))
    assert "CANARY" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "url", ["s3://CANARYID:CANARYKEY@b/p", "s3://b/p?secret-access-key=CANARYKEY", "//CANARYID:CANARYKEY@b"]
)
def test_a_url_with_a_secret_is_not_repeated(tmp_path: Path, url: str) -> None:
    path = tmp_path / "litestream.yml"
    path.write_text(REPLICA + f"url: {url}\n")
    with pytest.raises(ConfigError, match=r":4: dbs\[0\]\.replicas\[0\]\.url cannot be used: ") as caught:
        load_config(path)
    assert "CANARY" not in str(caught.value)


def test_keys_are_of_one_version() -> None:
    known = {key for levels in (KEYS, ALSO) for level in levels.values() for key in level}
    assert not known & {*KEYS_OF_05, *IDLE_KEYS_OF_05}
    assert not set(KEYS_OF_05) & set(IDLE_KEYS_OF_05)


def test_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        load_config("none.yml")
    assert str(caught.value) == (
        "config file not found: none.yml; name one with -config PATH or $LITESTREAM_CONFIG; "
        "without one, replicate takes a database and replica URLs, and restore a replica URL"
    )


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path)
    assert str(caught.value) == (f"cannot read the config file {tmp_path}: Is a directory; check its path and rights")


def test_an_unreadable_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="Not a directory; check its path and rights"):
        load_config(tmp_path / "file" / "litestream.yml")


def test_not_text(tmp_path: Path) -> None:
    path = tmp_path / "litestream.yml"
    path.write_bytes(b"addr: ':1'\nexec: \xff\n")
    with pytest.raises(ConfigError, match=r":2: the file is not UTF-8 text; save it as UTF-8$"):
        load_config(path)


def test_too_large(tmp_path: Path) -> None:
    path = tmp_path / "litestream.yml"
    path.write_bytes(b"#" * (CONFIG_BYTES_MAX + 1))
    with pytest.raises(ConfigError, match="is larger than 4 MiB; name a configuration file"):
        load_config(path)
