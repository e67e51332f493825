"""The unit of contrib/systemd, read line by line: it needs no systemd to be held to the program."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from replication.engine import CLOSE_SECONDS_MAX
from replication.errors import ConfigError, UsageError
from tests.service.systemd import UNIT
from tui import cli
from tui.verbs.service import EXTEND_SECONDS, OPENING_SECONDS_MAX

YES_OR_NO = r"yes|no"
SECONDS = r"\d+"
ALL_OVER_SECONDS = CLOSE_SECONDS_MAX + 2.0
"""With what else ends then."""
CALLS = r"~?@[a-z-]+"

DIRECTIVES = {
    "Unit": {
        "Description": r".+",
        "After": r"network-online\.target",
        "Wants": r"network-online\.target",
        "StartLimitIntervalSec": r"0",
    },
    "Service": {
        "Type": r"notify",
        "NotifyAccess": r"main",
        "ExecStart": r"/opt/litestream-tui/bin/litestream-tui replicate -config /etc/litestream\.yml",
        "ExecReload": r"/bin/kill -HUP \$MAINPID",
        "EnvironmentFile": r"-/etc/\S+",
        "User": r"app",
        "ReadWritePaths": r"/srv/app",
        "TimeoutStartSec": SECONDS,
        "TimeoutStopSec": SECONDS,
        "WatchdogSec": SECONDS,
        "Restart": r"on-failure",
        "RestartSec": SECONDS,
        "RestartPreventExitStatus": r"[\d ]+",
        "LimitNOFILE": r"\d+",
        "UMask": r"0077",
        "RuntimeDirectory": r"litestream-tui",
        "RuntimeDirectoryMode": r"0700",
        "PrivateTmp": YES_OR_NO,
        "ProtectSystem": r"strict",
        "ProtectHome": YES_OR_NO,
        "PrivateDevices": YES_OR_NO,
        "ProtectClock": YES_OR_NO,
        "ProtectControlGroups": YES_OR_NO,
        "ProtectHostname": YES_OR_NO,
        "ProtectKernelLogs": YES_OR_NO,
        "ProtectKernelModules": YES_OR_NO,
        "ProtectKernelTunables": YES_OR_NO,
        "ProtectProc": r"invisible",
        "NoNewPrivileges": YES_OR_NO,
        "CapabilityBoundingSet": r"",
        "AmbientCapabilities": r"",
        "LockPersonality": YES_OR_NO,
        "MemoryDenyWriteExecute": YES_OR_NO,
        "RestrictAddressFamilies": r"AF_\w+( AF_\w+)*",
        "RestrictNamespaces": YES_OR_NO,
        "RestrictRealtime": YES_OR_NO,
        "RestrictSUIDSGID": YES_OR_NO,
        "SystemCallArchitectures": r"native",
        "SystemCallFilter": CALLS,
        "SystemCallErrorNumber": r"EPERM",
    },
    "Install": {"WantedBy": r"multi-user\.target"},
}
"""Those that systemd.unit(5), systemd.service(5) and systemd.exec(5) of systemd 247 have, and what they may be here."""


def settings() -> list[tuple[str, str, str]]:
    """Section, name and value of each line, in order."""
    found, section = [], ""
    for line in UNIT.read_text().splitlines():
        if line.startswith("#") or not line:
            continue
        if match := re.fullmatch(r"\[(\w+)\]", line):
            section = match[1]
            continue
        name, sign, value = line.partition("=")
        assert sign, line
        found.append((section, name, value))
    return found


def value(name: str) -> str:
    [found] = [item for _, known, item in settings() if known == name]
    return found


def test_every_directive_is_one_that_systemd_has() -> None:
    for section, name, text in settings():
        assert re.fullmatch(DIRECTIVES[section][name], text), (section, name, text)
    assert {(section, name) for section, name, _ in settings()} == {
        (section, name) for section, names in DIRECTIVES.items() for name in names
    }


def test_the_command_is_understood_by_the_program() -> None:
    _, *arguments = shlex.split(value("ExecStart"))
    assert cli._parse(arguments).verb == "replicate"


def test_its_times_fit_the_bounds_of_the_program() -> None:
    assert float(value("TimeoutStopSec")) > 2 * ALL_OVER_SECONDS
    # A start that gets somewhere asks for more, and one database that hangs does not use it up.
    assert float(value("TimeoutStartSec")) > OPENING_SECONDS_MAX + EXTEND_SECONDS
    assert float(value("WatchdogSec")) > 2 * ALL_OVER_SECONDS


def test_what_stays_wrong_is_not_tried_again() -> None:
    assert value("RestartPreventExitStatus").split() == [str(UsageError.exit_code), str(ConfigError.exit_code)]


def test_systemd_itself_has_nothing_to_say_of_it(tmp_path: Path) -> None:
    """Where it is installed. Its paths are of another machine; the program stands in at its place."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd is not installed; its directives are compared with a list above")
    program = tmp_path / "litestream-tui"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/litestream-tui/bin/litestream-tui", str(program)))
    done = subprocess.run([analyze, "verify", "--man=no", unit], capture_output=True, text=True, check=False)
    ours = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert ours == [], done.stderr
