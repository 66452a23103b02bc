"""The models of the scenes: a double's folder in memory, adapters for it, and the GGUF that is the same model."""

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
from adapters_made import PEFT_CONFIG
from safetensors.numpy import load_file, save_file

from jessyfile.export.gguf_writer import write_gguf
from jessyfile.models.architectures import ARCHITECTURES
from jessyfile.models.chat_format import ChatFormat, format_of
from jessyfile.models.from_folder import bring_folder
from planted.document import Document, read_document

GEMMA2, GEMMA3, LLAMA, SMOLLM = "Gemma 2", "Gemma 3, text", "Llama 3.2", "SmolLM2"
MISTRAL, PHI, QWEN2, QWEN3 = "Mistral 0.3", "Phi-3.5-mini", "Qwen2.5", "Qwen3"
RANK, SCALE = 4, 2.0
MLX, PEFT = "mlx", "peft"
Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Model:
    """What a model's folder holds; `dtype` is how its numbers are stored, in `shards` files."""

    config: Mapping[str, object]
    tokenizer: Mapping[str, object]
    settings: Mapping[str, object]
    arrays: Arrays
    dtype: str = "float32"
    shards: int = 1

    @property
    def form(self) -> ChatFormat:
        """Return its chat format."""
        added = {one["content"] for one in self.tokenizer["added_tokens"]}
        return format_of({*self.tokenizer["model"]["vocab"], *added}, self.config["model_type"])

    def with_config(self, **changes: object) -> "Model":
        """Return it with other numbers in its config.json."""
        return replace(self, config={**self.config, **changes})

    def as_stored(self, dtype: str, shards: int = 1) -> "Model":
        """Return it with the numbers that a folder of this type can hold."""
        import mlx.core as mx

        kind = getattr(mx, dtype)
        arrays = {name: np.array(mx.array(one).astype(kind).astype(mx.float32)) for name, one in self.arrays.items()}
        return replace(self, arrays=arrays, dtype=dtype, shards=shards)

    def write(self, folder: Path) -> Path:
        """Write the folder as it is published: shards with an index beside them when there are several."""
        import mlx.core as mx

        folder.mkdir(parents=True)
        for name, content in {
            "config": self.config,
            "tokenizer": self.tokenizer,
            "tokenizer_config": self.settings,
        }.items():
            (folder / f"{name}.json").write_text(json.dumps(content, ensure_ascii=False))
        found: dict[str, str] = {}
        names = list(self.arrays)
        for number in range(self.shards):
            file = f"model-{number + 1:05}-of-{self.shards:05}.safetensors" if self.shards > 1 else "model.safetensors"
            own = names[number :: self.shards]
            kind = getattr(mx, self.dtype)
            mx.save_safetensors(
                str(folder / file), {name: mx.array(self.arrays[name]).astype(kind) for name in own}, {"format": "pt"}
            )
            found |= dict.fromkeys(own, file)
        if self.shards > 1:
            (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": found}))
        return folder


@cache
def model(name: str, **changes: object) -> Model:
    """Return a double with changes of its config, made more like a trained model: half the weights, so that rounding does not
    grow from layer to layer as noise does, and numbers in rows that had none, so that no two tokens are alike.
    """
    from dataclasses import replace as other

    from doubles import DOUBLES, put_double

    with tempfile.TemporaryDirectory() as place:
        double = DOUBLES[name]
        folder = put_double(Path(place), other(double, changes={**double.changes, **changes}))
        config, tokenizer, settings = (
            json.loads((folder / f"{one}.json").read_text("utf-8"))
            for one in ("config", "tokenizer", "tokenizer_config")
        )
        arrays = load_file(folder / "model.safetensors")
    arrays = {name: one / 2 if name.endswith("_proj.weight") else one for name, one in arrays.items()}
    rows, chance = arrays["model.embed_tokens.weight"], np.random.default_rng(7)
    silent = ~rows.any(axis=1)
    rows[silent] = 0.05 * chance.standard_normal((int(silent.sum()), rows.shape[1]))
    return Model(config, tokenizer, settings, arrays)


@dataclass(frozen=True)
class Tune:
    """An adapter: the halves of each module (A: rank × in, B: out × rank), their scale, and with DoRA the rows' lengths."""

    halves: Mapping[str, tuple[np.ndarray, np.ndarray]]
    scale: float = SCALE
    lengths: Arrays | None = None
    kind: str = MLX
    dtype: str = "float32"
    config: Mapping[str, object] = field(default_factory=dict)

    def on(self, base: Model, scale: float | None = None) -> Model:
        """Return the base with the adapter in it, float32."""
        arrays, scale = dict(base.arrays), self.scale if scale is None else scale
        for module, (right, left) in self.halves.items():
            found = arrays[f"{module}.weight"] + np.float32(scale) * (left @ right)
            if self.lengths is not None:
                found *= (self.lengths[module] / np.linalg.norm(found, axis=1))[:, None]
            arrays[f"{module}.weight"] = found.astype(np.float32)
        return replace(base, arrays=arrays, dtype="float32")

    def only(self, keep: Callable[[str], bool]) -> "Tune":
        """Return it for some modules alone."""
        return replace(self, halves={module: pair for module, pair in self.halves.items() if keep(module)})

    def write(self, folder: Path) -> Path:
        """Write it as mlx-lm or as PEFT does."""
        folder.mkdir(parents=True)
        if self.kind == PEFT:
            arrays, file, config = (
                self._peft(),
                "adapter_model.safetensors",
                {**PEFT_CONFIG, "r": RANK, "lora_alpha": self.scale * RANK},
            )
        else:
            settings = {"rank": RANK, "scale": self.scale, "dropout": 0.0, "keys": sorted(self.halves)}
            arrays, file = self._mlx(), "adapters.safetensors"
            config = {
                "fine_tune_type": "dora" if self.lengths else "lora",
                "num_layers": -1,
                "lora_parameters": settings,
            }
        save_file({name: np.ascontiguousarray(one, self.dtype) for name, one in arrays.items()}, folder / file)
        (folder / "adapter_config.json").write_text(json.dumps({**config, **self.config}))
        return folder

    def _mlx(self) -> Arrays:
        halves = {f"{name}.lora_a": right.T for name, (right, _) in self.halves.items()}
        halves |= {f"{name}.lora_b": left.T for name, (_, left) in self.halves.items()}
        return halves | {f"{name}.m": one for name, one in (self.lengths or {}).items()}

    def _peft(self) -> Arrays:
        stem = "base_model.model."
        halves = {f"{stem}{name}.lora_A.weight": right for name, (right, _) in self.halves.items()}
        halves |= {f"{stem}{name}.lora_B.weight": left for name, (_, left) in self.halves.items()}
        return halves | {f"{stem}{name}.lora_magnitude_vector": one for name, one in (self.lengths or {}).items()}


def tune(base: Model, seed: int = 1, size: float = 0.08, dora: bool = False, **settings: object) -> Tune:
    """Return an adapter of every linear layer that changes each by `size` of its norm."""
    chance, halves, lengths = np.random.default_rng(seed), {}, {}
    linear = ARCHITECTURES[base.config["model_type"]].linear
    for name, array in base.arrays.items():
        module = name.removesuffix(".weight")
        if module.rpartition(".")[2] not in linear or name.endswith(".bias"):
            continue
        right = chance.standard_normal((RANK, array.shape[1])).astype(np.float32)
        left = chance.standard_normal((array.shape[0], RANK)).astype(np.float32)
        left *= size * np.linalg.norm(array) / (SCALE * np.linalg.norm(left @ right))
        halves[module] = (right, left)
        lengths[module] = (np.linalg.norm(array, axis=1) * chance.uniform(0.9, 1.1, len(array))).astype(np.float32)
    return Tune(halves, lengths=lengths if dora else None, **settings)


def exported(made: Model) -> Document:
    """Return the GGUF of a model's folder, in float32."""
    with tempfile.TemporaryDirectory() as place:
        folder, brought = made.write(Path(place) / "model"), Path(place) / "brought"
        brought.mkdir()
        bring_folder(folder, brought, lambda *_: None)
        write_gguf(brought, Path(place) / "model.gguf", "f32", lambda *_: None)
        return read_document(Path(place) / "model.gguf")
