"""What the server counts, in the text format that Prometheus reads. Labels are names of ours alone: no path, word or key of a client."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

Labels = tuple[tuple[str, str], ...]
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})

COUNTERS = {
    "jessy_requests_total": "Requests by route, method and status.",
    "jessy_answers_total": "Answers by model, level and what ended them.",
    "jessy_tokens_total": "Tokens by model and kind: prompt, answer, thought.",
    "jessy_refused_total": "Requests that were refused before a model saw them, by reason.",
    "jessy_tasks_total": "Tasks of Open WebUI that were answered without a model.",
    "jessy_abandoned_total": "Answers that were cut because their client had left.",
    "jessy_heard_seconds_total": "Whole seconds of sound that were heard.",
    "jessy_spoken_seconds_total": "Whole seconds of sound that were spoken.",
    "jessy_promotions_total": "Models that were taken while the server ran.",
}
HISTOGRAMS = {
    "jessy_request_seconds": "Seconds from a request's first byte to its answer's last, by route.",
    "jessy_queue_seconds": "Seconds that a question waited for the model.",
    "jessy_first_token_seconds": "Seconds from a question's turn to the first word of its answer.",
}


@dataclass(slots=True)
class _Histogram:
    counts: list[int] = field(default_factory=lambda: [0] * (len(_BOUNDS) + 1))
    total: float = 0.0

    def add(self, value: float) -> None:
        place = next((number for number, bound in enumerate(_BOUNDS) if value <= bound), len(_BOUNDS))
        self.counts[place] += 1
        self.total += value


class ServeMetrics:
    """Counters, histograms and gauges, for several threads; a gauge is asked when it is read."""

    def __init__(self) -> None:
        self._counters: dict[str, dict[Labels, int]] = {name: defaultdict(int) for name in COUNTERS}
        self._histograms: dict[str, dict[Labels, _Histogram]] = {name: defaultdict(_Histogram) for name in HISTOGRAMS}
        self._gauges: dict[str, tuple[str, Callable[[], Mapping[Labels, float]]]] = {}
        self._lock = threading.Lock()

    def count(self, name: str, by: int = 1, **labels: str) -> None:
        """Add to a counter of `COUNTERS`."""
        with self._lock:
            self._counters[name][_labels(labels)] += by

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Add a value to a histogram of `HISTOGRAMS`, in seconds."""
        with self._lock:
            self._histograms[name][_labels(labels)].add(value)

    def gauge(self, name: str, says: str, read: Callable[[], Mapping[Labels, float]]) -> None:
        """Let `read` be asked for a gauge whenever the metrics are."""
        self._gauges[name] = (says, read)

    def text(self) -> str:
        """Return everything in Prometheus' text format."""
        with self._lock:
            lines = [*self._counted(), *self._spread()]
        return "\n".join([*lines, *self._asked()]) + "\n"

    def _counted(self) -> Iterator[str]:
        for name, found in self._counters.items():
            yield from _head(name, "counter", COUNTERS[name])
            yield from (_line(name, labels, value) for labels, value in sorted(found.items()))

    def _spread(self) -> Iterator[str]:
        for name, found in self._histograms.items():
            yield from _head(name, "histogram", HISTOGRAMS[name])
            for labels, one in sorted(found.items()):
                so_far = 0
                for bound, count in zip((*map(str, _BOUNDS), "+Inf"), one.counts, strict=True):
                    so_far += count
                    yield _line(f"{name}_bucket", (*labels, ("le", bound)), so_far)
                yield _line(f"{name}_sum", labels, round(one.total, 6))
                yield _line(f"{name}_count", labels, so_far)

    def _asked(self) -> Iterator[str]:
        for name, (says, read) in self._gauges.items():
            yield from _head(name, "gauge", says)
            yield from (_line(name, labels, value) for labels, value in sorted(read().items()))


def _labels(given: Mapping[str, str]) -> Labels:
    return tuple(sorted(given.items()))


def _head(name: str, kind: str, says: str) -> Iterator[str]:
    yield f"# HELP {name} {says}"
    yield f"# TYPE {name} {kind}"


def _line(name: str, labels: Labels, value: float) -> str:
    shown = ",".join(f'{key}="{text.translate(_ESCAPES)}"' for key, text in labels)
    return f"{name}{{{shown}}} {value}" if shown else f"{name} {value}"
