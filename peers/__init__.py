"""The real programs of the tests and the benchmarks: S3 servers and Litestream, as `make peers` fetches them."""

from peers.binaries import clean_environment, litestream03, litestream05, peer
from peers.servers import JuiceServer, S3Server, SeaweedServer, running
from tui.programs.processes import die_with_parent, free_ports

__all__ = [
    "JuiceServer",
    "S3Server",
    "SeaweedServer",
    "clean_environment",
    "die_with_parent",
    "free_ports",
    "litestream03",
    "litestream05",
    "peer",
    "running",
]
