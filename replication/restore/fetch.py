"""Bytes from a replica: in order, several objects at a time, resumed where a stream broke.

Its promises: what comes out is in the order asked for; memory holds at most `parallelism` parts or spools of
bounded size, however big the objects; a dropped stream goes on from the byte it reached, a bounded number of
times. It leaves to the caller: what the bytes mean, and whether they are right beyond the LZ4 checksum.
"""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, TypeVar, cast

from replication.errors import CorruptObjectError, StorageError
from replication.position import OFFSET_LIMIT_BYTES
from replication.restore.catalog import Snapshot, parse_note
from replication.restore.retry import Backoff, check, passes, pause, retrying
from replication.storage import container
from replication.storage.names import SegmentInfo
from replication.storage.replica_client import ReplicaClient, closing_iterator

PART_BYTES = 8 << 20
"""A snapshot larger than this is fetched in parts of this size, several at a time."""
SPOOL_MEMORY_BYTES_MAX = 1 << 20
"""A segment longer than this goes to an unlinked file in the folder of the output."""
PARALLELISM_MAX = 64
_POLL_SECONDS = 0.1
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Fetched:
    """One segment, decompressed and checked by its LZ4 checksum. Close it to give its space back."""

    info: SegmentInfo
    content: IO[bytes]
    length: int
    note: container.Note | None

    def read_at(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`, fewer at the end."""
        self.content.seek(offset)
        return self.content.read(length)

    def close(self) -> None:
        """Let go of the content."""
        self.content.close()


class Fetcher:
    """Reads objects of one replica for one restore. `stop` ends every wait and every stream.

    Once one of its iterators has been left before its end, the others end too: that restore has failed.
    `count` is told the stored bytes of each chunk as it comes, from the caller's thread or a fetching one.
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
        info, head, stored = snapshot.info, bytearray(), 0

        def remember(chunks: Iterable[bytes]) -> Iterator[bytes]:
            nonlocal stored
            for chunk in chunks:
                stored += len(chunk)
                head.extend(chunk[: max(0, container.NOTE_SIZE_MAX - len(head))])
                yield chunk

        with closing_iterator(self._parts(info.name, info.size)) as chunks:
            yield from container.decompress(info.name, remember(chunks))
        try:
            note = parse_note(container.decode_note(bytes(head)), info)
        except ValueError as error:
            raise CorruptObjectError(info.name, str(error)) from None
        if stored != info.size or note != snapshot.note:
            # It may hold later commits than the plan counts on.
            raise CorruptObjectError(info.name, "it was written anew while it was read")

    def segments(self, infos: Sequence[SegmentInfo]) -> Generator[Fetched, None, None]:
        """The segments, in order; the caller closes each, and the generator. Raises as `snapshot`."""
        return self._ordered([partial(self._spool, info) for info in infos])

    def head(self, name: str, size: int) -> bytes:
        """The first bytes of an object's content. Raises as `snapshot`."""
        return retrying(lambda: self._client.read_head(name, size), self._backoff, self._stop)

    def _spool(self, info: SegmentInfo) -> Fetched:
        head = bytearray()

        def remember(chunks: Iterable[bytes]) -> Iterator[bytes]:
            for chunk in chunks:
                if len(head) < container.NOTE_SIZE_MAX:
                    head.extend(chunk[: container.NOTE_SIZE_MAX - len(head)])
                yield chunk

        spool = SpooledTemporaryFile(SPOOL_MEMORY_BYTES_MAX, dir=str(self._folder))  # noqa: SIM115
        content = cast(IO[bytes], spool)
        try:
            length = 0
            with closing_iterator(self._stream(info.name, 0, info.size, None, self._abandoned)) as chunks:
                for piece in container.decompress(info.name, remember(chunks)):
                    content.write(piece)
                    length += len(piece)
                    if info.offset + length > OFFSET_LIMIT_BYTES:
                        raise CorruptObjectError(info.name, "it holds more than one life of a WAL can")
            note = container.decode_note(bytes(head))
        except ValueError as error:
            content.close()
            raise CorruptObjectError(info.name, str(error)) from None
        except BaseException:
            content.close()
            raise
        return Fetched(info, content, length, note)

    def _parts(self, name: str, size: int) -> Iterator[bytes]:
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
    """Close what nobody will take."""
    if not future.cancelled() and future.exception() is None and isinstance(answer := future.result(), Fetched):
        answer.close()
