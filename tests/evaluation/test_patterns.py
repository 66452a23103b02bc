"""Patterns that could take exponential time never run."""

from __future__ import annotations

import time

import pytest

from jessyfile.evaluation.patterns import MAX_TEXT, found, pattern_fault


@pytest.mark.parametrize(
    "pattern", [r"(a+)+$", r"(a|aa)+$", r"(?:x*)*y", r"((ab)*)*", r"(\w+\s?)+$", r"(?:a{1,50}){1,50}b", r"(a*){9,}"]
)
def test_exponential_patterns_are_refused(pattern: str) -> None:
    assert "exponential" in (pattern_fault(pattern) or "")


@pytest.mark.parametrize("pattern", ["(", "a{2,1}", "[z-a]", "(?P<x>a)(?P<x>b)", "*"])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    assert "no regular expression" in (pattern_fault(pattern) or "")


@pytest.mark.alone
@pytest.mark.parametrize(
    "pattern", [r"\b(?:sor|anlat|söyle)\b", r"^.{0,40}bence", r"(?:\w+\s){0,5}kedi", "[0-9]+", "(?<!a)b", "a|b|c"]
)
def test_ordinary_patterns_run(pattern: str) -> None:
    assert pattern_fault(pattern) is None
    start = time.perf_counter()
    found(pattern, "a" * 10 * MAX_TEXT)
    assert time.perf_counter() - start < 1


def test_case_counts_by_neither_rule() -> None:
    assert found(r"\bışık", "IŞIK")
    assert found(r"\bif\b", "If so")
    assert found("iyi", "İYİ")
