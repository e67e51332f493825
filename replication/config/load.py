"""litestream.yml, read into frozen values.

Its promise: a file that Litestream 0.3.13 reads means the same here, and what cannot mean the same is
refused with file, line, path in the document and what to write instead. Secrets are in no `repr` and no
message. It leaves to the caller whether databases and stores exist, and what to do when no database is named.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from replication.config.conflicts import lies_in
from replication.config.document import Findings, Items, Mapped, Scalar, Value, refusal
from replication.config.environment import expand_environment
from replication.config.location import local_path
from replication.config.reading import read_some
from replication.config.schema import (
    Config,
    DatabaseConfig,
    ReplicaConfig,
    default_meta_path,
)
from replication.config.sections import read_config
from replication.config.unknown_keys import shown_key
from replication.errors import ConfigError, UsageError
from replication.reserved import problem_of
from replication.scrub import scrub
from replication.storage.url import is_replica_url, parse_replica_url

DEFAULT_PATH = "/etc/litestream.yml"
"""Read when neither a path nor $LITESTREAM_CONFIG says otherwise."""

CONFIG_BYTES_MAX = 4 << 20
"""A larger file is not read: it is not a configuration."""

DEPTH_MAX = 40
"""Deeper nesting is refused: a configuration needs five levels."""

_TAG_PREFIX = "tag:yaml.org,2002"


def default_config_path(environ: Mapping[str, str] | None = None) -> str:
    """$LITESTREAM_CONFIG if it says anything, else /etc/litestream.yml."""
    return (os.environ if environ is None else environ).get("LITESTREAM_CONFIG") or DEFAULT_PATH


def load_config(path: str | Path | None = None, expand_env: bool = True) -> Config:
    """Read a configuration file. Raises ConfigError if it cannot be used. No database at all is no error.

    `expand_env` false leaves every $ as it is (-no-expand-env).
    """
    file = str(path) if path is not None else default_config_path()
    where = local_path(file)
    # A replica URL with keys in it may have slipped there.
    file = scrub(file)
    text = _read(where, file)
    findings = Findings(file, [])
    if expand_env:
        expansion = expand_environment(text, os.environ)
        text = expansion.text
        for line in expansion.odd_lines:
            # The content is not repeated either, for the same reason.
            problem = (
                "has ${ with something else behind it than NAME}, NAME:-default} or NAME-default}; Litestream puts "
                "nothing in its place. Write one of these, or use -no-expand-env where $ is meant as it is"
            )
            findings.refusals.append(refusal(file, line, "the line", problem))
        # Other errors may follow from this one.
        findings.check()
        for line in expansion.unset_lines:
            # Neither the name nor the value is shown: a $ inside a password looks like a variable too.
            findings.add(
                line,
                "an environment variable is not set, and nothing stands in its place; "
                "where $ is meant as it is, use -no-expand-env",
            )
    return read_config(_document(text, file), where, findings)


def config_for(database_path: str | Path, replica_urls: Sequence[str]) -> Config:
    """The configuration of `replicate DB_PATH URL...`: all defaults; replicas of one type are numbered.

    Raises UsageError without a URL, ConfigError for a URL that cannot be used.
    """
    if not replica_urls:
        raise UsageError(f"must specify at least one replica URL for {database_path}, such as s3://BUCKET/PATH")
    replicas: list[ReplicaConfig] = []
    places: set[tuple[str, ...]] = set()
    findings: list[str] = []
    for url in replica_urls:
        location = parse_replica_url(url, lambda words: findings.append(f"the replica URL {words}"))
        if location.identity in places:
            raise UsageError("two of the replica URLs name the same place; leave one out")
        places.add(location.identity)
        kind = location.kind
        same = sum(replica.location.kind == kind for replica in replicas)
        replicas.append(ReplicaConfig(name=f"{kind}-{same + 1}" if same else kind, location=location))
    if is_replica_url(str(database_path)):
        raise UsageError("the database is given as a URL; write the path of the file itself, such as /srv/app.db")
    path = local_path(str(database_path))
    if problem := problem_of(path):
        raise UsageError(f"{path} {problem}")
    meta_path = default_meta_path(path)
    for location in (replica.location for replica in replicas):
        if lies_in(location, {os.path.realpath(meta_path): True}):
            raise UsageError(
                f"{location.address} lies in the local folder of the database, {meta_path}, where old generations are "
                "removed; give the replica a folder of its own"
            )
    return Config(None, (DatabaseConfig(path, meta_path, tuple(replicas)),), warnings=tuple(findings))


def _read(path: Path, file: str) -> str:
    try:
        data = read_some(path, CONFIG_BYTES_MAX)
    except FileNotFoundError:
        raise ConfigError(
            f"config file not found: {file}; name one with -config PATH or $LITESTREAM_CONFIG; "
            "without one, replicate takes a database and replica URLs, and restore a replica URL"
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"cannot read the config file {file}: {reason}; check its path and rights") from None
    if len(data) > CONFIG_BYTES_MAX:
        raise ConfigError(f"{file} is larger than {CONFIG_BYTES_MAX >> 20} MiB; name a configuration file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{file}:{line}: the file is not UTF-8 text; save it as UTF-8") from None


def _document(text: str, file: str) -> Value:
    """The text as plain values. No object is built that a YAML tag asks for."""
    try:
        loader = yaml.SafeLoader(text)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(f"{file}:{line}: a character that YAML does not allow; remove it") from None
    try:
        node = loader.get_single_node()
        return Mapped({}, {}, 1) if node is None else _Reader(file, loader).value(node, "", 0)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else file
        raise ConfigError(
            f"{place}: this is not YAML: {_reason(error.problem)}; look at indentation and quotes"
        ) from None
    except RecursionError:
        raise ConfigError(f"{file}: nested deeper than a configuration can be; write it flat") from None
    finally:
        loader.dispose()


def _reason(problem: str | None) -> str:
    """A parser's reason without what it quotes, which may be part of a secret; signs of YAML itself stay."""
    bare = re.sub(r"'(<[a-z ]+>|[\[\]{},:?-])'", r"\1", problem or "it cannot be read")
    return re.sub(r"\s*'.*'", "", bare, flags=re.DOTALL)


class _Reader:
    """Turns the nodes of one document into values, each once, however often aliases refer to it."""

    def __init__(self, file: str, loader: yaml.SafeLoader) -> None:
        self._file, self._loader = file, loader
        self._done: dict[yaml.Node, Value] = {}
        self._open: set[yaml.Node] = set()

    def value(self, node: yaml.Node, where: str, depth: int) -> Value:
        if node in self._done:
            return self._done[node]
        if node in self._open or depth > DEPTH_MAX:
            raise self._refusal(node, where, "contains itself or is nested too deep; write it out")
        self._open.add(node)
        if isinstance(node, yaml.ScalarNode):
            value: Value = self._scalar(node, where)
        elif isinstance(node, yaml.SequenceNode):
            items = [self.value(item, f"{where}[{n}]", depth + 1) for n, item in enumerate(node.value)]
            value = Items(tuple(items), _line(node))
        else:
            value = self._mapping(node, where, depth)
        self._open.discard(node)
        self._done[node] = value
        return value

    def _mapping(self, node: yaml.Node, where: str, depth: int) -> Mapped:
        values: dict[str, Value] = {}
        lines: dict[str, int] = {}
        merged: list[yaml.Node] = []
        for key_node, value_node in node.value:
            if key_node.tag == f"{_TAG_PREFIX}:merge":
                merged += value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._refusal(key_node, where, "has a key that is not plain text; write a word")
            key = key_node.value
            path = f"{where}.{shown_key(key)}" if where else shown_key(key)
            if key in values:
                raise self._refusal(key_node, path, f"is on line {lines[key]} already; remove one of them")
            values[key], lines[key] = self.value(value_node, path, depth + 1), _line(key_node)
        for source in merged:
            value = self.value(source, where, depth + 1)
            if not isinstance(value, Mapped):
                raise self._refusal(source, where, "merges (<<) something that is not a mapping")
            # What stands in the mapping itself wins, then what is merged first.
            values = {**value.values, **values}
            lines = {**value.lines, **lines}
        return Mapped(values, lines, _line(node))

    def _scalar(self, node: yaml.ScalarNode, where: str) -> Scalar:
        prefix, _, kind = node.tag.rpartition(":")
        if prefix != _TAG_PREFIX or kind == "binary":
            raise self._refusal(node, where, "has a YAML tag (!), which is not read here; remove it")
        number: int | None = None
        flag: bool | None = None
        try:
            if kind == "int":
                number = int(self._loader.construct_yaml_int(node))
            elif kind == "bool":
                flag = bool(self._loader.construct_yaml_bool(node))
        except (ValueError, KeyError):
            raise self._refusal(node, where, f"has the YAML tag !!{kind} and is none; remove the tag") from None
        return Scalar(node.value, kind, _line(node), number, flag)

    def _refusal(self, node: yaml.Node, where: str, problem: str) -> ConfigError:
        return refusal(self._file, _line(node), where or "the document", problem)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
