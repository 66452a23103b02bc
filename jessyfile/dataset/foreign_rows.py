"""Rows of other tools as rows of jessy's: two texts are enough, the rest is derived, and whatever is left out is said."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jessyfile.dataset.example import DEFAULT_BANDS, MINIMUM_RESPONSE, TrainingExample, Turn
from jessyfile.dataset.filters import ALLOWABLE, level_of_length, row_checks
from jessyfile.dataset.foreign_files import read_foreign
from jessyfile.dataset.formats import learned_answers, spoken
from jessyfile.dataset.language import language_faults
from jessyfile.dataset.places import MARKERS
from jessyfile.dataset.rows import Row, schema_faults, to_json
from jessyfile.dataset.similarity import first_of_each
from jessyfile.errors import DatasetError
from jessyfile.language.build import default_complexity
from jessyfile.language.recipe import Complexity
from jessyfile.language.suggest import plain
from jessyfile.text.answer_language import ANY, detected, is_language, is_long, prose
from jessyfile.text.json_lines import Fault, Line
from jessyfile.text.row_forms import form_of, pair_of
from jessyfile.text.turkish import nfc

SIMILARITY = 0.85
SOURCE = "import"
_NAME = re.compile(r"[^a-z0-9]+")
_TAKEN = (MARKERS, "eval")  # folders of data/seeds that mean something else
_LONGEST_NAME = 50  # so that a suite's name has room behind it
_MOST_TOPICS, _LEAST_ROWS = 12, 5  # of a topic column that is taken
_LEAST_OF_LANGUAGE = 0.15
_WORDLESS = 0.8
_PLAIN = Complexity(default_complexity().levels, None)
_FOREIGN = frozenset({"preference", "judged answer's", "evaluation case's", "reference answers'"})


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is read where its own names do not say it: the category's name, the columns, the language, the encoding; and which
    filters its rows need not pass."""

    category: str
    query: str | None = None
    response: str | None = None
    language: str | None = None
    encoding: str | None = None
    allow: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OwnRows:
    """A file's rows, each row that was left out with its number and the reason, what was changed, the system prompt, and the filters that
    were switched off for them."""

    rows: tuple[Row, ...]
    refused: tuple[Fault, ...]
    notes: tuple[str, ...]
    system: str | None
    allow: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Told:
    """What one row says: its turns, its system prompt, and the fields beside them."""

    number: int
    turns: tuple[tuple[str, str], ...]
    system: str
    about: Mapping[str, Any]
    cut: bool = False


def slug(text: str, default: str = "own") -> str:
    """Return a text as the name of a category, a topic or a suite."""
    name = _NAME.sub("_", plain(text)).strip("_")[:_LONGEST_NAME]
    return name if name[:1].isalpha() and name not in _TAKEN else f"{default}_{name}".strip("_")[:_LONGEST_NAME]


def import_rows(path: Path, reading: Reading) -> OwnRows:
    """Return the rows of a file in any form that is known, with everything that was left out or changed.

    Raises DatasetError when nothing in the file is a row.
    """
    told: list[_Told] = []
    refused: list[Fault] = []
    items = [*read_foreign(path, reading.encoding)]
    values = [item.value for item in items if isinstance(item, Line)]
    shared = _shared_instruction(values)
    for item in items:
        found = (
            item if isinstance(item, Fault) else _told(item.number, _renamed(item.value, reading, shared), path.name)
        )
        (refused if isinstance(found, Fault) else told).append(found)  # type: ignore[arg-type]
    absent = [name for name in (reading.query, reading.response) if name and not any(name in value for value in values)]
    if not told:
        raise _nothing(path, refused, absent, values)
    system, notes = _system(told)
    notes += [f"no row has `{name}`, which was named: the usual names are read" for name in absent]
    rows = _labelled(told, path.name, reading)
    kept, more = _sound(rows, reading.allow)
    notes += _ways_out(rows, kept, reading.allow)
    if cut := sum(one.cut for one in told):
        notes.append(f"{cut} rows lost a greeting before the first question, or a question without its answer")
    faults = tuple(sorted([*refused, *more], key=lambda fault: fault.line))
    return OwnRows(tuple(kept), faults, tuple(notes), system, reading.allow)


def _nothing(
    path: Path, refused: Sequence[Fault], absent: Sequence[str], values: Sequence[Mapping[str, Any]]
) -> DatasetError:
    if absent and values:
        named = ", ".join(f"`{key[:40]}`" for key in [*values[0]][:12])
        missing = " and none ".join(f"`{name[:40]}`" for name in absent)
        return DatasetError(f"`{path}` has no column {missing}", hint=f"it has {named}")
    shown = "".join(f"\n  {fault}" for fault in refused[:5])
    hint = (
        "name the columns with `--query COLUMN --response COLUMN`, or use messages, ShareGPT, Alpaca, "
        "or two fields such as `query` and `response`; "
        "a table (.csv, .tsv) has a comma, `;`, a tab or `|` between its cells"
    )
    if not refused:
        hint = "it is empty, has a header alone, or is JSON without one list of rows"
    return DatasetError(f"`{path}` holds no row that can be read{shown}", hint=hint)


def _shared_instruction(values: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether all rows give one instruction for different inputs, so that it stands better before them all, as SYSTEM."""
    given = {(str(value.get("instruction", "")), bool(str(value.get("input") or "").strip())) for value in values}
    return len(values) > 1 and len(given) == 1 and all(instruction and asked for instruction, asked in given)


def _renamed(value: Mapping[str, Any], reading: Reading, shared: bool) -> Mapping[str, Any]:
    """Return a row under the names that are read: the columns that the user named, an instruction of all rows as their system prompt."""
    named = ((reading.query, "query"), (reading.response, "response"))
    names = {name: own for name, own in named if name in value}
    if shared:
        names |= {"instruction": "system", "input": "query"}
    free = (key for key in value if key in names or key.strip().casefold() not in names.values())
    return {names.get(key, key): value[key] for key in free}


def _told(number: int, value: Mapping[str, Any], name: str) -> _Told | Fault:
    form = form_of(value)
    if form is not None and form.name in _FOREIGN:
        return Fault(name, number, f"is in the {form.name} form: {form.reading}")
    try:
        turns = [(turn["role"], nfc(turn["content"])) for turn in spoken(value, whole=False)]
        unlearned = learned_answers(value)
    except ValueError as error:
        columns = f" (it has {', '.join(f'`{key[:40]}`' for key in [*value][:6])})" if pair_of(value) is None else ""
        return Fault(name, number, f"{error}{columns}")
    if unlearned:
        return Fault(name, number, "has an answer that is not to be trained, which a row cannot say")
    system = turns.pop(0)[1] if turns and turns[0][0] == "system" else ""
    return _ends_cut(_Told(number, tuple(turns), system.strip(), value), name)


def _ends_cut(told: _Told, name: str) -> _Told | Fault:
    """Cut what stands before the first question and behind the last answer; a fault when the rest is no conversation."""
    turns = list(told.turns)
    while turns and turns[0][0] == "assistant":
        turns.pop(0)
    while turns and turns[-1][0] == "user":
        turns.pop()
    roles = [role for role, _ in turns]
    if not turns:
        return Fault(name, told.number, "has no question that is answered")
    if roles != ["user", "assistant"] * (len(roles) // 2):
        return Fault(name, told.number, "its turns do not alternate from the user to the assistant")
    return replace(told, turns=tuple(turns), cut=len(turns) < len(told.turns))


def _system(told: Sequence[_Told]) -> tuple[str | None, list[str]]:
    """Return the system prompt that most rows with one have, and what becomes of the others."""
    counts = Counter(one.system for one in told if one.system)
    if not counts:
        return None, []
    system, many = counts.most_common(1)[0]
    others = counts.total() - many
    notes = [f"the system prompt of {many} rows is the recipe's SYSTEM, which stands before every row"]
    return system, notes + [f"{others} rows lose another system prompt: a recipe has one"] * (others > 0)


def _labelled(told: Sequence[_Told], name: str, reading: Reading) -> list[Row]:
    languages = _languages(told, reading)
    topics = _topics(told, reading.category)
    rows = zip(told, languages, topics, strict=True)
    return [
        Row(_example(one, reading.category, topic, language), f"{name}:{one.number}") for one, language, topic in rows
    ]


def _example(told: _Told, category: str, topic: str, language: str) -> TrainingExample:
    *earlier, (_, query), (_, response) = told.turns
    named = str(told.about.get("level", told.about.get("complexity", ""))).lower()
    level = named if named in DEFAULT_BANDS else level_of_length(len(response))
    given = told.about.get("iterations")
    low, high = DEFAULT_BANDS[level]
    wordings = told.about.get("paraphrases", ())
    return TrainingExample(
        query=query,
        response=response,
        complexity=level,
        iterations_needed=given if isinstance(given, int) and low <= given <= high else low,
        category=category,
        topic=topic,
        language=language,
        turns=(_turn(role, text) for role, text in earlier),
        source=SOURCE,
        paraphrases=[text for text in wordings if isinstance(text, str)] if isinstance(wordings, list) else (),
    )


def _turn(role: str, text: str) -> Turn:
    level = level_of_length(len(text))
    return Turn("user", text) if role == "user" else Turn("assistant", text, level, DEFAULT_BANDS[level][0])


def _topics(told: Sequence[_Told], category: str) -> list[str]:
    """Return each row's topic: its own where the file has a few that each hold several rows, else the category's name."""
    named = [slug(str(one.about.get("topic", "")), category) for one in told]
    counts = Counter(named)
    return named if len(counts) <= _MOST_TOPICS and min(counts.values()) >= _LEAST_ROWS else [category] * len(told)


def _languages(told: Sequence[_Told], reading: Reading) -> list[str]:
    """Return each row's language: its own, or the file's where many rows are in it; none (`any`) of an answer of a few letters, and of all
    where most are labels, numbers or JSON."""
    answers = [prose(one.turns[-1][1]) for one in told]
    wordless = sum(not is_long(text) or text.lstrip()[:1] in ("{", "[") for text in answers)
    if wordless >= _WORDLESS * len(told):
        return [ANY] * len(told)
    spoken = [reading.language] * len(told) if reading.language else _spoken(told, answers)
    return [ANY if len(text.strip()) < MINIMUM_RESPONSE else one for text, one in zip(answers, spoken, strict=True)]


def _spoken(told: Sequence[_Told], answers: Sequence[str]) -> list[str]:
    guessed = detected([f"{one.turns[-2][1]}\n{text}" for one, text in zip(told, answers, strict=True)])
    counts = Counter(guessed)
    known = {name for name, count in counts.items() if name != ANY and count >= max(2, _LEAST_OF_LANGUAGE * len(told))}
    main = next((name for name, _ in counts.most_common() if name != ANY), ANY)
    own = [str(one.about.get("language", "")).lower() for one in told]
    return [
        said if is_language(said) else guess if guess in known else main
        for said, guess in zip(own, guessed, strict=True)
    ]


def _ways_out(rows: Sequence[Row], kept: Sequence[Row], allow: Collection[str]) -> Iterator[str]:
    """Yield how rows are taken that only a filter refuses which may be switched off."""
    checks, sound = row_checks(_PLAIN, allow), {row.place for row in kept}
    refused = [row for row in rows if row.place not in sound]
    for name in ALLOWABLE:
        if name in checks and (count := sum(checks[name](row.example) is not None for row in refused)):
            yield f"{count} left out by the filter `{name}`, which `--allow {name}` switches off"


def _sound(rows: Sequence[Row], allow: Collection[str]) -> tuple[list[Row], list[Fault]]:
    """Return the rows that pass what every apply asks of a row, and the others with the reason."""
    checks = row_checks(_PLAIN, allow)
    reasons: dict[int, str] = {}
    for index, row in enumerate(rows):
        told = (check(row.example) for check in checks.values())
        reason = next(filter(None, (*told, *schema_faults(to_json(row.example))[:1])), None)
        if reason is not None:
            reasons[index] = reason
    reasons = {**dict(language_faults(rows)), **reasons}
    kept = [index for index in range(len(rows)) if index not in reasons]
    _, near = first_of_each([rows[index].text for index in kept], SIMILARITY)
    reasons |= {kept[one]: f"says the same as row {_number(rows[kept[other]])}" for one, other in near.items()}
    return [row for index, row in enumerate(rows) if index not in reasons], list(_faults(rows, reasons))


def _faults(rows: Sequence[Row], reasons: Mapping[int, str]) -> Iterator[Fault]:
    for index, reason in reasons.items():
        yield Fault(rows[index].place.rpartition(":")[0], _number(rows[index]), reason)


def _number(row: Row) -> int:
    return int(row.place.rpartition(":")[2])
