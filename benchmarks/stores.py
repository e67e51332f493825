"""Where the programs replicate to in a measurement: a folder, or an S3 server behind a counting proxy.

Both tell what was stored at which moment (`sought`), how many objects were stored and how many requests were made.
A database number N has its replica below `db-N`, in every layout.
"""

import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from inotify_simple import INotify, flags

from benchmarks.proxy import CountingProxy
from benchmarks.sought import PIECE_BYTES, Search, Sought
from peers import S3Server, clean_environment

BUCKET = "tests"
UPLOADS_AT_ONCE = 8


def place(database: int) -> str:
    """The folder of a database's replica."""
    return f"db-{database:04}"


class Store(Protocol):
    """One place for one measurement."""

    name: str
    sought: Sought

    @property
    def objects(self) -> int: ...

    @property
    def requests(self) -> int | None: ...

    def replica(self, database: int) -> dict[str, str | bool]:
        """The keys of a replica in a configuration."""

    def environment(self) -> dict[str, str]:
        """What a program needs beside its configuration."""

    def copy_from(self, folder: Path) -> None:
        """Put a replica that lies in a folder here, as that of database 0."""


class FileStore:
    """A folder whose new files are seen through inotify when they get their name."""

    name = "file"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True)
        self.sought = Sought()
        self.objects = 0
        self.requests = None
        self._folders: dict[int, Path] = {}
        self._inotify = INotify()
        self._ending = False
        self._add(folder)
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def replica(self, database: int) -> dict[str, str | bool]:
        return {"type": "file", "path": str(self._folder / place(database))}

    def environment(self) -> dict[str, str]:
        return clean_environment()

    def copy_from(self, folder: Path) -> None:
        shutil.copytree(folder, self._folder / place(0))

    def close(self) -> None:
        self._ending = True
        self._thread.join()
        self._inotify.close()

    def _watch(self) -> None:
        while not self._ending:
            for event in self._inotify.read(timeout=100):
                at = time.monotonic()
                folder = self._folders.get(event.wd)
                if folder is None:
                    continue
                path = folder / event.name
                if event.mask & flags.ISDIR:
                    with suppress(FileNotFoundError, NotADirectoryError):
                        self._add(path)
                elif path.suffix != ".tmp":
                    # By a rename, or as a new name of a written file.
                    self._see(path, at)

    def _add(self, folder: Path) -> None:
        """Watch a folder and all below; what got in before that is seen now."""
        watch = self._inotify.add_watch(folder, flags.CREATE | flags.MOVED_TO | flags.ONLYDIR)
        self._folders[watch] = folder
        at = time.monotonic()
        for path in folder.iterdir():
            if path.is_dir():
                self._add(path)
            elif path.suffix != ".tmp":
                self._see(path, at)

    def _see(self, path: Path, at: float) -> None:
        self.objects += 1
        database = int(path.relative_to(self._folder).parts[0].removeprefix("db-"))
        wanted = self.sought.wanted(database)
        if not wanted:
            return
        search = Search(wanted)
        # It may be removed again at once.
        with suppress(FileNotFoundError), path.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                search.feed(piece)
        self.sought.arrived(search.found, at)


class S3Store:
    """A fresh folder on an S3 server, through a proxy of its own."""

    name = "s3"

    def __init__(self, server: S3Server) -> None:
        self._server = server
        self._path = uuid.uuid4().hex
        self.sought = Sought()
        self.proxy = CountingProxy(server.endpoint, self.sought)

    def begin_anew(self) -> None:
        """Go on in another fresh folder, for other databases of the same numbers."""
        self._path = uuid.uuid4().hex

    @property
    def objects(self) -> int:
        return self.proxy.puts

    @property
    def requests(self) -> int:
        return self.proxy.requests

    def replica(self, database: int) -> dict[str, str | bool]:
        return {
            "type": "s3",
            "bucket": BUCKET,
            "path": f"{self._path}/{place(database)}",
            "endpoint": self.proxy.endpoint,
            "region": "us-east-1",
            "force-path-style": True,
        }

    def environment(self) -> dict[str, str]:
        return self._server.litestream_environment()

    def copy_from(self, folder: Path) -> None:
        client = self._server.client()

        def put(file: Path) -> None:
            key = f"{self._path}/{place(0)}/{file.relative_to(folder)}"
            client.put_object(Bucket=BUCKET, Key=key, Body=file.read_bytes())

        with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
            list(pool.map(put, [path for path in sorted(folder.rglob("*")) if path.is_file()]))
        client.close()

    def close(self) -> None:
        self.proxy.down()


@contextmanager
def file_store(folder: Path) -> Iterator[FileStore]:
    """A store that is closed at the end of the block; its files are left to the caller."""
    store = FileStore(folder)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def s3_store(server: S3Server) -> Iterator[S3Store]:
    """A store whose proxy is gone at the end of the block; the server is the caller's."""
    store = S3Store(server)
    try:
        yield store
    finally:
        store.close()
