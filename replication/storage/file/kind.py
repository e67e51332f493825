"""Folders of this machine as a kind of store: how one is written in a URL and in the configuration.

A file URL with a host (file://rel/x) is refused: Litestream reads it as /rel/x, which nobody who writes it expects.
"""

from pathlib import Path
from typing import ClassVar

from replication.errors import ConfigError
from replication.storage.file.location import FileLocation
from replication.storage.kind import Kind, Note, Settings
from replication.storage.url_parts import ReplicaURL, clean_path, decode


class FileKind(Kind[FileLocation]):
    """A folder, named by `path`."""

    name: ClassVar[str] = FileLocation.kind
    url_form: ClassVar[str] = "file:///ABSOLUTE/PATH"

    def from_url(self, url: ReplicaURL, note: Note) -> FileLocation:
        host, path = url.host, url.path
        if url.query is not None:
            raise ConfigError("a file replica URL takes no query; write %3F where ? is part of the path")
        if host and (":" in host or "@" in path):
            raise ConfigError(
                "the file replica URL has a host, and perhaps a user and password; a file URL has three slashes and an "
                "absolute path: file:///ABSOLUTE/PATH"
            )
        if host:
            raise ConfigError(
                f"file://{host}{path} names {host} as a host; a file URL has three slashes and an absolute path: "
                f"file:///{host}{path}"
            )
        if not path:
            raise ConfigError("file replica path required: write file:///ABSOLUTE/PATH")
        return FileLocation(Path("/" + clean_path(decode(path, "surrogateescape"))))

    def from_keys(self, settings: Settings) -> FileLocation:
        path = settings.local_path("path")
        if path is None:
            raise settings.refusal(None, "has no path: file replica path required; add path: and a folder")
        return FileLocation(path)


KIND = FileKind()
