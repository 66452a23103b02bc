"""Check a base model's folder, from its small files and headers alone: can it be trained and exported?

Not covered: whether the numbers inside the tensors make sense.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

from jessyfile.errors import ModelError
from jessyfile.models.architectures import Architecture, by_model_type
from jessyfile.models.base_inputs import model_files
from jessyfile.models.chat_format import ChatFormat, format_of
from jessyfile.models.config_checks import check_config, check_kind
from jessyfile.models.folder_config import text_config, with_weights
from jessyfile.models.model_json import read_json
from jessyfile.models.shape import Shape, shape_of
from jessyfile.models.tokenizer_build import check_tokenizer
from jessyfile.models.tokenizer_plain import plain_tokenizer
from jessyfile.models.weights import QUANTIZED_PARTS, READABLE, Weights
from jessyfile.text.printable import brief

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.models.hub import Offered

_POINTER = b"version https://git-lfs.github.com/spec/"
_OWN_TOKENIZERS = {"tokenizer.model": "SentencePiece's tokenizer.model", "tekken.json": "Mistral's tekken.json"}


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
    _refuse_adapter(folder)
    profile = _checked(folder)
    read_json(folder / "tokenizer_config.json")
    return profile


def check_offered(told: Offered, place: str) -> None:
    """Raise ModelError for a repository that could not be used when it was fetched."""
    ggufs = tuple(sorted(name for name in told.files if name.endswith(".gguf")))
    if "config.json" not in told.files and (ggufs or not told.config):
        hint = f"download the file and name it: FROM ./{ggufs[0]}" if ggufs else "name another repository"
        raise ModelError(f"{place} has no config.json", hint=hint)
    config = text_config(told.config)
    if "hidden_size" not in config:  # gated: the hub tells a part of config.json to everyone
        if "model_type" in config:
            check_kind(config)
        return
    check_config(config, place)
    if not any(fnmatch(name, "model*.safetensors") for name in told.files):
        refuse_other_weights(place, told.files)
    if "tokenizer.json" not in told.files:
        raise _no_tokenizer(place, told.files)


def _checked(folder: Path) -> Profile:
    refuse_pointers(folder)
    config = text_config(read_json(folder / "config.json"))
    beside = tuple(f"{folder.name}/{path.name}" for path in sorted(folder.glob("*.gguf")))
    check_config(config, f"`{folder}`", beside)
    refuse_missing_shards(folder)
    weights = Weights(folder)
    config, stored = with_weights(config, weights)
    tensors = {name: weights.shape(own) for name, own in stored.items()}
    check_tensors(by_model_type(config["model_type"]), config, tensors)
    for own in stored.values():
        _check_stored(weights, own)
    vocabulary = tokenizer_vocabulary(folder, int(config["vocab_size"]))
    form = format_of(vocabulary, str(config["model_type"]))
    brought = sum(part.nbytes for own in stored.values() for _, part in weights.parts(own).values())
    sizes = Sizes(sum(map(math.prod, tensors.values())), brought)
    return Profile(outline(config, tensors), form, form.end_of_turn in vocabulary, sizes, shape_of(config))


def _check_stored(weights: Weights, name: str) -> None:
    """Raise ModelError for numbers of a type that is not trained, and for a quantized tensor whose parts do not fit."""
    if weights.dtype(name) not in READABLE:
        raise ModelError(
            f"the base stores {brief(name)} as {weights.dtype(name)}, which cannot be trained",
            hint="take the repository in BF16 or F16",
        )
    for end, (_, part) in weights.parts(name).items():
        if end in QUANTIZED_PARTS and part.shape != weights.groups(name):
            raise ModelError(
                f"the base's {brief(name)} has {end[1:]} of the shape {part.shape}, not {weights.groups(name)}",
                hint="the folder's quantization is another one than config.json says; fetch it again",
            )


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


def _refuse_adapter(folder: Path) -> None:
    settings = read_json(folder / "adapter_config.json")
    if settings and not (folder / "config.json").is_file():
        base = settings.get("base_model_name_or_path") or settings.get("model")
        raise ModelError(
            f"`{folder}` holds an adapter, not a model",
            hint="name it in ADAPTER, and in FROM the base it was trained on"
            + (f" ({str(base)[:80]})" if base else ""),
        )


def refuse_missing_shards(folder: Path) -> None:
    """Raise ModelError when there are no weights, or the index names files that are not there."""
    index = read_json(folder / "model.safetensors.index.json").get("weight_map") or {}
    named = sorted({str(name) for name in index.values()}) if isinstance(index, dict) else []
    absent = [name for name in named if not os.path.isfile(folder / name)]
    if absent:
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        raise ModelError(
            f"the base's index names `{brief(absent[0])[1:-1]}`{more}, which {'are' if more else 'is'} not there",
            hint="the download is incomplete; fetch the folder again",
        )
    if not any(folder.glob("model*.safetensors")):
        refuse_other_weights(f"`{folder}`", sorted(path.name for path in folder.iterdir()))


def refuse_other_weights(place: str, names: Collection[str]) -> None:
    """Raise ModelError for a folder without model.safetensors, naming what it has instead."""
    found = [name for end in (".bin", ".safetensors", ".gguf") for name in names if name.endswith(end)]
    has = f" `{found[0]}` and" if found else ""
    hint = "take a repository with model.safetensors; `*.bin` are PyTorch's, `consolidated.*` Mistral's own"
    raise ModelError(f"{place} has{has} no model.safetensors", hint=hint)


def check_tensors(architecture: Architecture, config: Mapping[str, Any], names: Mapping[str, tuple[int, ...]]) -> None:
    """Raise ModelError when a weight is missing, has another shape than the config says, or has no place in a GGUF."""
    needed = architecture.shapes(config)
    for name in names:
        if name not in needed:
            raise ModelError(
                f"the base has a tensor {brief(name)}, which {architecture.model_type} does not have",
                hint="it is of another kind than its config.json says; take the text model's own folder",
            )
    for name, shape in needed.items():
        if name not in names:
            head = " although config.json says `tie_word_embeddings: false`" if name == "lm_head.weight" else ""
            hint = (
                "set tie_word_embeddings to true if it has none" if head else "the folder is incomplete; fetch it again"
            )
            raise ModelError(f"the base lacks the tensor {name!r}{head}", hint=hint)
        if names[name] != shape:
            raise ModelError(
                f"the base's tensor {name!r} has the shape {names[name]}, and its config.json says {shape}",
                hint="config.json is of another model; fetch the folder again",
            )


def tokenizer_vocabulary(folder: Path, rows: int) -> set[str]:
    """Return every token's text of a folder's tokenizer.json that has one of the `rows` of the embeddings.

    Raises ModelError for a tokenizer that llama.cpp cannot follow.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise _no_tokenizer(f"`{folder}`", [path.name for path in folder.iterdir()])
    document = plain_tokenizer(read_json(path), rows)
    check_tokenizer(document)
    return {*document["model"]["vocab"], *(token["content"] for token in document["added_tokens"])}


def _no_tokenizer(place: str, names: Collection[str]) -> ModelError:
    own = next((name for name in ("tokenizer.model", "tekken.json") if name in names), None)
    found = f" but {_OWN_TOKENIZERS[own]}, which is not read" if own else ""
    return ModelError(f"{place} has no tokenizer.json{found}", hint="use a model folder that has one, or a GGUF")
