"""A product through OpenBLAS is NumPy's, however its matrices lie in memory."""

from collections.abc import Callable

import numpy as np
import pytest

from jessyfile.training import product as module
from jessyfile.training.product import product

SIDES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "by rows": lambda matrix: matrix,
    "by columns": lambda matrix: np.asfortranarray(matrix),
    "columns of a wider one": lambda matrix: np.concatenate([matrix, matrix], axis=1)[:, : matrix.shape[1]],
    "rows of a longer one, transposed": lambda matrix: np.concatenate([matrix.T, matrix.T])[: matrix.shape[1]].T,
    "every second number": lambda matrix: np.repeat(matrix, 2, axis=1)[:, ::2],
    "backwards": lambda matrix: matrix[::-1].copy()[::-1],
}


@pytest.mark.parametrize("blas", [True, False])
@pytest.mark.parametrize("right", SIDES)
@pytest.mark.parametrize("left", SIDES)
def test_it_is_numpys(left: str, right: str, blas: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not blas:
        monkeypatch.setattr(module, "_gemm", lambda: None)
    rng = np.random.default_rng(0)
    for rows, inner, columns in ((5, 7, 3), (1, 4, 6), (4, 1, 2), (3, 5, 1), (2, 0, 3)):
        one, two = (
            rng.normal(size=(rows, inner)).astype(np.float32),
            rng.normal(size=(inner, columns)).astype(np.float32),
        )
        before = rng.normal(size=(rows, columns)).astype(np.float32)
        sides = SIDES[left](one), SIDES[right](two)
        expected = np.einsum("ij,jk->ik", one, two)
        np.testing.assert_allclose(product(*sides), expected, atol=1e-5)
        target = before.copy()
        assert product(*sides, added_to=target) is target
        np.testing.assert_allclose(target, before + expected, atol=1e-5)
