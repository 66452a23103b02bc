"""An adapter as mlx-lm's folder and as PEFT's: both mean what was trained.

PEFT itself needs PyTorch, which is no dependency: its logits were compared by hand for every architecture with LoRA on
all layers, on the last two, on an uneven choice of modules and with DoRA, and differ by less than 1e-10 of them (Gemma 1:
1.5e-7). Here its folder is read by the reader that takes PEFT's adapters in.
"""

from __future__ import annotations

import json

import mlx.core as mx
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tiny import tiny_adapter, tiny_model

from jessyfile.errors import ExportError
from jessyfile.export import adapter_folder
from jessyfile.export.adapter_folder import write_mlx_adapter, write_peft_adapter
from jessyfile.models.adapters.merge import merge_folder
from jessyfile.models.load import load_model

IDS = mx.array([[2, *range(280, 310)]])


def trained(tmp_path, kind, model_type="gemma3_text"):
    """Return a base, an adapter that was trained on it, and how many layers it has."""
    base = tiny_model(tmp_path / "base", model_type)
    weights, layers = (
        load_file(base / "model.safetensors"),
        json.loads((base / "config.json").read_text())["num_hidden_layers"],
    )
    modules = {name.removesuffix(".weight"): array.shape for name, array in sorted(weights.items()) if "_proj" in name}
    if kind == "last":
        modules = {name: shape for name, shape in modules.items() if int(name.split(".")[2]) >= layers - 2}
    if kind == "odd":
        modules = {name: shape for number, (name, shape) in enumerate(modules.items()) if number % 3}
    adapter = tiny_adapter(tmp_path / "adapter", modules, scale=0.05)
    if kind == "dora":
        arrays, told = (
            load_file(adapter / "adapters.safetensors"),
            json.loads((adapter / "adapter_config.json").read_text()),
        )
        for name in modules:
            arrays[f"{name}.m"] = (1.1 * np.linalg.norm(weights[f"{name}.weight"], axis=1)).astype(np.float32)
        save_file(arrays, adapter / "adapters.safetensors")
        (adapter / "adapter_config.json").write_text(json.dumps({**told, "fine_tune_type": "dora"}))
    return base, adapter, layers


def merged(base, adapter, output):
    output.mkdir()
    merge_folder(base, adapter, output, lambda *_: None)
    return load_file(output / "model.safetensors")


@pytest.mark.parametrize("model_type", ["gemma3_text", "phi3"])
@pytest.mark.parametrize("kind", ["all", "last", "odd", "dora"])
def test_mlx_lm_loads_the_adapter_and_answers_as_the_merged_model(kind, model_type, tmp_path):
    """mlx-lm asks for `num_layers` and `lora_parameters`, which an adapter of the store may lack."""
    from mlx_lm.utils import load_adapters

    base, adapter, layers = trained(tmp_path, kind, model_type)
    (tmp_path / "out").mkdir()
    write_mlx_adapter(adapter, tmp_path / "out", "org/base", layers)
    merged(base, adapter, tmp_path / "merged")
    tuned = load_adapters(load_model(base)[0], str(tmp_path / "out"))
    tuned.eval()
    np.testing.assert_allclose(tuned(IDS), load_model(tmp_path / "merged")[0](IDS), atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize("kind", ["all", "last", "odd", "dora"])
def test_pefts_folder_merges_to_the_same_numbers(kind, tmp_path):
    base, adapter, layers = trained(tmp_path, kind)
    (tmp_path / "out").mkdir()
    write_peft_adapter(adapter, tmp_path / "out", "org/base", layers)
    one, two = merged(base, adapter, tmp_path / "one"), merged(base, tmp_path / "out", tmp_path / "two")
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_allclose(one[name], two[name], rtol=1e-6, atol=1e-6)
    told = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert (told["r"], told["lora_alpha"], told["use_rslora"], told["use_dora"]) == (4, 0.2, False, kind == "dora")
    assert told["layers_to_transform"] == ([4, 5] if kind == "last" else None)
    assert ("q_proj" in told["target_modules"]) is (kind != "odd")


def test_pefts_names_are_those_of_its_wrapper(tmp_path):
    _, adapter, layers = trained(tmp_path, "dora")
    (tmp_path / "out").mkdir()
    write_peft_adapter(adapter, tmp_path / "out", None, layers)
    own = "base_model.model.model.layers.0.self_attn.q_proj."
    found = {name: array.shape for name, array in load_file(tmp_path / "out" / "adapter_model.safetensors").items()}
    shapes = {"lora_A.weight": (4, 64), "lora_B.weight": (128, 4), "lora_magnitude_vector": (128,)}
    assert {name.removeprefix(own): shape for name, shape in found.items() if name.startswith(own)} == shapes


def test_an_adapter_that_is_no_lora_of_layers_is_refused(tmp_path):
    for number, module in enumerate(("model.embed_tokens", "lm_head")):
        adapter = tiny_adapter(tmp_path / f"adapter-{number}", {module: (355, 64)})
        with pytest.raises(ExportError, match=r"is no LoRA of a layer"):
            write_peft_adapter(adapter, tmp_path, None, 6)


def test_what_does_not_read_back_as_it_was_trained_is_not_handed_out(tmp_path, monkeypatch):
    _, adapter, layers = trained(tmp_path, "last")
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(adapter_folder, "_whole", lambda number: number * 2)
    with pytest.raises(ExportError, match="is not the one that was trained"):
        write_peft_adapter(adapter, tmp_path / "out", None, layers)
