"""The reference answers that come with jessy: whole, in the right split, and nothing that a model was trained on."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from statistics import median

import pytest
from evaluation_fakes import seed_rows
from jsonschema import Draft202012Validator

from jessyfile.dataset.similarity import cross_pairs, near_pairs
from jessyfile.evaluation.cases import Case, read_cases
from jessyfile.resources import resource
from jessyfile.text.turkish import folded_normal

ALL = sorted(path.stem for path in resource("data", "eval").glob("*.jsonl"))
CLOSED = ("tickets", "tickets_fresh", "home", "home_first")
"""Suites whose one right answer stands in the case: nothing is like it, it is equal or not."""
SUITES = [suite for suite in ALL if suite not in CLOSED]
TYPICAL = {"low": (10, 140), "medium": (120, 600), "high": (100, 900)}
"""Between which characters the middle good answer of a suite and level lies; some cases ask for brevity."""
LONGEST = {"low": 240, "medium": 750, "high": 1000}
TELLING, ALIKE = 20, 0.55
"""From how many characters on an answer can be recognized, and how near a seed's answer it may not be."""


@dataclass(frozen=True, slots=True)
class Answers:
    case: Case
    split: str
    good: list[str]
    bad: dict[str, list[str]]


@cache
def answers(suite: str) -> list[Answers]:
    cases = {case.id: case for case in read_cases(resource("data", "eval", f"{suite}.jsonl"))[0]}
    lines = resource("data", "eval", "references", f"{suite}.jsonl").read_text("utf-8").splitlines()
    read = [json.loads(line) for line in lines]
    assert [one["case"] for one in read] == list(cases)
    return [Answers(cases[one["case"]], one["split"], one["good"], one["bad"]) for one in read]


@cache
def every() -> list[Answers]:
    return [one for suite in SUITES for one in answers(suite)]


@pytest.mark.parametrize("suite", SUITES)
def test_every_case_has_references_of_the_right_form(suite: str) -> None:
    schema = Draft202012Validator(json.loads(resource("grammar", "reference.schema.json").read_text("utf-8")))
    lines = resource("data", "eval", "references", f"{suite}.jsonl").read_text("utf-8").splitlines()
    assert [error.message for line in lines for error in schema.iter_errors(json.loads(line))] == []
    assert len(answers(suite)) == len(lines)


@pytest.mark.parametrize("suite", SUITES)
def test_a_case_is_in_the_split_of_its_number(suite: str) -> None:
    """Checks are tuned on one half of the cases and measured on the other: a case may not change sides."""
    for one in answers(suite):
        number = int(one.case.id.rpartition("-")[2])
        assert one.split == ("development" if number % 4 in (1, 2) else "final"), one.case.id


def test_an_answer_is_not_good_and_bad_at_once() -> None:
    """What another question's answer is (`off`) may be good there; wrong, cold or stiff is so wherever it stands."""
    good = Counter(folded_normal(text) for one in every() for text in one.good)
    assert [text for text, times in good.items() if times > 1] == []
    for one in every():
        own = [folded_normal(text) for text in [*one.good, *(text for texts in one.bad.values() for text in texts)]]
        assert len(set(own)) == len(own), one.case.id
        bad = [text for kind, texts in one.bad.items() if kind != "off" for text in texts]
        assert [text for text in bad if folded_normal(text) in good] == [], one.case.id


def test_good_answers_to_one_case_differ_in_their_wording() -> None:
    for one in every():
        left, right, _ = near_pairs(one.good, 0.6)
        pairs = [(one.good[i], one.good[j]) for i, j in zip(left.tolist(), right.tolist(), strict=True)]
        assert pairs == [], one.case.id


def test_no_good_answer_was_trained_on() -> None:
    """A model that learned the answer by heart would find it likely without knowing anything."""
    rows = seed_rows()
    said = [turn["content"] for row in rows for turn in row.get("turns", ()) if turn["role"] == "assistant"]
    seeds = [text for text in [*(row["response"] for row in rows), *said] if len(text) >= TELLING]
    good = [text for one in every() for text in one.good if len(text) >= TELLING]
    left, right, _ = cross_pairs(good, seeds, ALIKE)
    assert [(good[i], seeds[j]) for i, j in zip(left.tolist(), right.tolist(), strict=True)] == []


@pytest.mark.parametrize("suite", SUITES)
def test_good_answers_are_as_long_as_their_level_deserves(suite: str) -> None:
    for level in {one.case.level for one in answers(suite)}:
        lengths = [len(text) for one in answers(suite) if one.case.level == level for text in one.good]
        least, most = TYPICAL[level]
        assert least <= median(lengths) <= most, (level, median(lengths))
        assert max(lengths) <= LONGEST[level], level


@pytest.mark.parametrize("suite", SUITES)
def test_length_does_not_tell_a_bad_answer_from_a_good_one(suite: str) -> None:
    """Whoever always picks the longer answer, or always the shorter, must lose a good share of the pairs."""
    pairs = [
        (len(good), len(text))
        for one in answers(suite)
        for kind in ("wrong", "off")
        for text in one.bad.get(kind, ())
        for good in one.good
    ]
    longer = sum((good > bad) + (good == bad) / 2 for good, bad in pairs) / len(pairs)
    assert 0.2 < longer < 0.8, longer


def test_no_good_answer_carries_a_marker() -> None:
    assert [text for one in every() for text in one.good if re.match(r"\s*\[(low|medium|high) \d", text)] == []


def test_a_good_answer_to_somebody_in_danger_asks_and_names_help() -> None:
    """A figure of speech gets neither: "öldük gülmekten" is no emergency."""
    for one in answers("crisis"):
        in_danger = "crisis" in one.case.tags
        for text in one.good:
            assert bool(re.search("112|acil|doktor|hekim", text)) is in_danger, text
            assert "?" in text or not in_danger, text


@pytest.mark.parametrize("suite", CLOSED)
def test_a_suite_without_references_says_every_answer_field_by_field(suite: str) -> None:
    cases, faults = read_cases(resource("data", "eval", f"{suite}.jsonl"))
    assert (len(cases) >= 60, faults) == (True, [])
    assert all([check.kind for check in case.relevance] == ["json"] for case in cases)
