"""DPO's and KTO's loss and gradient: TRL's formulas by numbers, and a second and plain writing on a model, each answer alone and whole."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from doubles import write_double
from plain_training import row_gradient
from reference_world import SYSTEM, World, far, world
from training_fakes import loud

from jessyfile.training.batches import Targets
from jessyfile.training.encoded import EncodedRow, common_prefix, pack
from jessyfile.training.gradient import Passes, passes
from jessyfile.training.objective import as_arrays
from jessyfile.training.preference_loss import ComparedAnswers, Preferred
from jessyfile.training.workers import Workers, workers

PAIR, JUDGED = ("dpo", 2), ("kto", 1)
NEAR = 1e-5
# MLX sums a vocabulary's exponentials in float32, and by which BLAS it multiplies depends on what was imported before
IN_MLX = 3e-5


def compared(
    reference: Sequence[float], signs: Sequence[float], weights: Sequence[float], unit: int
) -> ComparedAnswers:
    return ComparedAnswers(
        SimpleNamespace(end=np.array([-1])), np.array(signs, float), np.array(weights, float), unit, None, np.array(reference, float), np.zeros(0),
        np.zeros((0, 2), np.int64),
    )  # fmt: skip


def of_logprobs(objective: Preferred, logprobs: Sequence[float]) -> tuple[Any, Any]:
    """Return what NumPy's and MLX's writing make of answers of two tokens each that have these log-probabilities."""
    chosen = list(range(len(logprobs)))
    row = np.repeat(chosen, 2)
    losses = -np.repeat(np.array(logprobs, float) / 2, 2)
    batch = Targets(row, row.astype(np.int32), np.ones(len(row), np.float32), row)
    given = as_arrays(objective.given(chosen, batch, len(chosen)))
    by_mlx = mx.value_and_grad(lambda losses: objective.value(given, losses))(mx.array(losses.astype(np.float32)))
    assert objective.mass(chosen, batch.weights) == len(chosen) / objective.unit
    return objective.weighed(chosen, batch, losses), by_mlx


def test_dpo_of_two_pairs_is_what_trl_computes() -> None:
    """beta 0.1; log-ratios 1 and -1, which is ahead by 2, then -1 and 1, which is behind by 2."""
    held = compared([-13, -14, -7, -10], [1, -1, 1, -1], [1, 1], 2)
    found, ((value, told), gradient) = of_logprobs(Preferred("dpo", 0.1, 0.0, held), [-12, -15, -8, -9])
    assert found.loss == pytest.approx(0.5981388693815918 + 0.7981388693815918, rel=1e-9)
    weights = [0.04501660026875221, -0.04501660026875221, 0.05498339973124779, -0.05498339973124779]
    np.testing.assert_allclose(found.weights, np.repeat(weights, 2), rtol=1e-6)
    assert (found.mass, found.preferred) == (2, 1)
    assert found.margin == pytest.approx(0, abs=1e-12)
    assert float(value) == pytest.approx(found.loss, rel=1e-6)
    np.testing.assert_allclose(np.array(told), [found.loss, 0, 1], atol=1e-6)
    np.testing.assert_allclose(np.array(gradient), found.weights, rtol=1e-5)


def test_kto_of_four_answers_is_what_trl_computes() -> None:
    """beta 0.1, weights 1 and 1.5; log-ratios 3, -1 of wanted answers and -2, 2 of unwanted ones; z is 1.5."""
    held = compared([-13, -9, -8, -12], [1, 1, -1, -1], [1, 1, 1.5, 1.5], 1)
    found, ((value, _), gradient) = of_logprobs(Preferred("kto", 0.1, 0.0, held, ahead=1.5), [-10, -10, -10, -10])
    losses = [0.46257015465625045, 0.5621765008857981, 0.620073631624005, 0.7687460947263155]
    assert found.loss == pytest.approx(sum(losses), rel=1e-9)
    weights = [0.0248599006677543, 0.024613408273759838, -0.036374609253375025, -0.03747657226216746]
    np.testing.assert_allclose(found.weights, np.repeat(weights, 2), rtol=1e-6)
    assert float(value) == pytest.approx(found.loss, rel=1e-6)
    np.testing.assert_allclose(np.array(gradient), found.weights, rtol=1e-5)


def test_a_wanted_answer_s_own_cross_entropy_counts_alpha_in_all_and_its_marker_is_compared_with_nothing() -> None:
    """A pair of three tokens each, of which the first is the marker's: cross-entropies 0.5, 1 and 2 of the chosen, 4, 3 and 1 of the
    rejected. Behind their markers both log-ratios are -1 and the margin 0, so that DPO gives log 2 and slopes of 0.05."""
    held = compared([-2, -3], [1, -1], [1], 2)
    losses, row = np.array([0.5, 1, 2, 4, 3, 1]), np.repeat([0, 1], 3)
    behind = np.tile(np.array([0, 1, 1], np.float32), 2)
    objective = Preferred("dpo", 0.1, 0.6, held)
    found = objective.weighed([0, 1], Targets(row, row.astype(np.int32), behind, row), losses)
    assert (found.loss, found.margin, found.mass) == (pytest.approx(math.log(2) + 0.6 * 3.5 / 3), pytest.approx(0), 1)
    wanted = [0.2, 0.05 + 0.2, 0.05 + 0.2, 0, -0.05, -0.05]
    np.testing.assert_allclose(found.weights, wanted, rtol=1e-6, atol=1e-9)
    # on a GPU in a shape with room for two more answers and a target that is none
    laid = SimpleNamespace(weights=np.append(behind, np.float32(0)), row=np.append(row, -1), targets=np.append(row, 1))
    given = as_arrays(objective.given([0, 1], laid, 4))  # type: ignore[arg-type]
    filled = mx.array(np.append(losses, 7).astype(np.float32))
    (value, told), gradient = mx.value_and_grad(lambda losses: objective.value(given, losses))(filled)
    assert float(value) == pytest.approx(found.loss, rel=1e-6)
    np.testing.assert_allclose(np.array(told), [found.loss, 0, 0], atol=1e-6)
    np.testing.assert_allclose(np.array(gradient), [*wanted, 0], rtol=1e-5, atol=1e-8)
    # an end of turn that counts four times: 0.6 is shared by two tokens and it
    told = Targets(row, np.array([5, 6, 9, 5, 6, 9], np.int32), np.tile(np.array([0, 1, 0], np.float32), 2), row)
    ends = replace(objective, compared=replace(held, rows=SimpleNamespace(end=np.array([9]))), end_weight=4.0)
    np.testing.assert_allclose(ends.weighed([0, 1], told, losses).weights[[0, 2, 5]], [0.1, 0.4, 0], rtol=1e-6)


@pytest.mark.parametrize(("now", "ahead"), [([-5, -6, -3, -7], 1.5), ([-9, -9, -9, -9], 0.0)], ids=["ahead", "clamped"])
def test_z_is_the_mean_log_ratio_of_answers_to_other_questions_and_never_below_0(
    now: list[float], ahead: float
) -> None:
    """Log-ratios of 2, -1, 4 and 1; and such whose mean is negative, which TRL clamps."""
    held = replace(
        compared([0] * 4, [1] * 4, [1] * 4, 1), others=object(), others_reference=np.array([-7, -5, -7, -8.0])
    )

    objective = Preferred("kto", 0.1, 0.0, held)
    for number in (float, mx.array):  # a GPU does not wait for it
        made = objective.for_rows([0, 1, 2, 3], lambda _, chosen, made=number: made(-sum(now[one] for one in chosen)))
        assert float(made.ahead) == pytest.approx(ahead)


def test_far_apart_answers_give_finite_losses() -> None:
    held = compared([0, 0], [1, -1], [1], 2)
    for logprobs in ((-1e5, 0), (0, -1e5)):
        found, ((value, _), gradient) = of_logprobs(Preferred("dpo", 10, 0.0, held), logprobs)
        assert math.isfinite(found.loss)
        assert math.isfinite(float(value))
        assert np.isfinite(found.weights).all()
        assert np.isfinite(np.array(gradient)).all()


# on a model -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["Gemma 2", "Llama 3.2"])
def small(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    found = world(write_double(tmp_path_factory.mktemp("base"), request.param), SYSTEM)
    loud(found.model)
    END[:] = [found.end]
    return found


def preferred(small: World, method: str, unit: int) -> Preferred:
    """Six of the talks as three pairs, or as six judged answers; the reference finds each more or less likely than the model does."""
    rows = small.rows[:6]
    others = [*rows[1:], rows[0]]
    prefix = common_prefix(rows)
    now = np.array([plain_logprob(small.model, row, behind=True)[0] for row in rows])
    then = np.array([plain_logprob(small.model, row, behind=True)[0] for row in others])
    signs = np.array([1.0, -1] * 3)
    weights = np.where(signs > 0, 1.0, 1.5)
    held = ComparedAnswers(
        rows=pack(rows, prefix, small.end),
        signs=signs,
        weights=weights if unit == 1 else np.ones(3),
        unit=unit,
        others=pack(others, prefix, small.end) if unit == 1 else None,
        reference=now + np.array([-1, 2, 0.5, -3, 1, 0.0]),
        others_reference=then - np.array([4, -1, 2, 0, 1, 3.0]),
        pairs=np.zeros((0, 2), np.int64),
    )
    return Preferred(method, 0.3, 0.7, held, end_weight=3.0)  # type: ignore[arg-type]


def plain_logprob(model: Any, row: EncodedRow, behind: bool = False) -> tuple[float, dict[str, np.ndarray]]:
    """Read once for all tests: no weight of the model ever moves here. `behind` leaves out the level and the end."""
    key = (id(model), row, behind)
    if key not in _READ:
        _READ[key] = _plain_logprob(model, row, behind)
    return _READ[key]


END: list[int] = []  # the token that ends an answer of the model at hand
_READ: dict[tuple[int, EncodedRow, bool], tuple[float, dict[str, np.ndarray]]] = {}


def said(row: EncodedRow, behind: bool) -> np.ndarray:
    level = row.level or (False,) * len(row.trained)
    apart = [behind and (named or token == END[0]) for named, token in zip(level, row.tokens, strict=True)]
    told = enumerate(zip(row.trained, apart, strict=True))
    return np.array([float(place > 0 and trained and not beside) for place, (trained, beside) in told], np.float32)


def plain_end(model: Any, row: EncodedRow) -> tuple[float, dict[str, np.ndarray]]:
    weights = said(row, False) * (np.array(row.tokens) == END[0])
    loss, gradient = row_gradient(model, row, weights.astype(np.float32))
    return -loss, {key: -array for key, array in gradient.items()}


def _plain_logprob(model: Any, row: EncodedRow, behind: bool) -> tuple[float, dict[str, np.ndarray]]:
    weights = said(row, behind)
    loss, gradient = row_gradient(model, row, weights)
    return -loss, {key: -array for key, array in gradient.items()}


def plainly(small: World, objective: Preferred, chosen: Sequence[int]) -> tuple[float, dict[str, np.ndarray]]:
    """The loss and its gradient as the formulas say, in double precision."""
    held, beta, dpo = objective.compared, objective.beta, objective.method == "dpo"

    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    read = {row: plain_logprob(small.model, small.rows[row], behind=True) for row in chosen}
    ratio = {row: read[row][0] - held.reference[row] for row in chosen}
    loss, gradient = 0.0, dict[str, np.ndarray]()

    def add(row: int, factor: float, of: tuple[float, dict[str, np.ndarray]] | None = None) -> None:
        for key, array in (of or read[row])[1].items():
            gradient[key] = gradient.get(key, 0) + factor * array

    for row in chosen:
        if held.signs[row] > 0:  # its own cross-entropy, the level its marker names with it
            ends = sum(
                token == END[0] and bool(one)
                for token, one in zip(small.rows[row].tokens, said(small.rows[row], False), strict=True)
            )
            whole, end = plain_logprob(small.model, small.rows[row]), plain_end(small.model, small.rows[row])
            each = objective.alpha / (said(small.rows[row], False).sum() + 2 * ends)
            for part, times in ((whole, 1), (end, 2)):
                loss -= times * each * part[0]
                add(row, -times * each, part)
    if dpo:
        for good, bad in zip(chosen[::2], chosen[1::2], strict=True):
            margin = beta * (ratio[good] - ratio[bad])
            loss -= math.log(sigmoid(margin))
            add(good, -beta * sigmoid(-margin))
            add(bad, beta * sigmoid(-margin))
        return loss, gradient
    after = [
        plain_logprob(small.model, small.rows[(row + 1) % 6], behind=True)[0] - held.others_reference[row]
        for row in chosen
    ]
    z = max(0.0, sum(after) / len(chosen))
    for row in chosen:
        wanted, weight = held.signs[row] > 0, held.weights[row]
        margin = beta * (ratio[row] - z) if wanted else beta * (z - ratio[row])
        loss += weight * (1 - sigmoid(margin))
        add(row, -held.signs[row] * weight * beta * sigmoid(margin) * sigmoid(-margin))
    return loss, gradient


def in_numpy(small: World, objective: Preferred, splits: int) -> Passes:
    return passes(Workers([small.model]), splits, objective)


def in_mlx(small: World, objective: Preferred, splits: int) -> Passes:
    return Passes(Workers([small.model]), splits, None, objective)


@pytest.mark.parametrize(("method", "unit"), [PAIR, JUDGED], ids=["dpo", "kto"])
@pytest.mark.parametrize("computed", [in_numpy, in_mlx])
def test_loss_and_gradient_are_the_formulas(
    computed: Callable[[World, Preferred, int], Passes], method: str, unit: int, small: World
) -> None:
    """Of pairs and answers of uneven length, several turns and a shared prefix, whole and in parts."""
    objective, near = preferred(small, method, unit), IN_MLX if computed is in_mlx else NEAR
    for chosen in ([0, 1, 2, 3, 4, 5], [4, 5, 0, 1]):
        wanted, slope = plainly(small, objective, chosen)
        scale = math.sqrt(sum(float(np.sum(array**2)) for array in slope.values()))
        assert scale > 1e-2
        for splits in (1, 3):
            found = computed(small, objective, splits).gradient(objective.compared.rows, [chosen], lambda part: part)
            assert found.mass == len(chosen) / unit
            assert found.loss == pytest.approx(wanted, rel=near)
            apart = {key: np.array(found.gradients[key]) - array for key, array in slope.items()}
            assert math.sqrt(sum(float(np.sum(array**2)) for array in apart.values())) < near * scale, splits
            for key, array in slope.items():  # which MLX's own gradient of a row, in float32, is no nearer to
                assert far(np.array(found.gradients[key]), array, 0.1 * scale) < 5 * near, (splits, key)


@pytest.mark.parametrize(("method", "unit"), [PAIR, JUDGED], ids=["dpo", "kto"])
def test_side_by_side_and_without_a_gradient_the_loss_is_the_same(method: str, unit: int, small: World) -> None:
    objective = preferred(small, method, unit)
    rows = objective.compared.rows
    with workers(small.model, 2) as both:
        trained = passes(both, 1, objective).gradient(rows, [list(range(6))], lambda part: part)
        whole = passes(both, 1, objective)
        held = whole.loss(rows, 2, objective.for_rows(range(6), whole.read))
    assert held.loss == pytest.approx(trained.loss, rel=NEAR)
    assert (held.mass, held.preferred) == (trained.mass, trained.preferred)
    assert held.margin == pytest.approx(trained.margin, rel=1e-4, abs=1e-4)


def test_a_pair_is_never_in_two_parts(small: World) -> None:
    objective = preferred(small, *PAIR)
    for made in (in_numpy(small, objective, 5), in_mlx(small, objective, 5)):
        for part in made.parts(objective.compared.rows, [[2, 3, 4, 5, 0, 1]]):
            assert part[::2] == [row - 1 for row in part[1::2]]


def test_an_epoch_sees_every_pair_once_and_in_another_order_than_the_next(small: World) -> None:
    held = preferred(small, *PAIR).compared
    first = held.batches(2, (7, 0))
    assert sorted(row for batch in first for row in batch) == list(range(6))
    assert [len(batch) for batch in first] == [4, 2]
    assert first == held.batches(2, (7, 0))
    assert any(held.batches(2, (7, epoch)) != first for epoch in range(1, 9))
