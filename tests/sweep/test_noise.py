"""A winner is one that other seeds would not have made."""

import random

import pytest

from jessyfile.sweep.noise import decide, noise_floor, t_quantile


@pytest.mark.parametrize(
    ("share", "freedom", "value"),
    [(0.975, 1, 12.7062), (0.975, 2, 4.3027), (0.975, 10, 2.2281), (0.95, 5, 2.0150), (0.995, 30, 2.7500)],
)
def test_the_quantiles_are_those_of_the_tables(share, freedom, value):
    assert t_quantile(share, freedom) == pytest.approx(value, abs=5e-4)


def test_a_difference_beyond_the_noise_wins_and_one_within_it_does_not():
    clear = decide({"a": [1.00, 1.02, 0.99], "b": [1.30, 1.29, 1.31]}, lower=True)
    assert clear.winner == "a"
    assert 0 < clear.floor < 0.1
    near = decide({"a": [1.00, 1.20, 0.90], "b": [1.10, 1.00, 1.05]}, lower=True)
    assert near.winner is None
    assert "within the noise" in near.why
    assert decide({"a": [0.5, 0.52], "b": [0.9, 0.91]}, lower=False).winner == "b"


def test_one_seed_has_no_winner_however_far_ahead():
    found = decide({"a": [0.1], "b": [9.0]}, lower=True)
    assert (found.floor, found.winner, found.ranking[0].point) == (None, None, "a")
    assert "--seeds 3" in found.why


def test_of_equal_points_seldom_one_wins():
    """Of eight equal points the best is lucky; a floor for two alone would have named a winner far more often."""
    dice = random.Random(7)
    won = sum(
        decide({str(point): [dice.gauss(1, 0.1) for _ in range(3)] for point in range(8)}, lower=True).winner
        is not None
        for _ in range(200)
    )
    assert won <= 10


def test_seeds_are_pooled_over_points_and_more_of_them_narrow_the_floor():
    assert noise_floor([[1.0], [2.0]]) is None
    few = noise_floor([[1.0, 1.1], [2.0, 2.1]])
    many = noise_floor([[1.0, 1.1] * 4, [2.0, 2.1] * 4])
    assert many < few
