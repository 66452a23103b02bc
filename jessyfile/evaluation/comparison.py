"""What a model was found to be worth in four numbers, and what tuning changed."""

from __future__ import annotations

from dataclasses import dataclass, fields

from jessyfile.errors import EvaluationError

_SHARES = ("turkish_accuracy", "personality_score", "iteration_efficiency")


@dataclass(frozen=True, slots=True)
class EvaluationMetrics:
    """Shares from 0 to 1, and the seconds that an answer takes on average."""

    turkish_accuracy: float
    response_time_avg: float
    personality_score: float
    iteration_efficiency: float

    def __post_init__(self) -> None:
        for name in _SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise EvaluationError(f"{name} is {getattr(self, name)}, not a share from 0 to 1", hint="90 % is 0.9")
        if not 0 <= self.response_time_avg < float("inf"):
            raise EvaluationError(f"response_time_avg is {self.response_time_avg}, not a number of seconds")

    def report(self) -> str:
        """Return four lines, one a number."""
        return "\n".join(f"{title}: {_written(name, getattr(self, name))}" for name, title in _TITLES.items())


_TITLES = {
    "turkish_accuracy": "Turkish Understanding",
    "response_time_avg": "Avg Response Time",
    "personality_score": "Personality Preservation",
    "iteration_efficiency": "Iteration Efficiency",
}


def _written(name: str, value: float) -> str:
    return f"{value:.1%}" if name in _SHARES else f"{value:.2f}s"


@dataclass(frozen=True, slots=True)
class ComparisonReport:
    """The same four numbers before and after tuning."""

    before: EvaluationMetrics
    after: EvaluationMetrics

    @property
    def changes(self) -> EvaluationChanges:
        """After minus before."""
        return EvaluationChanges(
            *(getattr(self.after, field.name) - getattr(self.before, field.name) for field in fields(self.after))
        )

    def report(self) -> str:
        """Return four lines, each with the number before and after."""
        return "\n".join(
            f"{title}: {_written(name, getattr(self.before, name))} -> {_written(name, getattr(self.after, name))}"
            for name, title in _TITLES.items()
        )


@dataclass(frozen=True, slots=True)
class EvaluationChanges:
    """By how much each number changed; a lower response time is the better one."""

    turkish_accuracy: float
    response_time_avg: float
    personality_score: float
    iteration_efficiency: float
