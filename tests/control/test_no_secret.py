"""No secret crosses the socket, wherever a person or a store put it: every request, and every byte of the answers."""

import json
import socket
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

import peers
from replication.control.requests import REQUESTS
from replication.control.routes import routes
from tests.cli.program import Replicating
from tests.foreign import Shell
from tests.interchange.program import wait_until
from tests.storage.stub import Answer, Request, Stub, error

CANARIES = {
    "key at the top": "CANARYTOPKEYID0001",
    "secret at the top": "canary/secret+at=the top",
    "key of a replica": "CANARYREPLICAKEY02",
    "secret of a replica": "canary/secret+of=a replica",
    "path of the heartbeat": "canary-path-of-the-heartbeat",
    "query of the heartbeat": "canary-query-of-the-heartbeat",
    "password of the heartbeat": "canary-password-of-the-heartbeat",
    "key of the environment": "CANARYENVIRONMENT3",
    "secret of the environment": "canary/secret+of=environment",
    "token of the environment": "canary/token+of=environment==",
    "password of a URL": "canary-password-of-a-url",
    "query of a URL": "canary-query-of-a-url",
}


def spellings(secret: str) -> set[str]:
    """As it may be written in JSON and in a URL."""
    escaped = json.dumps(secret)[1:-1]
    return {secret, escaped, escaped.replace("/", "\\/"), quote(secret, safe=""), quote(secret), quote_plus(secret)}


def asked(path: Path, method: str, target: str, body: object = None) -> str:
    """All that is answered, head and body."""
    data = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(data)}\r\n\r\n"
    answer = b""
    with socket.socket(socket.AF_UNIX) as connected:
        connected.settimeout(40.0)
        connected.connect(str(path))
        connected.sendall(head.encode() + data)
        while piece := connected.recv(1 << 16):
            answer += piece
    return answer.decode()


@pytest.fixture
def spiteful() -> Stub:
    """A store that repeats in its errors whatever it was sent, and knows the keys besides."""

    def answer(request: Request) -> Answer:
        keys = [secret for name, secret in CANARIES.items() if name.endswith(("top", "replica"))]
        said = " ".join([*request.headers.values(), *keys]).replace("&", "&amp;").replace("<", "&lt;")
        return error(403, "AccessDenied", f"you sent {said}")

    return Stub(answer)


def test_no_answer_of_any_request_holds_one(tmp_path: Path, spiteful: Stub) -> None:
    names = ("app", "other")
    for name in names:
        Shell(tmp_path / f"{name}.db").run("PRAGMA journal_mode=WAL; CREATE TABLE t(a)")
    found = CANARIES
    with spiteful.serving():
        endpoint, config = spiteful.endpoint, tmp_path / "litestream.yml"
        beat = f"http://user:{found['password of the heartbeat']}@127.0.0.1:1/{found['path of the heartbeat']}"
        own = {
            "access-key-id": found["key of a replica"],
            "secret-access-key": found["secret of a replica"],
        }
        place = {"type": "s3", "bucket": "b", "endpoint": endpoint}
        replicas = [{**place, **own, "path": "one", "name": "one"}, {**place, "path": "two", "name": "two"}]
        config.write_text(
            json.dumps(
                {
                    "access-key-id": found["key at the top"],
                    "secret-access-key": "${OF_THE_TOP}",
                    "heartbeat-url": f"{beat}?k={found['query of the heartbeat']}",
                    "socket": {"path": str(tmp_path / "s")},
                    "logging": {"level": "debug"},
                    "dbs": [{"path": str(tmp_path / "app.db"), "monitor-interval": "20ms", "replicas": replicas}],
                }
            )
        )
        environment = peers.clean_environment() | {
            "OF_THE_TOP": found["secret at the top"],
            "AWS_ACCESS_KEY_ID": found["key of the environment"],
            "AWS_SECRET_ACCESS_KEY": found["secret of the environment"],
            "AWS_SESSION_TOKEN": found["token of the environment"],
        }
        with Replicating(tmp_path / "log", "-config", config, environment=environment) as service:
            service.wait_for("control socket")
            service.wait_for("AccessDenied")
            answers = everything(tmp_path, endpoint)
            assert service.running
    text = "\n".join(answers)
    for name, secret in CANARIES.items():
        for spelling in spellings(secret):
            assert spelling not in text, name
    # They were real answers, of failures too.
    assert "AccessDenied" in text
    assert text.count("HTTP/1.1 200 ") > 10


def everything(folder: Path, endpoint: str) -> list[str]:
    """The answers to every request, and to every job, with what a person might have put into its fields."""
    path, database = folder / "s", str(folder / "app.db")
    query, password = CANARIES["query of a URL"], CANARIES["password of a URL"]
    bad = [
        f"s3://user:{password}@bucket/x",
        f"s3://bucket/x?access-key-id=a&secret-access-key={query}",
        f"s3://bucket/x?endpoint={endpoint}&token={query}",
        f"file://user:{password}@host/x",
    ]
    fields = {
        "database": database,
        "output": str(folder / "out.db"),
        "holder": "somebody",
        "lease_seconds": 1.0,
        "replica": "one",
        "points": "none",
        "object": "none",
        "look": "none",
        "table": "t",
        "position": "0123456789abcdef/00000000:0",
        "timeout": 0.2,
        "wait": True,
    }
    answers = []
    bodies: list[dict[str, object]] = []
    for do, kind in REQUESTS.items():
        known = {name: value for name, value in fields.items() if name in kind.__dataclass_fields__}
        bodies.append({"do": do, **known})
    # Where it lacks its scheme nobody but its reader knows it for a URL.
    mangled = {"do": "register", "database": database, "replica_url": f"user:{password}@bucket"}
    bodies.append(dict(mangled))
    for url in bad:
        bodies.append({"do": "register", "database": str(folder / "other.db"), "replica_url": url})
        bodies.append({"do": "restore", "database": database, "output": url})
        bodies.append({"do": "plan", "database": database, "replica": url})
        bodies.append({"do": "plan", "database": url, url: 1})
        answers.append(asked(path, "POST", "/register", {"path": str(folder / "other.db"), "replica_url": url}))
        answers.append(asked(path, "GET", f"/txid?path={quote(url)}"))
        answers.append(asked(path, "GET", f"/v1/status?database={quote(url)}"))
    for body in bodies:
        if body["do"] not in ("unregister", "pause"):
            answers.append(asked(path, "POST", "/v1/jobs", body))
    jobs = json.loads(asked(path, "GET", "/v1/jobs").partition("\r\n\r\n")[2])["jobs"]
    for job in jobs:
        answers.append(asked(path, "GET", f"/v1/jobs/{job['id']}?wait=30"))
    wait_until("an error of each replica", lambda: asked(path, "GET", "/v1/status").count("AccessDenied") >= 2)
    for method, target in routes():
        if (method, target) == ("POST", "/v1/stop"):
            continue
        body = {"path": database, "database": database, "holder": "x", "lease_seconds": 1.0, "timeout": 1}
        answers.append(asked(path, method, target + f"?path={quote(database)}", body if method == "POST" else None))
    return answers
