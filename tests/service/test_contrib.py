"""The files of contrib/, compose.yml and the Dockerfile: they parse, and what they run is understood by the program."""

import fnmatch
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from replication.config import load_config
from replication.engine import CLOSE_SECONDS_MAX
from tests.service.dockerfile import copied, stages
from tests.test_docs_links import ROOT
from tui import cli

DOCKERFILE = ROOT / "Dockerfile"
DOCUMENTS = sorted([*(ROOT / "contrib").rglob("*.yml"), ROOT / "compose.yml"])
ALL_OVER_SECONDS = CLOSE_SECONDS_MAX + 2.0
VERBS = ("replicate", "restore")


def load(path: Path) -> Any:
    """A document without placeholders of more than one, and with no key twice."""
    loader = type("Strict", (yaml.SafeLoader,), {"construct_mapping": _no_key_twice})
    return yaml.load(path.read_text(), loader)


def _no_key_twice(loader: yaml.SafeLoader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    keys = [key.value for key, _ in node.value]
    assert len(keys) == len(set(keys)), f"twice in {node.start_mark}"
    return yaml.SafeLoader.construct_mapping(loader, node, deep)


def containers(document: Any) -> list[dict[str, Any]]:
    """Everything in it that names an image."""
    if isinstance(document, list):
        return [found for item in document for found in containers(item)]
    if not isinstance(document, dict):
        return []
    ours = [document] if "image" in document else []
    return ours + [found for item in document.values() for found in containers(item)]


def commands(document: Any) -> list[list[str]]:
    """What is run in containers of our image."""
    found = []
    for container in containers(document):
        words = container.get("args") or container.get("command") or container.get("cmd") or []
        words = words.split() if isinstance(words, str) else words
        if words and words[0] in VERBS:
            assert "litestream-tui" in container["image"]
            found.append(words)
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_document_parses_and_its_commands_are_understood(path: Path) -> None:
    document = load(path)
    for words in commands(document):
        assert cli._parse(words).verb == words[0]
    if path.parent.name in ("docker", "kubernetes", "kamal"):
        assert any(words[0] == "replicate" and "-wait" in words for words in commands(document))


def test_the_configuration_that_they_mount_is_one() -> None:
    config = load_config(str(ROOT / "contrib/litestream.yml"))
    assert [str(database.path) for database in config.databases] == ["/srv/app/app.db"]
    for path in DOCUMENTS:
        if path.parent.name in ("docker", "kubernetes"):
            assert "/srv/app/app.db" in path.read_text()
            assert "/etc/litestream.yml" in path.read_text()


def test_they_wait_for_the_last_upload() -> None:
    compose = load(ROOT / "contrib/docker/compose.yml")
    assert int(compose["services"]["litestream-tui"]["stop_grace_period"].removesuffix("s")) > ALL_OVER_SECONDS
    kamal = load(ROOT / "contrib/kamal/deploy.yml")
    assert kamal["accessories"]["litestream-tui"]["options"]["stop-timeout"] > ALL_OVER_SECONDS
    pod = load(ROOT / "contrib/kubernetes/sidecar.yml")["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > 30 + ALL_OVER_SECONDS


def test_kubernetes_runs_one_writer_and_its_mounts_are_volumes() -> None:
    document = load(ROOT / "contrib/kubernetes/sidecar.yml")
    assert (document["kind"], document["spec"]["replicas"]) == ("StatefulSet", 1)
    pod = document["spec"]["template"]["spec"]
    volumes = {item["name"] for item in pod["volumes"]}
    volumes |= {item["metadata"]["name"] for item in document["spec"]["volumeClaimTemplates"]}
    for container in (*pod["initContainers"], *pod["containers"]):
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
    restore, sidecar = pod["initContainers"]
    assert (restore.get("restartPolicy"), sidecar["restartPolicy"]) == (None, "Always")


# -- the container --------------------------------------------------------------------------------------------------


def test_whatever_the_container_is_made_of_is_there() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    for stage in stages(DOCKERFILE):
        for sources, _ in copied(stage):
            for source in sources:
                assert (ROOT / source).exists(), source
                assert not any(fnmatch.fnmatch(source, pattern) for pattern in ignored), source


def test_stages_stand_on_each_other() -> None:
    names = [stage.name for stage in stages(DOCKERFILE)]
    for number, stage in enumerate(stages(DOCKERFILE)):
        assert stage.base.startswith("python:") or stage.base in names[:number]
        for text in stage.all("COPY"):
            if match := re.match(r"--from=(\S+)", text):
                assert match[1] in names[:number]
    # `docker build .` builds the last one, which is the small one.
    assert (stages(DOCKERFILE)[-1].base, stages(DOCKERFILE)[-1].instructions) == ("program", [])
    assert load(ROOT / "compose.yml")["services"]["app"]["build"]["target"] in names


def test_nobody_is_root_at_the_end_of_a_stage_that_runs() -> None:
    [user] = {stage.all("USER")[-1] for stage in stages(DOCKERFILE) if stage.all("USER")}
    assert user == "app"
    [useradd] = [text for stage in stages(DOCKERFILE) for text in stage.all("RUN") if "useradd" in text]
    assert "--uid 1000" in useradd
    compose = load(ROOT / "contrib/docker/compose.yml")["services"]
    assert {service["user"] for service in compose.values()} == {"1000:1000"}


def test_its_commands_are_understood_by_the_program() -> None:
    [program] = [stage for stage in stages(DOCKERFILE) if stage.name == "program"]
    entry = program.words("ENTRYPOINT")
    assert entry == ["tini", "--", "litestream-tui"]
    assert cli._parse(program.words("CMD")).verb == "replicate"
    health = program.words("HEALTHCHECK")
    assert health[0] == "litestream-tui"
    assert cli._parse(health[1:]).check
    assert "tini" in " ".join(program.all("RUN"))


def test_compose_has_what_the_walk_through_needs() -> None:
    """S3 on 9000, its console on 9001, the bucket, and a container that waits for terminals in /usr/src."""
    services = load(ROOT / "compose.yml")["services"]
    minio, bucket, app = services["minio"], services["bucket"], services["app"]
    assert "--console-address :9001" in minio["command"]
    assert {port.rpartition(":")[0] for port in minio["ports"]} == {"127.0.0.1:9000", "127.0.0.1:9001"}
    assert "store/litestream-bucket" in bucket["command"][0]
    assert minio["image"] == bucket["image"] == "minio/minio:RELEASE.2025-02-18T16-25-55Z"
    assert app["entrypoint"] == ["sleep", "infinity"]
    [walk] = [stage for stage in stages(DOCKERFILE) if stage.name == app["build"]["target"]]
    assert walk.all("WORKDIR") == ["/usr/src"]
    assert all(target.partition(":")[2] == "/usr/src" for target in app["volumes"])
    assert any("sqlite3" in text for text in walk.all("RUN"))
    assert all(before != after for before, after in pairwise(services))
