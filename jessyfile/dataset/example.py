"""One training row, as `grammar/example.schema.json` describes it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from jessyfile.dataset.labels import Category, Complexity, Language, label
from jessyfile.dataset.marker import marked
from jessyfile.dataset.places import MARKERS
from jessyfile.errors import DatasetError
from jessyfile.language.build import default_complexity
from jessyfile.text.answer_language import ANY, is_language
from jessyfile.text.json_lines import check_text
from jessyfile.text.turkish import folded_normal

Bands = Mapping[str, tuple[int, int]]

DEFAULT_BANDS: Bands = {level.name: level.iterations for level in default_complexity().levels}
MINIMUM_RESPONSE = 10
MAXIMUM_QUERY, MAXIMUM_RESPONSE = 8000, 16000
MAXIMUM_PARAPHRASES, MAXIMUM_PARAPHRASE = 8, 2000
_NAME, _TAG, _SOURCE = (
    re.compile(f"[a-z]{rest}") for rest in ("[a-z0-9_-]{0,59}", "[a-z0-9_]{0,39}", "[a-z0-9_.+-]{0,59}")
)


@dataclass(frozen=True, slots=True)
class Turn:
    """An earlier turn of a conversation; an assistant turn carries its own level, by its name, and iterations."""

    role: Literal["user", "assistant"]
    content: str
    complexity: str | None = None
    iterations: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.complexity, Complexity):
            object.__setattr__(self, "complexity", self.complexity.level)


@dataclass(frozen=True, slots=True, init=False)
class TrainingExample:
    """A question, its answer, and how much thought it deserves. `response` is None for a marker-only row; `paraphrases` are other
    wordings of the question, which it answers just as well.
    """

    query: str
    response: str | None
    complexity: Complexity
    iterations_needed: int
    category: Category
    language: Language
    topic: str
    turns: tuple[Turn, ...]
    tags: tuple[str, ...]
    source: str
    paraphrases: tuple[str, ...]

    def __init__(
        self,
        query: str,
        response: str | None,
        complexity: Complexity | str,
        iterations_needed: int,
        category: Category | str,
        language: Language | str,
        topic: str | None = None,
        turns: Iterable[Turn] = (),
        tags: Iterable[str] = (),
        source: str = "hand",
        paraphrases: Iterable[str] = (),
    ) -> None:
        """Take a row's values; labels may be given by their names.

        Args:
            query: What the person types.
            response: The answer, without the marker; None for a row that teaches the marker alone.
            complexity: How much thought the question deserves, `Complexity.LOW` or `"low"`.
            iterations_needed: How often to think it over, 1 to 9.
            category: What the row is about, `Category.TECHNICAL` or a recipe's own category by its name.
            language: Of the whole exchange, `Language.TURKISH`, `"turkish"` or `"tr"`.
            topic: The part of the category; the category's own name when left out.
            turns: Earlier turns of the conversation, oldest first.
            tags: Words to find the row by.
            source: Where the row comes from: hand, template, augment, teacher.
            paraphrases: Other wordings of the query, to which the response is just as right.
        """
        about, earlier = label(Category, category), tuple(turns)
        for turn in earlier:
            if not isinstance(turn, Turn):
                raise DatasetError(f"{turn!r} is no earlier turn", hint='give `Turn("user", "...")`')
        values = (query, response, label(Complexity, complexity), iterations_needed, about, label(Language, language),
                  about.value if topic is None else topic, earlier, (tags,) if isinstance(tags, str) else tuple(tags),
                  source, (paraphrases,) if isinstance(paraphrases, str) else tuple(paraphrases))  # fmt: skip
        for name, value in zip(self.__slots__, values, strict=True):
            object.__setattr__(self, name, value)

    @property
    def level(self) -> str:
        """The name of the row's level as recipes and files write it, `low`."""
        return self.complexity.level

    @property
    def wordings(self) -> tuple[str, ...]:
        """The query and every paraphrase of it."""
        return (self.query, *self.paraphrases)

    @property
    def is_marker(self) -> bool:
        """Whether the row teaches the complexity marker alone."""
        return self.response is None

    def to_mlx_format(self, marker: str | None = None) -> dict[str, list[dict[str, str]]]:
        """Return `{"messages": [...]}` as mlx-lm and TRL read it; user text is trimmed as Gemma's template does.

        With a marker (`"[{level} {iterations}]"`) every assistant turn begins with its own marker line.
        """
        messages = [turn_message(turn, marker) for turn in self.turns]
        messages.append({"role": "user", "content": self.query.strip()})
        answer = marked(marker, self.level, self.iterations_needed, self.response or "")
        messages.append({"role": "assistant", "content": answer})
        return {"messages": messages}

    def validate(self, bands: Bands = DEFAULT_BANDS) -> bool:
        """Return whether the row is sound; `faults` says what is wrong."""
        return not self.faults(bands)

    def faults(self, bands: Bands = DEFAULT_BANDS) -> list[str]:
        """Return what is wrong with the row, one sentence a fault; an empty list is a sound row."""
        return [*shape_faults(self), *level_faults(self, bands)]


def turn_message(turn: Turn, marker: str | None) -> dict[str, str]:
    """Return a turn as training reads it: an answer that says its level begins with the marker's line."""
    if turn.role == "user":
        return {"role": "user", "content": turn.content.strip()}
    if turn.complexity is None or turn.iterations is None:
        return {"role": "assistant", "content": turn.content}
    return {"role": "assistant", "content": marked(marker, turn.complexity, turn.iterations, turn.content)}


def texts_of(example: TrainingExample) -> tuple[str, ...]:
    """Return every text of a row: what was said, turn by turn, and the other wordings of its query."""
    return (*(turn.content for turn in example.turns), example.query, example.response or "", *example.paraphrases)


def shape_faults(example: TrainingExample) -> list[str]:
    """Return what is wrong with a row's texts, labels and order of turns."""
    return [
        *(_text_faults(example) or _paraphrase_faults(example)),
        *_label_faults(example),
        *_turn_faults(example.turns),
    ]


def _text_faults(example: TrainingExample) -> list[str]:
    worded = ((f"wording `{str(text)[:40]}`", text) for text in example.paraphrases)
    texts = (("query", example.query), ("response", example.response or ""), *worded)
    broken = [f"the {name} is no text" for name, text in texts if not isinstance(text, str)]
    if broken:
        return broken
    faults = []
    if not example.query.strip():
        faults.append("the query is empty")
    if example.is_marker != (example.category == MARKERS):
        faults.append(f"rows without an answer, and no others, are of the category `{MARKERS}`")
    least = 1 if example.language == ANY else MINIMUM_RESPONSE  # a label, a number
    if example.response is not None and len(example.response.strip()) < least:
        faults.append(f"the response has {len(example.response.strip())} characters, at least {least} are needed")
    limits = {"query": MAXIMUM_QUERY, "response": MAXIMUM_RESPONSE}
    for name, text in texts:
        if len(text) > (limit := limits.get(name, MAXIMUM_PARAPHRASE)):
            faults.append(f"the {name} has more than {limit} characters")
        try:
            check_text(text)
        except ValueError as error:
            faults.append(f"the {name} {error}")
    return faults


def _paraphrase_faults(example: TrainingExample) -> list[str]:
    """Return what is wrong with a row's other wordings: where they may stand, how many, and that each says it otherwise."""
    if not example.paraphrases:
        return []
    faults = []
    if example.is_marker or example.turns:
        faults.append("only a row of one question and its answer has paraphrases")
    if len(example.paraphrases) > MAXIMUM_PARAPHRASES:
        faults.append(f"the row has {len(example.paraphrases)} paraphrases, at most {MAXIMUM_PARAPHRASES} are taken")
    seen = {folded(example.query)}
    for text in example.paraphrases:
        if not text.strip():
            faults.append("a paraphrase is empty")
        elif folded(text) in seen:
            faults.append(f"the wording `{text[:40]}` is the query or another wording over again")
        seen.add(folded(text))
    return faults


def folded(text: str) -> str:
    """Return a text as wordings are compared: without case, punctuation and Turkish letters; what has no letter stays as it is."""
    return folded_normal(text) or text.strip()


def _label_faults(example: TrainingExample) -> list[str]:
    faults = []
    if not is_language(str(example.language)):
        faults.append(f"the language is `{example.language}`, no ISO 639-1 code that is known, nor mixed nor any")
    words = [("category", example.category.value, _NAME), ("topic", example.topic, _NAME)]
    words += [("source", example.source, _SOURCE), *(("tag", tag, _TAG) for tag in example.tags)]
    for what, word, form in words:
        if not form.fullmatch(str(word)):
            faults.append(
                f"the {what} is `{str(word)[:40]}`, not a word of lower-case letters that matches {form.pattern}"
            )
    return faults


def _turn_faults(turns: tuple[Turn, ...]) -> list[str]:
    faults = []
    for position, turn in enumerate(turns):
        expected = "assistant" if position % 2 else "user"
        if turn.role != expected:
            faults.append(f"turn {position + 1} is the {turn.role}'s, but the {expected}'s was due")
        if not turn.content.strip():
            faults.append(f"turn {position + 1} is empty")
        if turn.role == "assistant" and (turn.complexity is None or turn.iterations is None):
            faults.append(f"turn {position + 1} is an answer without its level and iterations")
    if len(turns) % 2:
        faults.append("the earlier turns do not end with the assistant's")
    return faults


def level_faults(example: TrainingExample, bands: Bands) -> list[str]:
    """Return every number of iterations, of the row or of an earlier answer, that does not fit its level."""
    levels = [(turn.complexity, turn.iterations) for turn in example.turns if turn.role == "assistant"]
    levels.append((example.level, example.iterations_needed))
    found = (_band_fault(level, count, bands) for level, count in levels if level is not None and count is not None)
    return [fault for fault in found if fault]


def _band_fault(level: str, iterations: int, bands: Bands) -> str | None:
    if level not in bands:
        return f"the level is `{level}`, not one of {', '.join(bands)}"
    if not isinstance(iterations, int) or isinstance(iterations, bool):
        return f"the iterations are `{iterations}`, not a whole number"
    low, high = bands[level]
    if low <= iterations <= high:
        return None
    return f"level {level} takes {low}-{high} iterations, not {iterations}"
