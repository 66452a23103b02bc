"""Small numbers, against tables and against other implementations."""

from __future__ import annotations

import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from jessyfile.evaluation.statistics import (
    auc,
    cases_to_prove,
    mcnemar,
    mean_interval,
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
    ("passed", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_agrees_with_a_published_table(passed: int, n: int, low: float, high: float) -> None:
    """Newcombe, Statistics in Medicine 17 (1998), Table I, method 3."""
    assert wilson(passed, n) == pytest.approx((low, high), abs=5e-5)


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


def test_the_mean_interval_is_the_same_every_time_and_spans_the_mean() -> None:
    differences = [1.0] * 8 + [0.0] * 20 + [-1.0] * 2
    assert mean_interval(differences) == mean_interval(differences)
    low, high = mean_interval(differences)
    assert low < 0.2 < high
    assert mean_interval([]) == (0.0, 0.0)


def test_the_interval_of_a_mean_agrees_with_scipy() -> None:
    """Its bootstrap draws others and more; the ends differ by what 2,000 resamples leave to chance."""
    chance = random.Random(5)
    values = [chance.betavariate(4, 2) for _ in range(60)]
    settings = {"method": "percentile", "n_resamples": 20_000, "random_state": 1}
    expected = stats.bootstrap((values,), statistics.fmean, vectorized=False, **settings).confidence_interval
    spread = stats.sem(values)
    assert mean_interval(values) == pytest.approx((expected.low, expected.high), abs=0.15 * spread)


def test_the_interval_of_a_mean_holds_as_often_as_it_says() -> None:
    """200 samples of 50 cases, each a share over six pairs: the true mean lies inside about 95 % of the intervals."""
    chance = random.Random(7)
    samples = [[sum(chance.random() < 0.7 for _ in range(6)) / 6 for _ in range(50)] for _ in range(200)]
    held = sum(low <= 0.7 <= high for low, high in map(mean_interval, samples))
    assert held >= 0.9 * 200


def test_many_values_take_no_more_memory_than_few() -> None:
    """The draws of all resamples at once would be 2.4 GB here."""
    low, high = mean_interval([0.0, 1.0] * 75_000)
    assert low < 0.5 < high


# the ratings of 109 images by one reader, from definitely normal to definitely abnormal (Hanley and McNeil 1982, Table I)
NORMAL, ABNORMAL = (33, 6, 6, 11, 2), (3, 2, 2, 11, 33)


def test_the_share_of_pairs_agrees_with_a_published_area() -> None:
    """Hanley and McNeil, Radiology 143 (1982), Table II: W = 0.893."""
    normal, abnormal = (
        [float(rating) for rating, count in enumerate(counts) for _ in range(count)] for counts in (NORMAL, ABNORMAL)
    )
    assert auc(abnormal, normal) == pytest.approx(0.893, abs=5e-4)
    assert auc(normal, abnormal) == pytest.approx(1 - auc(abnormal, normal))


@given(st.lists(st.integers(0, 6), min_size=1, max_size=9), st.lists(st.integers(0, 6), min_size=1, max_size=9))
def test_the_share_of_pairs_is_mann_whitneys_statistic(good: list[int], bad: list[int]) -> None:
    expected = stats.mannwhitneyu(good, bad, method="asymptotic").statistic / (len(good) * len(bad))
    assert auc(list(map(float, good)), list(map(float, bad))) == pytest.approx(expected)


def test_a_share_of_no_pairs_is_no_number() -> None:
    with pytest.raises(ValueError, match="either side"):
        auc([1.0], [])
