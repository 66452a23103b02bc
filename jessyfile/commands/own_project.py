"""A project out of a user's own rows: seeds, a suite that is held out, three cases to edit, and a recipe that fits them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from jessyfile.commands.scaffold import rank_and_rate, recipe_text
from jessyfile.dataset.places import SEEDS
from jessyfile.text.printable import json_text

if TYPE_CHECKING:
    from jessyfile.dataset.foreign_rows import OwnRows
    from jessyfile.dataset.rows import Row
    from jessyfile.evaluation.own_suite import HeldOut

CASES = "data/eval"
SERVED = "data/served"
TO_EDIT = 3
LEAST_ROWS = 8
ENOUGH_ROWS = 40
_BYTES_A_TOKEN = 2.5  # of UTF-8, so that the estimate rather says too many
_FRAME = 24  # tokens of a chat template around a row


@dataclass(frozen=True, slots=True)
class Amount:
    """What the recipe says of training, by how much data there is."""

    epochs: int
    batch: int
    warmup: int
    max_length: int
    max_tokens: int
    num_ctx: int
    rank: int
    rate: str


@dataclass(frozen=True, slots=True)
class OwnProject:
    """A project's files by their path, and what is to be said of them."""

    files: dict[str, str]
    held: int
    serves: bool
    worded: int


def own_project(name: str, base: str, note: str, found: OwnRows, origin: str, *, refine: bool = False) -> OwnProject:
    """Return the files of a project that learns a user's rows.

    Args:
        name: the model's name, as NAME takes it.
        base: the value of FROM.
        note: a comment beside FROM.
        found: the rows, read and judged.
        origin: the file they came from, for the recipe's head.
        refine: whether each row is trained behind a weaker draft, too.

    Returns:
        The recipe first, then seeds and suites.
    """
    from jessyfile.dataset.rows import to_json
    from jessyfile.evaluation.own_suite import cases_of, hold_out, worded_cases

    held = hold_out(found.rows)
    suite = held.trained[0].example.category.value
    edited, own = f"{suite}_mine", cases_of(held, suite)
    mine = [_renamed(case, edited, number) for number, case in enumerate(own[:TO_EDIT], 1)]
    worded = worded_cases(held, f"{suite}_words") if own and not held.known else []
    suites = {title: cases for title, cases in ((suite, own), (edited, mine), (f"{suite}_words", worded)) if cases}
    recipe = f"{name.rsplit('/', 1)[-1]}.jessy"
    sizes = {title: len(cases) for title, cases in suites.items()}
    values = _Recipe(name, recipe, base, note, found.system, origin, held, sizes, found.allow, refine=refine)
    files = {recipe: values.text(), **seed_files(held.trained)}
    files |= {f"{CASES}/{title}.jsonl": _lines(cases) for title, cases in suites.items()}
    if values.serve:
        files[values.serve] = _lines([to_json(row.example) for row in held.asked])
    return OwnProject(files, len(held.asked), bool(values.serve), len(worded))


def _renamed(case: dict[str, object], suite: str, number: int) -> dict[str, object]:
    return case | {"id": f"{suite}-{number:03}", "suite": suite}


def seed_files(rows: Sequence[Row]) -> dict[str, str]:
    """Return the files of rows by their path below the project: one a topic."""
    from jessyfile.dataset.rows import to_json

    found: dict[str, list[object]] = {}
    for row in rows:
        place = f"{SEEDS}/{row.example.category.value}/{row.example.topic}.jsonl"
        found.setdefault(place, []).append(to_json(row.example))
    return {place: _lines(values) for place, values in found.items()}


def _lines(values: Sequence[object]) -> str:
    return "".join(json_text(value) + "\n" for value in values)


def tokens_of(text: str) -> int:
    """Return about how many tokens a text has, rather too many: no tokenizer is at hand before the base is."""
    return ceil(len(text.encode("utf-8")) / _BYTES_A_TOKEN)


def refinement_name(category: str) -> str:
    """Return a name for the category that refines another."""
    return "refinement" if category != "refinement" else "refined_again"


def amount(rows: Sequence[Row], system: str, base: str, *, refine: bool = False) -> Amount:
    """Return the training that fits the rows: enough updates for few of them, and room for the longest.

    Args:
        rows: the rows to train on.
        system: the system prompt, which stands before each.
        base: the value of FROM.
        refine: whether each is trained a second time, behind a draft of its answer.

    Returns:
        What the recipe says of training.
    """
    few = len(rows) * (2 if refine else 1)
    epochs = 6 if few < 150 else 4 if few < 600 else 3 if few < 2000 else 2
    batch = 4 if few < 150 else 8
    before = tokens_of(system) + _FRAME
    longest = max(before + tokens_of(row.text) + _FRAME * len(row.example.turns) for row in rows)
    answer = max(tokens_of(row.example.response or "") for row in rows)
    if refine:
        longest += answer + 2 * _FRAME
    max_tokens = min(max(32, 16 * ceil(1.25 * answer / 16)), 1024)
    max_length = min(max(64, 32 * ceil(longest / 32)), 2048)
    window = next((size for size in (2048, 4096, 8192) if size >= max_length + max_tokens), 8192)
    warmup = max(2, round(0.05 * epochs * few / batch))
    return Amount(epochs, batch, warmup, max_length, max_tokens, window, *rank_and_rate(base))


@dataclass(frozen=True, slots=True)
class _Recipe:
    """What the recipe's text is made of."""

    name: str
    file: str
    base: str
    note: str
    system: str | None
    origin: str
    held: HeldOut
    suites: dict[str, int]
    allow: tuple[str, ...]
    refine: bool

    def text(self) -> str:
        """Return the recipe, formatted."""
        from jessyfile.language.write_value import quoted

        rows = self.held.trained
        suite, edited, worded = [*self.suites, "", "", ""][:3]
        return recipe_text(
            "own.jessy.j2", self.file, name=self.name, base=self.base, base_note=self.note, origin=self.origin,
            title=quoted(self.origin),
            system=self._system(), category=rows[0].example.category.value, rows=len(rows), language=_language(rows),
            topics=Counter(row.example.topic for row in rows),
            amount=amount(rows, self.system or "", self.base, refine=self.refine),
            refine=self.refine, refinement=refinement_name(rows[0].example.category.value),
            validation=max(5, ceil(100 * len({row.example.topic for row in rows}) / len(rows))),
            known=self.held.known, suite=suite, edited=edited, worded=worded, suites=self.suites,
            allow=" ".join(self.allow), serve=self.serve,
        )  # fmt: skip

    @property
    def serve(self) -> str:
        """The file of the rows that are asked in the suite and served all the same; none where no row answers as it stands."""
        return (
            ""
            if self.held.known or not self.held.asked
            else f"{SERVED}/{self.held.asked[0].example.category.value}.jsonl"
        )

    def _system(self) -> str:
        from jessyfile.importing.quote import portable, written

        return written(portable(self.system)[0]) if self.system else ""


def _language(rows: Sequence[Row]) -> str | None:
    """Return the language that all rows declare, if it is one that a recipe names."""
    found = {row.example.language.value for row in rows} - {"any"}
    return next(iter(found)) if len(found) == 1 else None
