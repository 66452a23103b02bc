"""Ask a registered model its suites now and score what it says. Nothing in the project changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from jessyfile.engines.serving import engine_of, served_model, served_of, served_with_rows
from jessyfile.errors import EvaluationError
from jessyfile.evaluation.answers import Asker
from jessyfile.evaluation.cases import load_suites
from jessyfile.evaluation.evaluation_steps import KEPT, ask_suites
from jessyfile.evaluation.metrics import ModelScores
from jessyfile.evaluation.plugin_rules import plugin_faults
from jessyfile.evaluation.verdict import score_all
from jessyfile.export.registry import check_answering
from jessyfile.language.recipe import Complexity, Recipe, Suite
from jessyfile.planning.state import load_state

if TYPE_CHECKING:
    from jessyfile.engines.engine import Engine, ServedModel
    from jessyfile.evaluation.scores import Score
    from jessyfile.export.registry import Registration
    from jessyfile.planning.steps import Progress, Stop

QUICK = 10  # cases of a suite


@dataclass(frozen=True, slots=True)
class AskableModel:
    """A model that can be asked: its engine, how it is served, how its answers say their level, and its file's digest."""

    name: str
    digest: str
    engine: Engine
    served: ServedModel
    complexity: Complexity


@dataclass(frozen=True)
class ModelEvaluation:
    """What a model said to every case, scored. `often` are the recipe's words by which a personality is known."""

    name: str
    digest: str
    engine: str
    scores: tuple[Score, ...]
    often: tuple[str, ...] = ()
    load_seconds: float | None = None

    @cached_property
    def by_case(self) -> Mapping[str, Score]:
        """The scores by case."""
        return {one.case.id: one for one in self.scores}

    def of(self, cases: Sequence[str]) -> ModelScores:
        """Return the scores of some cases, to be measured."""
        chosen = tuple(self.by_case[case] for case in cases)
        return ModelScores(chosen, None, self.often, self.load_seconds)

    @property
    def measured(self) -> ModelScores:
        """All scores, to be measured."""
        return self.of([*self.by_case])


def askable(root: Path, entry: Registration, max_tokens: int, stop: Stop | None = None) -> AskableModel:
    """Return a registered model that can be asked, after whoever answers under its name was found to be it.

    Args:
        root: the project's root folder.
        entry: the registration.
        max_tokens: the longest answer.
        stop: asked while a server is waited for.

    Raises:
        DamagedError: the file that answers is not the one that was registered.
        EngineError: nobody answers.
    """
    check_answering(root, entry, stop)
    served = served_model(entry, max_tokens)
    engine = engine_of(entry, stop, evaluating=True, retrieving=served_with_rows(entry) or False)
    return AskableModel(f"{entry.name}:{entry.tag}", entry.digest, engine, served, served_of(entry).complexity)


def recipe_of(root: Path, name: str) -> Recipe:
    """Return the recipe that a model was last made from, as it reads now. Raises EvaluationError when it is not to be found."""
    from jessyfile.language.loading import load_recipe

    place = load_state(root, name).recipe
    if not place or not (root / place).is_file():
        where = f"its recipe `{place}` is gone" if place else "no recipe here has made it"
        raise EvaluationError(
            f"nothing says which suites `{name}` answers: {where}", hint="name the recipe itself: `jessy eval RECIPE`"
        )
    loaded = load_recipe(root / place)
    if loaded.recipe is None:
        raise EvaluationError(f"the recipe `{place}` has mistakes", hint=f"`jessy check {place}` shows them")
    return loaded.recipe


def chosen_suites(recipe: Recipe, names: Sequence[str], *, quick: bool = False) -> Recipe:
    """Return the recipe with these suites alone (all of its own unless named), cut to a few even cases each when `quick`.

    A shipped suite may be named that the recipe does not answer.
    """
    own = {suite.name: suite for suite in recipe.evaluation.suites}
    suites = [own.get(name) or Suite(name, f"data/eval/{name}.jsonl", None) for name in names or own]
    if quick:
        suites = [replace(suite, limit=min(suite.limit or QUICK, QUICK)) for suite in suites]
    return replace(recipe, evaluation=replace(recipe.evaluation, suites=tuple(suites)))


def evaluate_model(model: AskableModel, recipe: Recipe, root: Path, progress: Progress, stop: Stop) -> ModelEvaluation:
    """Ask a model every case of a recipe's suites and score the answers by its PERSONALITY and the model's own levels.

    Args:
        model: the model; it is loaded here and let go.
        recipe: its suites and its rules of PERSONALITY are used.
        root: the project's root folder.
        progress: told the number of answers.
        stop: asked between two answers.

    Returns:
        The scores, and what loading took.

    Raises:
        EvaluationError: a suite cannot be read, or a plugin not be used.
        EngineError: the model cannot be loaded.
        Interrupted: a stop was requested.
    """
    for fault in plugin_faults(recipe, root):
        raise fault
    judged = replace(recipe, complexity=model.complexity)
    cases = load_suites(judged, root)
    if not cases:
        raise EvaluationError("the recipe answers no suite", hint="name one: --suite turkish")
    asker = Asker(model.engine, model.complexity, model.served.settings, None, model.digest)
    with TemporaryDirectory(prefix="jessy-eval-") as folder:
        found = ask_suites(asker, model.served, cases, Path(folder) / KEPT, progress, stop)
    scores = tuple(score_all(judged, cases, {answer.id: answer for answer in found.answers}).values())
    often = recipe.personality.often
    return ModelEvaluation(model.name, model.digest, model.engine.name, scores, often, found.cold_seconds)
