"""Bring a hub folder to a model folder that mlx-lm loads and a GGUF can be written from.

Files that are so already are copied. A model that also reads images is brought as its text model: its tensors are copied one
after the other, renamed, with the bytes that they have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from jessyfile.fsops import copy_file, write_bytes
from jessyfile.models.base_inputs import model_files
from jessyfile.models.chat_format import ChatFormat
from jessyfile.models.folder_checks import check_folder
from jessyfile.models.folder_config import text_config, with_weights
from jessyfile.models.model_json import read_json
from jessyfile.models.plain_file import stored_numbers
from jessyfile.models.safetensors_write import PlannedTensor, write_safetensors
from jessyfile.models.tokenizer import load_tokenizer
from jessyfile.models.tokenizer_build import dumps
from jessyfile.models.tokenizer_plain import engine_tokenizer
from jessyfile.models.weights import Weights

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from jessyfile.models.safetensors_check import StoredTensor

Report = Callable[[int, int, str], None]
_INDEX = "model.safetensors.index.json"


def bring_folder(
    folder: Path, output: Path, report: Report, copy: Callable[[Path, Path], object] = copy_file
) -> ChatFormat:
    """Fill `output` from a model folder.

    Args:
        folder: the model's folder.
        output: the folder to fill.
        report: told tensors done, tensors in all and a name.
        copy: how a file that is right as it is gets there.

    Returns:
        The chat format.

    Raises:
        ModelError: the folder cannot be trained, or not be exported afterwards.
    """
    form = check_folder(folder).format
    weights = Weights(folder)
    config, stored = with_weights(text_config(weights.config), weights)
    as_stored = all(name == own for name, own in stored.items()) and len(stored) == len(weights.names)
    for path in model_files(folder):
        if as_stored or (path.suffix != ".safetensors" and path.name != _INDEX):
            copy(path.resolve(), output / path.name)
    if not as_stored:
        write_safetensors(output / "model.safetensors", list(_renamed(weights, stored, report)))
    _replace(output / "config.json", config)
    tokenizer = output / "tokenizer.json"
    _replace(tokenizer, engine_tokenizer(read_json(tokenizer), int(config["vocab_size"]), form))
    _complete_template(output, form)
    return form


def _replace(path: Path, content: Mapping[str, Any]) -> None:
    if read_json(path) != content:
        write_bytes(path, dumps(content) + b"\n")


def _renamed(weights: Weights, stored: Mapping[str, str], report: Report) -> Iterator[PlannedTensor]:
    """Yield a folder's tensors under the text model's names, with the bytes that they have."""
    for number, (name, own) in enumerate(sorted(stored.items())):
        for end, (path, part) in weights.parts(own).items():
            told = (number, len(stored), name)
            yield PlannedTensor(
                name.removesuffix(".weight") + end, part.dtype, part.shape, _copier(path, part, report, told)
            )


def _copier(
    path: Path, part: StoredTensor, report: Report, told: tuple[int, int, str]
) -> Callable[[], np.ndarray[Any, Any]]:
    def make() -> np.ndarray[Any, Any]:
        report(*told)
        return stored_numbers(path, "u1", part.offset, part.nbytes)

    return make


def _complete_template(output: Path, form: ChatFormat) -> None:
    """Give a base without a chat template the format's own, as pretrained models come without."""
    config = read_json(output / "tokenizer_config.json")
    if config.get("chat_template") or any(output.glob("*.jinja")):
        return
    bos = load_tokenizer(output).bos is not None
    write_bytes(output / "tokenizer_config.json", dumps({**config, "chat_template": form.jinja(bos=bos)}) + b"\n")
