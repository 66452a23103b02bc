"""What a point of a sweep is chosen by: rows held out of training, or the reference answers of the development split.

The suites that promote are asked by no sweep: who chooses among many models by the cases that promote promotes luck.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jessyfile.errors import RecipeError
from jessyfile.language.suggest import help_for
from jessyfile.results.facts import ContrastFacts, Curve, TrainFacts
from jessyfile.results.typed_json import load_as

if TYPE_CHECKING:
    from jessyfile.language.recipe import Recipe
    from jessyfile.planning.run import RunResult

LOSS = "validation_loss"
_CONTRASTS = ("knows", "fits", "voice", "kind")
CRITERIA = (LOSS, *_CONTRASTS)


@dataclass(frozen=True, slots=True)
class SweepCriterion:
    """What is measured: its name, the step that measures it, the settings that it needs, whether lower is better, and on what."""

    name: str
    step: str
    sets: tuple[tuple[str, str], ...]
    lower: bool
    split: str


def criterion(name: str, recipe: Recipe) -> SweepCriterion:
    """Return what a sweep of a recipe is decided by. Raises RecipeError for what it may not, or cannot, be decided by."""
    if name not in CRITERIA:
        hint = help_for(name, CRITERIA, "criterion", f"take one of {', '.join(CRITERIA)}")
        raise RecipeError(
            f"a sweep is never decided by {name!r}: a suite's cases are left to those that promote", hint=hint
        )
    if recipe.lora.trained:
        raise RecipeError("this recipe takes an adapter that is trained already", hint="leave `trained` out of LORA")
    if name != LOSS:
        split = "reference answers of the split `development`; `jessy apply` measures by those of `final`"
        return SweepCriterion(name, "contrast", (("eval.contrast", "development"),), lower=False, split=split)
    if not recipe.dataset.validation:
        raise RecipeError("this recipe holds no rows out to measure by", hint="write `validation 10%` in DATASET")
    return SweepCriterion(LOSS, "train", (), lower=True, split="the rows that `validation` holds out of training")


def measured(what: SweepCriterion, result: RunResult, recipe: Recipe) -> float:
    """Return what one try has reached. Raises RecipeError where it was not measured."""
    value = _loss(result, recipe) if what.name == LOSS else _contrast(what, result)
    if value is None:
        raise RecipeError(
            f"{what.name} was not measured", hint="a suite of the recipe must have such reference answers"
        )
    return value


def _loss(result: RunResult, recipe: Recipe) -> float | None:
    """Return the validation loss of the adapter that was kept: the lowest, or that of the last update."""
    step = result.step("train")
    if step is None:
        return None
    if recipe.train.keep == "best":
        return step.facts_of(TrainFacts).best_validation_loss
    validations = load_as(Curve, step.folder / "curve.json").validations
    return validations[-1].loss if validations else None


def _contrast(what: SweepCriterion, result: RunResult) -> float | None:
    facts = result.facts_of("contrast", ContrastFacts)
    return facts.metrics.get(what.name) if facts is not None else None
