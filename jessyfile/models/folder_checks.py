"""Check a base model's folder, from its small files and headers alone: can it be trained and exported?

Not covered: whether the numbers inside the tensors make sense.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jessyfile.errors import ModelError
from jessyfile.models.architectures import Architecture, by_model_type
from jessyfile.models.base_inputs import model_files
from jessyfile.models.chat_format import ChatFormat, format_of
from jessyfile.models.load import weight_files
from jessyfile.models.model_json import read_json
from jessyfile.models.rope import check_rope
from jessyfile.models.shape import Shape, shape_of
from jessyfile.models.tokenizer_build import check_tokenizer
from jessyfile.models.weights import READABLE, Weights

if TYPE_CHECKING:
    from pathlib import Path

_POINTER = b"version https://git-lfs.github.com/spec/"
_COUNTS = (
    "vocab_size", "hidden_size", "num_hidden_layers", "intermediate_size", "num_attention_heads",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many numbers a base holds, and its bytes as the step `base` leaves it."""

    parameters: int
    brought: int


@dataclass(frozen=True, slots=True)
class Outline:
    """A base's tensors without their numbers: shapes by MLX name, its `model_type`, and whether its head is its embedding."""

    tensors: Mapping[str, tuple[int, ...]]
    model_type: str
    tied: bool


def outline(config: Mapping[str, Any], tensors: Mapping[str, tuple[int, ...]]) -> Outline:
    """Return the outline of a base with this config.json. A tied head may be in the file as well."""
    tied = "lm_head.weight" not in tensors or config.get("tie_word_embeddings") is True
    return Outline(tensors, str(config.get("model_type")), tied)


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of a base before it is brought in: its tensors' outline, its chat format, whether the text that
    ends an answer is one token of it, and what decides its weight in memory.
    """

    outline: Outline
    format: ChatFormat
    ends_in_token: bool
    sizes: Sizes
    shape: Shape


def check_folder(folder: Path) -> Profile:
    """Return what a model folder holds. Raises ModelError when it cannot be trained, or not be exported afterwards."""
    try:
        return _checked(folder)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, OverflowError) as error:
        # a value of another kind than every model has; who made the folder is not trusted to have made it well
        raise ModelError(
            f"`{folder}` has a config.json or tokenizer.json that is malformed ({type(error).__name__}: {error})",
            hint="fetch the folder again",
        ) from error


def _checked(folder: Path) -> Profile:
    refuse_pointers(folder)
    config = read_json(folder / "config.json")
    check_config(folder, config)
    check_rope(config)
    refuse_missing_shards(folder)
    weights = Weights(folder)
    tensors = {name: weights.shape(name) for name in weights.names}
    check_tensors(by_model_type(config["model_type"]), config, tensors)
    for name in weights.names:
        if weights.dtype(name) not in READABLE:
            raise ModelError(f"the base stores {name!r} as {weights.dtype(name)}, which cannot be trained")
    vocabulary = tokenizer_vocabulary(folder)
    form = format_of(vocabulary, str(config["model_type"]))
    brought = sum(path.stat().st_size for path in weight_files(folder))
    sizes = Sizes(sum(map(math.prod, tensors.values())), brought)
    return Profile(outline(config, tensors), form, form.end_of_turn in vocabulary, sizes, shape_of(config))


def refuse_pointers(folder: Path, what: str = "base") -> None:
    """Raise ModelError for a file that is Git LFS's pointer to it."""
    for path in model_files(folder):
        with open(path, "rb") as handle:
            if handle.read(len(_POINTER)) == _POINTER:
                raise ModelError(
                    f"`{path.name}` of the {what} is a Git LFS pointer, not the file itself",
                    hint=f"run `git lfs pull` in `{folder}`"
                    + (", or name the repository as hf:organization/name" if what == "base" else ""),
                )


def check_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Raise ModelError for a config.json of a model that jessy cannot take from training to a GGUF."""
    if "model_type" not in config:
        ggufs = sorted(path.name for path in folder.glob("*.gguf"))
        hint = f"name the file: FROM {folder.name}/{ggufs[0]}" if ggufs else _TAKES
        raise ModelError(f"`{folder}` has no config.json with a model_type", hint=hint)
    by_model_type(config["model_type"])
    _refuse_other_class(config)
    _refuse_quantization(config)
    missing = [key for key in _COUNTS if type(config.get(key)) is not int or config[key] < 1]
    missing += [] if isinstance(config.get("rms_norm_eps"), float | int) else ["rms_norm_eps"]
    if missing:
        raise ModelError(f"the base's config.json lacks {', '.join(missing)}", hint="fetch the folder again")
    sliding = [kind for kind in config.get("layer_types") or () if kind != "full_attention"]
    if sliding and not str(config["model_type"]).startswith("gemma"):
        raise ModelError(
            f"the base has layers of the kind {sliding[0]!r}, which a GGUF of {config['model_type']} cannot hold",
            hint="take a base whose layers all see the whole context",
        )


_TAKES = "FROM takes an MLX or Hugging Face model folder, or a GGUF"


def _refuse_other_class(config: Mapping[str, Any]) -> None:
    """A classifier or an embedding model has the layers of a language model and not its head."""
    classes = [str(name) for name in config.get("architectures") or ()]
    if classes and not any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in classes):
        raise ModelError(f"the base is a {classes[0]}, which does not write text", hint="take a …ForCausalLM")


def _refuse_quantization(config: Mapping[str, Any]) -> None:
    """MLX's own quantization can be undone; others cannot."""
    if isinstance(config.get("quantization"), dict):
        return
    other = config.get("quantization_config")
    if isinstance(other, dict) and other:
        method = str(other.get("quant_method") or other.get("quant_algo") or "an unknown method")
        raise ModelError(
            f"the base is quantized by {method}, which cannot be merged into",
            hint="take the unquantized repository of the same model (BF16 or F16), or an MLX one",
        )


def refuse_missing_shards(folder: Path) -> None:
    """Raise ModelError when there are no weights, or the index names files that are not there."""
    index = read_json(folder / "model.safetensors.index.json").get("weight_map") or {}
    named = sorted({str(name) for name in index.values()}) if isinstance(index, dict) else []
    absent = [name for name in named if not (folder / name).is_file()]
    if absent:
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        raise ModelError(
            f"the base's index names `{absent[0]}`{more}, which {'are' if more else 'is'} not there",
            hint="the download is incomplete; fetch the folder again",
        )
    if not any(folder.glob("model*.safetensors")):
        found = [path.name for pattern in ("*.bin", "*.safetensors", "*.gguf") for path in sorted(folder.glob(pattern))]
        if found:
            hint = "take a repository with model.safetensors; `*.bin` are PyTorch's, `consolidated.*` Mistral's own"
            raise ModelError(f"`{folder}` has `{found[0]}` and no model.safetensors", hint=hint)
        weight_files(folder)


def check_tensors(architecture: Architecture, config: Mapping[str, Any], names: Mapping[str, tuple[int, ...]]) -> None:
    """Raise ModelError when a weight is missing, or one has no place in a GGUF."""
    for name in names:
        if architecture.gguf_name(name) is None and not name.endswith("rotary_emb.inv_freq"):
            raise ModelError(
                f"the base has a tensor {name!r}, which {architecture.model_type} does not have",
                hint="it is of another kind than its config.json says; take the text model's own folder",
            )
    for name in _needed(architecture, config):
        if name not in names:
            head = " although config.json says `tie_word_embeddings: false`" if name == "lm_head.weight" else ""
            hint = (
                "set tie_word_embeddings to true if it has none" if head else "the folder is incomplete; fetch it again"
            )
            raise ModelError(f"the base lacks the tensor {name!r}{head}", hint=hint)


def _needed(architecture: Architecture, config: Mapping[str, Any]) -> Iterator[str]:
    yield from ("model.embed_tokens.weight", "model.norm.weight")
    if config.get("tie_word_embeddings") is False:
        yield "lm_head.weight"
    for layer in range(int(config["num_hidden_layers"])):
        yield from (f"model.layers.{layer}.{inner}.weight" for inner in architecture.layer.values())
        if architecture.model_type == "qwen2":
            yield from (f"model.layers.{layer}.self_attn.{part}_proj.bias" for part in "qkv")


def tokenizer_vocabulary(folder: Path) -> set[str]:
    """Return every token's text of a folder's tokenizer.json. Raises ModelError for one that llama.cpp cannot follow."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        sentencepiece = (folder / "tokenizer.model").is_file()
        found = " but SentencePiece's tokenizer.model, which is not read" if sentencepiece else ""
        raise ModelError(f"`{folder}` has no tokenizer.json{found}", hint="use a model folder that has one, or a GGUF")
    document = read_json(path)
    check_tokenizer(document)
    added = document.get("added_tokens") or ()
    return {*document["model"]["vocab"], *(str(token.get("content")) for token in added if isinstance(token, dict))}
