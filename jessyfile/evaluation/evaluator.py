"""An evaluation that is driven from code: the suites asked now, their scores as plain numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from jessyfile.engines.engine import ServedModel
from jessyfile.errors import EvaluationError
from jessyfile.evaluation.answers import ANSWERS, answers_of
from jessyfile.evaluation.ask_model import (
    AskableModel,
    ModelEvaluation,
    askable,
    chosen_suites,
    evaluate_model,
    recipe_of,
)
from jessyfile.evaluation.comparison import ComparisonReport, EvaluationMetrics
from jessyfile.export.parcel import plain_recipe
from jessyfile.export.registry import LATEST, lookup, registered, registered_names
from jessyfile.fsops import make_folder
from jessyfile.language.recipe import Complexity, Recipe
from jessyfile.planning.run import Silent
from jessyfile.planning.state import load_state
from jessyfile.planning.steps import StepContext
from jessyfile.planning.store import Store
from jessyfile.project import find_root

if TYPE_CHECKING:
    from jessyfile.planning.steps import Progress

_HERE = "http://127.0.0.1:11434"
_COMPARED = ("turkish", "personality", "iteration_control")


class Evaluator:
    """Asks a model the suites and says what it is worth. Each suite is asked once, when its number is first wanted."""

    def __init__(
        self,
        model: str | None = None,
        *,
        base: str | None = None,
        ollama: str = _HERE,
        progress: Progress | None = None,
    ) -> None:
        """Take who is asked; nothing is asked yet.

        Args:
            model: A model that this project has registered, as `"jessy-v2"` or `"jessy-v2:candidate"`, or one that Ollama serves; the
                only one of the project unless given.
            base: The model to compare with, named likewise; the recipe's own base unless given.
            ollama: The address of the Ollama that is looked at for a model that is not registered.
            progress: Told how many cases are answered.
        """
        self._name, self._base_name, self._ollama = model, base, ollama
        self._progress = progress or Silent()
        self._asked: dict[tuple[str, str], ModelEvaluation] = {}

    def test_turkish_understanding(self) -> float:
        """Return the share of everyday Turkish that is answered well: the metric `turkish_accuracy` over the suite `turkish`.

        Raises:
            EngineError: Nobody serves the model.
            EvaluationError: No name was given, and the project has not exactly one model.
        """
        return self._share("turkish", "turkish_accuracy")

    def verify_personality(self) -> float:
        """Return the share of the suite `personality` that is answered in character. Raises as `test_turkish_understanding` does."""
        return self._share("personality", "personality")

    def measure_response_times(self) -> dict[str, float]:
        """Return seconds by level, and under `load` those from a cold engine to the first token.

        A level's are the 95th percentile to a complete answer, over the cases of the suite `iteration_control`, asked one at a time.
        Raises as `test_turkish_understanding` does.
        """
        found = self._evaluated("iteration_control").measured
        levels = dict.fromkeys(score.case.level for score in found.scores)
        measured = {name: found.measure(f"latency.{name}").value for name in (*levels, "load")}
        return {name: seconds for name, seconds in measured.items() if seconds is not None}

    def compare_before_after(self) -> ComparisonReport:
        """Return the four numbers of the base and of the model, over the same cases.

        The base is judged without the marker, which nobody taught it; so it has no iteration efficiency (0). Raises as
        `test_turkish_understanding` does, and EvaluationError where no base is known.
        """
        after = [self._evaluated(suite) for suite in _COMPARED]
        before = [self._base_evaluated(suite) for suite in _COMPARED]
        return ComparisonReport(_numbers(before), _numbers(after))

    def _share(self, suite: str, metric: str) -> float:
        return self._evaluated(suite).measured.measure(metric).value or 0.0

    def _evaluated(self, suite: str) -> ModelEvaluation:
        return self._ask(self._name or _only_model(_root()), suite, marked=True)

    def _base_evaluated(self, suite: str) -> ModelEvaluation:
        if self._base_name is not None:
            return self._ask(self._base_name, suite, marked=False)
        return _stored_base(_root(), self._name or _only_model(_root()), suite, self._progress)

    def _ask(self, name: str, suite: str, *, marked: bool) -> ModelEvaluation:
        if (name, suite) not in self._asked:
            recipe, model = self._found(name)
            if not marked:
                model = replace(model, complexity=Complexity(model.complexity.levels, None))
            chosen = chosen_suites(recipe, [suite])
            self._asked[name, suite] = evaluate_model(model, chosen, _root(), self._progress, Silent())
        return self._asked[name, suite]

    def _found(self, name: str) -> tuple[Recipe, AskableModel]:
        """Return a model and the recipe by which it is judged: its own, or a plain one where none has made it."""
        root, (bare, _, tag) = _root(), name.partition(":")
        if lookup(root, bare, tag or LATEST) is not None:
            entry = registered(root, bare, tag or LATEST)
            recipe = recipe_of(root, bare) if load_state(root, bare).recipe else plain_recipe(bare, None)
            return recipe, askable(root, entry, recipe.evaluation.max_tokens)
        return self._served_by_ollama(root, name)

    def _served_by_ollama(self, root: Path, name: str) -> tuple[Recipe, AskableModel]:
        from jessyfile.engines.ollama_engine import Ollama
        from jessyfile.export.ollama_api import OllamaClient, answers
        from jessyfile.planning.consent import Outgoing, require

        require([Outgoing("Evaluator", self._ollama, "the suites' questions")])
        client = OllamaClient(self._ollama)
        if answers(self._ollama) is None or not client.has(name):
            registered(root, *_tagged(name))  # raises the error that names what there is
        recipe = plain_recipe(name, None)
        settings = replace(ServedModel(name, None, "").settings, max_tokens=recipe.evaluation.max_tokens)
        served = ServedModel(name, None, "", settings=settings)
        digest = client.file_digest(name) or ""
        return recipe, AskableModel(name, digest, Ollama(self._ollama, cold=True), served, recipe.complexity)


def _root() -> Path:
    return find_root(Path.cwd() / "recipe")


def _tagged(name: str) -> tuple[str, str]:
    bare, _, tag = name.partition(":")
    return bare, tag or LATEST


def _only_model(root: Path) -> str:
    names = registered_names(root)
    if len(names) != 1:
        there = f"this project has {', '.join(names)}" if names else "this project has none"
        raise EvaluationError(f"no model was named, and {there}", hint='name one: Evaluator("jessy-v2")')
    return names[0]


def _stored_base(root: Path, name: str, suite: str, progress: Progress) -> ModelEvaluation:
    """Ask the base that the project's recipe was trained from; what it was asked before is kept in the project."""
    from jessyfile.evaluation.cases import load_suites
    from jessyfile.evaluation.evaluation_steps import run_baseline
    from jessyfile.evaluation.verdict import score_all

    bare, _ = _tagged(name)
    actions = load_state(root, bare).steps
    if "base" not in actions:
        raise EvaluationError(
            f"no recipe here has made `{bare}`, so nothing says what its base is",
            hint=f'name it: Evaluator("{bare}", base="gemma3:270m")',
        )
    recipe, store = chosen_suites(recipe_of(root, bare), [suite]), Store(root)
    inputs = {step: store.verified(actions[step].object) for step in ("from", "base", "encode") if step in actions}
    facts = {step: actions[step].facts for step in inputs}
    with TemporaryDirectory(prefix="jessy-eval-") as folder:
        output, work = make_folder(Path(folder) / "output"), make_folder(Path(folder) / "work")
        context = StepContext(recipe, root, output, work, inputs, facts, progress, Silent(), "baseline")
        found = run_baseline(context)
        answers = answers_of(output / ANSWERS, found.digest)
    plain = replace(recipe, complexity=Complexity(recipe.complexity.levels, None))
    scores = tuple(score_all(plain, load_suites(plain, root), answers).values())
    often = recipe.personality.often
    return ModelEvaluation(found.model, found.digest, found.engine, scores, often, found.cold_seconds)


def _numbers(found: list[ModelEvaluation]) -> EvaluationMetrics:
    turkish, personality, control = (one.measured for one in found)
    seconds = [score.answer.seconds for one in found for score in one.scores if score.answer.alone]
    return EvaluationMetrics(
        turkish_accuracy=turkish.measure("turkish_accuracy").value or 0.0,
        response_time_avg=fmean(seconds) if seconds else 0.0,
        personality_score=personality.measure("personality").value or 0.0,
        iteration_efficiency=control.measure("iteration_efficiency").value or 0.0,
    )
