"""Asking many replicas at once how far they reach, with bounded threads and a bound on waiting.

A store that failed one replica is not asked for the others, and one that stays silent is given up: a thousand
databases whose store is down are reported in the time of one. Nothing is raised; errors are values.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from replication.config import DatabaseConfig, ReplicaConfig
from replication.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    LocalFileError,
    ObjectNotFoundError,
    ReplicationError,
    StorageError,
)
from replication.offline import DatabaseReport, Local, Reach, look, report
from replication.restore.layouts import layout_of
from replication.restore.open_replica import OpenReplica
from replication.storage.open import open_storage

THREADS_MAX = 16
SILENCE_SECONDS_MAX = 10.0
"""With no answer from any replica for so long, those still asked are given up."""

_Question = tuple[int, int, ReplicaConfig, str | None]
"""Which database, which replica of it, its settings, and the generation to look for."""


@dataclass(frozen=True, slots=True)
class SurveyResult:
    """The reports, in the order of the databases; in words what could not be found out, with its exit code or 0."""

    reports: tuple[DatabaseReport, ...]
    complaints: tuple[str, ...]
    exit_code: int

    def and_then(self, other: "SurveyResult") -> "SurveyResult":
        """Both, in that order."""
        reports, complaints = (*self.reports, *other.reports), (*self.complaints, *other.complaints)
        return SurveyResult(reports, complaints, other.exit_code or self.exit_code)


def survey(databases: Sequence[DatabaseConfig], silence_seconds: float = SILENCE_SECONDS_MAX) -> SurveyResult:
    """Look at every local folder, then ask every replica."""
    reports: list[DatabaseReport] = []
    complaints: list[str] = []
    exit_code = passed_over = 0
    found = [look(config) for config in databases]
    answers = _ask(found, silence_seconds)
    now = time.time()
    for number, local in enumerate(found):
        reaches: list[Reach] = []
        for nth, settings in enumerate(local.config.replicas):
            given_up = Reach(settings.name, "", error=_silent(silence_seconds), answer="late")
            reaches.append(answers.get((number, nth), given_up))
        if local.error:
            exit_code = LocalFileError.exit_code
            complaints.append(f"{local.config.path}: {local.error}")
        for item in reaches:
            if item.error is None:
                continue
            exit_code = item.error.exit_code
            if item.answer != "came":
                passed_over += 1
            else:
                complaints.append(f"{local.config.path} replica {item.name}: {item.error}")
        reports.append(report(local, tuple(reaches), now))
    if passed_over:
        complaints.append(f"{passed_over} more replicas did not answer, or were not asked as their store had failed")
    return SurveyResult(tuple(reports), tuple(complaints), exit_code)


def reach(replica: OpenReplica, generation: str | None) -> Reach:
    """How far a replica reaches in a generation, or in its newest one. Raises StorageError."""
    found = layout_of([replica]).reached(replica, generation)
    return Reach(replica.name, replica.address, found.position, found.written, found.broken)


class _Round:
    """One round of questions, for threads that may be left behind when a store hangs."""

    def __init__(self) -> None:
        self.questions: SimpleQueue[_Question] = SimpleQueue()
        self.answers: SimpleQueue[tuple[tuple[int, int], Reach]] = SimpleQueue()
        self._down: dict[str, StorageError] = {}
        """Stores that did not answer, with the error of the first try."""

    def work(self) -> None:
        while True:
            try:
                number, nth, settings, generation = self.questions.get_nowait()
            except Empty:
                return
            self.answers.put(((number, nth), self._answer(settings, generation)))

    def _answer(self, settings: ReplicaConfig, generation: str | None) -> Reach:
        storage = open_storage(settings.location)
        store = settings.location.store if settings.location.is_on_a_server else ""
        if store in self._down:
            return Reach(settings.name, storage.address, error=self._down[store], answer="not asked")
        try:
            return reach(OpenReplica(settings.name, storage), generation)
        except ReplicationError as error:
            of_it_alone = isinstance(error, AccessDeniedError | BucketNotFoundError | ObjectNotFoundError)
            if store and isinstance(error, StorageError) and not of_it_alone:
                self._down[store] = error
            return Reach(settings.name, storage.address, error=error)
        except Exception as error:  # a defect in one answer must not take the others with it
            return Reach(settings.name, storage.address, error=ReplicationError(f"{type(error).__name__}: {error}"))
        finally:
            storage.close()


def _ask(locals_: Sequence[Local], silence_seconds: float) -> dict[tuple[int, int], Reach]:
    """The answers by database and replica; those that did not come in time are not in it."""
    asked = _Round()
    count = 0
    for number, local in enumerate(locals_):
        for nth, settings in enumerate(local.config.replicas):
            asked.questions.put((number, nth, settings, local.generation))
            count += 1
    for number in range(min(THREADS_MAX, count)):
        # Daemons: a thread that hangs at a silent store does not keep the program from ending.
        threading.Thread(target=asked.work, name=f"ask-{number}", daemon=True).start()
    answers: dict[tuple[int, int], Reach] = {}
    while len(answers) < count:
        try:
            key, answer = asked.answers.get(timeout=silence_seconds)
        except Empty:
            break
        answers[key] = answer
    return answers


def _silent(seconds: float) -> StorageError:
    return StorageError(f"no replica answered for {seconds:g} seconds; look at the network, or at the store's address")
