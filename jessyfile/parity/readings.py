"""What a model says at each place of the passages: the natural-log probabilities of the next token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from jessyfile.models.adapters.mlx_lm import ADAPTER_CONFIG, ADAPTER_FILE
from jessyfile.models.load import loaded_folder
from jessyfile.models.model_json import read_json

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from jessyfile.engines.engine import TokenLogprob
    from jessyfile.parity.passages import Passage

TOP = 512
Whole: TypeAlias = "list[NDArray[np.float32]]"  # for each passage (places, vocabulary)
Ask = Callable[[Sequence[int], int], Sequence["TokenLogprob"]]


@dataclass(frozen=True, slots=True)
class Named:
    """What an engine says at one place: its most probable tokens, the best first, with their log-probabilities."""

    tokens: NDArray[np.int64]
    logprobs: NDArray[np.float64]


Answers: TypeAlias = "list[list[Named]]"  # for each passage and place


def read_model(model: Any, passages: Sequence[Passage]) -> Whole:  # noqa: ANN401 (MLX ships no complete types)
    """Return what an MLX model says of the whole vocabulary; one passage's logits are in memory beside the result."""
    import mlx.core as mx
    import numpy as np

    from jessyfile.training.loss import logits

    found = []
    for passage in passages:
        hidden = model.model(mx.array([passage.ids[:-1]]))
        chosen = hidden[0, mx.array([place - 1 for place in passage.places])]
        scores = np.array(logits(model, chosen).astype(mx.float32))
        scores -= scores.max(axis=1, keepdims=True)
        scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
        found.append(scores)
    return found


def read_folder(folder: Path, passages: Sequence[Passage]) -> Whole:
    """Return what the model of a folder says, computed by MLX in float32; nothing of it stays in memory."""
    with loaded_folder(folder) as model:
        return read_model(model, passages)


def read_trained(base: Path, adapter: Path, passages: Sequence[Passage]) -> tuple[Whole, Whole]:
    """Return what a base says, and what it says with the adapter on it as it was trained; the base is loaded once."""
    with loaded_folder(base) as model:
        before = read_model(model, passages)
        put_on(model, adapter)
        return before, read_model(model, passages)


def put_on(model: Any, adapter: Path) -> None:  # noqa: ANN401 (as above)
    """Put an adapter that jessy trained on a model, in the layers that it was trained in: nothing is merged."""
    import mlx.core as mx
    from mlx.utils import tree_unflatten
    from mlx_lm.tuner.dora import DoRALinear
    from mlx_lm.tuner.lora import LoRALinear

    arrays: Any = mx.load(str(adapter / ADAPTER_FILE))
    modules = dict(model.named_modules())
    scale = float(read_json(adapter / ADAPTER_CONFIG)["scale"])
    layers = []
    for path in sorted({name.rpartition(".")[0] for name in arrays}):
        kind = DoRALinear if f"{path}.m" in arrays else LoRALinear
        layers.append((path, kind.from_base(modules[path], r=arrays[f"{path}.lora_a"].shape[1], scale=scale)))
    model.update_modules(tree_unflatten(layers))
    model.load_weights(list(arrays.items()), strict=False)
    model.eval()


def read_engine(ask: Ask, passages: Sequence[Passage], top: int = TOP) -> Answers:
    """Return what an engine says after the same ids: `ask(ids, top)` names its candidates, the best first."""
    return [[_named(ask(passage.ids[:place], top)) for place in passage.places] for passage in passages]


def best_of(whole: Whole, top: int = TOP) -> Answers:
    """Return the most probable tokens of readings of the whole vocabulary, as an engine names them."""
    return [[_best(row, top) for row in rows] for rows in whole]


def _best(row: NDArray[np.float32], top: int) -> Named:
    import numpy as np

    chosen = np.argpartition(-row, min(top, len(row)) - 1)[:top]
    chosen = chosen[np.argsort(-row[chosen], kind="stable")]
    return Named(chosen.astype(np.int64), row[chosen].astype(np.float64))


def _named(candidates: Sequence[TokenLogprob]) -> Named:
    import numpy as np

    tokens = np.array([one.token for one in candidates], dtype=np.int64)
    return Named(tokens, np.array([one.logprob for one in candidates], dtype=np.float64))
