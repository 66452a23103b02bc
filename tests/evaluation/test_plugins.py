"""A user's own metric and check come from an installed distribution; one that does not work is said before any work begins."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from evaluation_fakes import CASE, by_id, make_answer, make_case, make_recipe

from jessyfile import plugins
from jessyfile.errors import EvaluationError
from jessyfile.evaluation import plugin_rules
from jessyfile.evaluation.cases import Check, load_suites, read_cases
from jessyfile.evaluation.checks import complaint, passes
from jessyfile.evaluation.verdict import Took, judge
from jessyfile.language import load_recipe
from jessyfile.language.recipe import Recipe
from jessyfile.pipeline import compile_steps
from jessyfile.planning.preflight import Finding, Outlook

PAGE = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text("utf-8")
DOCUMENTED = PAGE.partition("## Your own metric or check")[2]
PYPROJECT, SOURCE = (DOCUMENTED.split(f"```{kind}\n")[1].split("```")[0] for kind in ("toml", "python"))


def _forget() -> None:
    plugins.installed.cache_clear()
    plugin_rules._function.cache_clear()
    importlib.invalidate_caches()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed the distribution that the documentation shows."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    (source / "pyproject.toml").write_text(PYPROJECT, "utf-8")
    (source / "jessy_warmth.py").write_text(SOURCE, "utf-8")
    options = ["--no-index", "--no-deps", "--no-build-isolation", "--quiet", "--target", str(target)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(source)], check=True, timeout=120)
    return target


@pytest.fixture
def warmth(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(site))
    _forget()
    yield
    sys.modules.pop("jessy_warmth", None)
    monkeypatch.undo()
    _forget()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Return a function that lays a distribution with one entry point beside the installed ones."""
    made = tmp_path / "more"
    made.mkdir()
    names: list[str] = []

    def lay(group: str, name: str, source: str, distribution: str = "broken", version: str = "1.0") -> None:
        names.append(module := f"own_{distribution}")
        (made / f"{module}.py").write_text(source, "utf-8")
        info = made / f"{distribution}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n", "utf-8")
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}:own\n", "utf-8")
        _forget()

    monkeypatch.syspath_prepend(str(made))
    yield lay
    for name in names:
        sys.modules.pop(name, None)
    monkeypatch.undo()
    _forget()


def findings(recipe: Recipe, root: Path, reach: str = "machine") -> list[Finding]:
    return list(plugin_rules.plugins_preflight(Outlook(recipe, root, ("judge",), reach=reach, step="judge")))  # type: ignore[arg-type]


def suite_with(root: Path, kind: str) -> None:
    case = json.loads(CASE)
    case["form"] = [{"check": kind, "words": ["çay"]}]
    (root / "cases.jsonl").write_text(json.dumps(case) + "\n", "utf-8")


def test_a_metric_of_ones_own_is_measured_like_any_other(warmth: None, tmp_path: Path) -> None:
    recipe = make_recipe(tmp_path, "  MUST warmth > 50%\n  SHOULD turkish.form > 1%")
    assert findings(recipe, tmp_path, "network") == []
    names = [f"turkish-{n:03}" for n in range(4)]
    said = ["Kanka pilav yap.", "Pilav yap.", "Yap kanka.", ""]
    answers = by_id(*(make_answer(name, text) for name, text in zip(names, said, strict=True)))
    before = by_id(*(make_answer(name, "Pilav.") for name in names))
    found = judge(recipe, [make_case(name) for name in names], answers, before, Took())
    warmth_found = found.metrics["warmth"]
    assert (warmth_found.after.value, warmth_found.after.n, warmth_found.before) == (
        2 / 3,
        3,
        0.0,
    )  # the empty one does not count
    assert warmth_found.after.failing == ("turkish-001",)
    assert found.criteria[0].outcome.passed
    assert warmth_found.compared is not None
    assert warmth_found.compared.better == ("turkish-000", "turkish-002")


def test_a_metric_that_nothing_brings_stays_a_mistake_of_the_recipe(tmp_path: Path) -> None:
    make_recipe(tmp_path)
    path = tmp_path / "tiny.jessy"
    path.write_text(path.read_text("utf-8").replace("EVAL {", "EVAL {\n  MUST warmth > 50%"), "utf-8")
    assert [found.code for found in load_recipe(path).diagnostics if found.severity == "error"] == ["J024"]


def test_a_check_of_ones_own_stands_in_a_case(warmth: None, tmp_path: Path) -> None:
    suite_with(tmp_path, "ends_with")
    recipe = make_recipe(tmp_path)
    assert findings(recipe, tmp_path) == []
    (case,) = load_suites(recipe, tmp_path)
    assert case.form == (Check("ends_with", words=("çay",)),)
    assert passes(case.form[0], "Önce bir çay")
    assert not passes(case.form[0], "Çay iç, sonra konuşuruz")
    assert complaint(case.form[0], "x") == "fails the check ends_with"


def test_a_check_that_nothing_brings_is_named_with_its_line(tmp_path: Path) -> None:
    suite_with(tmp_path, "ends_with")
    _, faults = read_cases(tmp_path / "cases.jsonl")
    assert "there is no check `ends_with`" in str(faults[0])
    assert "cases.jsonl:1" in str(faults[0])


def test_the_version_of_what_is_used_is_part_of_the_verdicts_fingerprint(
    warmth: None, tmp_path: Path, install: Callable[..., None]
) -> None:
    suite_with(tmp_path, "ends_with")
    recipe = make_recipe(tmp_path, "  MAY warmth > 50%")
    install("jessy.metrics", "unused", "def own(case, answer): return True")
    step = next(step for step in compile_steps(recipe) if step.name == "judge")
    assert step.resolved is not None
    used = {"jessy.metrics.warmth": "jessy-warmth 1.2", "jessy.checks.ends_with": "jessy-warmth 1.2"}
    assert step.resolved(recipe) == used


METRIC, CHECK = "  MAY mine > 50%", ""


@pytest.mark.parametrize(
    ("group", "source", "said"),
    [
        ("jessy.metrics", "raise RuntimeError('no model here')", "cannot be imported: RuntimeError: no model here"),
        ("jessy.metrics", "import nowhere_at_all", "cannot be imported: ModuleNotFoundError"),
        ("jessy.metrics", "def other(): pass", "cannot be imported: AttributeError"),
        ("jessy.metrics", "own = 7", "does not take (case, answer)"),
        ("jessy.metrics", "def own(answer): return True", "does not take (case, answer)"),
        ("jessy.metrics", "def own(case, answer, more): return True", "does not take (case, answer)"),
        ("jessy.metrics", "def own(case, answer): return 0.7", "returned 0.7 for `tried-001`"),
        ("jessy.metrics", "def own(case, answer): return answer.nothing", "failed on an answer: AttributeError"),
        ("jessy.checks", "def own(answer, words): return True", "does not take (answer, prompt, words)"),
        ("jessy.checks", "def own(answer, prompt, words): return None", "returned None"),
        ("jessy.checks", "def own(answer, prompt, words): return answer[0] == 'a'", "failed on an answer: IndexError"),
    ],
)
def test_a_plugin_that_does_not_work_is_said_before_work_begins(
    tmp_path: Path, install: Callable[..., None], group: str, source: str, said: str
) -> None:
    install(group, "mine", source)
    suite_with(tmp_path, "mine" if group == "jessy.checks" else "any_of")
    recipe = make_recipe(tmp_path, "  MAY mine > 50%" if group == "jessy.metrics" else "")
    (found,) = findings(recipe, tmp_path)
    assert found.severity == "error"
    assert f"`mine` of broken 1.0 {said}" in found.message
    assert found.help


@pytest.mark.parametrize(("group", "name"), [("jessy.metrics", "no_loops"), ("jessy.metrics", "latency.low"), ("jessy.metrics", "turkish.form"), ("jessy.checks", "any_of")])  # fmt: skip
def test_a_name_that_jessy_has_is_refused(tmp_path: Path, install: Callable[..., None], group: str, name: str) -> None:
    """A metric called `no_loops` was passed over without a word, and its author read jessy's own number as theirs."""
    install(group, name, "def own(*_): return True")
    (found,) = findings(make_recipe(tmp_path), tmp_path, "network")
    assert f"`{name}` of broken 1.0 has the name of a" in found.message
    assert "rename its entry point" in found.help


def test_two_distributions_with_one_name_are_refused(tmp_path: Path, install: Callable[..., None]) -> None:
    recipe_text = "  MAY mine > 50%"
    install("jessy.metrics", "mine", "def own(case, answer): return True", "one")
    recipe = make_recipe(tmp_path, recipe_text)
    install("jessy.metrics", "mine", "def own(case, answer): return False", "two")
    with pytest.raises(
        EvaluationError, match=r"`mine` of (one|two) 1.0 has the name of the metric `mine` of (one|two)"
    ):
        findings(recipe, tmp_path)


def test_one_that_fails_on_a_real_answer_is_named(tmp_path: Path, install: Callable[..., None]) -> None:
    install("jessy.metrics", "mine", "def own(case, answer): return 'pilav' in answer.text or 1 / len(answer.text) > 0 and case.id != 'turkish-001' or 1 / 0")  # fmt: skip
    recipe = make_recipe(tmp_path, "  MAY mine > 50%")
    with pytest.raises(EvaluationError, match=r"`mine` of broken 1\.0 failed on an answer: ZeroDivisionError") as error:
        judge(recipe, [make_case()], by_id(make_answer(text="Çorba.")), {}, Took())
    assert "uninstall broken" in (error.value.hint or "")
