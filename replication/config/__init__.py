"""litestream.yml as frozen values: what a file means, and what in it is refused, with line and remedy."""

from replication.config.load import config_for, default_config_path, load_config
from replication.config.schema import (
    Config,
    DatabaseConfig,
    DirectoryConfig,
    HostConfig,
    LoggingConfig,
    ReplicaConfig,
    default_meta_path,
)

__all__ = [
    "Config",
    "DatabaseConfig",
    "DirectoryConfig",
    "HostConfig",
    "LoggingConfig",
    "ReplicaConfig",
    "config_for",
    "default_config_path",
    "default_meta_path",
    "load_config",
]
