"""PEFT's adapters become the weights that its formulas say: each is written out here with NumPy alone.

LoRA: W + α/r · B·A. rsLoRA: W + α/√r · B·A (Kalajdzievski 2023). DoRA: m · (W + Δ) / ‖W + Δ‖ (Liu et al. 2024), the
lengths of rows on a linear layer and of columns on an embedding.
"""

import json
import random

import mlx.core as mx
import numpy as np
import pytest
from adapters_made import PEFT_CONFIG, halves, mlx_adapter, numbers, peft_adapter
from safetensors.numpy import load_file, save_file
from tiny import tiny_model

from jessyfile.errors import ModelError
from jessyfile.models.adapters.folder import read_adapter
from jessyfile.models.adapters.merge import merge_folder
from jessyfile.models.folder_checks import outline
from jessyfile.models.load import load_model
from jessyfile.models.weights import Weights

Q, UP, EMBED, HEAD = "model.layers.0.self_attn.q_proj", "model.layers.1.mlp.up_proj", "model.embed_tokens", "lm_head"
TOKEN = numbers(1, 64, seed=9)
IDS = mx.array([[1, 100, 180, 250]])


def merged(tmp_path, adapter, base=None):
    """Merge into a base (by default one with a head of its own); return the tensors before and after."""
    base = base or tiny_model(tmp_path / "base", "llama", tie_word_embeddings=False)
    (tmp_path / "merged").mkdir()
    result = merge_folder(base, adapter, tmp_path / "merged", lambda *_: None)
    before, after = (load_file(folder / "model.safetensors") for folder in (base, tmp_path / "merged"))
    changed = {name for name in after if not np.array_equal(before.get(name), after[name])}
    assert result.changed >= len(changed & before.keys())
    return before, after, changed


def low_rank(arrays, module, scale):
    return scale * (arrays[f"{module}.lora_B.weight"] @ arrays[f"{module}.lora_A.weight"])


@pytest.mark.parametrize(
    ("config", "scale"),
    [
        ({}, 8 / 4),
        ({"use_rslora": True}, 8 / 2),
        ({"lora_alpha": 5}, 5 / 4),
        ({"lora_alpha": 8 * 2**0.5, "use_rslora": True}, 8 * 2**0.5 / 2),  # as a converted PiSSA says it
        ({"init_lora_weights": "gaussian"}, 8 / 4),
        ({"init_lora_weights": "eva", "eva_config": {"rho": 2.0}}, 8 / 4),  # starts from activations, not from the base
        ({"fan_in_fan_out": True}, 8 / 4),  # PEFT itself turns it off for a linear layer
        ({"velora_config": {"groups": 4}}, 8 / 4),  # another backward pass, the same weights
        ({"target_modules": ["q_proj"], "layers_to_transform": [0], "layers_pattern": "layers"}, 8 / 4),
        ({"peft_type": "lora", "task_type": None}, 8 / 4),
    ],
)
def test_lora_is_scaled_by_alpha_over_the_rank_or_its_root(config, scale, tmp_path):
    arrays = halves(Q, 128, 64)
    before, after, changed = merged(tmp_path, peft_adapter(tmp_path / "adapter", arrays, **config))
    assert changed == {f"{Q}.weight"}
    np.testing.assert_allclose(after[f"{Q}.weight"], before[f"{Q}.weight"] + low_rank(arrays, Q, scale), atol=1e-4)


@pytest.mark.parametrize("kind", [mx.float16, mx.bfloat16])
def test_an_adapter_in_half_precision_is_added_in_float32(kind, tmp_path):
    adapter = peft_adapter(tmp_path / "adapter", halves(Q, 128, 64))
    path = adapter / "adapter_model.safetensors"
    rounded = {name: mx.array(one).astype(kind) for name, one in load_file(path).items()}
    mx.save_safetensors(str(path), rounded)
    arrays = {name.removeprefix("base_model.model."): np.array(one.astype(mx.float32)) for name, one in rounded.items()}
    before, after, _ = merged(tmp_path, adapter)
    np.testing.assert_allclose(after[f"{Q}.weight"], before[f"{Q}.weight"] + low_rank(arrays, Q, 2), atol=1e-4)


@pytest.mark.parametrize(
    ("ranks", "alphas", "scales"),
    [
        ({"up_proj": 2}, {}, (8 / 4, 8 / 2)),
        ({"layers.1.mlp.up_proj": 2}, {"q_proj": 1}, (1 / 4, 8 / 2)),
        ({".*up_proj": 2}, {r"layers\.\d+\..*": 3}, (3 / 4, 3 / 2)),
        ({"proj": 9, "mlp.up_proj": 2}, {UP: 6}, (8 / 4, 6 / 2)),  # `proj` is no whole part of the name
        ({"^model.layers.1.mlp.up_proj": 2, "up_proj": 7}, {}, (8 / 4, 8 / 2)),  # the first that matches counts
    ],
)
def test_patterns_give_modules_their_own_ranks_and_factors(ranks, alphas, scales, tmp_path):
    arrays = {**halves(Q, 128, 64), **halves(UP, 96, 64, rank=2)}
    adapter = peft_adapter(tmp_path / "adapter", arrays, rank_pattern=ranks, alpha_pattern=alphas)
    before, after, _ = merged(tmp_path, adapter)
    for module, scale in zip((Q, UP), scales, strict=True):
        expected = before[f"{module}.weight"] + low_rank(arrays, module, scale)
        np.testing.assert_allclose(after[f"{module}.weight"], expected, atol=1e-4)


def test_dora_gives_every_row_its_length(tmp_path):
    arrays = {**halves(Q, 128, 64), f"{Q}.lora_magnitude_vector": np.abs(numbers(128))}
    before, after, _ = merged(tmp_path, peft_adapter(tmp_path / "adapter", arrays, use_dora=True))
    directions = before[f"{Q}.weight"] + low_rank(arrays, Q, 2)
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    expected = arrays[f"{Q}.lora_magnitude_vector"][:, None] * directions / lengths
    np.testing.assert_allclose(after[f"{Q}.weight"], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dora", [False, True])
def test_an_embedding_has_its_halves_the_other_way_round(dora, tmp_path):
    base = tiny_model(tmp_path / "base", "llama", tie_word_embeddings=False)
    rows = load_file(base / "model.safetensors")[f"{EMBED}.weight"].shape[0]
    a, b, m = numbers(4, rows), numbers(64, 4), np.abs(numbers(64))
    arrays = {f"{EMBED}.lora_embedding_A": a, f"{EMBED}.lora_embedding_B": b}
    arrays |= {f"{EMBED}.lora_magnitude_vector": m} if dora else {}
    before, after, changed = merged(tmp_path, peft_adapter(tmp_path / "adapter", arrays, use_dora=dora), base)
    expected = before[f"{EMBED}.weight"] + 2 * (b @ a).T
    if dora:
        expected = m * expected / np.linalg.norm(expected, axis=0)
    assert changed == {f"{EMBED}.weight"}
    np.testing.assert_allclose(after[f"{EMBED}.weight"], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "spelled",
    [
        lambda name: f"base_model.model.{name}",
        lambda name: name,
        lambda name: f"_orig_mod.base_model.model.{name}",
        lambda name: f"base_model.model._orig_mod.{name}",
        lambda name: f"base_model.model._fsdp_wrapped_module.{name.replace('self_attn', 'self_attn._orig_mod')}",
        lambda name: f"base_model.model.{name.replace('.weight', '.default.weight')}",
        lambda name: f"base_model.model.{name.replace('.weight', '.mine.weight')}",
        lambda name: f"base_model.model.{name.replace('model.', 'model.language_model.', 1)}",
        lambda name: f"base_model.model.language_model.{name}",
    ],
)
def test_every_way_to_spell_a_module_is_read(spelled, tmp_path):
    """Compiled, sharded and multimodal models, and adapters with a name, put parts into the names of their tensors."""
    arrays = halves(Q, 128, 64)
    adapter = peft_adapter(tmp_path / "adapter", {spelled(name): one for name, one in arrays.items()}, prefix="")
    before, after, changed = merged(tmp_path, adapter)
    assert changed == {f"{Q}.weight"}
    np.testing.assert_allclose(after[f"{Q}.weight"], before[f"{Q}.weight"] + low_rank(arrays, Q, 2), atol=1e-4)


def test_whole_modules_are_put_in_the_place_of_the_bases(tmp_path):
    base = tiny_model(tmp_path / "base", "llama", tie_word_embeddings=False)
    shape = load_file(base / "model.safetensors")[f"{HEAD}.weight"].shape
    whole = {
        f"{HEAD}.weight": numbers(*shape),
        f"{EMBED}.modules_to_save.default.weight": numbers(*shape, seed=1),
        "model.norm.weight": numbers(64).astype(np.float16),
    }
    adapter = peft_adapter(
        tmp_path / "adapter", {**halves(Q, 128, 64), **whole}, modules_to_save=[HEAD, "embed_tokens", "norm"]
    )
    _, after, changed = merged(tmp_path, adapter, base)
    assert changed == {f"{Q}.weight", f"{HEAD}.weight", f"{EMBED}.weight", "model.norm.weight"}
    np.testing.assert_array_equal(after[f"{HEAD}.weight"], whole[f"{HEAD}.weight"])
    np.testing.assert_array_equal(after[f"{EMBED}.weight"], whole[f"{EMBED}.modules_to_save.default.weight"])
    assert after["model.norm.weight"].dtype == np.float16


@pytest.mark.parametrize("spelled", [f"{Q}.base_layer.bias", f"{Q}.bias"])
def test_biases_that_were_trained_are_put_in(spelled, tmp_path):
    base = tiny_model(tmp_path / "base", "qwen2")
    arrays = {**halves(Q, 64, 64), spelled: numbers(64)}
    _, after, changed = merged(tmp_path, peft_adapter(tmp_path / "adapter", arrays, bias="lora_only"), base)
    assert changed == {f"{Q}.weight", f"{Q}.bias"}
    np.testing.assert_array_equal(after[f"{Q}.bias"], numbers(64))


@pytest.mark.parametrize("tokens", [[7, 3], {"embed_tokens": [7, 3]}, {"other": [1], EMBED: [7, 3]}])
def test_rows_of_single_tokens_are_put_in_by_their_numbers(tokens, tmp_path):
    """The rows are the tokens' new values, in the order in which the configuration names them."""
    arrays = {f"{EMBED}.token_adapter.trainable_tokens_delta": numbers(2, 64)}
    before, after, changed = merged(
        tmp_path, peft_adapter(tmp_path / "adapter", arrays, trainable_token_indices=tokens)
    )
    assert changed == {f"{EMBED}.weight"}
    expected = before[f"{EMBED}.weight"].copy()
    expected[7], expected[3] = numbers(2, 64)
    np.testing.assert_array_equal(after[f"{EMBED}.weight"], expected)


def test_a_modules_frozen_weights_that_are_saved_beside_it_come_before_what_it_learned(tmp_path):
    arrays = {**halves(Q, 128, 64), f"{Q}.base_layer.weight": numbers(128, 64)}
    _, after, _ = merged(tmp_path, peft_adapter(tmp_path / "adapter", arrays))
    np.testing.assert_allclose(after[f"{Q}.weight"], numbers(128, 64) + low_rank(arrays, Q, 2), atol=1e-4)


def tied_cases(rows):
    """Return adapters for a base whose head is its embedding: arrays, settings, and what head and embedding become."""
    whole, other = numbers(rows, 64, seed=5), numbers(rows, 64, seed=6)
    a, b = numbers(4, rows), numbers(64, 4)
    product, head = 2 * (b @ a).T, halves(HEAD, rows, 64)
    embedding = {f"{EMBED}.lora_embedding_A": a, f"{EMBED}.lora_embedding_B": b}
    saved = {"modules_to_save": ["embed_tokens"]}
    return {
        "an embedding trained whole, whose head stays": ({f"{EMBED}.weight": whole}, saved, lambda e: (whole, e)),
        "a head trained whole": ({f"{HEAD}.weight": whole}, {"modules_to_save": [HEAD]}, lambda e: (e, whole)),
        "both trained whole": (
            {f"{EMBED}.weight": whole, f"{HEAD}.weight": other},
            {"modules_to_save": [HEAD, "embed_tokens"]},
            lambda e: (whole, other),
        ),
        "a product on the embedding": (embedding, {}, lambda e: (e + product, e)),
        "a product on the embedding, its frozen weights beside it": (
            {**embedding, f"{EMBED}.base_layer.weight": whole}, {}, lambda e: (whole + product, whole),
        ),
        "a product on the head": (head, {}, lambda e: (e, e + low_rank(head, HEAD, 2))),
        "the two kept equal": (
            {f"{EMBED}.weight": whole}, {**saved, "ensure_weight_tying": True}, lambda e: (whole, None),
        ),
        "single tokens, which PEFT keeps equal": (
            {f"{EMBED}.token_adapter.trainable_tokens_delta": TOKEN}, {"trainable_token_indices": [0]},
            lambda e: (np.concatenate([TOKEN, e[1:]]), None),
        ),
        "a copy of the vocabulary that was not trained": (
            {**halves(Q, 128, 64), f"{EMBED}.weight": whole, f"{HEAD}.weight": whole}, {}, lambda e: (whole, None),
        ),
    }  # fmt: skip


@pytest.mark.parametrize("duplicate", [False, True])
@pytest.mark.parametrize("name", tied_cases(4))
def test_a_tied_head_stays_or_goes_as_in_peft(name, duplicate, tmp_path):
    """PEFT trains a copy of the embedding and leaves the head as it was; a merge that let it follow gave other answers."""
    base = tiny_model(tmp_path / "base", "llama")
    stored = load_file(base / "model.safetensors")
    embedding = stored[f"{EMBED}.weight"]
    if duplicate:  # some tools save the tied head as well
        save_file({**stored, f"{HEAD}.weight": embedding}, base / "model.safetensors", metadata={"format": "mlx"})
    arrays, config, becomes = tied_cases(len(embedding))[name]
    _, after, _ = merged(tmp_path, peft_adapter(tmp_path / "adapter", arrays, **config), base)
    new_embedding, new_head = becomes(embedding)
    np.testing.assert_allclose(after[f"{EMBED}.weight"], new_embedding, atol=1e-4)
    assert json.loads((tmp_path / "merged" / "config.json").read_text())["tie_word_embeddings"] is (new_head is None)
    model, _ = load_model(tmp_path / "merged")
    assert ("lm_head" in model) is (new_head is not None)
    if new_head is not None:
        np.testing.assert_allclose(after[f"{HEAD}.weight"], new_head, atol=1e-4)
    hidden = model.model(IDS)
    expected = np.array(hidden) @ (new_embedding if new_head is None else new_head).T
    np.testing.assert_allclose(np.array(model(IDS)), expected, atol=1e-3, rtol=1e-3)


VALUES = (
    None, True, False, 0, -1, 2.5, 10**400, float("nan"), "", "x", "(", "(a*)*b", [], [1], ["a"], {}, {"a": 1}, {"q_proj": 2},
    {"": [1]}, {"a": {}}, "LORA", "pissa", [HEAD], {"embed_tokens": [0]}, "\0", "ş" * 999,
)  # fmt: skip
PARTS = (
    f"{Q}.lora_A.weight", f"{Q}.lora_B.weight", f"{Q}.lora_magnitude_vector", f"{EMBED}.lora_embedding_A", f"{HEAD}.weight",
    f"{EMBED}.base_layer.weight", f"{EMBED}.token_adapter.trainable_tokens_delta", f"{Q}.lora_a", f"{Q}.lora_b", f"{Q}.m",
    f"{Q}.weight", f"{Q}.bias", "lora_A", ".weight", "weight", "", ".", "x.modules_to_save.default.weight", f"{HEAD}.lora_A.a.b",
)  # fmt: skip
SHAPES = ((4, 64), (128, 4), (128,), (4,), (), (0,), (0, 64), (4, 64, 1), (64, 4), (2, 64))


def test_a_strange_adapter_is_read_or_refused_and_nothing_else(tmp_path):
    """Whoever made an adapter is not trusted to have made it well: no value or shape may end in another error."""
    chosen, base = random.Random(5), tiny_model(tmp_path / "base", "llama")
    weights, taken = Weights(base), 0
    form = outline(weights.config, {name: weights.shape(name) for name in weights.names})
    for number in range(150):
        arrays = {
            chosen.choice(PARTS): np.zeros(chosen.choice(SHAPES), np.float32) for _ in range(chosen.randint(0, 2))
        }
        keys = chosen.sample([*PEFT_CONFIG, "scale", "fine_tune_type", "lora_parameters", "ensure_weight_tying"], 2)
        config = {key: chosen.choice(VALUES) for key in keys[: number % 3]}
        make = peft_adapter if number % 2 else mlx_adapter
        low = (
            {}
            if chosen.random() < 0.3
            else halves(Q, 128, 64)
            if number % 2
            else {f"{Q}.lora_a": numbers(64, 4), f"{Q}.lora_b": numbers(4, 128)}
        )
        folder = make(tmp_path / "adapter", {**low, **arrays}, **config)
        try:
            taken += bool(read_adapter(folder, form).changes)
        except ModelError as error:
            assert error.hint
    assert 10 < taken < 140
