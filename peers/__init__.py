"""The real programs of the tests and benchmarks, as `make peers` fetches them: S3 servers, OpenSSH, Litestream."""

from peers.binaries import clean_environment, litestream03, litestream05, peer
from peers.servers import JuiceServer, S3Server, SeaweedServer, running
from peers.sshd import NoOpenSSHError, SSHServer, client_folder, running_ssh
from tui.programs.processes import die_with_parent, free_ports

__all__ = [
    "JuiceServer",
    "NoOpenSSHError",
    "S3Server",
    "SSHServer",
    "SeaweedServer",
    "clean_environment",
    "client_folder",
    "die_with_parent",
    "free_ports",
    "litestream03",
    "litestream05",
    "peer",
    "running",
    "running_ssh",
]
