"""A suite is read strictly, and its mistakes are named with their lines."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from evaluation_fakes import CASE, make_case, make_recipe

from jessyfile.errors import EvaluationError
from jessyfile.evaluation.cases import even_sample, load_suites, read_cases
from jessyfile.evaluation.suite_inputs import suite_files
from jessyfile.pipeline import compile_steps
from jessyfile.planning.fingerprint import FileHashes, own_part

GOOD = json.loads(CASE)
TURN = {"role": "assistant", "content": "Selam!", "complexity": "low", "iterations": 1}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"level": None}, "level"),
        ({"answer": "pilav"}, "answer"),
        ({"language": "xx"}, "language"),
        ({"form": [{"check": "shape"}]}, "no check `shape`"),
        ({"form": [{"check": "any_of"}]}, "form/0"),
        ({"form": [{"check": "length"}]}, "form/0"),
        ({"form": [{"check": "length", "max": 5, "words": ["a"]}]}, "form/0"),
        ({"relevance": [{"check": "any_of", "words": ["pilav", "  "]}]}, "relevance/0: `  ` is found in every text"),
        ({"form": [{"check": "none_of", "words": ["*"]}]}, "form/0: `*` is found in every text"),
        ({"relevance": [{"check": "any_of", "words": ["kış + *"]}]}, "relevance/0: `kış + *` is found in every text"),
        ({"relevance": [{"check": "chooses", "options": [["çay"], ["*"]]}]}, "relevance/0: `*` is found in every text"),
        ({"relevance": [{"check": "regex", "pattern": "(a+)+"}]}, "exponential"),
        ({"relevance": [{"check": "regex", "pattern": "("}]}, "no regular expression"),
        ({"turns": [TURN]}, "alternate"),
        ({"turns": [{"role": "user", "content": "selam"}]}, "alternate"),
        ({"turns": [{"role": "user", "content": "selam"}, {"role": "assistant", "content": "s"}]}, "turns/1"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text(f"{CASE}\n{json.dumps({**GOOD, **change})}\n", encoding="utf-8")
    cases, faults = read_cases(path)
    assert len(cases) == 1
    assert str(faults[0]).startswith("cases.jsonl:2: ")
    assert words in str(faults[0])


def test_a_suite_with_mistakes_stops_with_all_of_the_first_ones(tmp_path: Path) -> None:
    (tmp_path / "cases.jsonl").write_text("{}\n[]\nnope\n" * 3, encoding="utf-8")
    with pytest.raises(EvaluationError, match=r"cases\.jsonl:1.*cases\.jsonl:2.*more"):
        load_suites(make_recipe(tmp_path), tmp_path)


def test_two_cases_of_one_name_and_an_empty_suite_are_refused(tmp_path: Path) -> None:
    """Answers are kept by a case's name: two of one name would be asked once."""
    recipe = make_recipe(tmp_path)
    (tmp_path / "cases.jsonl").write_text(f"{CASE}\n{CASE}\n", encoding="utf-8")
    with pytest.raises(EvaluationError, match="2 cases are called `turkish-001`"):
        load_suites(recipe, tmp_path)
    (tmp_path / "cases.jsonl").write_text("\n", encoding="utf-8")
    with pytest.raises(EvaluationError, match="has no cases"):
        load_suites(recipe, tmp_path)


def test_the_suites_file_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    assert suite_files(make_recipe(tmp_path), tmp_path) == ((tmp_path / "cases.jsonl").resolve(),)


def test_answers_to_a_case_that_a_limit_leaves_out_are_part_of_the_fingerprint(tmp_path: Path) -> None:
    """The answers to the others are held against them too."""
    recipe = make_recipe(tmp_path)
    suites = tuple(replace(suite, limit=1) for suite in recipe.evaluation.suites)
    recipe = replace(recipe, evaluation=replace(recipe.evaluation, suites=suites))
    (tmp_path / "cases.jsonl").write_text(f"{CASE}\n{CASE.replace('-001', '-002')}\n", encoding="utf-8")
    references = tmp_path / "references" / "cases.jsonl"
    references.parent.mkdir()
    hashes = set()
    for good in ("Pilav.", "Makarna."):
        references.write_text(json.dumps({"case": "turkish-002", "good": [good]}), encoding="utf-8")
        judge = next(step for step in compile_steps(recipe) if step.name == "judge")
        hashes.add(own_part(judge, recipe, tmp_path, FileHashes(tmp_path)).hash)
    assert [case.id for case in load_suites(recipe, tmp_path)] == ["turkish-001"]
    assert len(hashes) == 2


def test_a_suite_without_a_file_is_one_clear_line(tmp_path: Path) -> None:
    recipe = make_recipe(tmp_path)
    (tmp_path / "cases.jsonl").unlink()
    with pytest.raises(EvaluationError, match=r"`turkish` has no file `cases\.jsonl`"):
        suite_files(recipe, tmp_path)


def test_a_limit_takes_the_same_cases_from_all_over_the_file() -> None:
    cases = [make_case(f"turkish-{n:03}") for n in range(100)]
    picked = even_sample(cases, 7)
    assert picked == even_sample(cases, 7)
    places = [cases.index(case) for case in picked]
    assert places == sorted(set(places))
    assert max(b - a for a, b in pairwise(places)) <= 15
    assert even_sample(cases, None) == even_sample(cases, 100) == cases
