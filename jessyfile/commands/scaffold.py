"""A project to start from: a commented recipe, and seeds taken from the corpus that comes with jessy.

Only texts are made here; writing them, and never over a file that is there, is the caller's.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import TYPE_CHECKING, Literal

from jessyfile.dataset.places import MARKERS, SEEDS
from jessyfile.resources import resource
from jessyfile.text.lines import lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Language = Literal["tr", "en", "mixed"]
LANGUAGES: tuple[Language, ...] = ("tr", "en", "mixed")
_PERSONA = "jessy"
_SMALL = "270m"


@dataclass(frozen=True, slots=True)
class _Topic:
    name: str
    count: int
    level: str | None = None


@dataclass(frozen=True, slots=True)
class _Category:
    name: str
    title: str
    level: str | None
    topics: tuple[_Topic, ...]
    language: str

    @property
    def count(self) -> int:
        return sum(topic.count for topic in self.topics)


@dataclass(frozen=True, slots=True)
class _Start:
    """What a project in one language begins with. `rows` are the languages that seeds of a mixed category may have."""

    system: tuple[str, ...]
    validation: int
    markers: int
    rows: tuple[str, ...]
    categories: tuple[_Category, ...]
    suites: tuple[tuple[str, int], ...]
    metrics: tuple[tuple[str, str], ...]


def _turkish(*counts: int) -> _Category:
    names = ("greetings", "questions", "casual", "slang")
    topics = tuple(_Topic(name, count) for name, count in zip(names, counts, strict=True))
    return _Category("turkish", "Everyday Turkish", "low", topics, "tr")


def _technical(language: str, *counts: int) -> _Category:
    names = ("rust", "architecture", "performance", "debugging")
    topics = tuple(_Topic(name, count) for name, count in zip(names, counts, strict=True))
    return _Category("technical", "Technical questions and answers", "medium", topics, language)


def _philosophical(language: str, *counts: int) -> _Category:
    names = ("consciousness", "ethics", "technology", "existential")
    topics = tuple(_Topic(name, count) for name, count in zip(names, counts, strict=True))
    return _Category("philosophical", "Questions without an easy answer", "high", topics, language)


_CONTROL = _Category(
    "iteration_control", "When to think and when not to", None,
    (_Topic("detection", 4), _Topic("fast", 3, "low"), _Topic("deep", 3, "high")), "en",
)  # fmt: skip
_TURKISH_SUITES = (("turkish", 20), ("iteration_control", 30))
_TURKISH_METRICS = (("turkish.form", "60%"), ("turkish.relevance", "20%"))
_STARTS: Mapping[Language, _Start] = {
    "tr": _Start(
        ("Sen sıcak, dürüst, kendi fikri olan bir yol arkadaşısın.",
         "Basit soruya kısa ve doğal cevap ver; zor soruda derin düşün."),
        10, 60, ("tr", "mixed"),
        (_turkish(10, 10, 12, 8), _technical("mixed", 4, 4, 4, 4), _philosophical("tr", 3, 3, 3, 3)),
        _TURKISH_SUITES, _TURKISH_METRICS,
    ),
    "en": _Start(
        ("You are a warm, honest companion with opinions of your own.",
         "Answer a simple question briefly; think hard about a hard one."),
        20, 24, ("en",),
        (_technical("en", 6, 6, 4, 4), _philosophical("en", 3, 3, 2, 2), _CONTROL),
        (("technical", 20), ("iteration_control", 30)),
        (("technical.form", "60%"), ("technical.relevance", "20%")),
    ),
    "mixed": _Start(
        ("Sen sıcak, dürüst, kendi fikri olan bir yol arkadaşısın. Answer in the language of the question.",
         "Basit soruya kısa ve doğal cevap ver; zor soruda derin düşün."),
        10, 60, ("tr", "en", "mixed"),
        (_turkish(8, 8, 8, 6), _technical("mixed", 6, 6, 4, 4), _philosophical("mixed", 3, 3, 3, 3)),
        _TURKISH_SUITES, _TURKISH_METRICS,
    ),
}  # fmt: skip


def project_files(
    name: str, base: str, language: Language, *, base_note: str = "", refine: bool = False
) -> dict[str, str]:
    """Return the files of a new project.

    Args:
        name: the model's name, written as it is.
        base: the value of FROM, written as it is.
        language: the language of the seeds, system prompt and suites.
        base_note: a comment beside FROM.
        refine: whether rows of the higher levels are trained behind a weaker draft, too.

    Returns:
        Texts by path relative to the project: `<name>.jessy`, and `data/seeds/<category>/<topic>.jsonl`.
    """
    start = _STARTS[language]
    recipe = f"{name.rsplit('/', 1)[-1]}.jessy"
    files = {recipe: _recipe(name, recipe, base, base_note or "the base model", start, refine=refine)}
    for category in start.categories:
        taken = start.rows if category.language == "mixed" else (category.language,)
        for topic in category.topics:
            files[f"{SEEDS}/{category.name}/{topic.name}.jsonl"] = _seeds(category.name, topic.name, topic.count, taken)
    for level in ("low", "medium", "high"):
        files[f"{SEEDS}/{MARKERS}/{level}.jsonl"] = _seeds(MARKERS, level, start.markers // 3, start.rows)
    return files


def _recipe(name: str, file: str, base: str, note: str, start: _Start, *, refine: bool) -> str:
    rank, rate = rank_and_rate(base)
    thought_over = [one for one in start.categories if one.level in ("medium", "high")]
    return recipe_text(
        "recipe.jessy.j2", file, name=name, base=base, base_note=note, system=start.system,
        validation=start.validation, markers=start.markers, categories=start.categories, rank=rank, rate=rate,
        refine=refine, refined=[one.name for one in thought_over], refined_rows=sum(one.count for one in thought_over),
        refined_language="en" if start.rows == ("en",) else "mixed",
        suites=[{"name": suite, "limit": limit} for suite, limit in start.suites],
        metrics=[{"name": metric, "value": value} for metric, value in start.metrics],
    )  # fmt: skip


def rank_and_rate(base: str) -> tuple[int, str]:
    """Return the rank and the learning rate of an adapter that fit a base."""
    return (64, "4e-4") if _SMALL in base.lower() else (16, "2e-4")


def recipe_text(template: str, file: str, **values: object) -> str:
    """Return the recipe that a template of `init` gives with some values, formatted."""
    from jinja2 import Environment, StrictUndefined

    from jessyfile.language.format import format_text

    environment = Environment(  # noqa: S701 (a recipe is no HTML)
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    text = resource("templates", "init", template).read_text("utf-8")
    return format_text(environment.from_string(text).render(file=file, **values), name=file)


def _seeds(category: str, topic: str, count: int, languages: Sequence[str]) -> str:
    """Return `count` rows of a shipped file, the languages by turns; rows that name the shipped persona stay out."""
    found = [(line, language) for line, language in _rows(category, topic) if _PERSONA not in line.lower()]
    each = [[line for line, language in found if language == wanted] for wanted in languages]
    by_turns = (line for turn in zip_longest(*each) for line in turn if line is not None)
    return "\n".join(islice(by_turns, count)) + "\n"


def _rows(category: str, topic: str) -> Iterator[tuple[str, str]]:
    text = resource("data", "seeds", category, f"{topic}.jsonl").read_text("utf-8")
    for line in lines(text):
        yield line, json.loads(line)["language"]
