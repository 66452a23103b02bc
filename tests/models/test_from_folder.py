"""A hub folder in any shape becomes the folder that mlx-lm trains and a GGUF is written from."""

import json
import tracemalloc

import numpy as np
import pytest
import tiny
from safetensors.numpy import load_file, save_file
from tiny import multimodal_model, tiny_model

from jessyfile.errors import ModelError, TrainingError
from jessyfile.models.architectures import ARCHITECTURES, target_layers
from jessyfile.models.from_folder import bring_folder
from jessyfile.models.load import load_model
from jessyfile.models.tokenizer import load_tokenizer
from jessyfile.models.weights import Weights


def silent(*_):
    pass


def brought(folder, report=silent):
    output = folder.with_name(f"{folder.name}-brought")
    output.mkdir()
    bring_folder(folder, output, report)
    return output


def config_of(folder):
    return json.loads((folder / "config.json").read_text())


def change(folder, name="config.json", drop=(), **values):
    content = {key: value for key, value in json.loads((folder / name).read_text()).items() if key not in drop}
    (folder / name).write_text(json.dumps({**content, **values}))


def quantize(folder, bits, prefix=""):
    """Store a folder's projections and embeddings as MLX quantizes them, and say so as its converter does."""
    import mlx.core as mx

    stored, settings = {}, {"group_size": 32, "bits": bits}
    for name, array in load_file(folder / "model.safetensors").items():
        if name.endswith(("_proj.weight", "embed_tokens.weight")) and "vision" not in name:
            own = 8 if name.endswith("layers.0.mlp.down_proj.weight") else bits
            parts = mx.quantize(mx.array(array), 32, own)
            stem = name.removesuffix(".weight")
            stored |= {
                stem + end: np.array(part) for end, part in zip((".weight", ".scales", ".biases"), parts, strict=True)
            }
        else:
            stored[name] = array
    settings[f"{prefix}layers.0.mlp.down_proj"] = {"group_size": 32, "bits": 8}
    save_file(stored, folder / "model.safetensors")
    change(folder, quantization=settings, quantization_config=settings)


@pytest.mark.parametrize("layout", ["language_model.model.", "model.language_model."])
def test_the_text_of_a_gemma_3_that_reads_images_is_the_gemma_3_that_does_not(layout, tmp_path):
    """Google's 4B, 12B and 27B were refused: their numbers are nested, and most of them left to the class's defaults."""
    folder, plain = multimodal_model(tmp_path / "model", layout)
    one, other = brought(folder), brought(plain)
    for name in Weights(other).names:
        np.testing.assert_array_equal(Weights(one).read(name), Weights(other).read(name))
    assert Weights(one).names == Weights(other).names
    said, meant = config_of(one), config_of(other)
    assert {key: said.get(key) for key in meant} == meant
    ids = load_tokenizer(one).encode("selam kankam")
    import mlx.core as mx

    logits = [np.array(load_model(path)[0](mx.array([ids]))) for path in (one, other)]
    np.testing.assert_array_equal(*logits)


@pytest.mark.parametrize("bits", [4, 8])
def test_a_quantized_folder_of_it_keeps_its_bytes(bits, tmp_path):
    folder, _ = multimodal_model(tmp_path / "model")
    quantize(folder, bits, "language_model.model.")
    output = brought(folder)
    before, after = load_file(folder / "model.safetensors"), load_file(output / "model.safetensors")
    for name, array in after.items():
        np.testing.assert_array_equal(array, before[f"language_model.{name}"])
    assert config_of(output)["quantization"] == {
        "group_size": 32, "bits": bits, "model.layers.0.mlp.down_proj": {"group_size": 32, "bits": 8},
    }  # fmt: skip
    assert load_model(output)[0] is not None
    assert Weights(output).read("model.layers.0.mlp.down_proj.weight").shape == (tiny.HIDDEN, tiny.WIDE)


def test_tensors_are_brought_one_at_a_time(tmp_path):
    """A 27B has 55 GB, and was to be tuned on a machine with 64."""
    folder, _ = multimodal_model(tmp_path / "model")
    told = []
    tracemalloc.start()
    brought(folder, lambda *words: told.append(words))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(told) == told[0][1] == len(Weights(tmp_path / "model-text").names)
    assert peak < (folder / "model.safetensors").stat().st_size / 2


def test_shards_are_brought_together(tmp_path):
    folder, plain = multimodal_model(tmp_path / "model")
    arrays = load_file(folder / "model.safetensors")
    names = sorted(arrays)
    parts = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, own in parts.items():
        save_file({name: arrays[name] for name in own}, folder / file)
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {name: file for file, own in parts.items() for name in own}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    output = brought(folder)
    assert [path.name for path in output.glob("model*")] == ["model.safetensors"]
    assert Weights(output).names == Weights(plain).names


@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_a_head_is_tied_where_its_class_or_its_folder_says_so(model_type, tmp_path):
    """Without the word in config.json, mlx-lm trained the embeddings as the head of a model that has its own, and the GGUF
    got the other; a Gemma's copy of its embeddings could not be loaded at all."""
    always = model_type.startswith("gemma") or model_type == "smollm3"
    folder = tiny_model(tmp_path / "model", model_type, tie_word_embeddings=False)
    change(folder, drop=("tie_word_embeddings",))
    output = brought(folder)
    assert config_of(output)["tie_word_embeddings"] is always
    assert ("lm_head.weight" in Weights(output).names) == (not always)
    assert load_model(output)[0] is not None


@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_numbers_that_a_class_has_anyway_are_written_out(model_type, tmp_path):
    """mlx-lm asks for some of them, and told of their absence in the middle of the run."""
    folder = tiny_model(tmp_path / "model", model_type, num_key_value_heads=tiny.HEADS)
    change(folder, drop=("num_key_value_heads", "max_position_embeddings", "tie_word_embeddings"))
    assert load_model(brought(folder))[0] is not None


def test_tables_of_frequencies_are_left_out(tmp_path):
    """Older folders hold them, and half of mlx-lm's models refuse what they do not know."""
    folder = tiny_model(tmp_path / "model", "phi3")
    arrays = load_file(folder / "model.safetensors")
    save_file(
        {**arrays, "model.layers.0.self_attn.rotary_emb.inv_freq": np.ones(8, np.float32)}, folder / "model.safetensors"
    )
    assert load_model(brought(folder))[0] is not None


def test_a_text_has_no_token_without_a_row(tmp_path):
    """Gemma's tokenizer has one token more than its embeddings have rows; a text that spelled it read past their end."""
    document = tiny.spm_tokenizer()
    size = len(document["model"]["vocab"])
    document["added_tokens"].append({**document["added_tokens"][0], "id": size, "content": "<image_soft_token>"})
    folder = tiny_model(tmp_path / "model", tokenizer=document)
    assert max(load_tokenizer(folder).encode("a<image_soft_token>")) == size
    tokenizer = load_tokenizer(brought(folder))
    assert tokenizer.size == size
    assert max(tokenizer.encode("a<image_soft_token>")) < size


def test_a_vocabulary_beyond_the_rows_is_cut_with_its_merges(tmp_path):
    folder = tiny_model(tmp_path / "model", "qwen3", tokenizer=tiny.byte_level_tokenizer([]))
    arrays = load_file(folder / "model.safetensors")
    rows = arrays["model.embed_tokens.weight"].shape[0] - 3
    arrays["model.embed_tokens.weight"] = np.ascontiguousarray(arrays["model.embed_tokens.weight"][:rows])
    save_file(arrays, folder / "model.safetensors")
    output = brought(folder)
    assert config_of(output)["vocab_size"] == rows
    tokenizer = load_tokenizer(output)
    assert max(tokenizer.encode("slow kannanı")) < rows
    assert tokenizer.decode(tokenizer.encode("slow kannanı")) == "slow kannanı"


def test_a_text_is_neither_cut_nor_filled_nor_composed(tmp_path):
    """Those are settings of a tokenizer.json that llama.cpp does not know: rows longer than 4 tokens lost their end."""
    folder = tiny_model(tmp_path / "model", "qwen3")
    document = json.loads((folder / "tokenizer.json").read_text())
    truncation = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    padding = {
        "strategy": {"Fixed": 9},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "!",
    }
    for token in document["added_tokens"]:
        token |= {"lstrip": True, "rstrip": True}
    (folder / "tokenizer.json").write_text(json.dumps({**document, "truncation": truncation, "padding": padding}))
    tokenizer = load_tokenizer(brought(folder))
    for text in ("a", "selam kankam", "a <|im_end|> \n b", "e\u0301"):
        assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("where", ["in tokenizer_config.json", "a list", "chat_template.jinja", "chat_template.json"])
def test_a_template_of_any_place_stays_and_is_never_what_is_trained(where, tmp_path):
    folder = tiny_model(tmp_path / "model")
    if where == "in tokenizer_config.json":
        change(folder, "tokenizer_config.json", chat_template="{{ tools }}")
    elif where == "a list":
        named = [{"name": "default", "template": "{{ a }}"}, {"name": "tool_use", "template": "{{ tools }}"}]
        change(folder, "tokenizer_config.json", chat_template=named)
    else:
        (folder / where).write_text('{"chat_template": "{{ tools }}"}')
    assert bring_folder(folder, _made(tmp_path / "output"), silent).name == "gemma"


def _made(path):
    path.mkdir()
    return path


def test_a_link_to_a_model_elsewhere_is_taken(tmp_path):
    """Models lie on another disk, and links to them in the project."""
    from world import context, recipe

    from jessyfile.models.base_step import run_base

    tiny_model(tmp_path / "disk" / "model")
    root = _made(tmp_path / "project")
    (root / "model").symlink_to(tmp_path / "disk" / "model")
    for base in ("./model", "../disk/model", str(tmp_path / "disk" / "model")):
        facts = run_base(context(root, recipe(root, base=base), step=base.replace("/", "-")))
        assert facts.kind == "folder"


def test_the_targets_of_a_recipe_mean_the_layers_that_phi_has_in_one():
    linear = ARCHITECTURES["phi3"].linear
    attention = ("q_proj", "k_proj", "v_proj")
    assert target_layers((*attention, "o_proj"), linear) == {"qkv_proj", "o_proj"}
    assert target_layers(("gate_proj", "up_proj", "down_proj"), linear) == {"gate_up_proj", "down_proj"}
    assert target_layers(attention, ARCHITECTURES["llama"].linear) == set(attention)
    with pytest.raises(TrainingError, match="lack k_proj, v_proj"):
        target_layers(("q_proj",), linear)
    with pytest.raises(TrainingError, match="called lm_head"):
        target_layers(("lm_head",), linear)


def test_a_wrapper_of_another_text_model_is_refused_by_its_name(tmp_path):
    folder, _ = multimodal_model(tmp_path / "model")
    change(folder, model_type="mistral3", text_config={"model_type": "ministral3"})
    with pytest.raises(ModelError, match="'ministral3' cannot be written"):
        bring_folder(folder, _made(tmp_path / "output"), silent)
