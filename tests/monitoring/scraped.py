"""What /metrics says, read by the library's own parser, and asked for over real connections."""

import http.client
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

DEADLINE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Answered:
    status: int
    text: str
    content_type: str


def ask(port: int, target: str, method: str = "GET") -> Answered:
    """One request to a server on this machine."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_SECONDS)
    try:
        connection.request(method, target)
        answer = connection.getresponse()
        return Answered(answer.status, answer.read().decode(), answer.getheader("Content-Type") or "")
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class Scrape:
    """A text of metrics: the types of its metrics by their names as written, and its samples."""

    types: dict[str, str]
    samples: dict[tuple[str, frozenset[tuple[str, str]]], float]

    @classmethod
    def of(cls, text: str) -> "Scrape":
        types = {}
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                assert name not in types, f"{name} has two TYPE lines"
                types[name] = kind
        samples: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                # The parser adds _total to the name of every counter that lacks it.
                name = sample.name if sample.name in types else sample.name.removesuffix("_total")
                key = (name, frozenset(sample.labels.items()))
                assert key not in samples, f"{key} is there twice"
                samples[key] = sample.value
        return cls(types, samples)

    @property
    def labels(self) -> dict[str, set[frozenset[str]]]:
        """The sets of labels that the samples of each metric have."""
        found: dict[str, set[frozenset[str]]] = {}
        for name, labels in self.samples:
            found.setdefault(name, set()).add(frozenset(label for label, _ in labels))
        return found

    def value(self, name: str, /, **labels: str) -> float | None:
        """One value, None if it is not there."""
        return self.samples.get((name, frozenset((key.removesuffix("_"), value) for key, value in labels.items())))
