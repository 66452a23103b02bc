"""Bring a GGUF to a model folder: config.json, model.safetensors in float32, tokenizer.json, and its metadata.

`base_metadata.gguf` keeps every key of the normalised file byte for byte, so that the exported GGUF has the base's own
tokenizer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jessyfile.errors import ModelError
from jessyfile.fsops import write_bytes
from jessyfile.models.architectures import Architecture, by_gguf
from jessyfile.models.chat_format import ChatFormat, format_of
from jessyfile.models.gguf_config import config_of
from jessyfile.models.gguf_normalise import normalised
from jessyfile.models.gguf_reader import GgufFile, GgufTensor, read_gguf
from jessyfile.models.safetensors_write import PlannedTensor, write_safetensors
from jessyfile.models.tokenizer_build import check_gguf_tokenizer, dumps, tokenizer_config, tokenizer_json
from jessyfile.text.printable import brief

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

METADATA_FILE = "base_metadata.gguf"
_TOP = {"model.norm.weight": "its output norm", "lm_head.weight": "its output layer"}
_INCOMPLETE = "the file is incomplete; fetch it again"
_FACTORS = ("rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight")
Report = Callable[[int, int, str], None]


def _silent(done: int, total: int, text: str) -> None:
    del done, total, text


def convert_gguf(path: Path, folder: Path, report: Report = _silent) -> ChatFormat:
    """Fill `folder` from a GGUF; return the chat format. `report` is told tensors done, tensors in all and a name.

    Raises ModelError when the file is damaged, of an unknown architecture, or lacks tensors.
    """
    file = checked_gguf(path)
    architecture = by_gguf(file.text("general.architecture"))
    config, form = config_of(file, architecture), gguf_format(file)
    write_safetensors(folder / "model.safetensors", _planned(file, architecture, config, report))
    write_bytes(folder / "config.json", dumps(config))
    write_bytes(folder / "tokenizer.json", dumps(tokenizer_json(file)))
    write_bytes(folder / "tokenizer_config.json", dumps(tokenizer_config(file, form)))
    write_bytes(folder / METADATA_FILE, metadata_only(file))
    return form


def checked_gguf(path: Path) -> GgufFile:
    """Return a GGUF's header, from which it is known that the file can be converted; no weight is read.

    Raises ModelError when the file is damaged, of an unknown kind, or lacks tensors.
    """
    file = normalised(read_gguf(path))
    if file.count("split.count", 1, least=0) > 1:
        raise ModelError(
            f"`{path.name}` is one part of a split GGUF", hint="join the parts with llama-gguf-split --merge"
        )
    word = file.text("general.architecture")
    architecture = by_gguf(word)
    if file.count(f"{word}.expert_count", 0, least=0):
        raise ModelError(f"`{path.name}` is a mixture of experts, which cannot be tuned yet", hint="take a dense base")
    check_gguf_tokenizer(file)
    config = config_of(file, architecture)
    _planned(file, architecture, config, _silent)
    _refuse_unknown_tensors(file, architecture, config)
    for kind in {tensor.kind: tensor for tensor in file.tensors.values()}.values():
        _check_readable(file, kind)
    return file


def _refuse_unknown_tensors(file: GgufFile, architecture: Architecture, config: dict[str, Any]) -> None:
    """A tensor that nothing reads would be lost in the training and in the exported GGUF."""
    known = architecture.shapes(config)
    for name in file.tensors:
        if name not in _FACTORS and architecture.mlx_name(name) not in known:
            raise ModelError(
                f"`{file.path.name}` has a tensor {brief(name)}, which is not trained in a {architecture.model_type}",
                hint="take another model of the family",
            )


def _check_readable(file: GgufFile, tensor: GgufTensor) -> None:
    """Dequantize one block of zeros of a tensor's type."""
    import numpy as np
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
    from gguf.quants import dequantize

    kind = GGMLQuantizationType(tensor.kind)
    if kind is GGMLQuantizationType.F32:
        return
    try:
        dequantize(np.zeros((1, GGML_QUANT_SIZES[kind][1]), np.uint8), kind)
    except (NotImplementedError, ValueError) as error:
        raise ModelError(
            f"`{file.path.name}` stores {brief(tensor.name)} as {kind.name}, which cannot be read",
            hint="take the F16 or Q8_0 file of the same model",
        ) from error


def metadata_only(file: GgufFile) -> bytes:
    """Return a GGUF without tensors that holds the same keys, byte for byte and in order."""
    head = b"GGUF" + (3).to_bytes(4, "little") + bytes(8) + len(file.raw).to_bytes(8, "little")
    return head + b"".join(file.raw.values())


def gguf_format(file: GgufFile) -> ChatFormat:
    """Return the chat format that a GGUF's base is tuned with."""
    return format_of(file.strings("tokenizer.ggml.tokens"), file.text("general.architecture"))


def _planned(file: GgufFile, architecture: Architecture, config: dict[str, Any], report: Report) -> list[PlannedTensor]:
    mapped = ((architecture.mlx_name(name), tensor) for name, tensor in file.tensors.items())
    names = {name: tensor for name, tensor in mapped if name is not None}
    _check_complete(file, architecture, config, names)
    total = len(names)

    def plan(number: int, name: str, tensor: GgufTensor) -> PlannedTensor:
        def make() -> np.ndarray[Any, Any]:
            report(number, total, tensor.name)
            return restored(file, tensor, architecture, config)

        return PlannedTensor(name, "F32", tensor.shape, make)

    return [plan(number, name, names[name]) for number, name in enumerate(sorted(names))]


def _check_complete(
    file: GgufFile, architecture: Architecture, config: dict[str, Any], names: dict[str, GgufTensor]
) -> None:
    """Compare the shape of every weight with the one that follows from the file's own numbers."""
    for name, shape in architecture.shapes(config).items():
        what = _in_words(name)
        if name not in names:
            raise ModelError(f"`{file.path.name}` lacks {what}", hint=_INCOMPLETE)
        if names[name].shape != shape:
            found = names[name].shape
            raise ModelError(
                f"`{file.path.name}` contradicts itself: {what} is {found}, its own numbers say {shape}",
                hint=_INCOMPLETE,
            )


def _in_words(name: str) -> str:
    match = re.fullmatch(r"model\.layers\.(\d+)\.(.+)\.weight", name)
    return f"{match[2]} of block {match[1]}" if match else _TOP.get(name, name)


def restored(
    file: GgufFile, tensor: GgufTensor, architecture: Architecture, config: dict[str, Any]
) -> np.ndarray[Any, Any]:
    """Return a tensor of a GGUF as MLX and Hugging Face hold it.

    Args:
        file: the opened GGUF.
        tensor: the tensor's entry.
        architecture: names and rules of the model's architecture.
        config: the content of config.json.

    Returns:
        The dequantized values in float32, shape (out, in) for a matrix: 1 is taken off norms where the architecture adds
        it, and the rows of q and k are back in Hugging Face's order.
    """
    import numpy as np

    array = dequantized(file, tensor)
    if architecture.norm_shift and architecture.is_norm(tensor.name):
        array = array - np.float32(1)
    heads = architecture.heads_of(tensor.name, config)
    if heads:
        array = unpermuted(array, heads)
    return np.ascontiguousarray(array, dtype=np.float32)


def dequantized(file: GgufFile, tensor: GgufTensor) -> np.ndarray[Any, Any]:
    """Return a tensor's values in float32, in its own shape."""
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
    from gguf.quants import dequantize

    kind = GGMLQuantizationType(tensor.kind)
    stored = file.stored(tensor)
    if kind is GGMLQuantizationType.F32:
        plain: np.ndarray[Any, Any] = stored.view("<f4").reshape(tensor.shape)
        return plain
    block, block_bytes = GGML_QUANT_SIZES[kind]
    rows = stored.reshape(*tensor.shape[:-1], tensor.shape[-1] // block * block_bytes)
    values: np.ndarray[Any, Any] = dequantize(rows, kind)
    return values.reshape(tensor.shape)


def unpermuted(array: np.ndarray[Any, Any], heads: int) -> np.ndarray[Any, Any]:
    """Undo llama.cpp's interleaving of rotary halves: rows in Hugging Face's order."""
    rows = array.shape[0]
    return array.reshape(heads, rows // heads // 2, 2, *array.shape[1:]).swapaxes(1, 2).reshape(array.shape)
