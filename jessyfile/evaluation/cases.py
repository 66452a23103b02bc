"""Evaluation cases and their checks, read strictly from a suite's file (`grammar/case.schema.json`)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jessyfile.dataset.example import Turn
from jessyfile.dataset.places import reference_paths
from jessyfile.errors import EvaluationError
from jessyfile.evaluation.plugin_rules import built_in_checks
from jessyfile.evaluation.profiles import Profiles  # read back with a case: `results.typed_json` looks types up here
from jessyfile.evaluation.suite_inputs import even_sample, suite_path, trained_cases
from jessyfile.language.fit import errors_of
from jessyfile.planning.canonical import canonical
from jessyfile.plugins import CHECKS, find_plugin
from jessyfile.resources import resource
from jessyfile.text.json_lines import Fault, Line, read_jsonl
from jessyfile.text.patterns import pattern_fault, says_nothing
from jessyfile.text.turkish import nfc

if TYPE_CHECKING:
    from jessyfile.language.recipe import Recipe, Suite
    from jessyfile.language.table import Schema

JSON = "json"
LIKE = "like"
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Check:
    """One check of an answer: its kind and what the kind asks for; `grammar/case.schema.json` says what each field means."""

    kind: str
    words: tuple[str, ...] = ()
    pattern: str = ""
    least: int = 0
    most: int | None = None
    numbers: tuple[float, ...] = ()
    also: tuple[float, ...] = ()
    others: bool = False
    options: tuple[tuple[str, ...], ...] = ()
    right: int | None = None
    mood: str = ""
    asking: bool = False
    fields: tuple[tuple[str, str], ...] = ()
    texts: tuple[str, ...] = ()
    alike: float = 0.0


@dataclass(frozen=True, slots=True)
class Case:
    """A question with what it deserves: level, language, and checks of form and of content.

    `good` and `bad` are answers that people wrote for it, from the folder `references` beside the suite's file; `profiles`
    are of all questions of its suite that have some.
    """

    id: str
    suite: str
    prompt: str
    level: str
    language: str
    turns: tuple[Turn, ...] = ()
    form: tuple[Check, ...] = ()
    relevance: tuple[Check, ...] = ()
    tags: tuple[str, ...] = ()
    good: tuple[str, ...] = ()
    bad: tuple[str, ...] = ()
    profiles: Profiles | None = field(default=None, compare=False, repr=False)

    @property
    def plain(self) -> bool:
        """Whether the case says itself what a right answer is, so that no persona's ways are asked of it."""
        return any(check.kind in (JSON, LIKE) for check in (*self.form, *self.relevance))


def load_suites(recipe: Recipe, root: Path) -> list[Case]:
    """Return every case the recipe answers, suite by suite, each suite cut to its limit; those whose reference answers PREFER
    trains are left out. Raises EvaluationError."""
    cases = [case for suite in recipe.evaluation.suites for case in load_suite(suite, recipe, root)]
    name, times = Counter(case.id for case in cases).most_common(1)[0] if cases else ("", 0)
    if times > 1:
        raise EvaluationError(f"{times} cases are called `{name}`", hint="give every case an id of its own")
    return cases


def load_suite(suite: Suite, recipe: Recipe, root: Path) -> list[Case]:
    """Return one suite's cases. Raises EvaluationError with file and line for the first few mistakes."""
    path = suite_path(suite, recipe, root)
    cases, faults = read_cases(path)
    if faults:
        rest = f" (and {len(faults) - _SHOWN} more)" if len(faults) > _SHOWN else ""
        shown = "; ".join(map(str, faults[:_SHOWN]))
        raise EvaluationError(
            f"the suite `{suite.name}` has mistakes: {shown}{rest}", hint="data/README.md describes a case"
        )
    trained = trained_cases(path, recipe)
    asked = [case for case in cases if case.id not in trained]
    if not asked:
        raise EvaluationError(
            f"the suite `{suite.name}` has no cases{' besides those that PREFER trains' if cases else ''}",
            hint="write cases into its file, or leave the SUITE out",
        )
    return even_sample(asked, suite.limit)


def read_cases(path: Path, name: str | None = None) -> tuple[list[Case], list[Fault]]:
    """Return a file's sound cases and everything that is wrong with the others; `name` stands for the file in faults."""
    shown, known = name or path.name, _references(path)
    cases, faults = list[Case](), list[Fault]()
    for item in read_jsonl(path, shown):
        found = [item] if isinstance(item, Fault) else [Fault(shown, item.number, text) for text in _mistakes(item)]
        faults += found
        if isinstance(item, Line) and not found:
            cases.append(_case(item.value, known.get(item.value["id"], {})))
    answered = [case for case in cases if case.good]
    if not answered:
        return cases, faults

    bad = chain.from_iterable(case.bad for case in answered)
    profiles = Profiles({case.id: (case.prompt, *case.good) for case in answered}, bad)
    return [replace(case, profiles=profiles) if case.good else case for case in cases], faults


def _references(path: Path) -> Mapping[str, Mapping[str, Any]]:
    """Return the reference answers beside a suite's file by case; what is wrong with them is said where they are judged."""
    lines = (item.value for beside in reference_paths([path]) for item in read_jsonl(beside) if isinstance(item, Line))
    return {str(line.get("case")): line for line in lines}


def _mistakes(line: Line) -> Iterator[str]:
    errors = errors_of(_schema(), line.value)
    for error in errors[:3]:
        place = "/".join(map(str, error.absolute_path)) or "the case"
        yield f"{place}: {error.message.splitlines()[0][:200]}"
    if errors:
        return
    for part in ("form", "relevance"):
        for index, check in enumerate(line.value.get(part, ())):
            fault = _check_mistake(check)
            if fault is not None:
                yield f"{part}/{index}: {fault}"
    yield from _turn_mistakes(line.value.get("turns", ()))


def _check_mistake(check: Mapping[str, Any]) -> str | None:
    kind = str(check["check"])
    if kind not in built_in_checks():
        return None if find_plugin(CHECKS, kind) is not None else _unknown(kind)
    for word in chain(check.get("words", ()), *check.get("options", ())):
        if says_nothing(word):
            return f"`{word}` is found in every text: write a word, a beginning such as `felsef*`, or a sign"
    return pattern_fault(check["pattern"]) if "pattern" in check else None


def _unknown(kind: str) -> str:
    return f"there is no check `{kind}`: jessy has none, and no installed plugin brings it (entry point {CHECKS})"


def _turn_mistakes(turns: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    roles = [turn["role"] for turn in turns]
    if roles != ["user", "assistant"] * (len(roles) // 2):
        yield "the earlier turns do not alternate from the user's to the assistant's"


def _case(value: Mapping[str, Any], known: Mapping[str, Any]) -> Case:
    more = known.get("more")
    bad = known.get("bad")
    given = more if isinstance(more, dict) else {}
    return Case(
        id=value["id"],
        suite=value["suite"],
        prompt=nfc(value["prompt"]),
        level=value["level"],
        language=value["language"],
        turns=tuple(
            Turn(turn["role"], turn["content"], turn.get("complexity"), turn.get("iterations"))
            for turn in value.get("turns", ())
        ),
        form=tuple(map(_check, value.get("form", ()))),
        relevance=tuple(map(_check, value.get("relevance", ()))),
        tags=tuple(value.get("tags", ())),
        good=(*_answers(known.get("good")), *_answers(given.get("good"))),
        bad=(
            *chain.from_iterable(map(_answers, bad.values() if isinstance(bad, dict) else ())),
            *_answers(given.get("bad")),
        ),
    )


def _answers(value: object) -> tuple[str, ...]:
    """Return reference answers that are texts; what is written otherwise is told where references are judged."""
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def _check(value: Mapping[str, Any]) -> Check:
    return Check(
        kind=value["check"],
        words=tuple(value.get("words", ())),
        pattern=value.get("pattern", ""),
        least=value.get("min", 0) if value["check"] != LIKE else 0,
        most=value.get("max"),
        numbers=tuple(map(float, value.get("numbers", ()))),
        also=tuple(map(float, value.get("also", ()))),
        others=value.get("others", False),
        options=tuple(map(tuple, value.get("options", ()))),
        right=value.get("right"),
        mood=value.get("mood", ""),
        asking=value.get("asking", False),
        fields=tuple((name, canonical(one)) for name, one in value.get("fields", {}).items()),
        texts=tuple(map(nfc, value.get("texts", ()))),
        alike=value["min"] if value["check"] == LIKE else 0.0,
    )


@cache
def _schema() -> Schema:
    schema: Schema = json.loads(resource("grammar", "case.schema.json").read_text(encoding="utf-8"))
    return schema
