"""The valid models that mutants are made from: Ollama's blobs, model folders of every architecture, shards, quantized weights, an
adapter, a store's manifest. Smaller than elsewhere in the tests, for each is read a thousand times."""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))

import store_blobs
import tiny

from jessyfile.export.gguf_writer import write_gguf
from jessyfile.models.safetensors_check import check_safetensors

SMALL = {"HIDDEN": 32, "LAYERS": 2, "HEADS": 2, "KV_HEADS": 1, "HEAD_DIM": 16, "WIDE": 32}
STORE = "ollama/manifests/registry.ollama.ai/library/stored/latest"


def seeds() -> dict[str, dict[str, bytes]]:
    """Return the files of every seed by their paths in a project."""
    usual = {name: getattr(tiny, name) for name in SMALL}
    vars(tiny).update(SMALL)
    try:
        with tempfile.TemporaryDirectory() as place:
            return {**dict(_ggufs(Path(place))), **dict(_folders(Path(place)))}
    finally:
        vars(tiny).update(usual)


def _ggufs(place: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    for name in store_blobs.BLOBS:
        yield name, {"model.gguf": store_blobs.write_blob(place / "blob.gguf", name).read_bytes()}
    for kind in ("q8_0", "q4_0", "f16"):
        write_gguf(tiny.tiny_model(place / kind), place / f"{kind}.gguf", kind, lambda *_: None)
        yield kind, {"model.gguf": (place / f"{kind}.gguf").read_bytes()}
    blob = (place / "q8_0.gguf").read_bytes()
    digest = hashlib.sha256(blob).hexdigest()
    layer = {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{digest}", "size": len(blob)}
    manifest = json.dumps({"schemaVersion": 2, "config": {"digest": "x"}, "layers": [{"mediaType": "x"}, layer]})
    yield "store", {STORE: manifest.encode(), f"ollama/blobs/sha256-{digest}": blob}


def _folders(place: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    for model_type in tiny.TYPES:
        yield model_type, _files(tiny.tiny_model(place / f"folder {model_type}", model_type))
    yield "shards", _sharded(tiny.tiny_model(place / "shards", "llama"))
    yield "quantized", _quantized(tiny.tiny_model(place / "quantized", "qwen3"))
    folder = tiny.tiny_model(place / "base", "llama")
    modules = {"model.layers.0.self_attn.q_proj": (32, 32), "model.layers.1.mlp.up_proj": (32, 32)}
    adapter = tiny.tiny_adapter(place / "adapter", modules)
    yield "adapter", {**_files(folder), **_files(adapter, "adapter")}


def _files(folder: Path, name: str = "model") -> dict[str, bytes]:
    return {f"{name}/{path.name}": path.read_bytes() for path in folder.iterdir()}


def _sharded(folder: Path) -> dict[str, bytes]:
    from safetensors.numpy import load, save

    files = _files(folder)
    weights = load(files.pop("model/model.safetensors"))
    names = sorted(weights)
    halves = {"model-00001-of-00002.safetensors": names[:9], "model-00002-of-00002.safetensors": names[9:]}
    for file, some in halves.items():
        files[f"model/{file}"] = save({name: weights[name] for name in some})
    weight_map = {name: file for file, some in halves.items() for name in some}
    index = {"metadata": {"total_size": sum(array.nbytes for array in weights.values())}, "weight_map": weight_map}
    return {**files, "model/model.safetensors.index.json": json.dumps(index).encode()}


def _quantized(folder: Path) -> dict[str, bytes]:
    """Quantize the matrices as MLX does, in groups of 32 numbers and 4 bits."""
    import mlx.core as mx
    from safetensors.numpy import load, save

    files = _files(folder)
    arrays = {}
    for name, values in load(files["model/model.safetensors"]).items():
        if values.ndim == 1:
            arrays[name] = values
            continue
        stem = name.removesuffix(".weight")
        packed = dict(
            zip((name, f"{stem}.scales", f"{stem}.biases"), mx.quantize(mx.array(values), 32, 4), strict=True)
        )
        arrays |= {part: np.array(array) for part, array in packed.items()}
    config = {**json.loads(files["model/config.json"]), "quantization": {"group_size": 32, "bits": 4}}
    assert check_safetensors(folder / "model.safetensors")
    return {**files, "model/config.json": json.dumps(config).encode(), "model/model.safetensors": save(arrays)}
