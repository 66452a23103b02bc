"""Rows from templates: every intent in turn, its words dealt like cards, so that nothing comes often before
everything came once."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from jessyfile.dataset.augment import asciified, typo
from jessyfile.dataset.example import TrainingExample
from jessyfile.dataset.labels import Category
from jessyfile.dataset.rows import Row
from jessyfile.dataset.templates import Intent, TemplateLine
from jessyfile.text.answer_language import prose
from jessyfile.text.turkish import normal

if TYPE_CHECKING:
    from jessyfile.dataset.select import Wanted
    from jessyfile.text.lexicon import Item

T = TypeVar("T")
MAX_SAME_ANSWER = 2
_ASCII_SHARE = 0.25
_TYPO_SHARE = 0.04
_IDLE_ROUNDS = 40


def composed(intents: Sequence[Intent], category: str, topic: str, seed: int) -> Iterator[Row]:
    """Yield distinct rows made from templates, taking the intents in turn, until no intent has anything new to say.

    No question comes twice (case, punctuation and spacing aside) and no answer more than twice, unless it is JSON: one label fits many.

    Args:
        intents: the templates' intents.
        category: the category that the rows get.
        topic: the topic that the rows get.
        seed: the seed of the random choices; the same seed yields the same rows.

    Yields:
        One row at a time.
    """
    yield from (_row(intent, dealt, category, topic) for intent, dealt in _dealt(intents, category, topic, seed))


def composable(intents: Sequence[Intent], wanted: Wanted, most: int) -> int:
    """Return how many of the rows that these intents give belong to what is wanted, `most` at most; no row is built."""
    stream = _dealt(intents, wanted.category, str(wanted.topic), 0)
    fitting = (1 for intent, _ in stream if wanted.accepts(wanted.topic, intent.language, intent.level))
    return sum(itertools.islice(fitting, most))


def kinds_dealt(intents: Sequence[Intent], category: str, topic: str, most: int) -> Counter[tuple[str, str]]:
    """Return of how many of the first rows that these intents give each language and level is.

    Args:
        intents: the templates' intents.
        category: the category that the rows would get.
        topic: the topic that the rows would get.
        most: how many rows are dealt at most.
    """
    stream = itertools.islice(_dealt(intents, category, topic, 0), most)
    return Counter((str(intent.language), intent.level) for intent, _ in stream)


def _dealt(intents: Sequence[Intent], category: str, topic: str, seed: int) -> Iterator[tuple[Intent, Dealt]]:
    dealers = [_Dealer(intent, random.Random(f"{seed}/{category}/{topic}/{intent.name}")) for intent in intents]
    questions: set[str] = set()
    answers: Counter[str] = Counter()
    while dealers:
        alive = []
        for dealer in dealers:
            dealt = dealer.deal(questions, answers)
            if dealt is not None:
                yield dealer.intent, dealt
                alive.append(dealer)
        dealers = alive


@dataclass(frozen=True, slots=True)
class Dealt:
    """A question and its answer, the words that fill their slots, and the template's line of the question."""

    query: str
    response: str
    words: str
    line: int


def _row(intent: Intent, dealt: Dealt, category: str, topic: str) -> Row:
    example = TrainingExample(
        query=dealt.query,
        response=dealt.response,
        complexity=intent.level,
        iterations_needed=intent.iterations,
        category=Category.named(category),
        topic=topic,
        language=intent.language,
        tags=intent.tags,
        source="template",
    )
    place = f"templates/examples/{category}.{topic}.j2:{dealt.line}"
    return Row(example, place, _group(category, topic, intent, dealt.words))


def _group(category: str, topic: str, intent: Intent, words: str) -> str:
    return f"{category}/{topic}/{intent.name}/{words}"


def _words(items: Iterable[Item]) -> str:
    return "/".join(next(iter(item.values())) for item in items)


def other_wordings(row: Row, intents: Sequence[Intent], rng: random.Random) -> list[str]:
    """Return a composed row's question in the other wordings of its intent, its own words kept; none for any other row."""
    example = row.example
    picks = (rng.randrange(1 << 30) for _ in itertools.count())
    for intent in intents:
        group = partial(_group, example.category.value, example.topic, intent)
        dealt = itertools.product(*(table.items for table in intent.slots.values()))
        mine = (items for items in dealt if row.group == group(_words(items)))
        if row.group.startswith(group("")) and (items := next(mine, None)) is not None:
            own = dict(zip(intent.slots, items, strict=True))
            said = dict.fromkeys(line.render(own, picks) for line in intent.questions)
            return [other for other in said if normal(other) != normal(example.query)]
    return []


class _Dealer:
    """Deals one intent's questions, answers and words, each from a deck that is shuffled anew when it is empty."""

    def __init__(self, intent: Intent, rng: random.Random) -> None:
        self.intent = intent
        self.rng = rng
        self.items = {name: _deck(table.items, rng) for name, table in intent.slots.items()}
        self.questions = _deck(intent.questions, rng)
        self.answers = _deck([*intent.openings, *intent.alone], rng)
        self.follows = _deck(intent.follows or [TemplateLine((), 0)], rng)

    def deal(self, questions: set[str], answers: Counter[str]) -> Dealt | None:
        """Return a new question with its answer, or None when many deals in a row gave nothing new."""
        for _ in range(_IDLE_ROUNDS):
            items = {name: next(deck) for name, deck in self.items.items()}
            question = next(self.questions)
            query = self._typed(question.render(items, self._picks()))
            response = self._answer(items)
            if response is None or (asked := normal(query)) in questions:
                continue
            said = normal(response)
            if answers[said] >= MAX_SAME_ANSWER and prose(response):
                continue
            questions.add(asked)
            answers[said] += 1
            return Dealt(query, response, _words(items.values()), question.number)
        return None

    def _picks(self) -> Iterator[int]:
        return (self.rng.randrange(1 << 30) for _ in itertools.count())

    def _answer(self, items: Mapping[str, Item]) -> str | None:
        opening = next(self.answers)
        first = opening.render(items, self._picks())
        if opening in self.intent.alone or not self.intent.follows:
            return first
        second = next(self.follows).render(items, self._picks())
        return None if _overlap(first, second) else f"{first} {second}"

    def _typed(self, query: str) -> str:
        """Type the question as people do: a quarter without Turkish letters, a few with a slip."""
        drawn = self.rng.random()
        if drawn < _ASCII_SHARE:
            return asciified(query)
        return typo(query, self.rng) if drawn > 1 - _TYPO_SHARE else query


def _overlap(first: str, second: str) -> bool:
    """Whether the second part says again what the first one said, or both ask a question."""
    said = normal(first)
    return normal(second) in said or ("?" in first and "?" in second)


def _deck(cards: Sequence[T], rng: random.Random) -> Iterator[T]:
    while True:
        yield from rng.sample(cards, len(cards))
