"""What is under way to a replica and what was done, as a status shows it."""

import threading
import time
from collections import deque
from dataclasses import dataclass, replace

from replication.status import UPLOADS_MAX, Upload


@dataclass(frozen=True, slots=True)
class UploadProgress:
    """The object under way and the totals. Replaced as a whole, so that any thread may read it."""

    object_name: str = ""
    object_bytes: int = 0
    object_total_bytes: int = 0
    objects_written: int = 0
    bytes_written: int = 0
    last_upload: float = 0.0


class LastUploads:
    """The last objects written, at most UPLOADS_MAX. Safe from any thread."""

    def __init__(self) -> None:
        self._uploads: deque[Upload] = deque(maxlen=UPLOADS_MAX)
        self._lock = threading.Lock()

    def add(self, upload: Upload) -> None:
        """Add one, in place of the oldest if there are too many."""
        with self._lock:
            self._uploads.append(upload)

    def all(self) -> tuple[Upload, ...]:
        """Oldest first."""
        with self._lock:
            return tuple(self._uploads)


class UploadMeter:
    """Counts what one thread at a time writes; `progress` and `uploads` may be read by any."""

    def __init__(self, uploads: LastUploads | None = None) -> None:
        """`uploads` takes what is written; several meters may share it."""
        self.progress = UploadProgress()
        self.uploads = uploads or LastUploads()
        self.wal_bytes = 0
        """Uncompressed bytes of WAL in all that was stored."""
        self._began = 0.0

    def recall(self, when: float) -> None:
        """An object was written then, before this process began or by whoever had the database meanwhile."""
        self.progress = replace(self.progress, last_upload=max(when, self.progress.last_upload))

    def started(self, name: str, total: int) -> None:
        """An object of so many bytes is about to be written."""
        self._began = time.monotonic()
        self.progress = replace(self.progress, object_name=name, object_bytes=0, object_total_bytes=total)

    def sent(self, size: int) -> None:
        """So many bytes more of the object were sent."""
        self.progress = replace(self.progress, object_bytes=self.progress.object_bytes + size)

    def gave_up(self) -> None:
        """The object under way is not written after all."""
        self.progress = replace(self.progress, object_name="", object_bytes=0, object_total_bytes=0)

    def finished(self, stored: int, wal_bytes: int = 0) -> None:
        """The object under way is stored, in so many bytes. `wal_bytes` of its content were WAL."""
        self.wal_bytes += wal_bytes
        progress, now = self.progress, time.time()
        took = time.monotonic() - self._began
        self.uploads.add(Upload(progress.object_name, progress.object_total_bytes, stored, now, took))
        # Without `replace`, which would cost every commit more.
        self.progress = UploadProgress(
            objects_written=progress.objects_written + 1,
            bytes_written=progress.bytes_written + stored,
            last_upload=now,
        )

    def count_unlisted(self, stored: int) -> None:
        """Count an object that was stored and is not listed among the uploads."""
        progress = self.progress
        self.progress = replace(
            progress, objects_written=progress.objects_written + 1, bytes_written=progress.bytes_written + stored
        )


def together(one: UploadProgress, other: UploadProgress) -> UploadProgress:
    """What two threads do for one replica. Of two objects under way it names the one of `one`."""
    shown = one if one.object_name else other
    return UploadProgress(
        shown.object_name,
        shown.object_bytes,
        shown.object_total_bytes,
        one.objects_written + other.objects_written,
        one.bytes_written + other.bytes_written,
        max(one.last_upload, other.last_upload),
    )
