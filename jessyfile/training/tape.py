"""A tape of NumPy operations on rows of numbers: each operation leaves behind how its gradient is computed.

On a CPU a training step is matrix products and the passes over memory between them. MLX computes those passes one number at a time
on one core; NumPy's are vectorized, let other threads run meanwhile, and work on the very tokens that a batch has, without padding.

A value is a matrix, shape (tokens, width). Nothing is recorded of a value that depends on nothing trained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix: TypeAlias = NDArray[np.float32]

_ROOT = 0.7978845608028654  # sqrt(2 / pi), of the tanh form of GELU (Hendrycks and Gimpel 2016)
_CUBIC = 0.044715
_HALF_ROOT = 0.7071067811865476  # sqrt(1 / 2)
_DENSITY = 0.3989422804014327  # of the normal distribution at 0
_BLOCK = 1 << 15  # numbers that several passes go over while they are in the cache of a core

Activation: TypeAlias = "Callable[[Matrix], tuple[Matrix, Matrix]]"


class Traced:
    """A value and, on the way back, its gradient; `needed` says whether anything trained lies behind it."""

    __slots__ = ("gradient", "needed", "value")

    def __init__(self, value: Matrix, *, needed: bool) -> None:
        self.value = value
        self.needed = needed
        self.gradient: Matrix | None = None

    def let_go(self) -> None:
        """Forget the numbers: the way back needs the gradient alone."""
        self.value = self.value[:0].copy()

    def receive(self, gradient: Matrix) -> None:
        """Add to the gradient; what is given may be held by others, so it is never changed."""
        self.gradient = gradient if self.gradient is None else self.gradient + gradient


class Tape:
    """The operations in order, and the gradients of trained arrays by path."""

    def __init__(self, *, recording: bool = True) -> None:
        self._recording = recording
        self._steps: list[Callable[[], None]] = []
        self.gradients: dict[str, Matrix] = {}

    def record(self, value: Matrix, back: Callable[[Matrix], None], *, needed: bool) -> Traced:
        """Return a result, traced; `back` takes the result's gradient and gives its operands theirs."""
        traced = Traced(value, needed=needed)

        def step() -> None:
            gradient, traced.gradient = traced.gradient, None
            if gradient is not None:
                back(gradient)

        if needed and self._recording:
            self._steps.append(step)
        return traced

    def trained(self, path: str, gradient: Matrix) -> None:
        """Add to the gradient of a trained array."""
        self.gradients[path] = self.gradients[path] + gradient if path in self.gradients else gradient

    def backward(self) -> None:
        """Go back over everything; what an operation kept is freed as soon as it is done."""
        import numpy as np

        with np.errstate(all="ignore"):  # the trainer refuses what is not finite
            while self._steps:
                self._steps.pop()()

    def again(self, x: Traced, work: Callable[[Tape, Traced], Traced]) -> Traced:
        """Return what `work` makes of a value, and keep only the value: for the gradient it is computed again (Chen et al. 2016)."""
        result = work(Tape(recording=False), Traced(x.value, needed=x.needed))

        def back(gradient: Matrix) -> None:
            inner, start = Tape(), Traced(x.value, needed=x.needed)
            work(inner, start).gradient = gradient
            inner.backward()
            self.gradients |= inner.gradients
            if start.gradient is not None:
                x.receive(start.gradient)

        return self.record(result.value, back, needed=True)


def added(tape: Tape, left: Traced, right: Traced) -> Traced:
    """Return the sum of a value and of another that nothing else needs."""

    def back(gradient: Matrix) -> None:
        left.receive(gradient)
        right.receive(gradient)

    value = left.value + right.value
    right.let_go()
    return tape.record(value, back, needed=left.needed or right.needed)


def picked(tape: Tape, x: Traced, places: NDArray[np.int64]) -> Traced:
    """Return a value's rows at these places, no place twice."""
    import numpy as np

    def back(gradient: Matrix) -> None:
        spread = np.zeros_like(x.value)
        spread[places] = gradient
        x.receive(spread)

    return tape.record(x.value[places], back, needed=x.needed)


def columns(tape: Tape, x: Traced, widths: Sequence[int]) -> list[Traced]:
    """Return a value cut into runs of columns."""
    import numpy as np

    shape = x.value.shape

    def cut(start: int, width: int) -> Traced:
        def back(gradient: Matrix) -> None:
            if x.gradient is None:
                x.gradient = np.zeros(shape, np.float32)
            x.gradient[:, start : start + width] += gradient

        return tape.record(x.value[:, start : start + width], back, needed=x.needed)

    found = [cut(sum(widths[:i]), width) for i, width in enumerate(widths)]
    x.let_go()
    return found


def normed(tape: Tape, x: Traced, scale: Matrix, eps: float) -> Traced:
    """Return a value divided by its root mean square, and scaled.

    Args:
        tape: where the operation is recorded.
        x: the value; every run of as many columns as there are scales has a mean of its own.
        scale: what each column of a run is multiplied by.
        eps: what is added to the mean square.
    """
    import numpy as np

    rows, shape, size = x.value.reshape(-1, len(scale)), x.value.shape, np.float32(len(scale))
    inverse = 1 / np.sqrt(np.einsum("nd,nd->n", rows, rows)[:, None] / size + np.float32(eps))
    value = rows * inverse
    value *= scale

    def back(gradient: Matrix) -> None:
        pulled = gradient.reshape(rows.shape) * scale
        along = np.einsum("nd,nd->n", pulled, rows)[:, None] * inverse * inverse / size
        pulled -= rows * along
        pulled *= inverse
        x.receive(pulled.reshape(shape))

    return tape.record(value.reshape(shape), back, needed=x.needed)


def gated(tape: Tape, gate: Traced, up: Traced, activation: Activation) -> Traced:
    """Return the activation of one value times another.

    Args:
        tape: where the operation is recorded.
        gate: the value that the activation is of.
        up: the other.
        activation: returns itself and its slope.
    """
    import numpy as np

    value = np.empty_like(gate.value)
    for block in _blocks(value):
        np.multiply(activation(gate.value[block])[0], up.value[block], out=value[block])

    def back(gradient: Matrix) -> None:
        of_gate, of_up = np.empty_like(gradient), np.empty_like(gradient)
        for block in _blocks(gradient):
            active, slope = activation(gate.value[block])
            np.multiply(gradient[block], active, out=of_up[block])
            slope *= up.value[block]
            np.multiply(gradient[block], slope, out=of_gate[block])
        gate.receive(of_gate)
        up.receive(of_up)

    return tape.record(value, back, needed=gate.needed or up.needed)


def _blocks(matrix: Matrix) -> Iterator[slice]:
    """Yield runs of rows that fit into a cache."""
    rows = max(1, _BLOCK // matrix.shape[1])
    yield from (slice(start, start + rows) for start in range(0, len(matrix), rows))


def gelu_tanh(x: Matrix) -> tuple[Matrix, Matrix]:
    """Return the tanh form of GELU and its slope."""
    import numpy as np

    square = x * x
    tanh = square * np.float32(_ROOT * _CUBIC)
    tanh += np.float32(_ROOT)
    tanh *= x
    np.tanh(tanh, out=tanh)
    square *= np.float32(3 * _ROOT * _CUBIC)
    square += np.float32(_ROOT)
    square *= x
    slope = 1 - tanh * tanh
    slope *= square
    tanh += 1
    slope += tanh
    slope *= np.float32(0.5)
    tanh *= x
    tanh *= np.float32(0.5)
    return tanh, slope


def gelu(x: Matrix) -> tuple[Matrix, Matrix]:
    """Return GELU by the normal distribution, and its slope."""
    import numpy as np
    from scipy.special import erf

    below: Matrix = erf(x * np.float32(_HALF_ROOT))
    below += 1
    below *= np.float32(0.5)
    slope = x * x
    slope *= np.float32(-0.5)
    np.exp(slope, out=slope)
    slope *= np.float32(_DENSITY)
    slope *= x
    slope += below
    return x * below, slope


def silu(x: Matrix) -> tuple[Matrix, Matrix]:
    """Return SiLU and its slope."""
    import numpy as np

    sigmoid: Matrix = np.tanh(x * np.float32(0.5))
    sigmoid += 1
    sigmoid *= np.float32(0.5)
    value = x * sigmoid
    slope = 1 - sigmoid
    slope *= value
    slope += sigmoid
    return value, slope
