"""The importance matrix: how large the inputs of every linear layer are, on the rows that the model was trained with.

An error in a column of weights matters as much as what is multiplied with it. So the importance of a column is the mean
square of that input over the tokens of the rows; the quantization then weighs its errors by it. A few rows spread over all
of them tell it: the means settle after some thousand tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jessyfile import machine
from jessyfile.errors import ExportError
from jessyfile.models.architectures import by_model_type
from jessyfile.models.gguf_container import STRING, U32, Pair
from jessyfile.models.model_json import read_json
from jessyfile.models.precision import resolve
from jessyfile.models.shape import shape_of
from jessyfile.training.encoded import Encoded, load

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from jessyfile.planning.steps import StepContext

Report = Callable[[int, int, str], None]
TOKENS = 4096  # the means are then within 2 % of those over all rows


@dataclass(frozen=True, slots=True)
class ImportanceMatrix:
    """The mean square of each input, by the name of the tensor that it meets in a GGUF, and over how many rows."""

    columns: Mapping[str, np.ndarray[Any, Any]]
    rows: int

    def pairs(self) -> list[Pair]:
        """Return the keys by which other programs know that the file was made with an importance matrix."""
        return [
            ("quantize.imatrix.file", STRING, "made by jessy"),
            ("quantize.imatrix.dataset", STRING, "the training rows"),
            ("quantize.imatrix.entries_count", U32, len(self.columns)),
            ("quantize.imatrix.chunks_count", U32, self.rows),
        ]


def matrix_of(context: StepContext, model: str, report: Report) -> ImportanceMatrix | None:
    """Return the importance matrix of a step's input over the training rows, None where the recipe wants none of them."""
    rows = context.inputs.get("encode")
    return None if rows is None else importance(context.inputs[model], rows / "train.safetensors", report)


def importance(folder: Path, encoded: Path, report: Report, limit: int = TOKENS) -> ImportanceMatrix:
    """Run a model over training rows and return how large the inputs of its layers were.

    Args:
        folder: the model, merged or a base.
        encoded: the rows, as the step `encode` wrote them.
        report: told rows done, rows in all, and what is done.
        limit: about how many tokens are looked at; the rows are spread over all of them.

    Returns:
        The importance matrix.

    Raises:
        ExportError: there are no rows, or the model's inputs are not finite.
        ModelError: the model cannot be loaded.
    """
    rows = load(encoded)
    chosen = spread(rows, limit)
    if not chosen:
        raise ExportError("an importance matrix needs training rows, and there are none", hint="write `imatrix no`")
    try:
        return ImportanceMatrix(_measured(folder, rows, chosen, report), len(chosen))
    finally:
        machine.give_memory_back()


def spread(rows: Encoded, limit: int) -> list[int]:
    """Return the numbers of as many rows as hold about `limit` tokens, spread evenly over all."""
    total = len(rows.tokens) + len(rows) * len(rows.prefix)
    count = len(rows) if total <= limit else max(1, len(rows) * limit // total)
    return [number * len(rows) // count for number in range(count)] if len(rows) else []


def _measured(folder: Path, rows: Encoded, chosen: list[int], report: Report) -> dict[str, np.ndarray[Any, Any]]:
    from jessyfile.models.load import load_model

    shape = shape_of(read_json(folder / "config.json"))
    model: Any
    model, config = load_model(folder, resolve("auto", machine.chip(), shape))  # takes a fast BLAS in before MLX
    import mlx.core as mx
    import numpy as np

    watched = _watch(model, str(config["model_type"]))
    sums: dict[str, np.ndarray[Any, Any]] = {}
    tokens = 0
    for done, number in enumerate(chosen):
        report(done, len(chosen), "weigh the inputs")
        ids = [*rows.prefix.tolist(), *rows.row(number)[0].tolist()]
        model.model(mx.array([ids]))
        tokens += len(ids)
        squares = {name: layer.taken() for name, layer in watched}
        mx.eval(squares)
        for name, square in squares.items():
            sums[name] = sums.get(name, 0) + np.array(square, dtype=np.float64)
    means = {name: (total / tokens).astype(np.float32) for name, total in sums.items()}
    if not all(np.isfinite(mean).all() for mean in means.values()):
        raise ExportError("the model's inputs are not finite", hint="train again with a lower learning rate")
    return means


def _watch(model: Any, model_type: str) -> Sequence[tuple[str, Any]]:  # noqa: ANN401 (MLX ships no complete types)
    """Let every linear layer inside a block note its inputs; return the layers by the name of their tensor in a GGUF."""
    from mlx.utils import tree_unflatten

    found = {path: _watching(layer) for path, layer in _linear(model)}
    model.update_modules(tree_unflatten(list(found.items())))
    architecture = by_model_type(model_type)
    named = ((architecture.gguf_name(f"{path}.weight"), layer) for path, layer in found.items())
    return [(name, layer) for name, layer in named if name is not None]


def _linear(model: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 (MLX ships no complete types)
    import mlx.nn as nn

    for path, layer in model.named_modules():
        if isinstance(layer, nn.Linear | nn.QuantizedLinear) and path.startswith("model.layers."):
            yield path, layer


def _watching(layer: Any) -> Any:  # noqa: ANN401 (MLX ships no complete types)
    import mlx.core as mx
    import mlx.nn as nn

    class Watching(nn.Module):  # type: ignore[misc]
        """A layer that notes the squares of what it is given."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = layer
            self._squares: list[mx.array] = []

        def __call__(self, inputs: Any) -> Any:  # noqa: ANN401 (as above)
            wide = inputs.astype(mx.float32).reshape(-1, inputs.shape[-1])
            self._squares.append((wide * wide).sum(axis=0))
            return self.layer(inputs)

        def taken(self) -> Any:  # noqa: ANN401 (as above)
            """Return the sums of squares since the last time."""
            squares, self._squares = self._squares, []
            return sum(squares[1:], squares[0])

    return Watching()
