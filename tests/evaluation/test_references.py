"""Reference answers are read strictly, every mistake with its file and line, from beside the suite that they belong to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from evaluation_fakes import CASE, make_recipe

from jessyfile.errors import EvaluationError
from jessyfile.evaluation.answer_likelihood import texts
from jessyfile.evaluation.cases import read_cases
from jessyfile.evaluation.references import load_references, read_references
from jessyfile.evaluation.suite_inputs import reference_bytes, reference_files

LINE: dict[str, Any] = {
    "case": "turkish-001",
    "split": "final",
    "good": ["Makarna yap, on dakikada biter.", "Pilav bence.", "Makarna, valla."],
    "bad": {"off": ["Erken çık, köprü kilit olur."], "wrong": ["Makarna pirinçten yapılır."]},
}


def written(path: Path, *lines: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "".join((one if isinstance(one, str) else json.dumps(one, ensure_ascii=False)) + "\n" for one in lines), "utf-8"
    )
    return path


def faults(tmp_path: Path, *lines: Any) -> list[str]:
    found = read_references(written(tmp_path / "r.jsonl", *lines), {"turkish-001", "turkish-002"})[1]
    return list(map(str, found))


def test_a_sound_line_is_read_in_one_spelling_of_its_letters(tmp_path: Path) -> None:
    """A dotted capital I and a cedilla that stand apart would be other tokens than the model was trained on."""
    apart = {**LINE, "good": [" Makarna yap, üç dakikada. ", *LINE["good"][1:]]}
    found, wrong = read_references(written(tmp_path / "r.jsonl", apart), {"turkish-001"})
    assert wrong == []
    assert found[0].good[0] == "Makarna yap, üç dakikada."
    assert found[0].bad["off"] == ("Erken çık, köprü kilit olur.",)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"case": "turkish-009"}, "case: the suite has no case `turkish-009`"),
        ({"split": "test"}, "split: 'test' is not one of"),
        ({"good": LINE["good"][:2]}, "good: "),
        ({"bad": {"off": ["Bir."]}}, "bad: "),
        ({"bad": {**LINE["bad"], "rude": ["Bana ne."]}}, "'rude'"),
        ({"bad": {**LINE["bad"], "cold": [7]}}, "bad/cold/0: 7 is not of type 'string'"),
        ({"good": [*LINE["good"], "  "]}, "good/3: an answer of white space alone"),
        ({"bad": {**LINE["bad"], "wrong": ["Pilav bence. "]}}, "wrong/0: the same answer as good/1"),
        ({"good": [*LINE["good"][:2], "Pilav bence. "]}, "good/2: the same answer as good/1"),
        ({"note": "x"}, "'note'"),
        ({"more": {"good": ["Pilav bence."]}}, "more/good/0: the same answer as good/1"),
        ({"more": {"off": ["Bir."]}}, "'off'"),
    ],
)
def test_a_mistake_is_told_with_its_file_and_line(tmp_path: Path, change: dict[str, Any], expected: str) -> None:
    told = faults(tmp_path, {**LINE, "case": "turkish-002"}, {**LINE, **change})
    assert len(told) == 1
    assert told[0].startswith("r.jsonl:2: ")
    assert expected in told[0]


def test_more_answers_help_the_checks_and_no_metric(tmp_path: Path) -> None:
    """Written by whoever tunes the checks, they would colour what a model is measured by."""
    cases = written(tmp_path / "turkish.jsonl", {**json.loads(CASE), "id": "turkish-001"})
    line = {**LINE, "more": {"good": ["Ekmek arası bir şey."], "bad": ["Sofra kültürümüz zengindir."]}}
    found, wrong = read_references(written(tmp_path / "references" / "turkish.jsonl", line), {"turkish-001"})
    assert wrong == []
    assert {text for _, text in texts(found[0])}.isdisjoint({"Ekmek arası bir şey.", "Sofra kültürümüz zengindir."})
    case = read_cases(cases)[0][0]
    assert case.good[-1] == "Ekmek arası bir şey."
    assert case.bad[-1] == "Sofra kültürümüz zengindir."


@pytest.mark.parametrize("key", ["good", "bad", "more"])
@pytest.mark.parametrize("value", [None, [], "x", 5, [5], {"good": None}, {"good": 5, "bad": [7]}, {"off": [None]}])
def test_what_is_no_answer_judges_nothing_and_is_told_where_references_are_read(
    tmp_path: Path, key: str, value: object
) -> None:
    """A `more` that was no object ended a plan as a bug of jessy's, before its mistake was told."""
    cases = written(tmp_path / "turkish.jsonl", {**json.loads(CASE), "id": "turkish-001"})
    written(tmp_path / "references" / "turkish.jsonl", {**LINE, key: value})
    (case,), wrong = read_cases(cases)
    assert wrong == []
    assert all(isinstance(text, str) for text in (*case.good, *case.bad))


def test_a_case_has_its_references_in_one_line(tmp_path: Path) -> None:
    assert faults(tmp_path, LINE, LINE) == ["r.jsonl:2: case: `turkish-001` has its references in line 1 already"]


@pytest.mark.parametrize("line", ["[]", "{", '{"case": "turkish-001"}', "\x00", '{"case": {}, "good": 1, "bad": []}'])
def test_what_is_no_reference_is_one_located_fault_and_no_crash(tmp_path: Path, line: str) -> None:
    assert faults(tmp_path, line)
    assert all(one.startswith("r.jsonl:1: ") for one in faults(tmp_path, line))


def test_they_lie_beside_the_suite_and_follow_its_limit_and_the_split(tmp_path: Path) -> None:
    """Own cases under a shipped name never got the shipped suite's references: those belong to other questions."""
    case = json.loads((make_recipe(tmp_path).path.parent / "cases.jsonl").read_text("utf-8"))
    cases = [{**case, "id": f"turkish-{number:03}"} for number in range(1, 5)]
    written(tmp_path / "cases.jsonl", *cases)
    recipe = make_recipe(tmp_path)
    assert reference_files(recipe, tmp_path) == ()
    assert load_references(recipe, tmp_path) == []
    lines = [{**LINE, "case": f"turkish-{n:03}", "split": "final" if n > 2 else "development"} for n in range(1, 5)]
    path = written(tmp_path / "references" / "cases.jsonl", *lines)
    assert reference_files(recipe, tmp_path) == (path.resolve(),)
    assert [case.id for case, _ in load_references(recipe, tmp_path)] == ["turkish-003", "turkish-004"]
    assert reference_bytes(recipe, tmp_path) == path.stat().st_size
    recipe.path.write_text(
        recipe.path.read_text("utf-8").replace('"cases.jsonl"', '"cases.jsonl" { limit 2 }'), "utf-8"
    )
    limited = make_limited(recipe.path)
    assert [case.id for case, _ in load_references(limited, tmp_path)] == [
        "turkish-003"
    ]  # the cases 1 and 3 are answered
    assert reference_bytes(limited, tmp_path) == path.stat().st_size / 2


def make_limited(path: Path) -> Any:
    from jessyfile.language import load_recipe

    loaded = load_recipe(path)
    assert loaded.recipe is not None, loaded.diagnostics
    return loaded.recipe


def test_a_fault_in_the_project_names_its_place_from_the_root(tmp_path: Path) -> None:
    recipe = make_recipe(tmp_path)
    written(tmp_path / "references" / "cases.jsonl", {**LINE, "case": "turkish-002"})
    with pytest.raises(EvaluationError, match=r"references/cases\.jsonl:1: case: the suite has no case `turkish-002`"):
        load_references(recipe, tmp_path)
