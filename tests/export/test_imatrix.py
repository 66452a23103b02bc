"""Quantization errors are weighed by the inputs that the training rows bring."""

import json

import numpy as np
import pytest
import tiny
from safetensors.numpy import load_file
from tiny import TYPES, tiny_model

from jessyfile.errors import ExportError
from jessyfile.export import ggml
from jessyfile.export.gguf_writer import write_gguf
from jessyfile.export.imatrix import ImportanceMatrix, importance, spread
from jessyfile.models.architectures import ARCHITECTURES
from jessyfile.models.gguf_reader import read_gguf
from jessyfile.training.encoded import EncodedRow, pack, save


def silent(*_):
    pass


def rows_file(path, count=12, prefix=(2, 40), vocabulary=300):
    """Write rows of different lengths that begin alike; return their path."""
    rng = np.random.default_rng(7)
    rows = []
    for number in range(count):
        tokens = (*prefix, *(int(one) for one in rng.integers(30, vocabulary, 3 + number)))
        rows.append(
            EncodedRow(tokens, (False,) * len(prefix) + (True,) * (len(tokens) - len(prefix)), "a", "tr", False)
        )
    save(pack(rows, prefix), path)
    return path


def rms(values, weight, eps):
    return weight * values / np.sqrt((values * values).mean(-1, keepdims=True) + eps)


def test_it_is_the_mean_square_of_what_each_column_is_multiplied_with(tmp_path):
    """Computed again in plain NumPy, for the first layer of a llama: the keys' inputs and the MLP's gate's."""
    folder = tiny_model(tmp_path / "model", "llama")
    path = rows_file(tmp_path / "train.safetensors")
    found = importance(folder, path, silent)
    arrays, config = load_file(folder / "model.safetensors"), json.loads((folder / "config.json").read_text())
    rng, seen = np.random.default_rng(7), []
    for number in range(12):
        ids = [2, 40, *rng.integers(30, 300, 3 + number)]
        seen.append(arrays["model.embed_tokens.weight"][ids].astype(np.float64))
    norm = arrays["model.layers.0.input_layernorm.weight"].astype(np.float64)
    inputs = rms(np.concatenate(seen), norm, config["rms_norm_eps"])
    expected = (inputs * inputs).mean(0)
    for name in ("attn_q", "attn_k", "attn_v"):
        np.testing.assert_allclose(found.columns[f"blk.0.{name}.weight"], expected, rtol=1e-4)
    assert found.rows == 12


@pytest.mark.parametrize("model_type", TYPES)
def test_every_quantized_matrix_of_every_architecture_has_its_columns(model_type, tmp_path):
    folder = tiny_model(tmp_path / "model", model_type)
    found = importance(folder, rows_file(tmp_path / "train.safetensors", vocabulary=200), silent)
    architecture, config = ARCHITECTURES[model_type], json.loads((folder / "config.json").read_text())
    shapes = {architecture.gguf_name(name): shape for name, shape in architecture.shapes(config).items()}
    wide = {name: shape[1] for name, shape in shapes.items() if len(shape) == 2 and name.startswith("blk.")}
    assert {name: len(columns) for name, columns in found.columns.items()} == wide


def test_it_moves_the_errors_to_where_little_comes(tmp_path, monkeypatch):
    """Weighed as the model sees it, the file is nearer to the model; its bytes are others, of the same number."""
    monkeypatch.setattr(tiny, "HIDDEN", 256)
    monkeypatch.setattr(tiny, "WIDE", 512)
    folder = tiny_model(tmp_path / "model", "llama")
    matrix = importance(folder, rows_file(tmp_path / "train.safetensors"), silent)
    errors = []
    for name, given in (("plain", None), ("weighed", matrix), ("again", matrix)):
        write_gguf(folder, tmp_path / f"{name}.gguf", "q4_k_m", silent, given)
        errors.append(weighed_error(folder, tmp_path / f"{name}.gguf", matrix))
    assert errors[1] < 0.9 * errors[0]
    assert (tmp_path / "weighed.gguf").read_bytes() == (tmp_path / "again.gguf").read_bytes()
    keys = read_gguf(tmp_path / "weighed.gguf").metadata
    assert (keys["quantize.imatrix.entries_count"], keys["quantize.imatrix.chunks_count"]) == (21, 12)
    assert not [key for key in read_gguf(tmp_path / "plain.gguf").metadata if "imatrix" in key]


def weighed_error(folder, path, matrix):
    """Return the squared error of every matrix as its inputs weigh it, over what there is."""
    from jessyfile.export.gguf_writer import permuted
    from jessyfile.export.tensor_types import Kind

    architecture, file = ARCHITECTURES["llama"], read_gguf(path)
    config = json.loads((folder / "config.json").read_text())
    wrong = whole = 0.0
    for source, values in load_file(folder / "model.safetensors").items():
        name = architecture.gguf_name(source)
        if name in matrix.columns:
            heads = architecture.heads_of(name, config)
            true = permuted(values, heads) if heads else values
            tensor = file.tensors[name]
            stored = ggml.unpacked(file.stored(tensor), Kind(tensor.kind), true.size).reshape(true.shape)
            wrong += float((matrix.columns[name] * (stored - true) ** 2).sum())
            whole += float((matrix.columns[name] * true**2).sum())
    return wrong / whole


def test_rows_are_spread_over_all_and_bounded(tmp_path):
    from jessyfile.training.encoded import load

    rows = load(rows_file(tmp_path / "train.safetensors", count=40))
    assert spread(rows, 1 << 20) == list(range(40))
    few = spread(rows, 200)
    assert few[0] == 0
    assert 200 * 0.5 < sum(len(rows.row(number)[0]) + 2 for number in few) < 200 * 1.5
    assert max(few) > 30


def test_without_rows_it_says_what_to_write(tmp_path):
    save(pack([], ()), tmp_path / "train.safetensors")
    with pytest.raises(ExportError, match="needs training rows"):
        importance(tiny_model(tmp_path / "model"), tmp_path / "train.safetensors", silent)


def test_a_matrix_of_another_model_is_no_matrix(tmp_path):
    """Columns that do not fit would be read past their end by ggml."""
    folder = tiny_model(tmp_path / "model", "llama")
    matrix = ImportanceMatrix({"blk.0.attn_q.weight": np.ones(32, np.float32)}, 1)
    with pytest.raises(ValueError, match="do not fit"):
        write_gguf(folder, tmp_path / "model.gguf", "q4_0", silent, matrix)
