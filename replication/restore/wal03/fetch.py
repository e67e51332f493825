"""Bytes from a replica: in order, several objects at a time, resumed where a stream broke.

Its promises: what comes out is in the order asked for; memory holds at most `parallelism` parts or spools of
bounded size, however big the objects; a dropped stream goes on from the byte it reached, a bounded number of
times. It leaves to the caller: what the bytes mean, and whether they are right beyond the LZ4 checksum.
Small segments are read in batches, each of which is one task for a thread and one spool (segment_run.py).
"""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import closing
from functools import partial
from io import BytesIO
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, TypeVar, cast

from replication.errors import CorruptObjectError, ReplicationError, StorageError
from replication.position import OFFSET_LIMIT_BYTES
from replication.restore.retry import Backoff, check, passes, pause, retrying
from replication.restore.wal03.catalog import Snapshot
from replication.restore.wal03.segment_run import SegmentRun
from replication.storage.closing import closing_iterator
from replication.storage.codec import WHOLE_BYTES_MAX, Opener
from replication.storage.note_fields import NoteFields
from replication.storage.wal03.names import SegmentInfo
from replication.storage.wal03.notes import SegmentNote, believed, read_segment_note, read_snapshot_note
from replication.storage.wal03.replica_client import ReplicaClient

PART_BYTES = 4 << 20
"""A snapshot larger than this is fetched in parts of this size, several at a time."""
SPOOL_MEMORY_BYTES_MAX = 4 << 20
"""Segments that are longer than this together go to an unlinked file in the folder of the output."""
SMALL_OBJECT_BYTES_MAX = WHOLE_BYTES_MAX
"""A stored segment of at most this size is read in a batch with its neighbours."""
BATCH_OBJECTS_MAX = 64
BATCH_BYTES_MAX = 512 << 10
"""Stored bytes of the segments in a batch."""
BATCHES_PER_THREAD = 4
"""With fewer segments the batches are smaller, so that every thread has some."""
PARALLELISM_MAX = 64
_POLL_SECONDS = 0.1
_T = TypeVar("_T")


class Fetcher:
    """Reads objects of one replica for one restore. `stop` ends every wait and every stream.

    Once one of its iterators has been left before its end, the others end too: that restore has failed.
    `count` is called with the stored bytes of each chunk as it comes, from the caller's thread or a fetching one.
    """

    def __init__(
        self,
        client: ReplicaClient,
        folder: Path,
        stop: threading.Event,
        parallelism: int,
        count: Callable[[int], None] = lambda size: None,
        backoff: Backoff = Backoff(),  # noqa: B008 (frozen)
    ) -> None:
        self._client = client
        self._folder = folder
        self._stop = stop
        self._abandoned = threading.Event()
        self._parallelism = max(1, min(parallelism, PARALLELISM_MAX))
        self._count = count
        self._backoff = backoff

    def snapshot(self, snapshot: Snapshot) -> Generator[bytes, None, None]:
        """The content of a snapshot in pieces; large ones are read in several parts at a time.

        Raises ObjectNotFoundError, CorruptObjectError, StorageError, RestoreCancelledError; the second also at the
        end of another snapshot of the same name, which was written since this one was listed.
        """
        info, stored = snapshot.info, 0

        def counted(chunks: Iterable[bytes]) -> Iterator[bytes]:
            nonlocal stored
            for chunk in chunks:
                stored += len(chunk)
                yield chunk

        with closing_iterator(self.stored(info.name, info.size)) as chunks:
            opened = self._client.codec.open(info.name, counted(chunks))
            yield from opened
        if stored != info.size or believed(read_snapshot_note(info.name, opened.note)) != snapshot.note:
            # A snapshot that was written meanwhile may hold later commits than the plan counts on.
            raise CorruptObjectError(info.name, "it was written anew while it was read")

    def segments(self, infos: Sequence[SegmentInfo], by_index: bool = False) -> Generator[SegmentRun, None, None]:
        """The segments, in order; the caller closes each run, and the generator. Raises as `snapshot`.

        Segments before one that cannot be read are yielded first. With `by_index` only the index is read of those that
        bring one.
        """
        load = self._load_index if by_index else self._load
        with closing(self._ordered([partial(load, batch) for batch in self._batches(infos)])) as runs:
            for run in runs:
                yield run
                if run.failure is not None:
                    raise run.failure

    def head(self, name: str, size: int) -> bytes:
        """The first bytes of an object's content. Raises as `snapshot`."""
        return retrying(lambda: self._client.read_head(name, size), self._backoff, self._stop)

    def segment_note(self, name: str) -> SegmentNote | None:
        """The note of a segment. Raises as `snapshot`."""
        return retrying(lambda: self._client.segment_note(name), self._backoff, self._stop)

    def _batches(self, infos: Sequence[SegmentInfo]) -> Iterator[list[SegmentInfo]]:
        """Segments that are read by one thread into one spool: a large one, or small ones of the same index."""
        share = -(-len(infos) // (self._parallelism * BATCHES_PER_THREAD))
        objects_max = max(1, min(share, BATCH_OBJECTS_MAX))
        batch: list[SegmentInfo] = []
        size = 0
        for info in infos:
            small = info.size <= SMALL_OBJECT_BYTES_MAX and size + info.size <= BATCH_BYTES_MAX
            if batch and (not small or len(batch) >= objects_max or info.index != batch[0].index):
                yield batch
                batch, size = [], 0
            batch.append(info)
            # Nothing is added to a large one.
            size += info.size if info.size <= SMALL_OBJECT_BYTES_MAX else BATCH_BYTES_MAX
        if batch:
            yield batch

    def _load_index(self, infos: Sequence[SegmentInfo]) -> SegmentRun:
        """The index of a large segment, if it brings one, or the segments."""
        [info, *others] = infos
        if others or info.size <= SMALL_OBJECT_BYTES_MAX:
            return self._load(infos)

        def read(offset: int, length: int | None) -> Iterator[bytes]:
            return self._stream(info.name, offset, length or info.size, length, self._abandoned)

        index = self._client.frame_index(info, read)
        if index is None:
            return self._load(infos)
        # The note of the first one of an index tells what was before it.
        note = self.segment_note(info.name) if not info.offset else None
        content = BytesIO(index.header.pack() if not info.offset else b"")
        return SegmentRun(infos, [index.length], content, note, frame_index=index, whole=partial(self._load, infos))

    def _load(self, infos: Sequence[SegmentInfo]) -> SegmentRun:
        """A batch of segments. If one of it cannot be read, those before it are returned, if there are any."""
        opener = self._client.codec.opener()
        lengths: list[int] = []
        note: NoteFields | None = None
        failure: ReplicationError | None = None
        spool = SpooledTemporaryFile(SPOOL_MEMORY_BYTES_MAX, dir=str(self._folder))  # noqa: SIM115
        content = cast(IO[bytes], spool)
        try:
            for info in infos:
                length, its_note = self._unpack(info, opener, content)
                note = note if lengths else its_note
                lengths.append(length)
        except BaseException as error:
            if not lengths or not isinstance(error, ReplicationError):
                content.close()
                raise
            failure = error
        return SegmentRun(infos[: len(lengths)], lengths, content, believed(read_segment_note(note)), failure=failure)

    def _unpack(self, info: SegmentInfo, opener: Opener, content: IO[bytes]) -> tuple[int, NoteFields | None]:
        """Append what a segment holds to `content`. Return its length in bytes, and its note."""
        length = 0
        with closing_iterator(self._stream(info.name, 0, info.size, None, self._abandoned)) as stored:
            opened = opener.open(info.name, stored)
            for piece in opened:
                length += len(piece)
                if info.offset + length > OFFSET_LIMIT_BYTES:
                    raise CorruptObjectError(info.name, "it holds more than one life of a WAL can")
                content.write(piece)
        return length, opened.note

    def stored(self, name: str, size: int) -> Iterator[bytes]:
        """The stored bytes of an object of that size; of a large one several parts are read at a time."""
        if size <= PART_BYTES or self._parallelism == 1:
            yield from self._stream(name, 0, size, None, self._stop)
            return
        parts = [
            partial(self._part, name, start, min(PART_BYTES, size - start)) for start in range(0, size, PART_BYTES)
        ]
        with closing(self._ordered(parts)) as ordered:
            for part in ordered:
                yield from part

    def _part(self, name: str, start: int, size: int) -> list[bytes]:
        return list(self._stream(name, start, size, size, self._abandoned))

    def _stream(self, name: str, start: int, size: int, length: int | None, stop: threading.Event) -> Iterator[bytes]:
        """`length` stored bytes from `start`, or all the rest, going on after a fault.

        `size` is how many there should be: once they are read, a fault matters no more.
        """
        done = failures = restarts = 0
        while done < size or done == 0:
            check(stop)
            before = done
            try:
                rest = None if length is None else length - done
                with closing_iterator(self._client.storage.get(name, start + done, rest)) as chunks:
                    for chunk in chunks:
                        check(stop)
                        done += len(chunk)
                        self._count(len(chunk))
                        yield chunk
                return
            except StorageError as error:
                failures = 1 if done > before else failures + 1
                restarts += 1
                if not passes(error) or failures >= self._backoff.tries_max or restarts > self._backoff.restarts_max:
                    raise
                pause(self._backoff, failures, error, stop)

    def _ordered(self, tasks: Sequence[Callable[[], _T]]) -> Generator[_T, None, None]:
        """The answers of `tasks` in their order, at most `parallelism` of them begun and not yet taken."""
        pool = ThreadPoolExecutor(self._parallelism, thread_name_prefix="restore-fetch")
        waiting: deque[Future[_T]] = deque()
        remaining = iter(tasks)
        finished = False
        try:
            for task in remaining:
                waiting.append(pool.submit(task))
                if len(waiting) >= self._parallelism:
                    answer = self._take(waiting[0])
                    waiting.popleft()
                    yield answer
            while waiting:
                answer = self._take(waiting[0])
                waiting.popleft()
                yield answer
            finished = True
        finally:
            if not finished:
                # Streams still open end at their next chunk; nobody waits for a store that does not answer.
                self._abandoned.set()
                for future in waiting:
                    future.add_done_callback(_discard)
            pool.shutdown(wait=finished, cancel_futures=True)

    def _take(self, future: "Future[_T]") -> _T:
        """The answer, looking up now and then to see whether the restore is to stop."""
        while True:
            check(self._stop)
            try:
                return future.result(timeout=_POLL_SECONDS)
            except FutureTimeoutError:
                if future.done():
                    raise


def _discard(future: "Future[_T]") -> None:
    """Close a result that will not be taken."""
    if not future.cancelled() and future.exception() is None and isinstance(answer := future.result(), SegmentRun):
        answer.close()
