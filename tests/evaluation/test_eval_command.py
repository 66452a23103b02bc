"""`jessy eval`, `compare` and `report`: a promoted model is asked again, and a real fall is told from chance."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from evaluation_fakes import FakeEngine, answered, by_id, make_answer, make_case, make_recipe, served

from jessyfile.cli import main
from jessyfile.errors import EvaluationError, Interrupted
from jessyfile.evaluation import ask_model
from jessyfile.evaluation.falls import fewer_by_chance, holm
from jessyfile.evaluation.verdict import Took, judge, write_verdict
from jessyfile.export.registry import Registration, register
from jessyfile.language.loading import load_recipe
from jessyfile.planning.canonical import normal
from jessyfile.planning.lockfile import read_lock
from jessyfile.planning.runs import RecordedStep, Run, RunRecord
from jessyfile.planning.state import State, save_state
from jessyfile.planning.store import Store

sys.path.insert(0, str(Path(__file__).parents[1] / "export"))

from fake_ollama import fake_ollama

FILE = b"GGUF"
DIGEST = hashlib.sha256(FILE).hexdigest()
RECIPE = """JESSY 1
NAME tiny
FROM gemma3:270m
DATASET { CATEGORY turkish 10 { language tr  level low  TOPIC casual 10 } }
DEPLOY { engine embedded }
EVAL {
  SUITE turkish "cases.jsonl"
  MUST  turkish_accuracy > 50%
  SHOULD latency.load < 5s
}
"""
LOCK = """# what tiny.jessy was made into; written by `jessy apply`, meant to be committed
name       tiny
gguf       {object}  model.gguf sha256:{digest}
promoted   yes
must       turkish_accuracy > 50%  {measured}  pass
should     latency.load < 5s  1.2s n=1  pass
must       training_time < 20m  256s n=1  pass
"""


def case(number: int) -> str:
    body = {
        "id": f"turkish-{number:03}",
        "suite": "turkish",
        "prompt": f"{number} ne yesek",
        "level": "low",
        "language": "tr",
    }
    return json.dumps({**body, "relevance": [{"check": "any_of", "words": ["pilav"]}]}) + "\n"


@dataclass
class Project:
    root: Path
    engine: FakeEngine

    def jessy(self, *words: str) -> int:
        return main(list(words))

    def lock(self, measured: str, digest: str = DIGEST) -> None:
        (self.root / "tiny.lock").write_text(LOCK.format(measured=measured, digest=digest, object="0" * 64), "utf-8")


GOOD, BAD = "[low 1]\nBence pilav yap, yanına da yoğurt.", "[low 1]\nBugün hava çok güzel, değil mi?"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    (tmp_path / ".jessy").mkdir()
    (tmp_path / "tiny.jessy").write_text(RECIPE, "utf-8")
    (tmp_path / "cases.jsonl").write_text("".join(map(case, range(40))), "utf-8")
    (tmp_path / "m.gguf").write_bytes(FILE)
    for tag in ("candidate", "latest"):
        register(tmp_path, "tiny", tag, Registration("embedded", DIGEST, served(), gguf="m.gguf"))
    save_state(tmp_path, State("tiny", "lineage", recipe="tiny.jessy"))
    engine = FakeEngine(lambda _: GOOD)
    monkeypatch.setattr(ask_model, "engine_of", lambda entry, stop=None, evaluating=False, retrieving=True: engine)
    monkeypatch.chdir(tmp_path)
    yield Project(tmp_path, engine)
    assert engine.loads == 0


def files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("what", ["tiny", "tiny:candidate", "tiny.jessy"])
def test_a_model_that_answers_as_it_did_has_not_fallen_and_nothing_is_changed(
    project: Project, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    project.lock("97.5% [87.1%, 99.6%] n=40")
    before = files(project.root)
    assert project.jessy("eval", what) == 0
    told = capsys.readouterr().out
    assert "ok    turkish_accuracy   100% [91.2%, 100%] n=40   lock: 97.5% -> 100% (n = 40, 40), p = 1" in told
    assert "none of 2 scores fell beyond chance" in told
    assert {name: data for name, data in files(project.root).items() if name != ".jessy/files.json"} == before


def test_a_fall_beyond_chance_ends_in_a_code_of_its_own(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.lock("97.5% [87.1%, 99.6%] n=40")
    project.engine.answer = lambda prompt: GOOD if int(prompt.split()[0]) % 2 else BAD
    assert project.jessy("eval", "tiny") == 3
    told = capsys.readouterr().out
    assert "FELL  turkish_accuracy" in told
    assert "fell beyond chance: turkish_accuracy" in told


def test_a_fall_that_may_be_chance_is_none(project: Project) -> None:
    project.lock("97.5% [87.1%, 99.6%] n=40")
    project.engine.answer = lambda prompt: BAD if int(prompt.split()[0]) < 3 else GOOD
    assert project.jessy("eval", "tiny") == 0


def test_quick_asks_ten_even_cases_and_says_how_many(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert project.jessy("eval", "tiny", "--quick", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["id"] for one in found["cases"]] == [f"turkish-{n:03}" for n in range(0, 40, 4)]
    assert (found["format"], found["digest"], found["quick"], found["changes"]) == (1, DIGEST, True, [])
    assert {score["metric"]: score["n"] for score in found["scores"]}["turkish_accuracy"] == 10
    assert found["load_seconds"] == 0.55


def test_a_shipped_suite_may_be_asked_that_the_recipe_does_not_answer(project: Project) -> None:
    assert project.jessy("eval", "tiny", "--suite", "emotional", "--quick") == 0
    assert len(project.engine.asked) == 11


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("nobody",), 1, "there is no model `nobody:latest`"),
        (("none.jessy",), 1, "there is no recipe `none.jessy`"),
        (("tiny", "--suite", "nonsense"), 1, "the suite `nonsense` has no file"),
        (("tiny", "--suite", "turkis"), 1, "a similar suite exists: `turkish`"),
        (("tiny:newest",), 64, "a model's tag is latest, candidate, previous"),
        (("cases.jsonl",), 1, "is a file of rows, not a recipe"),
        (("tiny", "--junit", "cases.jsonl"), 1, "is there already, and jessy did not write it"),
        (("tiny", "--junit", "cases.jsonl/found.xml"), 1, "cannot write"),
        ((), 64, "Missing argument"),
    ],
)
def test_what_cannot_be_asked_is_said_before_anything_is(
    project: Project, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, said: str
) -> None:
    assert project.jessy("eval", *words) == code
    assert said in capsys.readouterr().err
    assert project.engine.asked == []


def test_a_model_without_a_recipe_says_what_to_name(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    (project.root / "tiny.jessy").unlink()
    assert project.jessy("eval", "tiny") == 1
    told = capsys.readouterr().err
    assert "its recipe `tiny.jessy` is gone" in told
    assert "`jessy eval RECIPE`" in told


def test_a_damaged_file_is_not_asked(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    (project.root / "m.gguf").write_bytes(b"GGUG")
    assert project.jessy("eval", "tiny") == 1
    assert "has other bytes than were written" in capsys.readouterr().err


def test_a_lock_with_scores_that_nothing_measures_any_more_is_read_past_them(project: Project) -> None:
    project.lock("97.5% [87.1%, 99.6%] n=40")
    path = project.root / "tiny.lock"
    gone = "may        warmth > 1%  50% [40%, 60%] n=9  pass\nmay        latency.odd < 5s  1s [1s, 2s] n=9  pass\n"
    path.write_text(path.read_text("utf-8") + gone, "utf-8")
    assert project.jessy("eval", "tiny") == 0


def test_a_plugin_that_cannot_be_used_stops_it_before_anything_is_asked(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    error = EvaluationError("the metric `mine` of broken 1.0 cannot be imported", hint="mend it")
    monkeypatch.setattr(ask_model, "plugin_faults", lambda recipe, root: iter([error]))
    assert project.jessy("eval", "tiny") == 1
    assert "the metric `mine` of broken 1.0 cannot be imported" in capsys.readouterr().err
    assert project.engine.asked == []


def test_a_lock_of_another_model_is_said(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.lock("97.5% [87.1%, 99.6%] n=40", digest="ab" * 32)
    assert project.jessy("eval", "tiny") == 0
    assert "the lock file's scores are of another model (abababababab)" in capsys.readouterr().out


def test_junit_is_valid_and_holds_every_case_and_score(project: Project) -> None:
    import xmlschema

    project.lock("97.5% [87.1%, 99.6%] n=40")
    project.engine.answer = lambda prompt: f"{BAD} \x1b[2J \ufffe <&>" if int(prompt.split()[0]) < 30 else GOOD
    out = project.root / "found.xml"
    for _ in range(2):  # what it wrote itself is replaced
        assert project.jessy("eval", "tiny", "--junit", str(out)) == 3
    schema = xmlschema.XMLSchema(str(Path(__file__).with_name("junit.xsd")))
    found: Any = schema.to_dict(str(out))
    assert (found["@tests"], found["@failures"]) == (42, 31)
    cases, scores = found["testsuite"]
    assert {one["@name"]: one["@value"] for one in cases["properties"]["property"]}["digest"] == DIGEST
    assert "does not say pilav" in cases["testcase"][0]["failure"]["@message"]
    assert [("failure" in one, one["@name"]) for one in scores["testcase"]] == [
        (True, "turkish_accuracy"),
        (False, "latency.load"),
    ]
    with pytest.raises(xmlschema.XMLSchemaValidationError):
        schema.validate(out.read_text("utf-8").replace("testcase", "test"))


def test_an_ollama_that_serves_another_file_under_the_name_is_found(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """Anybody can give an Ollama's name another model; the monitoring then watched that one."""
    with fake_ollama() as (state, url):
        state.models["tiny:latest"] = {"files": {"model.gguf": f"sha256:{DIGEST}"}}
        register(project.root, "tiny", "latest", Registration("ollama", DIGEST, served(), ollama=url))
        assert project.jessy("eval", "tiny", "--quick") == 0
        state.models["tiny:latest"] = {"files": {"model.gguf": f"sha256:{'ab' * 32}"}}
        assert project.jessy("eval", "tiny", "--quick") == 1
    told = capsys.readouterr().err
    assert f"Ollama serves another file as tiny:latest (abababababab) than was registered ({DIGEST[:12]})" in told


def test_an_ollama_elsewhere_gets_questions_only_when_it_is_allowed(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = Registration("ollama", DIGEST, served(), ollama="http://192.0.2.7:11434")
    register(project.root, "tiny", "latest", entry)
    assert project.jessy("eval", "tiny") == 1
    assert "--allow-host 192.0.2.7:11434" in capsys.readouterr().err


def test_compare_asks_both_and_shows_what_got_worse_first(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    (project.root / "n.gguf").write_bytes(b"GGUF2")
    other = Registration("embedded", hashlib.sha256(b"GGUF2").hexdigest(), served(), gguf="n.gguf")
    register(project.root, "tiny", "candidate", other)
    worse = {"07", "7", "9"}
    project.engine.answer = lambda prompt: (
        BAD if len(project.engine.asked) > 41 and prompt.split()[0] in worse else GOOD
    )
    assert project.jessy("compare", "tiny", "tiny:candidate") == 0
    told = capsys.readouterr().out
    assert "40 cases of both" in told
    assert (
        "turkish_accuracy   100% [91.2%, 100%] n=40 -> 95% [83.5%, 98.6%] n=40  +0 -2, -12 to +0 points, p = 0.5"
        in told
    )
    assert "2 answers got worse and 0 better from A to B" in told
    assert told.index("turkish-007: 7 ne yesek") < told.index("turkish-009: 9 ne yesek")
    assert "does not say pilav" in told


def stopped(prompt: str) -> str:
    raise Interrupted("stopped")


def test_compare_finds_both_before_it_asks_and_names_both_when_it_is_stopped(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """All questions had been asked of the first when the second was found not to be there; the hint named the first alone."""
    assert project.jessy("compare", "tiny", "nobody") == 1
    assert project.engine.asked == []
    project.engine.answer = stopped
    assert project.jessy("compare", "tiny", "tiny:candidate", "--quick") == 130
    assert "resume with: jessy compare tiny tiny:candidate --quick" in capsys.readouterr().err


def add_run(root: Path, number: int, passing: int, digest: str) -> None:
    """Let the project hold a run that has judged a model, with so many of ten answers good."""
    recipe = make_recipe(root)
    cases = [make_case(f"turkish-{n:03}") for n in range(10)]
    answers = [
        make_answer(one.id, "Bence pilav yap, yanına yoğurt." if n < passing else "Hava güzel.")
        for n, one in enumerate(cases)
    ]
    store, verdict = Store(root), judge(recipe, cases, by_id(*answers), {}, Took())
    with store.staged() as output:
        write_verdict(output, verdict)
        held = store.commit(output)
    facts = {"judge": normal(verdict.facts()), "evaluate": answered(digest)}
    steps = tuple(RecordedStep(name, "ran", held, facts[name], 1.0, 1, {}) for name in ("evaluate", "judge"))
    run = Run(number, root / ".jessy" / "runs" / str(number))
    run.folder.mkdir(parents=True)
    run.event("run_started", recipe="tiny.jessy", name="tiny")
    run.write("result.json", RunRecord("tiny", 120.0, None, 0, steps, 2))


def test_runs_are_compared_from_what_they_stored(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    add_run(project.root, 1, 9, DIGEST)
    add_run(project.root, 2, 2, "ab" * 32)
    assert project.jessy("compare", "1", "2", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["model"] for one in found["models"]] == ["run 1", "run 2"]
    worst = found["metrics"][0]
    assert (worst["metric"], worst["a"]["value"], worst["b"]["value"]) == ("turkish_accuracy", 0.9, 0.2)
    assert (len(worst["paired"]["worse"]), worst["paired"]["p"]) == (7, 0.015625)
    assert [case["change"] for case in found["cases"]] == [-1] * 7 + [0] * 3
    assert project.engine.asked == []


def test_a_model_that_a_run_has_judged_is_not_asked_again(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    add_run(project.root, 1, 9, DIGEST)
    add_run(project.root, 2, 2, "ab" * 32)
    assert project.jessy("compare", "2", "tiny") == 0
    assert "A  run 2 · abababababab · embedded" in (told := capsys.readouterr().out)
    assert f"B  tiny:latest · {DIGEST[:12]} · embedded" in told
    assert "0 answers got worse and 7 better" in told
    assert project.engine.asked == []


def test_a_run_without_a_verdict_is_said(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    add_run(project.root, 1, 9, DIGEST)
    store = Store(project.root)
    for held in list(store.objects()):
        store.remove(held)
    assert project.jessy("compare", "1", "1") == 1
    assert "the verdict of run 1 is gone" in capsys.readouterr().err
    assert project.jessy("compare", "7", "1") == 1
    assert "there is no run 7" in capsys.readouterr().err


def test_models_that_share_no_case_are_not_compared(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    (project.root / "other.jessy").write_text(RECIPE.replace("tiny", "other").replace("cases.", "more."), "utf-8")
    (project.root / "more.jsonl").write_text(case(77), "utf-8")
    register(project.root, "other", "latest", Registration("embedded", DIGEST, served(), gguf="m.gguf"))
    assert project.jessy("compare", "tiny", "other.jessy") == 1
    assert "share no case that was asked and checked alike" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["eval", "compare", "report"])
def test_the_commands_are_in_the_help(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert f"  {word}" in capsys.readouterr().out


def test_report_without_a_run_says_what_to_do(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert project.jessy("report") == 0
    assert "nothing was applied here yet" in capsys.readouterr().out
    assert project.jessy("report", "7") == 1
    assert project.jessy("report", "nobody") == 1
    assert "no run here has made a model `nobody`" in capsys.readouterr().err


def test_a_lock_is_read_as_it_is_written(project: Project) -> None:
    project.lock("71.8% [61%, 80.6%] n=78")
    recipe = load_recipe(project.root / "tiny.jessy").recipe
    assert recipe is not None
    lock = read_lock(recipe)
    assert lock is not None
    assert lock.digest == DIGEST
    first, second, third = lock.scores
    assert (first.metric, first.unit, first.value, first.low, first.high, first.n) == (
        "turkish_accuracy", "share", 0.718, 0.61, pytest.approx(0.806), 78,
    )  # fmt: skip
    assert (second.unit, second.value, second.low) == ("seconds", 1.2, None)
    assert (third.claim, third.value) == ("training_time < 20m", 256.0)
    assert read_lock(replace(recipe, path=project.root / "no.jessy")) is None


@pytest.mark.parametrize("counts", [(3, 10, 9, 10), (0, 5, 5, 5), (50, 100, 60, 100), (10, 10, 10, 10), (0, 3, 0, 8)])
def test_fishers_test_is_scipys(counts: tuple[int, int, int, int]) -> None:
    from scipy.stats import fisher_exact

    passed, n, then, n_then = counts
    wanted = fisher_exact([[passed, n - passed], [then, n_then - then]], alternative="less").pvalue
    assert fewer_by_chance(counts[:2], counts[2:]) == pytest.approx(wanted, rel=1e-9)


def test_holms_correction_is_that_of_his_rule() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
