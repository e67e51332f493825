"""Another host by the system's own ssh, with the user's configuration, agent and jump hosts; its errors in words. Pure.

Its promise: ssh asks nothing on our terminal and forwards nothing; what is wrong is told with what to do about it.
"""

import re
import shlex

from replication.config import HostConfig
from replication.control.connection import Process
from replication.control.far import Route

CONNECT_SECONDS = 10
ALIVE_SECONDS = 15
"""An ssh whose host does not answer ends by itself after three times so long, if this program is gone by then."""
COMMAND = "litestream-tui"
_FAILED, _NOT_FOUND, _NOT_RUNNABLE, _USAGE = 255, 127, 126, 2
_OPTIONS = (
    "BatchMode=yes",
    "ClearAllForwardings=yes",
    f"ConnectTimeout={CONNECT_SECONDS}",
    "ForwardAgent=no",
    "ForwardX11=no",
    # Banners are no errors.
    "LogLevel=ERROR",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    f"ServerAliveInterval={ALIVE_SECONDS}",
)
_ADVICE = (
    ("host key verification failed", "its host key is not known here, or is another one: log in once with {ssh}"),
    ("remote host identification has changed", "its host key is another one than before: find out why, then {ssh}"),
    ("permission denied", "log in with {ssh}: it must work without a question, with a key or an agent"),
    ("could not resolve hostname", "no such name: see ~/.ssh/config, or the name"),
    ("connection refused", "nothing listens there: see whether its sshd runs, and on which port"),
    ("timed out", "it is down, or out of reach from here"),
    ("no route to host", "it is down, or out of reach from here"),
)
"""What to do about what ssh says, in small letters."""
_CONNECT = re.compile(r"connect to (host \S+ port \d+): (.+)")


def route(host: HostConfig, read_only: bool = False) -> Route:
    """How to get to a host."""
    return Route(host.name, lambda: Process(command(host, read_only)), lambda code, said: why(host, code, said))


def command(host: HostConfig, read_only: bool = False) -> list[str]:
    """The command line of ssh."""
    options = [word for option in _OPTIONS for word in ("-o", option)]
    return ["ssh", "-T", *options, "--", host.address, remote_command(host, read_only)]


def remote_command(host: HostConfig, read_only: bool = False) -> str:
    """What the shell of that host is given. The command is the user's own, and may be several words."""
    words = ["relay"]
    if host.config:
        words += ["-config", host.config]
    if host.socket:
        words += ["-socket", host.socket]
    if read_only:
        words.append("-read-only")
    return f"{host.command} {shlex.join(words)}"


def why(host: HostConfig, code: int, said: str) -> str:
    """Why the connection ended: from the exit code of ssh, which is that of the remote command or 255, and stderr."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = lines[-1].removeprefix("litestream-tui: ") if lines else ""
    if code == _FAILED:
        for words, advice in _ADVICE:
            found = [line for line in lines if words in line.lower()]
            if found:
                return f"{_short(found[-1])}; {advice.format(ssh=f'ssh {shlex.quote(host.address)}')}"
        return f"the ssh connection ended: {_short(last)}" if last else "the ssh connection ended"
    if code in (_NOT_FOUND, _NOT_RUNNABLE):
        return f"{host.command} is not found there: install it, or say where it is with command: or -host-command"
    if code == _USAGE and "relay" in last and "not a verb" in last:
        return "its litestream-tui is older than this one, and has no relay; install a newer one there"
    if code < 0:
        return f"ssh was ended by signal {-code}"
    if code == 0:
        return "the relay there has ended"
    return f"{last or 'the relay there has ended'} (exit code {code})"


def _short(line: str) -> str:
    """What ssh says with what matters first, for a row that may cut its end."""
    line = line.removeprefix("ssh: ").rstrip(".")
    found = _CONNECT.fullmatch(line)
    return f"{found[2]} by {found[1]}" if found else line
