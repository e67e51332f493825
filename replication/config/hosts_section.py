"""The hosts of a configuration, read and refused."""

import re

from replication.config.document import Section
from replication.config.program import HostConfig
from replication.config.schema import rows_of
from replication.errors import UsageError
from replication.scrub import quoted

_NAME = re.compile(r"[^\s:/-][^\s:/]*")
_ADDRESS = re.compile(r"[^\s-]\S*")
NAME_CHARS_MAX = 60


def named_host(name: str, command: str = "", config: str = "") -> HostConfig:
    """The host of a command line. Raises UsageError."""
    if problem := _problem(name):
        raise UsageError(f"-host {quoted(name)!r} {problem}")
    default: str = rows_of(HostConfig)["command"].default
    return HostConfig(name, command=command or default, config=config)


def read_hosts(top: Section) -> tuple[HostConfig, ...]:
    """Those that it names; no two have one name."""
    found: dict[str, HostConfig] = {}
    for section in top.sections("hosts", "hosts[]", text_is="name"):
        section.check_keys()
        values = {field: section.read(key) for field, key in rows_of(HostConfig).items()}
        host = HostConfig(**values | {"name": values["name"] or values["ssh"] or ""})
        key = "name" if values["name"] else "ssh"
        if not host.name:
            section.refuse(section.refusal(None, "has no name; add name: and what ssh calls it"))
        elif problem := _problem(host.name):
            section.refuse(section.refusal(key, problem))
        elif not _ADDRESS.fullmatch(host.address):
            section.refuse(section.refusal("ssh", "is nothing that ssh could connect to; write HOST or USER@HOST"))
        elif host.name in found:
            section.refuse(section.refusal(key, f"is {quoted(host.name)!r} already; give each its own name"))
        found[host.name] = host
    return tuple(found.values())


def _problem(name: str) -> str:
    """Why that is no name of a host; "" if it is one."""
    if _NAME.fullmatch(name) and len(name) <= NAME_CHARS_MAX:
        return ""
    return "is no name of a host; write one that ssh knows, such as a Host of ~/.ssh/config, or USER@HOST"
