"""What a step depends on, as JSON in which equal things are equal."""

from __future__ import annotations

from dataclasses import dataclass, field

from jessyfile.evaluation.cases import read_cases
from jessyfile.planning.canonical import digest, normal
from jessyfile.resources import resource


@dataclass(frozen=True, slots=True)
class Answered:
    text: str
    near: object = field(default=None, compare=False)


def test_a_field_that_tells_nothing_apart_is_left_out() -> None:
    assert normal(Answered("sor", near=object())) == normal(Answered("sor")) == {"text": "sor"}


def test_a_shipped_case_can_be_written() -> None:
    """A case held what all cases of its suite look like, and no recipe with a suite could be planned."""
    case = read_cases(resource("data", "eval", "crisis.jsonl"))[0][0]
    assert case.profiles is not None
    assert digest(normal(case))
