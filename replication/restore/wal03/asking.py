"""All replicas asked at once what they hold, so that one that is silent does not hold up the others for long.

Its promise: once a replica has answered with something, the others are waited for one time-out at most, and who is
silent is named. It is less only if the caller says that nothing better can come. While none has answered, each has all
its tries. It leaves to the caller what is enough.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from replication.errors import StorageError
from replication.restore.open_replica import OpenReplica
from replication.restore.retry import check
from replication.restore.wal03.catalog import Catalog
from replication.restore.wal03.offers import Refusal

ENOUGH_SECONDS_MIN = 3.0
"""After so long `is_enough` is asked whether the answers that have come are enough."""
SILENCE_SECONDS_MAX = 30.0
"""So long a silent replica is waited for once another has answered: one time-out of a store (s3/timeouts.py)."""
_LOOK_SECONDS = 0.1

Found = tuple[OpenReplica, Catalog]
Question = Callable[[OpenReplica, threading.Event], Sequence[Catalog]]
_Answer = tuple[int, Sequence[Catalog] | BaseException]


@dataclass(frozen=True, slots=True)
class Waiting:
    """`is_enough` is asked once, while some are silent; `tell` is called with words about who is waited for."""

    is_enough: Callable[[Sequence[Found], Sequence[Refusal]], bool]
    tell: Callable[[str], None]


def ask(
    sources: Sequence[OpenReplica], question: Question, stop: threading.Event, waiting: Waiting
) -> tuple[list[Found], list[Refusal]]:
    """What each replica holds, in the order given, and why some could not be asked. Raises RestoreCancelledError."""
    if len(sources) == 1:
        return _sorted(sources, {0: _answer(sources[0], question, stop)}, 0.0)
    came: SimpleQueue[_Answer] = SimpleQueue()
    given_up = threading.Event()

    def work(number: int) -> None:
        try:
            came.put((number, _answer(sources[number], question, given_up)))
        except BaseException as error:  # raised by the thread that waits, whatever it is
            came.put((number, error))

    for number in range(len(sources)):
        # Daemons: one that hangs at a silent store does not keep the program from ending.
        threading.Thread(target=work, args=(number,), name=f"ask-{number}", daemon=True).start()
    try:
        return _wait(sources, came, stop, waiting)
    finally:
        given_up.set()


def _wait(
    sources: Sequence[OpenReplica], came: "SimpleQueue[_Answer]", stop: threading.Event, waiting: Waiting
) -> tuple[list[Found], list[Refusal]]:
    began = time.monotonic()
    answers: dict[int, Sequence[Catalog] | StorageError] = {}
    asked = False
    while len(answers) < len(sources):
        check(stop)
        try:
            number, answer = came.get(timeout=_LOOK_SECONDS)
        except Empty:
            pass
        else:
            if isinstance(answer, BaseException) and not isinstance(answer, StorageError):
                raise answer
            answers[number] = answer
            continue
        passed = time.monotonic() - began
        if passed < ENOUGH_SECONDS_MIN:
            continue
        something = any(
            catalog.snapshots for item in answers.values() if not isinstance(item, StorageError) for catalog in item
        )
        if something and passed >= SILENCE_SECONDS_MAX:
            break
        if asked:
            continue
        asked = True
        if something and waiting.is_enough(*_sorted(sources, answers, passed)):
            break
        names = ", ".join(item.name for number, item in enumerate(sources) if number not in answers)
        waiting.tell(
            f"waiting for replica {names}, which has not answered for {passed:.0f} seconds; it may have later commits "
            f"than the others (for {SILENCE_SECONDS_MAX:.0f} seconds if one of them answers)"
        )
    return _sorted(sources, answers, time.monotonic() - began)


def _answer(source: OpenReplica, question: Question, stop: threading.Event) -> Sequence[Catalog] | StorageError:
    try:
        return question(source, stop)
    except StorageError as error:
        return error


def _sorted(
    sources: Sequence[OpenReplica], answers: dict[int, Sequence[Catalog] | StorageError], seconds: float
) -> tuple[list[Found], list[Refusal]]:
    found: list[Found] = []
    failures: list[Refusal] = []
    for number, source in enumerate(sources):
        answer = answers.get(number) if number in answers else _silent(source, seconds)
        if isinstance(answer, StorageError):
            failures.append(Refusal(source, answer))
        else:
            found += [(source, catalog) for catalog in answer or ()]
    return found, failures


def _silent(source: OpenReplica, seconds: float) -> StorageError:
    return StorageError(
        f"{source.address} has not answered for {seconds:.0f} seconds, and was not waited for any longer. "
        "Look at the network, or at the store's address"
    )
