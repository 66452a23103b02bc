"""A merged model as a folder for other programs: transformers, mlx-lm, vLLM, llama.cpp's converter.

The stored folder of `merge` is for jessy's own steps: numbers of several types beside each other, what a hub folder
carried along, and the base's own chat template. Here every tensor gets one type, shards stay below `SHARD_BYTES`, and
configuration and tokenizer say what was trained: the chat format, and which tokens end an answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from jessyfile.errors import ExportError, ModelError
from jessyfile.fsops import write_bytes, write_text
from jessyfile.models.architectures import by_model_type
from jessyfile.models.chat_format import ChatFormat, chat_format
from jessyfile.models.folder_checks import check_folder
from jessyfile.models.folder_config import HEAD
from jessyfile.models.model_json import read_json
from jessyfile.models.rope import served_context
from jessyfile.models.safetensors_write import PlannedTensor, write_safetensors
from jessyfile.models.tokenizer import Tokenizer, load_tokenizer
from jessyfile.models.tokenizer_build import dumps
from jessyfile.models.weights import Weights, narrowed

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from jessyfile.results.served import ParameterValue

Dtype = Literal["float32", "bfloat16", "float16"]
Library = Literal["pt", "mlx"]
Report = Callable[[int, int, str], None]
SHARD_BYTES = 5 * 10**9
_STORED: Mapping[Dtype, str] = {"float32": "F32", "bfloat16": "BF16", "float16": "F16"}
# of nobody's use beside the weights, or untrue of the tuned model
_DROPPED = ("quantization", "quantization_config", "auto_map", "transformers_version", "_name_or_path", "torch_dtype")
_SPECIAL = ("bos_token", "eos_token", "unk_token", "pad_token")
# PARAMETER -> its name in generation_config.json
_SAMPLING = {
    "temperature": "temperature", "top_k": "top_k", "top_p": "top_p", "min_p": "min_p",
    "repeat_penalty": "repetition_penalty", "num_predict": "max_new_tokens",
}  # fmt: skip


def folder_bytes(folder: Path, dtype: Dtype) -> int:
    """Return about how many bytes `write_model_folder` will write."""
    weights = Weights(folder)
    numbers = sum(tensor.nbytes for tensor in _planned(weights, dtype, lambda *_: None))
    return numbers + (folder / "tokenizer.json").stat().st_size


def write_model_folder(
    folder: Path,
    output: Path,
    *,
    dtype: Dtype,
    library: Library,
    sampling: Mapping[str, ParameterValue],
    report: Report,
) -> None:
    """Fill `output` from the folder of a merged model.

    Args:
        folder: the merged model.
        output: the folder to fill.
        dtype: the type of every tensor; float32 loses nothing.
        library: whose word for its own files stands in the safetensors: `pt` for transformers, `mlx` for mlx-lm.
        sampling: the recipe's PARAMETERs, of which generation_config.json takes those that it knows.
        report: told tensors done, tensors in all, and a name.

    Raises:
        ExportError: a number does not fit the type, or the folder cannot be read back.
    """
    weights, tokenizer = Weights(folder), load_tokenizer(folder)
    form = chat_format(str(read_json(folder / "source.json")["chat_format"]))
    _write_weights(list(_planned(weights, dtype, report)), output, {"format": library})
    ids = _ids(folder, tokenizer, form)
    _write(output / "config.json", _config(weights.config, dtype, ids))
    known = {name: number for name, number in ids.items() if number is not None}
    _write(output / "generation_config.json", {**known, **_generation(sampling)})
    write_bytes(output / "tokenizer.json", dumps(_begun(read_json(folder / "tokenizer.json"), tokenizer)) + b"\n")
    _write(output / "tokenizer_config.json", _tokenizer_config(folder, weights.config, tokenizer, form))
    try:
        check_folder(output)
    except ModelError as error:
        raise ExportError(f"the folder that was written cannot be read: {error.message}", hint=error.hint) from error


def _planned(weights: Weights, dtype: Dtype, report: Report) -> Iterator[PlannedTensor]:
    tied = bool(weights.config.get("tie_word_embeddings"))
    names = [name for name in weights.names if not (tied and name == HEAD)]
    for number, name in enumerate(names):
        yield PlannedTensor(name, _STORED[dtype], weights.shape(name), _maker(weights, name, dtype, report, number))


def _maker(
    weights: Weights, name: str, dtype: Dtype, report: Report, number: int
) -> Callable[[], np.ndarray[Any, Any]]:
    def make() -> np.ndarray[Any, Any]:
        import numpy as np

        report(number, len(weights.names), name)
        kind = _STORED[dtype]
        found = np.empty(weights.shape(name), {"F32": np.float32, "F16": np.float16, "BF16": np.uint16}[kind])
        with np.errstate(over="ignore"):
            for start, rows in weights.chunks(name):
                found[start : start + len(rows)] = narrowed(rows, kind)
        if kind == "F16" and not np.isfinite(found).all():
            raise ExportError(f"`{name}` holds numbers beyond float16's 65,504", hint="take bfloat16 or float32")
        return found

    return make


def _write_weights(tensors: Sequence[PlannedTensor], output: Path, metadata: Mapping[str, str]) -> None:
    """Write one file, or shards with their index, as both libraries name them."""
    shards = _shards(tensors)
    if len(shards) == 1:
        write_safetensors(output / "model.safetensors", tensors, metadata)
        return
    places: dict[str, str] = {}
    for number, shard in enumerate(shards, 1):
        name = f"model-{number:05}-of-{len(shards):05}.safetensors"
        write_safetensors(output / name, shard, metadata)
        places |= {tensor.name: name for tensor in shard}
    total = sum(tensor.nbytes for tensor in tensors)
    _write(output / "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": places})


def _shards(tensors: Sequence[PlannedTensor]) -> list[list[PlannedTensor]]:
    shards: list[list[PlannedTensor]] = [[]]
    for tensor in tensors:
        if shards[-1] and sum(one.nbytes for one in shards[-1]) + tensor.nbytes > SHARD_BYTES:
            shards.append([])
        shards[-1].append(tensor)
    return shards


def _ids(folder: Path, tokenizer: Tokenizer, form: ChatFormat) -> dict[str, Any]:
    """Return the special tokens' numbers, None for one that the model lacks: a class of transformers would fill in its own.
    What ends a turn comes first of those that end a text.
    """
    named = {name: tokenizer.id_of(token) for name, token in _special(folder).items()}
    ends = [number for number in (tokenizer.id_of(form.end_of_turn), named.get("eos_token")) if number is not None]
    found = {f"{name}_id": named.get(name) for name in ("bos_token", "pad_token")}
    return {**found, "eos_token_id": list(dict.fromkeys(ends)) or None}


def _special(folder: Path) -> dict[str, str]:
    config = read_json(folder / "tokenizer_config.json")
    found = {name: config.get(name) for name in _SPECIAL}
    texts = {name: token.get("content") if isinstance(token, dict) else token for name, token in found.items()}
    return {name: text for name, text in texts.items() if isinstance(text, str)}


def _config(config: Mapping[str, Any], dtype: Dtype, ids: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in config.items() if key not in _DROPPED}
    own = {"architectures": [by_model_type(config["model_type"]).hf_class], "dtype": dtype, "torch_dtype": dtype}
    return {**kept, **own, **ids}


def _generation(sampling: Mapping[str, ParameterValue]) -> dict[str, Any]:
    found: dict[str, Any] = {own: sampling[name] for name, own in _SAMPLING.items() if name in sampling}
    if found.get("max_new_tokens", 1) <= 0:  # -1 is Ollama's word for no limit
        del found["max_new_tokens"]
    if found.get("temperature") == 0:
        found = {name: value for name, value in found.items() if name in ("repetition_penalty", "max_new_tokens")}
        return {"do_sample": False, **found}
    return {"do_sample": True, **found}


def _begun(document: Mapping[str, Any], tokenizer: Tokenizer) -> dict[str, Any]:
    """Return the content of tokenizer.json with the BOS token before a text where the model has one, and nothing else
    added.
    """
    if tokenizer.bos is None:
        return {**document, "post_processor": None}
    bos = str(tokenizer.backend.id_to_token(tokenizer.bos))
    token = {"SpecialToken": {"id": bos, "type_id": 0}}
    single = [token, {"Sequence": {"id": "A", "type_id": 0}}]
    named = {bos: {"id": bos, "ids": [tokenizer.bos], "tokens": [bos]}}
    pair = [*single, {"Sequence": {"id": "B", "type_id": 1}}]
    begins = {"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": named}
    return {**document, "post_processor": begins}


def _tokenizer_config(
    folder: Path, config: Mapping[str, Any], tokenizer: Tokenizer, form: ChatFormat
) -> dict[str, Any]:
    bos = tokenizer.bos is not None
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "model_max_length": served_context(config),
        **_special(folder),
        "add_bos_token": bos,
        "add_eos_token": False,
        "chat_template": form.jinja(bos=bos),
    }


def _write(path: Path, content: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(content, ensure_ascii=False, indent=2) + "\n")
