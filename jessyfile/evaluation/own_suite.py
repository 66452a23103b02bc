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
from jessyfile.dataset.similarity import cross_pairs, groups, near_pairs
from jessyfile.evaluation.nearness import likeness
from jessyfile.text.json_lines import parse_value
from jessyfile.text.turkish import folded_normal, normal, word_grams

if TYPE_CHECKING:
    from jessyfile.dataset.rows import Row

SEED = 42
SIMILARITY = 0.85
_SHARE, _LEAST, _MOST = 0.2, 8, 60
_KNOWN = 2  # so many other rows must give an answer, for one to be held out that asks for it in other words
_LEAST_ALIKE, _ABOVE = 0.4, 0.05
_FEWEST_WORDED, _WORDED = (
    6,
    12,
)  # fewer prove no gain (six better and none worse do); so many, where a fifth of the rows is less
_FEWEST_WORDS, _MOST_WORDS = 2, 6  # of a question; eight in a row would give its row away
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
    return _cases(held, suite, [(row, row.example.query) for row in held.asked])


def worded_cases(held: HeldOut, suite: str) -> list[dict[str, object]]:
    """Return cases that ask for answers which are trained, by the few words that tell their question from all others.

    It is what can be known where every answer is a row's own: the row stays, its question is put as people type one. None where
    fewer can be made than prove a gain: questions of one word, or of a script without spaces.
    """
    found = _worded(held.trained)
    return _cases(held, suite, found) if len(found) >= _FEWEST_WORDED else []


def _cases(held: HeldOut, suite: str, asked: Sequence[tuple[Row, str]]) -> list[dict[str, object]]:
    told = list(dict.fromkeys(row.example.response or "" for row in (*held.trained, *held.asked)))[:_COMPARED]
    longest = max((len(text) for text in told), default=1)
    return [
        _case(row, asking, f"{suite}-{number:03}", suite, told, longest)
        for number, (row, asking) in enumerate(asked, start=1)
    ]


def _worded(rows: Sequence[Row]) -> list[tuple[Row, str]]:
    """Return some rows with a short wording of their question that no row gives away: half of its words, the rarest among all questions."""
    questions = [normal(row.example.query).split() for row in rows]
    often = Counter(word for words in questions for word in set(words))
    wordings = {id(row): _rarest(words, often) for row, words in zip(rows, questions, strict=True)}
    single = [row for row in rows if not row.example.turns and _one_has(questions, wordings[id(row)])]
    if not single:
        return []
    asked = [" ".join(wordings[id(row)]) for row in single]
    _, near, _ = cross_pairs([" ".join(words) for words in questions], asked, SIMILARITY)
    given_away = {asked[place] for place in near.tolist()}
    able = [row for row in shuffled(single, SEED, "worded") if " ".join(wordings[id(row)]) not in given_away]
    wanted = min(max(round(len(rows) * _SHARE), _WORDED), _MOST)
    return [(row, " ".join(wordings[id(row)])) for row in able[:wanted]]


def _rarest(words: Sequence[str], often: Mapping[str, int]) -> tuple[str, ...]:
    """Return half of a question's words in their order: those that fewest questions have, of equally rare ones the longest."""
    different = list(dict.fromkeys(words))
    count = min(max(len(different) // 2, _FEWEST_WORDS), _MOST_WORDS)
    kept = set(sorted(different, key=lambda word: (often[word], -len(word)))[:count])
    return tuple(word for word in different if word in kept)


def _one_has(questions: Sequence[Sequence[str]], words: Sequence[str]) -> bool:
    """Return whether some words tell one question from all the others."""
    return len(words) >= _FEWEST_WORDS and sum(set(words).issubset(question) for question in questions) == 1


def _case(row: Row, asking: str, name: str, suite: str, told: Sequence[str], longest: int) -> dict[str, object]:
    value: Mapping[str, object] = to_json(row.example)
    answer = row.example.response or ""
    turns = {"turns": value["turns"]} if "turns" in value else {}
    return {
        "id": name,
        "suite": suite,
        "prompt": asking,
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
