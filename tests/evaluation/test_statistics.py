"""Small numbers, against tables and against other implementations."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from jessyfile.evaluation.statistics import (
    cases_to_prove,
    mcnemar,
    paired_interval,
    percentile,
    percentile_interval,
    wilson,
)


@given(
    st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.sampled_from([0.8, 0.95, 0.99])
)
def test_wilson_agrees_with_scipy(counts: tuple[int, int], confidence: float) -> None:
    passed, n = counts
    expected = stats.binomtest(passed, n).proportion_ci(confidence, "wilson")
    assert wilson(passed, n, confidence) == pytest.approx((expected.low, expected.high), abs=1e-9)


@pytest.mark.parametrize(
    ("passed", "n", "proves"),
    [(50, 50, True), (96, 100, True), (189, 200, True), (49, 50, False), (95, 100, False), (188, 200, False)],
)
def test_what_it_takes_to_claim_ninety_percent(passed: int, n: int, proves: bool) -> None:
    assert (wilson(passed, n)[0] > 0.9) is proves


@given(st.floats(0.05, 0.98), st.sampled_from([0.8, 0.95, 0.99]))
def test_cases_to_prove_is_the_smallest_number(share: float, confidence: float) -> None:
    n = cases_to_prove(share, confidence)
    assert wilson(n, n, confidence)[0] > share
    assert n == 1 or wilson(n - 1, n - 1, confidence)[0] <= share + 1e-9


@given(st.integers(0, 200), st.integers(0, 200))
def test_mcnemar_is_the_exact_binomial_test(better: int, worse: int) -> None:
    expected = stats.binomtest(better, better + worse).pvalue if better + worse else 1.0
    assert mcnemar(better, worse) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("better", "worse"), [(6, 0), (8, 1), (10, 2)])
def test_the_known_borders_of_mcnemar(better: int, worse: int) -> None:
    assert mcnemar(better, worse) < 0.05 < mcnemar(better - 1, worse)


def test_a_95th_percentile_takes_59_values() -> None:
    assert percentile_interval([1.0] * 58, 0.95)[1] is None
    assert percentile_interval([1.0] * 59, 0.95)[1] == 1.0


def test_percentile_intervals_hold_as_often_as_they_say() -> None:
    """400 samples of 100 values: the true 95th percentile lies under the upper end in about 95 % or more of them."""
    chance = random.Random(3)
    held = sum(percentile_interval([chance.random() for _ in range(100)], 0.95)[1] >= 0.95 for _ in range(400))  # type: ignore[operator]
    assert held >= 0.93 * 400


def test_nearest_rank_and_many_values() -> None:
    assert percentile([1.0], 0.95) == 1.0
    assert percentile([float(n) for n in range(1, 101)], 0.95) == 95.0
    low, high = percentile_interval([float(n) for n in range(1, 3001)], 0.95)
    assert high is not None
    assert 2800 < low < 2850 < high < 2900


def test_the_paired_interval_is_the_same_every_time_and_spans_the_mean() -> None:
    differences = [1.0] * 8 + [0.0] * 20 + [-1.0] * 2
    assert paired_interval(differences) == paired_interval(differences)
    low, high = paired_interval(differences)
    assert low < 0.2 < high
    assert paired_interval([]) == (0.0, 0.0)
