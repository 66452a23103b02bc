"""`jessy init` writes a project that checks clean and whose rows can be made, and never touches what is there."""

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from jessyfile.cli import main
from jessyfile.commands.bases import bases
from jessyfile.commands.init import TEMPLATES, init, spoken_here
from jessyfile.commands.scaffold import LANGUAGES, project_files
from jessyfile.dataset.rows import load_rows
from jessyfile.errors import DatasetError, ModelError, ProjectError
from jessyfile.language import load_recipe


def started(folder, *options):
    return CliRunner().invoke(init, [str(folder), *options], standalone_mode=False, catch_exceptions=False)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("base", ["gemma3:270m", "hf:mlx-community/gemma-2-2b-it-fp16"])
def test_every_start_checks_clean_without_a_warning(tmp_path, language, base):
    started(tmp_path, "--yes", "--name", "cay", "--base", base, "--language", language)
    loaded = load_recipe(tmp_path / "cay.jessy")
    assert loaded.diagnostics == ()
    assert (loaded.recipe.name, loaded.recipe.base) == ("cay", base)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_seeds_are_exactly_what_the_recipe_asks_for(tmp_path, language):
    """So that the first apply makes no row by other means."""
    started(tmp_path, "--yes", "--name", "cay", "--language", language)
    dataset = load_recipe(tmp_path / "cay.jessy").recipe.dataset
    asked = {(c.name, t.name): t.count for c in dataset.categories for t in c.topics}
    found = {}
    for path in sorted((tmp_path / "data" / "seeds").rglob("*.jsonl")):
        rows, faults = load_rows([(path, path.name)])
        assert not faults
        assert all((r.example.category, r.example.topic) == (path.parent.name, path.stem) for r in rows)
        found[path.parent.name, path.stem] = len(rows)
    assert {key: n for key, n in found.items() if key[0] != "markers"} == asked
    assert sum(n for key, n in found.items() if key[0] == "markers") == dataset.markers
    assert 30 <= sum(asked.values()) <= 90


def test_the_rows_of_a_start_can_be_made(tmp_path, capsys):
    """The filters, exact counts and the split run over what init wrote."""
    started(tmp_path, "--yes", "--name", "cay", "--language", "en")
    assert main(["data", str(tmp_path / "cay.jessy")]) == 0
    assert "leaks into the suites            0" in capsys.readouterr().out


def test_the_seeds_speak_of_no_other_model(tmp_path):
    files = project_files("cay", "gemma3:270m", "mixed")
    assert not [name for name, text in files.items() if name.endswith(".jsonl") and "jessy" in text.lower()]


def test_a_mixed_start_holds_every_language(tmp_path):
    text = "".join(t for n, t in project_files("cay", "x", "mixed").items() if "/technical/" in n)
    assert set(re.findall(r'"language": "(\w+)"', text)) == {"tr", "en", "mixed"}


def test_questions_have_answers_to_take_over(tmp_path):
    folder = tmp_path / "Çok İyi"
    result = CliRunner().invoke(init, [str(folder)], input="\n\n\n", standalone_mode=False, catch_exceptions=False)
    assert "Name of the model [cok-iyi]" in result.output
    assert load_recipe(folder / "cok-iyi.jessy").recipe is not None


def test_answers_are_taken(tmp_path):
    CliRunner().invoke(
        init, [str(tmp_path)], input="mia\nqwen3:0.6b\nen\n", standalone_mode=False, catch_exceptions=False
    )
    recipe = load_recipe(tmp_path / "mia.jessy").recipe
    assert (recipe.base, recipe.dataset.categories[0].language) == ("qwen3:0.6b", "en")


def test_the_bases_on_this_machine_come_first(monkeypatch, tmp_path):
    monkeypatch.setattr(
        "jessyfile.models.ollama_store.stored_blob", lambda name: tmp_path if name == "qwen3:4b" else None
    )
    found = list(bases())
    assert "qwen3:4b" in [base.name for base in found if base.here]
    assert [base.here for base in found] == sorted((base.here for base in found), reverse=True)


@pytest.mark.parametrize("there", ["cay.jessy", "data/seeds/markers/low.jsonl"])
def test_a_file_that_is_there_stops_everything(tmp_path, there):
    (tmp_path / there).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / there).write_text("mine")
    with pytest.raises(ProjectError, match="there already; nothing was written"):
        started(tmp_path, "--yes", "--name", "cay")
    assert [path.read_text() for path in tmp_path.rglob("*") if path.is_file()] == ["mine"]


def test_a_dangling_link_counts_as_a_file_that_is_there(tmp_path):
    (tmp_path / "cay.jessy").symlink_to(tmp_path / "absent" / "elsewhere")
    with pytest.raises(ProjectError, match="there already"):
        started(tmp_path, "--yes", "--name", "cay")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, ".jessy/\n"),
        ("*.pyc\n", "*.pyc\n.jessy/\n"),
        ("*.pyc", "*.pyc\n.jessy/\n"),
        (".jessy/\n", ".jessy/\n"),
        ("a\n.jessy\n", "a\n.jessy\n"),
    ],
)
def test_git_leaves_the_state_alone(tmp_path, before, after):
    if before is not None:
        (tmp_path / ".gitignore").write_text(before)
    started(tmp_path, "--yes", "--name", "cay")
    assert (tmp_path / ".gitignore").read_text() == after


def test_a_project_inside_a_repository_reads_its_own_seeds(tmp_path):
    """The root is the new project, not the repository around it: there data/seeds would be looked for in vain."""
    (tmp_path / ".git").mkdir()
    started(tmp_path / "models" / "cay", "--yes")
    recipe = load_recipe(tmp_path / "models" / "cay" / "cay.jessy").recipe
    assert recipe.dataset.seeds == "data/seeds"
    assert str(recipe.sources["name"].file) == "cay.jessy"


@pytest.mark.parametrize("name", ["çay", "", "a b", "../x", "-x", "a\n", "x" * 81])
def test_a_name_that_the_engine_would_refuse_is_refused(tmp_path, name):
    if name:
        with pytest.raises(ProjectError, match="no name for a model"):
            started(tmp_path / "new", "--yes", "--name", name)
        assert not (tmp_path / "new").exists()
    else:
        started(tmp_path / "new", "--yes", "--name", name)
        assert (tmp_path / "new" / "new.jessy").exists()


def test_a_name_with_a_namespace_makes_a_file_without_it(tmp_path):
    started(tmp_path, "--yes", "--name", "me/cay")
    assert load_recipe(tmp_path / "cay.jessy").recipe.name == "me/cay"


def test_init_runs_from_the_command_line(tmp_path, capsys):
    assert main(["init", str(tmp_path / "mia"), "--yes"]) == 0
    assert "jessy apply" in capsys.readouterr().out
    assert main(["check", str(tmp_path / "mia" / "mia.jessy")]) == 0
    assert main(["init", str(tmp_path / "mia"), "--yes"]) == 1


def test_a_base_on_the_command_line_counts_from_here_and_in_the_recipe_from_there(tmp_path, monkeypatch):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "my model.gguf").write_bytes(b"GGUF")
    monkeypatch.chdir(tmp_path)
    started(tmp_path / "new", "--yes", "--base", "new/my model.gguf")
    assert load_recipe(tmp_path / "new" / "new.jessy").recipe.base == "./my model.gguf"


def test_a_base_outside_the_new_project_is_refused(tmp_path):
    """The recipe could not read it: nothing outside the project's root is read."""
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    with pytest.raises(ProjectError, match="outside the new project"):
        started(tmp_path / "new", "--yes", "--base", str(tmp_path / "model.gguf"))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("base", ["not a model", "hf:nope", "./absent.gguf", "a\nTRAIN { }"])
def test_a_base_that_names_no_model_is_refused(tmp_path, base):
    with pytest.raises(ModelError):
        started(tmp_path / "new", "--yes", "--base", base)
    assert not (tmp_path / "new").exists()


OWN = Path(__file__).parents[1] / "data" / "own"


@pytest.mark.parametrize(
    "name", ["baeckerei.csv", "kargo.jsonl", "planetarium.json", "town_desk.jsonl", "maktaba.jsonl"]
)
def test_a_project_of_own_rows_checks_clean_and_asks_for_exactly_its_rows(tmp_path, name):
    """A file of another tool used to be refused, and a German or Arabic one could not even name its language."""
    result = started(tmp_path, "--yes", "--name", "own", "--base", "gemma3:270m-pt", "--from", str(OWN / name))
    assert "rows are held out as cases and not trained" in result.output
    loaded = load_recipe(tmp_path / "own.jessy")
    assert loaded.diagnostics == ()
    (category,) = loaded.recipe.dataset.categories
    rows, faults = load_rows([(path, path.name) for path in (tmp_path / "data" / "seeds").rglob("*.jsonl")])
    assert (len(rows), faults) == (category.count, [])
    assert loaded.recipe.complexity.marker is None
    assert len((tmp_path / "data" / "eval" / f"{category.name}_mine.jsonl").read_text().splitlines()) == 3
    text = "".join(path.read_text("utf-8") for path in tmp_path.rglob("*") if path.is_file())
    assert "jessy" not in re.sub(r"`?\.?jessy[ `/]|\.jessy|JESSY 1", "", text).lower()


def test_the_rows_of_an_own_project_can_be_made(tmp_path, capsys):
    """What was held out is given away by none of the rows that stay."""
    started(tmp_path, "--yes", "--name", "own", "--from", str(OWN / "kargo.jsonl"))
    assert main(["data", str(tmp_path / "own.jessy")]) == 0
    assert "leaks into the suites            0" in capsys.readouterr().out


@pytest.mark.parametrize(
    "start",
    [("--from", str(OWN / "kargo.jsonl")), ("--template", "persona", "--language", "en"), ("--template", "support")],
    ids=["own", "persona", "support"],
)
def test_thinking_again_is_offered_and_its_rows_are_made(tmp_path, capsys, start):
    """Of a user's own rows too: what is offered in a comment is what `--refine` writes, and both can be made."""
    started(tmp_path / "plain", "--yes", "--name", "own", *start)
    plain = (tmp_path / "plain" / "own.jessy").read_text("utf-8")
    (tmp_path / "plain" / "own.jessy").write_text(
        plain.replace("# CATEGORY refinement", "CATEGORY refinement"), "utf-8"
    )
    started(tmp_path / "again", "--yes", "--name", "own", "--refine", *start)
    offered, written = (load_recipe(tmp_path / name / "own.jessy") for name in ("plain", "again"))
    assert (offered.diagnostics, written.diagnostics) == ((), ())
    *others, refined = written.recipe.dataset.categories
    assert refined.refine == tuple(
        one.name for one in others if "low" not in (one.level, *(t.level for t in one.topics))
    )
    assert replace(offered.recipe.dataset.categories[-1], title="") == replace(refined, title="")
    assert written.recipe.train.max_length >= offered.recipe.train.max_length
    assert main(["data", str(tmp_path / "again" / "own.jessy")]) == 0
    assert f"refinement/{refined.refine[0]}" in capsys.readouterr().out


def test_a_file_of_answers_that_no_other_row_has_is_served_whole(tmp_path):
    """A fifth of the rows was asked in the suite, and the finished model answered those questions with other rows."""
    lines = [
        f"Where is book number {n} of the library?,Shelf {n} beside door {n * 7 % 23} holds it." for n in range(40)
    ]
    (tmp_path / "faq.csv").write_text("\n".join(["question,answer", *lines]), "utf-8")
    said = started(tmp_path / "new", "--yes", "--name", "faq", "--from", str(tmp_path / "faq.csv")).output
    served = (tmp_path / "new" / "data" / "served" / "faq.jsonl").read_text("utf-8").splitlines()
    asked = (tmp_path / "new" / "data" / "eval" / "faq.jsonl").read_text("utf-8").splitlines()
    assert f"{len(served)} of " in said
    assert "are held out as cases and not trained, but served with the rest" in said
    assert [json.loads(row)["query"] for row in served] == [json.loads(case)["prompt"] for case in asked] != []
    recipe = load_recipe(tmp_path / "new" / "faq.jessy").recipe
    assert recipe.retrieve.serve == "data/served/faq.jsonl"
    assert main(["check", str(tmp_path / "new" / "faq.jessy")]) == 0


def _faq(folder, questions):
    lines = [f"{question},{answer}" for question, answer in questions]
    (folder / "faq.csv").write_text("\n".join(["question,answer", *lines]), "utf-8")
    return "--from", str(folder / "faq.csv")


PARTS = [
    "hopper",
    "burr",
    "motor",
    "chute",
    "lid",
    "cup",
    "scale",
    "cable",
    "switch",
    "spring",
    "handle",
    "gasket",
    "funnel",
    "ring",
    "knob",
    "base",
    "filter",
    "screw",
]


def test_a_model_of_answers_that_nobody_can_guess_has_to_find_those_it_was_given(tmp_path, capsys):
    """The only MUST was the form: a model was promoted that answered nothing rightly, with nothing shown to have become better."""
    rows = [
        (
            f"How do I get a new {part} for my old grinder?",
            f"Ask for part {at}{at * 7} when you write about the {part}.",
        )
        for at, part in enumerate([*PARTS, *(f"left {part}" for part in PARTS)])
    ]
    said = started(tmp_path / "new", "--yes", "--name", "faq", "--base", "gemma3:270m-pt", *_faq(tmp_path, rows)).output
    assert "12 questions of the others are asked in a few of their words" in said
    loaded = load_recipe(tmp_path / "new" / "faq.jessy")
    assert loaded.diagnostics == ()
    musts = {(one.metric, one.comparison, one.value) for one in loaded.recipe.evaluation.criteria if one.rank == "must"}
    assert {("faq_words.relevance", ">", "baseline"), ("faq.relevance", ">=", "baseline")} < musts
    cases = [json.loads(line) for line in (tmp_path / "new/data/eval/faq_words.jsonl").read_text("utf-8").splitlines()]
    trained = dict(rows)
    for case in cases:
        asked = [
            question for question in trained if set(case["prompt"].split()) <= set(question.lower().strip("?").split())
        ]
        assert [trained[question] for question in asked if case["relevance"][0]["texts"] == [trained[question]]]
        assert case["prompt"] not in trained
    assert main(["data", str(tmp_path / "new" / "faq.jessy")]) == 0, "what is asked is given away by no row"
    assert "leaks into the suites            0" in capsys.readouterr().out


@pytest.mark.parametrize(("rows", "wanted"), [(28, (">", 0.6)), (32, (">", "baseline"))])
def test_where_too_few_labels_are_held_out_for_a_gain_the_recipe_does_not_speak_of_one(tmp_path, rows, wanted):
    asked = [
        (f"{PARTS[at % 18]} number {at * 37} of the shelf {at * 11}", "yes" if at % 2 else "no") for at in range(rows)
    ]
    started(tmp_path / "new", "--yes", "--name", "faq", "--base", "gemma3:270m-pt", *_faq(tmp_path, asked))
    text = (tmp_path / "new" / "faq.jessy").read_text("utf-8")
    (must,) = [one for one in load_recipe(tmp_path / "new/faq.jessy").recipe.evaluation.criteria if one.rank == "must"]
    assert (must.comparison, must.value) == wanted
    assert ("more often than from the base" in text) == (wanted[1] == "baseline")


def test_a_file_of_any_name_makes_a_recipe_that_checks(tmp_path):
    file = tmp_path / 'a "b" ${c} \n ç.csv'
    file.write_bytes((OWN / "baeckerei.csv").read_bytes())
    result = started(tmp_path / "a new", "--yes", "--name", "cay", "--from", str(file))
    assert load_recipe(tmp_path / "a new" / "cay.jessy").diagnostics == ()
    recipe = shlex.quote(str(tmp_path / "a new" / "cay.jessy"))
    assert result.output.endswith(f"Next: jessy plan {recipe}, then jessy apply {recipe}\n")


def test_own_rows_and_a_template_are_not_both_begun_with(tmp_path):
    with pytest.raises(click.UsageError, match="leave one out"):
        started(tmp_path, "--yes", "--template", "empty", "--from", str(OWN / "kargo.jsonl"))
    assert not [*tmp_path.iterdir()]


def test_too_few_own_rows_write_nothing(tmp_path):
    (tmp_path / "few.csv").write_text("query,response\nWho are you?,A small model of few words.\n")
    with pytest.raises(DatasetError, match="has 1 rows that can be used"):
        started(tmp_path / "new", "--yes", "--from", str(tmp_path / "few.csv"))
    assert not (tmp_path / "new").exists()


def test_rows_are_imported_beside_what_is_there_and_over_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    into = tmp_path / "data" / "seeds"
    assert main(["data", "import", str(OWN / "baeckerei.csv"), str(OWN / "kargo.jsonl"), "--into", str(into)]) == 0
    out = capsys.readouterr().out
    assert "CATEGORY baeckerei 45 {" in out
    assert "CATEGORY kargo 45 {" in out
    before = {path: path.read_bytes() for path in into.rglob("*.jsonl")}
    assert len(before) == 2
    assert main(["data", "import", str(OWN / "kargo.jsonl"), "--into", str(into)]) == 1
    assert {path: path.read_bytes() for path in into.rglob("*.jsonl")} == before


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("language", ["tr", "en", "de"])
def test_every_template_checks_clean_in_every_language(tmp_path, template, language):
    """There was one start alone, the companion's, in two languages."""
    result = started(tmp_path, "--yes", "--name", "cay", "--template", template, "--language", language)
    assert ("there are no seeds in `de`" in result.output) == (language == "de")
    loaded = load_recipe(tmp_path / "cay.jessy")
    assert loaded.diagnostics == ()
    asked = sum(category.count for category in loaded.recipe.dataset.categories)
    seeds = [path for path in (tmp_path / "data" / "seeds").rglob("*.jsonl") if path.parent.name != "markers"]
    rows, faults = load_rows([(path, path.name) for path in seeds])
    assert (len(rows), faults) == (asked, [])


@pytest.mark.parametrize(
    ("set_", "spoken"),
    [
        ({"LANG": "tr_TR.UTF-8"}, "tr"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({}, "en"),
        ({"LANG": "tr_TR", "LC_ALL": "de_AT"}, "de"),
        ({"LANG": "tlh"}, "en"),
    ],
)
def test_the_language_is_the_environments_unless_it_is_said(monkeypatch, set_, spoken):
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in set_.items():
        monkeypatch.setenv(name, value)
    assert spoken_here() == spoken


def test_bases_are_listed_with_what_they_take():
    found = {base.name: base.takes for base in bases()}
    assert re.fullmatch(r"[\d.]+ GB, trains in [\d.]+ GB, gemma", found["gemma3:270m-pt"])
    assert found["qwen3:0.6b"].endswith("apache-2.0")
    assert found["mistral:7b"].endswith("terms to accept")


@pytest.mark.slow
def test_own_rows_are_applied_from_the_file_to_the_verdict(tmp_path, monkeypatch):
    """On a base of random weights, which learns nothing: what was held out is asked of both, and nothing is promoted."""
    from jessyfile.evaluation.verdict import read_verdict
    from jessyfile.export.lineage import of_recipe
    from tests.models.tiny import tiny_model

    tiny_model(tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    own = str(OWN / "town_desk.jsonl")
    assert main(["init", "--yes", "--name", "desk", "--base", "./model", "--from", own]) == 0
    small = ["--set", "train.epochs=1", "--set", "train.max_length=512", "--set", "export.quantize=f16"]
    assert main(["apply", "desk.jessy", *small]) == 3
    verdict = read_verdict(of_recipe(tmp_path, "desk").folder("judge"))
    (first, *_) = [one.outcome for one in verdict.criteria]
    assert (first.criterion.metric, first.n, first.passed) == ("town_desk.relevance", 10, False)
    assert all(one.before is not None for one in verdict.cases)
