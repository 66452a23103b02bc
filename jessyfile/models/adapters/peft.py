"""Read what PEFT writes: `adapter_model.safetensors` with LoRA, rsLoRA or DoRA, whole modules, biases and token rows.

A module's halves are `lora_A.weight` of shape (rank, in) and `lora_B.weight` of shape (out, rank); on an embedding
`lora_embedding_A` of shape (rank, rows) and `lora_embedding_B` of shape (width, rank); DoRA's lengths are those of the
rows, on an embedding of the columns. PEFT trains a copy of an embedding: a head that is tied in the base stays as it was.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from jessyfile.errors import ModelError
from jessyfile.models.adapters.changes import (
    UNGATHERED,
    Adapter,
    AdapterTensor,
    Product,
    Replaced,
    Rescaled,
    Rows,
    TensorChange,
    adapter_of,
    adapter_tensors,
)
from jessyfile.models.adapters.peft_settings import MERGE_THERE, PeftSettings, peft_settings
from jessyfile.models.folder_config import EMBEDDING, HEAD, text_name

if TYPE_CHECKING:
    from pathlib import Path

PEFT_FILE = "adapter_model.safetensors"
_PICKLE = "adapter_model.bin"
_WRAPPERS = re.compile(r"(?<![^.])(?:_orig_mod|_fsdp_wrapped_module)\.")
_NAME = re.compile(
    r"(?P<module>.+?)\.(?:"
    r"(?P<part>lora_(?:embedding_)?[AB]|lora_magnitude_vector|token_adapter\.trainable_tokens_delta)"
    r"(?:\.(?!(?:weight|bias)$)(?P<adapter>[^.]+))?(?:\.weight)?"
    r"|modules_to_save\.(?P<copy>[^.]+)\.(?P<copied>weight|bias)"
    r"|(?:token_adapter\.)?base_layer\.(?P<frozen>weight|bias)|(?P<leaf>weight|bias))"
)
_Parts = dict[str, AdapterTensor]
_Changes = Mapping[str, Sequence[TensorChange]]


@dataclass(slots=True)
class _Found:
    """An adapter's tensors by what they are: parts of products by module, whole tensors, and copies of the base's."""

    parts: dict[str, _Parts] = field(default_factory=lambda: defaultdict(dict))
    whole: _Parts = field(default_factory=dict)
    frozen: _Parts = field(default_factory=dict)
    names: set[str] = field(default_factory=set)


def read_peft(folder: Path, config: Mapping[str, Any], *, tied: bool) -> Adapter:
    """Return the adapter of a folder in PEFT's form, for a base whose head is its embedding (`tied`) or is not.

    Raises ModelError for a kind that is not known, a missing half, or shapes that do not multiply.
    """
    settings = peft_settings(config)
    found = _sorted(adapter_tensors(_weights(folder)), settings)
    if len(found.names) > 1:
        raise ModelError(f"`{PEFT_FILE}` holds several adapters ({', '.join(sorted(found.names))})", hint=MERGE_THERE)
    _refuse_unsaved(found, settings)
    own = adapter_of((*_products(found, settings), *((name, (Replaced(one),)) for name, one in found.whole.items())))
    frozen = adapter_of((name, (Replaced(one),)) for name, one in found.frozen.items()).changes
    names = dict.fromkeys((*own.changes, *frozen))
    if not names:
        raise ModelError(f"`{folder / PEFT_FILE}` holds no adapter", hint="copy the adapter's folder again")
    changes = {name: (*frozen.get(name, ()), *own.changes.get(name, ())) for name in names}
    return Adapter(_with_head(changes, own.changes, frozen, settings) if tied else changes)


def _weights(folder: Path) -> Path:
    if (folder / PEFT_FILE).is_file():
        return folder / PEFT_FILE
    if (folder / _PICKLE).is_file():
        raise ModelError(
            f"`{folder / _PICKLE}` is a pickle, which can run any code when it is opened",
            hint="where you trust it, save it again with PEFT (`save_pretrained(FOLDER, safe_serialization=True)`)",
        )
    raise ModelError(f"`{folder}` is an adapter of PEFT without {PEFT_FILE}", hint="copy the adapter's folder again")


def _sorted(tensors: Mapping[str, AdapterTensor], settings: PeftSettings) -> _Found:
    found = _Found()
    for name, tensor in tensors.items():
        plain = _WRAPPERS.sub("", name).removeprefix("base_model.model.")
        match = _NAME.fullmatch(plain)
        if match is None or (match["leaf"] and "lora_" in plain):
            raise ModelError(f"the adapter holds {name!r}, which is not known and would be lost", hint=MERGE_THERE)
        _place(found, match, tensor, settings)
    return found


def _place(found: _Found, match: re.Match[str], tensor: AdapterTensor, settings: PeftSettings) -> None:
    module, leaf = match["module"], match["copied"] or match["frozen"] or match["leaf"]
    if match["adapter"] or match["copy"]:
        found.names.add(match["adapter"] or match["copy"])
    if match["part"]:
        parts = found.parts[module]
        if match["part"] in parts and len(found.names) < 2:
            raise ModelError(f"the adapter holds {match['part']} of `{module}` twice", hint="copy the folder again")
        parts[match["part"]] = tensor
        return
    # the frozen weights of a tuned module are saved beside it, and a vocabulary's as it was while it was trained
    is_copy = match["frozen"] == "weight" or (
        bool(match["leaf"]) and text_name(f"{module}.{leaf}") in (EMBEDDING, HEAD) and settings.saved_by(module) is None
    )
    (found.frozen if is_copy else found.whole)[f"{module}.{leaf}"] = tensor


def _refuse_unsaved(found: _Found, settings: PeftSettings) -> None:
    """A file that another tool thinned out lacks modules that were trained whole."""
    lost = set(settings.saved) - {settings.saved_by(name.rpartition(".")[0]) for name in found.whole}
    if lost and not settings.tied:
        raise ModelError(
            f"`{PEFT_FILE}` lacks {', '.join(sorted(lost))}, which PEFT's modules_to_save says was trained whole",
            hint="save the adapter again with PEFT; if it was not trained, take it out of modules_to_save in "
            "adapter_config.json",
        )


def _products(found: _Found, settings: PeftSettings) -> Iterator[tuple[str, Sequence[TensorChange]]]:
    for module, parts in sorted(found.parts.items()):
        if ".experts." in module or module.endswith(".experts"):
            raise ModelError(
                f"the adapter of `{module}` is for the experts of a mixture, which cannot be written as GGUF yet",
                hint="tune a model without experts",
            )
        yield f"{module}.weight", tuple(_changes(module, parts, settings))


def _changes(module: str, parts: _Parts, settings: PeftSettings) -> Iterator[TensorChange]:
    if (rows := parts.pop("token_adapter.trainable_tokens_delta", None)) is not None:
        yield _rows(module, rows, settings)
        if not parts:
            return
    lengths = parts.pop("lora_magnitude_vector", None)
    if (lengths is not None) != settings.dora:
        has = "no " if lengths is None else ""
        raise ModelError(
            f"the adapter of `{module}` has {has}lora_magnitude_vector, and its adapter_config.json says use_dora "
            f"{str(settings.dora).lower()}",
            hint="the two files are of two trainings; put those of one together",
        )
    embedding = "lora_embedding_A" in parts or "lora_embedding_B" in parts
    yield _product(module, parts, "lora_embedding_" if embedding else "lora_", settings)
    if lengths is not None:
        yield Rescaled(lengths, axis=0 if embedding else 1)


def _product(module: str, parts: _Parts, prefix: str, settings: PeftSettings) -> Product:
    names = {f"{prefix}A", f"{prefix}B"}
    if parts.keys() != names:
        raise ModelError(
            f"the adapter of `{module}` has {', '.join(sorted(parts))} and not {' and '.join(sorted(names))}",
            hint="the file is incomplete; copy it again",
        )
    first, second, rank = parts[f"{prefix}A"], parts[f"{prefix}B"], settings.rank_of(module)
    _check_shapes(module, first, second, rank)
    scale = settings.scale_of(module)
    if prefix == "lora_":
        return Product(second, first, scale)
    return Product(replace(first, turned=True), replace(second, turned=True), scale)


def _check_shapes(module: str, first: AdapterTensor, second: AdapterTensor, rank: int) -> None:
    shapes = (first.shape, second.shape)
    if any(len(shape) != 2 for shape in shapes) or first.shape[0] != second.shape[1]:
        raise ModelError(
            f"the adapter of `{module}` has shapes {shapes[0]} and {shapes[1]}, which do not multiply",
            hint=UNGATHERED if any(len(shape) == 1 for shape in shapes) else MERGE_THERE,
        )
    if first.shape[0] != rank:
        raise ModelError(
            f"the adapter of `{module}` has rank {first.shape[0]}, and its adapter_config.json says {rank}",
            hint="the two files are of two trainings; put those of one together",
        )


def _rows(module: str, tensor: AdapterTensor, settings: PeftSettings) -> Rows:
    numbers = settings.rows_of(module)
    if not numbers or len(tensor.shape) != 2 or len(numbers) != tensor.shape[0]:
        raise ModelError(
            f"the adapter has token rows of shape {tensor.shape} for `{module}`, and trainable_token_indices names "
            f"{len(numbers)}",
            hint="the two files are of two trainings; put those of one together",
        )
    return Rows(numbers, tensor)


def _with_head(changes: _Changes, own: _Changes, frozen: _Changes, settings: PeftSettings) -> _Changes:
    """Return the changes of a base whose head is its embedding: as PEFT ties and unties them."""
    embedding, head = own.get(EMBEDDING, ()), own.get(HEAD, ())
    others = {name: found for name, found in changes.items() if name != HEAD}
    if settings.tied and head and not embedding:
        raise ModelError(
            "the adapter changes the head alone, and its adapter_config.json says ensure_weight_tying",
            hint="the file is incomplete; save it again with PEFT",
        )
    if settings.tied or (not head and all(isinstance(change, Rows) for change in embedding)):
        return others
    return {**others, HEAD: (*frozen.get(HEAD, frozen.get(EMBEDDING, ())), *head)}
