"""Answers that people wrote for a case: good ones, and bad ones by what is wrong with them (`grammar/reference.schema.json`).

They lie in the folder `references` beside a suite's file and under its name: those of `mine.jsonl` in `references/mine.jsonl`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from jessyfile.dataset.places import shown_path
from jessyfile.errors import EvaluationError
from jessyfile.evaluation.cases import Case, load_suites
from jessyfile.evaluation.suite_inputs import reference_path
from jessyfile.resources import resource
from jessyfile.results.typed_json import read_as
from jessyfile.text.json_lines import Fault, Line, read_jsonl
from jessyfile.text.turkish import nfc

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.language.recipe import Recipe, Suite

Split = Literal["development", "final"]
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class References:
    """A case's good answers, and its bad ones by kind (`wrong`, `off`, `voice`, `cold`), without markers.

    Checks may be tuned on those of the split `development`; on `final` they are measured. `more` are good and bad answers for the
    checks alone.
    """

    case: str
    split: Split
    good: tuple[str, ...]
    bad: Mapping[str, tuple[str, ...]]
    more: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def load_references(recipe: Recipe, root: Path) -> list[tuple[Case, References]]:
    """Return the cases that the recipe answers and that have references in the split of its `contrast`, suite by suite.

    Raises EvaluationError with file and line for the first few mistakes.
    """
    lines = [one for suite in recipe.evaluation.suites for one in suite_references(suite, recipe, root)]
    found = {one.case: one for one in lines if one.split == recipe.evaluation.contrast}
    return [(case, found[case.id]) for case in load_suites(recipe, root) if case.id in found]


def suite_references(suite: Suite, recipe: Recipe, root: Path) -> list[References]:
    """Return a suite's references, none where it has no file of them. Raises EvaluationError as `load_references` does."""
    path = reference_path(suite, recipe, root)
    if path is None:
        return []
    cases = {str(item.value.get("id")) for item in read_jsonl(path.parent.parent / path.name) if isinstance(item, Line)}
    found, faults = read_references(path, cases, shown_path(path, root))
    if faults:
        rest = f" (and {len(faults) - _SHOWN} more)" if len(faults) > _SHOWN else ""
        shown = "; ".join(map(str, faults[:_SHOWN]))
        raise EvaluationError(
            f"reference answers have mistakes: {shown}{rest}", hint="docs/evaluation.md describes reference answers"
        )
    return found


def read_references(
    path: Path, cases: Collection[str], name: str | None = None
) -> tuple[list[References], list[Fault]]:
    """Return a file's sound references and everything that is wrong with the others.

    Args:
        path: the file.
        cases: the ids of the suite's cases.
        name: stands for the file in faults.

    Returns:
        The references in the file's order, and the faults with their lines.
    """
    shown = name or path.name
    found, faults, seen = list[References](), list[Fault](), dict[str, int]()
    for item in read_jsonl(path, shown):
        if isinstance(item, Fault):
            faults.append(item)
            continue
        wrong = [*_mistakes(item), *_misplaced(item, cases, seen)]
        faults += [Fault(shown, item.number, text) for text in wrong]
        seen.setdefault(str(item.value.get("case")), item.number)
        if not wrong:
            found.append(_references(item))
    return found, faults


def _mistakes(line: Line) -> Iterator[str]:
    errors = sorted(_validator().iter_errors(line.value), key=lambda error: list(map(str, error.absolute_path)))
    for error in errors[:3]:
        place = "/".join(map(str, error.absolute_path)) or "the line"
        yield f"{place}: {error.message.splitlines()[0][:200]}"
    if not errors:
        yield from _repeated(_references(line))


def _repeated(one: References) -> Iterator[str]:
    places: dict[str, str] = {}
    more = {f"more/{kind}": answers for kind, answers in one.more.items()}
    for kind, answers in {"good": one.good, **one.bad, **more}.items():
        for number, answer in enumerate(answers):
            place = f"{kind}/{number}"
            if not answer:
                yield f"{place}: an answer of white space alone"
            elif answer in places:
                yield f"{place}: the same answer as {places[answer]}"
            places.setdefault(answer, place)


def _misplaced(line: Line, cases: Collection[str], seen: Mapping[str, int]) -> Iterator[str]:
    case = str(line.value.get("case"))
    if case in seen:
        yield f"case: `{case}` has its references in line {seen[case]} already"
    elif "case" in line.value and case not in cases:
        yield f"case: the suite has no case `{case}`"


def _references(line: Line) -> References:
    found = read_as(References, line.value, "the line")
    bad, more = ({kind: _texts(some) for kind, some in kinds.items()} for kinds in (found.bad, found.more))
    return replace(found, good=_texts(found.good), bad=bad, more=more)


def _texts(answers: Sequence[str]) -> tuple[str, ...]:
    return tuple(nfc(answer).strip() for answer in answers)


@cache
def _validator() -> Any:  # noqa: ANN401 (jsonschema ships no types)
    from jsonschema import Draft202012Validator

    schema = json.loads(resource("grammar", "reference.schema.json").read_text(encoding="utf-8"))
    return Draft202012Validator(schema)
