"""Cases out of a user's own rows: some are held out, and what the user answered says what a right answer is like."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jessyfile.dataset.example import folded
from jessyfile.dataset.leaks import SHARED_WORDS
from jessyfile.dataset.rows import to_json
from jessyfile.dataset.select import shuffled
from jessyfile.dataset.similarity import groups, near_pairs
from jessyfile.evaluation.nearness import likeness
from jessyfile.text.json_lines import parse_value
from jessyfile.text.turkish import folded_normal, word_grams

if TYPE_CHECKING:
    from jessyfile.dataset.rows import Row

SEED = 42
SIMILARITY = 0.85
_SHARE, _LEAST, _MOST = 0.2, 8, 60
_KNOWN = 2  # so many other rows must give an answer, for one to be held out that asks for it in other words
_LEAST_ALIKE, _ABOVE = 0.4, 0.05
_COMPARED = 512
_MOST_FIELDS = 32


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The rows to train on and those that are asked instead.

    `known` says whether a right answer can be known from the rows that stay: they give it too, or it is JSON, taken from what is asked.
    """

    trained: tuple[Row, ...]
    asked: tuple[Row, ...]
    known: bool


def hold_out(rows: Sequence[Row]) -> HeldOut:
    """Hold a fifth of the rows out, 8 to 60 and never more than a quarter, none of which a row that stays gives away.

    Where half of the rows or more share their answer with others (labels, or one fact asked for in many ways), those are held out whose
    answer stays: unseen questions, known answers. Else any are.
    """
    answers = Counter(row.example.response for row in rows)
    closed = sum(answers[row.example.response] > _KNOWN for row in rows) >= len(rows) / 2
    wanted = min(max(round(len(rows) * _SHARE), _LEAST), _MOST, len(rows) // 4)
    asked = _chosen(rows, wanted, answers if closed else None)
    trained = tuple(row for index, row in enumerate(rows) if index not in asked)
    fields = sum(_fields(row.example.response or "") is not None for row in rows)
    return HeldOut(trained, tuple(rows[index] for index in asked), closed or fields >= len(rows) / 2)


def _chosen(rows: Sequence[Row], wanted: int, answers: Counter[str | None] | None) -> list[int]:
    """Return the rows to hold out by turns of their answers, whole groups of rows that give each other away."""
    named = _tied(rows)
    members: dict[int, list[int]] = defaultdict(list)
    for index, name in enumerate(named):
        members[name].append(index)
    chosen: list[int] = []
    left = Counter(answers)
    for index in _by_turns(rows):
        group = [] if index in chosen else members[named[index]]
        taken = Counter(rows[one].example.response for one in group)
        stays = answers is None or all(left[answer] - many >= _KNOWN for answer, many in taken.items())
        if stays and len(chosen) + len(group) <= wanted:
            chosen += group
            left.subtract(taken)
    return chosen


def _by_turns(rows: Sequence[Row]) -> list[int]:
    """Return the rows' places in an order that depends on their content alone: one of each answer, then a second of each, and so on."""
    place = {id(row): index for index, row in enumerate(rows)}
    met = Counter[str | None]()
    turns: list[tuple[int, int, int]] = []
    for number, row in enumerate(shuffled(rows, SEED, "held out")):
        met[row.example.response] += 1
        turns.append((met[row.example.response], number, place[id(row)]))
    return [index for _, _, index in sorted(turns)]


def _tied(rows: Sequence[Row]) -> list[int]:
    """Return each row's group: those of which one gives the other away, as leaks are told."""
    asked = [
        folded(" ".join([*(turn.content for turn in row.example.turns if turn.role == "user"), row.example.query]))
        for row in rows
    ]
    left, right, _ = near_pairs(asked, SIMILARITY)
    links = list(zip(left.tolist(), right.tolist(), strict=True))
    for texts in (asked, [folded_normal(" ".join(turn.content for turn in row.example.turns)) for row in rows]):
        first: dict[str, int] = {}
        for index, text in enumerate(texts):
            links += [
                (first.setdefault(gram, index), index)
                for gram in {text, *word_grams(text.split(), SHARED_WORDS)}
                if gram
            ]
    return groups(len(rows), links)


def cases_of(held: HeldOut, suite: str) -> list[dict[str, object]]:
    """Return a suite's cases as its file has them: each must be answered as like the user's own answer as no other answer of theirs is."""
    told = list(dict.fromkeys(row.example.response or "" for row in (*held.trained, *held.asked)))[:_COMPARED]
    longest = max((len(text) for text in told), default=1)
    return [_case(row, f"{suite}-{number:03}", suite, told, longest) for number, row in enumerate(held.asked, start=1)]


def _case(row: Row, name: str, suite: str, told: Sequence[str], longest: int) -> dict[str, object]:
    value: Mapping[str, object] = to_json(row.example)
    answer = row.example.response or ""
    turns = {"turns": value["turns"]} if "turns" in value else {}
    return {
        "id": name,
        "suite": suite,
        "prompt": row.example.query,
        **turns,
        "level": row.example.level,
        "language": row.example.language.value,
        "form": [{"check": "length", "max": max(2 * longest, 40)}],
        "relevance": [_content(answer, told)],
    }


def _content(answer: str, told: Sequence[str]) -> dict[str, object]:
    fields = _fields(answer)
    if fields is not None:
        return {"check": "json", "fields": fields}
    return {"check": "like", "texts": [answer], "min": enough_alike(answer, told)}


def _fields(answer: str) -> Mapping[str, object] | None:
    """Return the fields of an answer that is one flat JSON object, as the check `json` takes them."""
    value, length = parse_value(answer.strip())
    if not isinstance(value, dict) or length != len(answer.strip()) or not 0 < len(value) <= _MOST_FIELDS:
        return None
    flat = all(one is None or isinstance(one, str | int | float) for one in value.values())
    return value if flat and all(value) else None


def enough_alike(answer: str, others: Sequence[str]) -> float:
    """Return how like an answer must be to pass: a little more than any other answer that was written is, 40 % at least."""
    near = max((likeness(answer, other) for other in others if other != answer), default=0.0)
    return round(min(max(near + _ABOVE, _LEAST_ALIKE), 1.0), 2)
