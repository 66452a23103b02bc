"""The step `preferences`, and what is known of it before it runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from jessyfile.dataset.preference_set import PreferenceSet, counted, held_out, load_set, whole_rows
from jessyfile.dataset.preferences import Preference
from jessyfile.errors import DatasetError
from jessyfile.language.without_effect import many
from jessyfile.results.facts import PreferencesFacts, compared_by
from jessyfile.text.json_lines import write_jsonl

if TYPE_CHECKING:
    from jessyfile.language.recipe import Prefer, Recipe
    from jessyfile.planning.preflight import Finding, Outlook
    from jessyfile.planning.steps import StepContext

TRAIN, VALID = "train.jsonl", "valid.jsonl"
_UNEVEN = 1.5  # from here on the longer answers are preferred, or avoided, for their length
_MOST_GOOD = (
    1.34  # good answers to bad ones, by number and weight, are 1 to 4/3 in the settings that kto was published with
)
Doubt = tuple[str, str]  # what makes preferences poor to learn from, and what to do about it


def run_preferences(context: StepContext, references: Sequence[Preference]) -> PreferencesFacts:
    """Write `train.jsonl` and `valid.jsonl`: pairs for dpo, judged answers for kto.

    `references` are the pairs of the suites' reference answers. Raises DatasetError as `load_set` does.
    """
    from jessyfile.dataset.split import split_exactly

    prefer = context.recipe.prefer
    assert prefer is not None  # noqa: S101 (the step is there only when the recipe has a PREFER)
    found = load_set(context.recipe, prefer, context.root, references, nearly=True)
    rows = whole_rows(found.rows, context.recipe.complexity)
    row_of = {id(row): preference for row, preference in zip(rows, found.rows, strict=True)}
    split = split_exactly(rows, held_out(prefer, found), prefer.seed)
    for name, part in ((TRAIN, split.train), (VALID, split.valid)):
        write_jsonl(context.output / name, (asdict(row_of[id(row)]) for row in part))
    return counted(prefer.method, found, len(split.valid))


def preferences_preflight(outlook: Outlook, references: Sequence[Preference]) -> Iterator[Finding]:
    """Yield what is wrong with the preferences, and what makes them poor to learn from."""
    prefer = outlook.recipe.prefer
    if prefer is None:
        return
    try:
        found = load_set(outlook.recipe, prefer, outlook.root, references, nearly=False)
    except DatasetError as error:
        yield outlook.error(error, "prefer.files")
        return
    facts = counted(prefer.method, found, held_out(prefer, found))
    doubts = (*_passed_over(found), *_uneven(prefer, facts), *_few(prefer, facts), *_bare(outlook.recipe))
    for said, hint in doubts:
        yield outlook.warning(DatasetError(said, hint=hint), "prefer")


def _passed_over(found: PreferenceSet) -> Iterator[Doubt]:
    if found.duplicates:
        count = many(len(found.duplicates), "preference")
        yield f"{count} told before and left out; the first is {found.duplicates[0]}", "delete the copies"
    if found.other_systems:
        count = many(len(found.other_systems), "conversation")
        stands = "the recipe's SYSTEM stands in its place: check that the answers are still right"
        yield f"{count} with another system prompt; the first is {found.other_systems[0]}", stands


def _uneven(prefer: Prefer, facts: PreferencesFacts) -> Iterator[Doubt]:
    """Yield good answers that are told from bad ones by their length, or, to kto, by how many there are."""
    ratio = facts.length_ratio
    if not 1 / _UNEVEN < ratio < _UNEVEN:
        longer, shorter, times = ("good", "bad", ratio) if ratio > 1 else ("bad", "good", 1 / ratio)
        medians = f"medians {facts.good_length} and {facts.bad_length} characters"
        message = f"the {longer} answers are {times:.1f} times as long as the {shorter} ones ({medians})"
        yield message, f"{prefer.method} would learn the length: write answers of about the same"
    good, bad = facts.good * prefer.desirable_weight, facts.bad * prefer.undesirable_weight
    if prefer.method == "kto" and not 0.99 <= good / bad <= _MOST_GOOD:
        lacking = ("undesirable_weight", good / facts.bad) if good > bad else ("desirable_weight", bad / facts.good)
        message = f"{facts.good} good answers and {facts.bad} bad ones weigh {good / bad:.2g} to 1"
        yield message, f"bring it between 1 and 1.33, as with `{lacking[0]} {lacking[1]:.3g}`"


def _bare(recipe: Recipe) -> Iterator[Doubt]:
    if recipe.retrieve is not None and recipe.retrieve.examples:
        rows = many(recipe.retrieve.examples, "row")
        said = f"preferences are learned without the {rows} that RETRIEVE puts before a question"
        yield (
            said,
            "look at the report's figures of questions behind rows before you promote, or leave one of the two out",
        )


def _few(prefer: Prefer, facts: PreferencesFacts) -> Iterator[Doubt]:
    what = compared_by(prefer.method)
    if facts.valid == 0:
        share = f"validation {prefer.validation:.0%} of {facts.train} {what}"
        yield (
            f"{share} holds none out: nothing measures what is learned",
            f"add {what}, {math.floor(0.5 / prefer.validation) + 1} in all, or raise validation in PREFER",
        )
    if facts.train < prefer.batch_size:
        said = f"batch_size {prefer.batch_size} of PREFER is more than the {facts.train} {what} that are trained on"
        yield said, "lower it, or add some"
    updates = prefer.epochs * math.ceil(facts.train / prefer.batch_size)
    if prefer.warmup_steps > updates:
        said = f"warmup_steps {prefer.warmup_steps} of PREFER is more than its {many(updates, 'update')}"
        yield said, "lower it: the rate never reaches its peak"
