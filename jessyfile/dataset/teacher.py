"""Rows written by a language model at any OpenAI-compatible address, when seeds and templates are too few.

What a request asks depends on the recipe and its number alone, never on earlier answers. Every answer is cached
under the hash of its request, so that a rerun replays: the same rows, byte for byte, also when the server is gone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from jessyfile.dataset.completions import Address, Failure, KeptAnswers, without_thoughts
from jessyfile.dataset.example import Bands
from jessyfile.dataset.rows import Row, from_json, schema_faults
from jessyfile.dataset.select import Wanted, turn
from jessyfile.errors import Interrupted, TeacherError
from jessyfile.resources import resource
from jessyfile.results.facts import TeacherFacts
from jessyfile.text.answer_language import MIXED, language_name
from jessyfile.text.json_lines import parse_value
from jessyfile.text.lexicon import load_table
from jessyfile.text.printable import json_text
from jessyfile.text.turkish import nfc

if TYPE_CHECKING:
    from jessyfile.language.recipe import Teacher
    from jessyfile.planning.steps import Stop

ROWS_A_REQUEST = 6
_EXAMPLES = 4
_JUDGED_AFTER = 24
_ENOUGH_UNREADABLE = 4
_MAX_FAILURES = 3
_MIXED = "Turkish with English technical words, as developers speak"
_LEVEL_RULES = {
    "low": "small talk or a one-fact question; the answer is one or two short sentences, no analysis.",
    "medium": "a technical question, how-to or comparison; the answer takes 200 to 600 characters, right and concrete.",
    "high": "philosophy, ethics or a hard choice; 400 to 900 characters that weigh two sides and take a position.",
}
_REFUSAL = re.compile(
    r"\b(?:i['’]m sorry|i can(?:no|['’])t (?:help|assist|do|comply)|as an ai"
    r"|bir yapay zek[aâ] olarak|yardımcı olamam|bunu yapamam)\b",
    re.IGNORECASE,
)  # fmt: skip
_OPENS = re.compile(r"[\[{]")
_MOST_TRIED = 200
_REFUSED = "refusal instead of rows"
_UNREADABLE = {"broken JSON", "no rows", _REFUSED}

Admit = Callable[[list[Row]], list[Row]]


@dataclass(slots=True)
class Report:
    """What the teacher did: requests sent and replayed, answers that could not be read, rows written and accepted, and
    why the others were not."""

    sent: int = 0
    replayed: int = 0
    answers: int = 0
    unreadable: int = 0
    written: int = 0
    accepted: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def facts(self) -> TeacherFacts:
        """Return what belongs to the rows: numbers that a replay gives again."""
        reasons = dict(sorted(self.reasons.items()))
        return TeacherFacts(self.sent + self.replayed, self.written, self.accepted, reasons)


@dataclass(slots=True)
class TeacherRun:
    """One category's use of the teacher: its budget, its cache and its report."""

    teacher: Teacher
    address: Address
    kept: KeptAnswers
    bands: Bands
    stop: Stop | None = None
    report: Report = field(default_factory=Report)
    _schema_refused: bool = False
    _failures: list[str] = field(default_factory=list)

    def write(
        self, wanted: Wanted, missing: int, title: str, seeds: Sequence[Row], seed: int, admit: Admit
    ) -> list[Row]:
        """Ask the teacher for the missing rows of one topic.

        Args:
            wanted: the topic, language and level that the rows must have.
            missing: how many rows are needed.
            title: the category's description, for the prompt.
            seeds: rows of the topic, shown to the teacher as examples.
            seed: the recipe's seed; it decides prompts and their order.
            admit: passes rows through every filter and returns those that stay.

        Returns:
            Up to `missing` accepted rows, in the order of the requests.

        Raises:
            TeacherError: the server cannot be used, or too few of its rows are accepted.
            Interrupted: a stop was requested; answers so far are kept.
        """
        rows: list[Row] = []
        requests = self._requests(wanted, title, seeds, seed)
        while len(rows) < missing:
            if self.stop is not None and self.stop.requested():
                raise Interrupted("stopped while the teacher was writing; its answers so far are kept")
            window = [next(requests) for _ in range(self.teacher.concurrency)]
            answers = self._answers(window)
            for number, answer in answers:
                if len(rows) < missing:
                    rows += self._taken(wanted, number, answer, admit)
            if len(answers) < len(window):
                self._judge(at_the_end=True)
                break
        return rows[:missing]

    def _requests(
        self, wanted: Wanted, title: str, seeds: Sequence[Row], seed: int
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        number = 0
        while True:
            yield number, request_body(self.teacher, wanted, title, seeds, seed, number, self.bands)
            number += 1

    def _answers(self, window: Sequence[tuple[int, dict[str, Any]]]) -> list[tuple[int, str | Failure]]:
        """Return the answers in the requests' order; fewer than asked for when the budget ends."""
        # a replayed request counts as well: a rerun must end where the first run ended
        affordable = self.teacher.max_requests - self.report.sent - self.report.replayed
        kept = window[: max(affordable, 0)]
        cached = [self.kept.get(body) for _, body in kept]
        unsent = [index for index, text in enumerate(cached) if text is None]
        with ThreadPoolExecutor(max_workers=self.teacher.concurrency) as pool:
            asked = {i: pool.submit(self._ask, kept[i][1]) for i in unsent}
            answers = [(kept[i][0], asked[i].result() if i in asked else str(cached[i])) for i in range(len(kept))]
        self.report.sent += len(asked)
        self.report.replayed += len(kept) - len(asked)
        return answers

    def _ask(self, body: dict[str, Any]) -> str | Failure:
        answer = self._structured(body)
        if isinstance(answer, str):
            self.kept.keep(body, answer)
        return answer

    def _structured(self, body: dict[str, Any]) -> str | Failure:
        """Ask with the rows' schema; a server that answers 400 to it is asked without, now and from now on."""
        plain = {key: value for key, value in body.items() if key != "response_format"}
        if self._schema_refused:
            return self.address.complete(plain)
        answer = self.address.complete(body)
        if isinstance(answer, Failure) and answer.status in (400, 422):
            self._schema_refused = True
            return self.address.complete(plain)
        return answer

    def _taken(self, wanted: Wanted, number: int, answer: str | Failure, admit: Admit) -> list[Row]:
        if isinstance(answer, Failure):
            self._failed(answer)
            return []
        self._failures.clear()
        rows, reasons = parse_rows(answer, wanted, number, self.bands)
        kept = admit(rows)
        unreadable = not rows and reasons.total() == 1 and reasons.keys() <= _UNREADABLE
        self.report.answers += 1
        self.report.unreadable += unreadable
        # an answer that cannot be read costs as much as the rows it should have held
        self.report.written += ROWS_A_REQUEST if unreadable else len(rows) + reasons.total()
        self.report.accepted += len(kept)
        self.report.reasons += reasons
        if len(rows) > len(kept):
            self.report.reasons["filtered"] += len(rows) - len(kept)
        self._judge()
        return kept

    def _failed(self, failure: Failure) -> None:
        self._failures.append(failure.reason)
        self.report.reasons[failure.reason] += 1
        if failure.fatal or len(self._failures) >= _MAX_FAILURES:
            raise TeacherError(
                f"the teacher at {self.teacher.url} cannot be used: {failure.reason}",
                hint="check the address, the model's name and key_env; what it wrote before is kept and replayed",
            )

    def _judge(self, *, at_the_end: bool = False) -> None:
        """Raise TeacherError when to go on would only cost more requests."""
        report = self.report
        if (
            report.unreadable
            and report.unreadable == report.answers
            and (at_the_end or report.unreadable >= _ENOUGH_UNREADABLE)
        ):
            raise TeacherError(
                f"{report.unreadable} of {report.answers} answers are no JSON with rows "
                f"({self.teacher.model}: {self._reasons()})",
                hint="choose a teacher that follows instructions and answers in JSON, or one with a longer context",
            )
        if report.written < _JUDGED_AFTER or report.accepted >= self.teacher.min_accepted * report.written:
            return
        raise TeacherError(
            f"only {report.accepted} of {report.written} rows that {self.teacher.model} wrote were accepted "
            f"({self._reasons()})",
            hint="a larger teacher, a lower temperature, or a lower min_accepted in the TEACHER block",
        )

    def _reasons(self) -> str:
        return ", ".join(f"{reason} {count}" for reason, count in self.report.reasons.most_common(3))


def request_body(
    teacher: Teacher, wanted: Wanted, title: str, seeds: Sequence[Row], seed: int, number: int, bands: Bands
) -> dict[str, Any]:
    """Return the body of one chat completion request.

    Args:
        teacher: the recipe's TEACHER settings.
        wanted: the topic, language and level that the rows must have.
        title: the category's description.
        seeds: rows of the topic; a few are shown as examples.
        seed: the recipe's seed.
        number: which request of the topic this is, from 0; it varies examples, situations and the sampling seed.
        bands: the lowest and highest number of iterations of each level.

    Returns:
        The JSON body: model, messages, temperature, seed and the JSON schema of the rows.
    """
    level = wanted.level or "low"
    low, high = bands.get(level, (1, 9))
    own = sorted(seeds, key=lambda row: turn(seed, wanted.name, str(number), row.id))[:_EXAMPLES]
    values = {
        "language_name": _MIXED if wanted.language == MIXED else language_name(wanted.language or "tr"),
        "level": level, "low": low, "high": high,
        "level_rule": _LEVEL_RULES.get(level, "the answer takes as long as the question deserves."),
        "count": ROWS_A_REQUEST, "topic": wanted.topic or wanted.category, "category": wanted.category, "title": title,
        "situations": _situations(seed, number), "examples": [_shown(row) for row in own],
    }  # fmt: skip
    return {
        "model": teacher.model,
        "messages": [{"role": role, "content": _prompt(role).render(values).strip()} for role in ("system", "user")],
        "temperature": teacher.temperature,
        "seed": turn(seed, wanted.name, str(number)) % (1 << 31),
        "max_tokens": 2048,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "rows", "strict": True, "schema": _rows_schema(low, high)},
        },
    }


def _rows_schema(low: int, high: int) -> dict[str, Any]:
    fields = {
        "query": {"type": "string"},
        "response": {"type": "string"},
        "iterations": {"type": "integer", "enum": [*range(low, high + 1)]},
    }
    row = {"type": "object", "properties": fields, "required": [*fields], "additionalProperties": False}
    rows = {"type": "array", "items": row, "minItems": 1, "maxItems": ROWS_A_REQUEST}
    return {"type": "object", "properties": {"rows": rows}, "required": ["rows"], "additionalProperties": False}


def _shown(row: Row) -> str:
    example = row.example
    return json_text({"query": example.query, "response": example.response, "iterations": example.iterations_needed})


@cache
def _prompt(role: str) -> Any:  # noqa: ANN401 (a Jinja template)
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    text = resource("templates", "prompts", f"teacher.{role}.j2").read_text("utf-8")
    return ImmutableSandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True).from_string(
        text
    )


def _situations(seed: int, number: int) -> list[str]:
    items = [item["situation"] for item in load_table(resource("data").parent, "situations").items]
    return sorted(items, key=lambda item: turn(seed, "situation", str(number), item))[:3]


def parse_rows(answer: str, wanted: Wanted, number: int, bands: Bands) -> tuple[list[Row], Counter[str]]:
    """Read the rows of one answer.

    Models think aloud before an answer, put it between fences and polite phrases, or leave out the object around the rows.

    Args:
        answer: the text of the teacher's answer.
        wanted: the topic, language and level that the rows must have.
        number: the request's number, for the rows' place.
        bands: the lowest and highest number of iterations of each level.

    Returns:
        The valid rows, and how many were refused by reason.
    """
    text = without_thoughts(answer)
    values = list(_json_values(text))
    if not values:
        return [], Counter([_REFUSED if _REFUSAL.search(text) else "broken JSON"])
    found = [row for value in values for row in _rows_in(value)]
    if not found:
        return [], Counter([_REFUSED if _REFUSAL.search(text) else "no rows"])
    reasons: Counter[str] = Counter()
    rows = []
    for position, value in enumerate(found[: 4 * ROWS_A_REQUEST]):
        row = _row(value, wanted, f"teacher {wanted.name}#{number}.{position + 1}", bands)
        if isinstance(row, str):
            reasons[row] += 1
        else:
            rows.append(row)
    return rows, reasons


def _json_values(text: str) -> Iterator[object]:
    """Yield the JSON objects and arrays that stand in a text, outermost ones, whatever stands between them."""
    at = tried = 0
    while (opening := _OPENS.search(text, at)) is not None and tried < _MOST_TRIED:
        tried += 1
        value, length = parse_value(text[opening.start() :])
        if length:
            yield value
        at = opening.start() + (length or 1)


def _rows_in(value: object) -> list[object]:
    """Return the rows of one JSON value: an array of objects, an object that holds one such array, or a row by itself."""
    if isinstance(value, list):
        return value if any(isinstance(item, dict) for item in value) else []
    if not isinstance(value, dict):
        return []
    if "query" in value or "response" in value:
        return [value]
    lists = [inner for inner in value.values() if isinstance(inner, list)]
    return lists[0] if len(lists) == 1 else list(value.get("rows") or ())


def _row(value: object, wanted: Wanted, place: str, bands: Bands) -> Row | str:
    if not isinstance(value, dict):
        return "malformed row"
    fields = {key: value.get(key) for key in ("query", "response", "iterations")}
    fixed = {"complexity": wanted.level or "low", "category": wanted.category, "topic": wanted.topic or wanted.category,
             "language": wanted.language or "tr", "source": "teacher"}  # fmt: skip
    if schema_faults(fields | fixed):
        return "malformed row"
    query, response = nfc(str(fields["query"])).strip(), nfc(str(fields["response"])).strip()
    if _REFUSAL.search(response):
        return "refusal"
    example = from_json({**fixed, "query": query, "response": response, "iterations": fields["iterations"]})
    faults = example.faults(bands)
    return faults[0].split(",")[0] if faults else Row(example, place)
