"""Patterns that could take exponential time never run."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path

import pytest

from jessyfile.errors import EvaluationError
from jessyfile.language import load_recipe
from jessyfile.text.patterns import MAX_TEXT, SECONDS, found, pattern_fault


@pytest.mark.parametrize(
    "pattern", [r"(a+)+$", r"(a|aa)+$", r"(?:x*)*y", r"((ab)*)*", r"(\w+\s?)+$", r"(?:a{1,50}){1,50}b", r"(a*){9,}"]
)
def test_exponential_patterns_are_refused(pattern: str) -> None:
    assert "exponential" in (pattern_fault(pattern) or "")


@pytest.mark.parametrize("pattern", ["(", "a{2,1}", "[z-a]", "(?P<x>a)(?P<x>b)", "*"])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    assert "no regular expression" in (pattern_fault(pattern) or "")


SLOW = [
    r"(a+)+$", r"(a|aa)+$", r"(.*a){20}b", r"(?:a?){30}a{30}b", r"(\w+\s?)*$!", r"(x+x+)+y", r"(a*)*\1b",
    r"(?:(?:(?:a{1,8}){1,8}){1,8}){1,8}b", r"((a{1,1000}){1,1000}){1,1000}b", r"^(([a-z])+.)+[A-Z]([a-z])+$",
    r"(?=(a+)+b)c", r"(?<!a)(?:a{0,8}){0,8}(?:a{0,8}){0,8}(?:a{0,8}){0,8}c", r".*.*.*.*.*x", r"(?:(?:a|b|ab){1,8}){1,8}c",
    r"(?:a|b|ab){1,8}(?:a|b|ab){1,8}(?:a|b|ab){1,8}(?:a|b|ab){1,8}c",
]  # fmt: skip


@pytest.mark.parametrize("text", ["a" * 8000 + "!", "ab" * 4000, "x" * 8000, "a" * 30], ids=["a!", "ab", "x", "short"])
@pytest.mark.parametrize("pattern", SLOW)
def test_whatever_a_pattern_is_a_search_ends(pattern: str, text: str) -> None:
    """`(?:(?:(?:a{1,8}){1,8}){1,8}){1,8}b` repeats nothing without a small bound, and took twenty seconds on 14 letters."""
    start = time.process_time()
    with contextlib.suppress(EvaluationError):
        found(pattern, text)
    assert time.process_time() - start < 5 * SECONDS


def test_a_search_that_takes_too_long_names_the_pattern() -> None:
    with pytest.raises(EvaluationError, match=r"the pattern `\(\?:\(\?:\(\?:a\{1,8\}.* takes more than 1 s"):
        found(SLOW[7], "a" * 8000)


@pytest.mark.parametrize("rule", [r"/(a+)+$/", r"/(\w+\s?)*$/", "/(/"])
def test_a_recipe_whose_rule_cannot_be_run_is_refused(tmp_path: Path, rule: str) -> None:
    """Rules of PERSONALITY were only compiled: an exponential one was found by the answers of a finished training."""
    path = tmp_path / "r.jessy"
    path.write_text(f"JESSY 1\nNAME r\nFROM gemma3:270m\nPERSONALITY {{\n  NEVER {json.dumps(rule)}\n}}\n")
    assert "J038" in [found.code for found in load_recipe(path).diagnostics]


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
