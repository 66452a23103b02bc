"""The step `parity`: what is served is what was trained, and else the stage that lost it is named."""

import json
from dataclasses import replace

import numpy as np
import pytest
from alter import alter, numbers_of
from doubles import write_double
from line import Gate
from safetensors.numpy import load_file, save_file

from jessyfile.errors import ExportError
from jessyfile.export.gguf_writer import write_gguf
from jessyfile.models.chat_format import CHATML
from jessyfile.models.gguf_container import ARRAY, BOOL, F32
from jessyfile.models.gguf_reader import read_gguf
from jessyfile.models.tokenizer import load_tokenizer
from jessyfile.parity import step
from jessyfile.parity.proof import PROOF, write_proof
from jessyfile.parity.served import ANSWERS
from jessyfile.parity.stages import stage_faults
from jessyfile.parity.tokens import Prompts
from jessyfile.results.facts import ParityFacts, StageFacts
from jessyfile.results.typed_json import load_as


def test_a_faithful_file_keeps_all_of_the_tune(tmp_path):
    found = Gate(tmp_path, quantize="f16").packed().proved()
    assert [(one.stage, one.type) for one in found.stages] == [("merged", "f32"), ("gguf", "f16")]
    assert found.agreement == 1.0
    assert found.survival == pytest.approx(1, abs=0.01)
    assert found.stages[-1].weights == pytest.approx(1, abs=0.01)
    assert found.stages[-1].noise < 0.02
    assert found.summary == "f16 keeps 100% of what was learned; 100% of next tokens agree"
    assert found.texts == 6


def test_a_suspicious_quantized_file_is_looked_at_before_it_was_quantized(tmp_path):
    found = Gate(tmp_path, "SmolLM2", quantize="q4_0").packed().proved()
    assert [one.stage for one in found.stages] == ["merged", "gguf", "quantized"]
    assert found.stages[1].divergence < 1e-3 < found.stages[2].divergence


def refused(gate):
    with pytest.raises(ExportError) as caught:
        gate.proved()
    assert caught.value.hint
    return caught.value.message


def replaced(gate, source):
    (gate.inputs["gguf"] / "model.gguf").write_bytes(source.read_bytes())
    return gate


def test_a_file_without_the_adapter_is_refused_by_the_stage_that_lost_it(tmp_path):
    """The base's own GGUF answers as fluently as the tuned one; nothing compared it with what was trained."""
    gate = Gate(tmp_path).packed()
    write_gguf(gate.inputs["base"], tmp_path / "base.gguf", "f32", lambda *_: None)
    message = refused(replaced(gate, tmp_path / "base.gguf"))
    assert message.startswith("stage gguf: the gguf model (f32)")


def test_a_merge_with_another_scale_is_refused_before_the_file_is_asked(tmp_path):
    gate = Gate(tmp_path).packed()
    before, path = load_file(gate.inputs["base"] / "model.safetensors"), gate.inputs["merge"] / "model.safetensors"
    save_file({name: before[name] + (array - before[name]) / 2 for name, array in load_file(path).items()}, path)
    assert refused(gate).startswith("stage merged: ")


@pytest.mark.parametrize(
    ("keys", "without", "said"),
    [
        ([("tokenizer.ggml.add_bos_token", BOOL, False)], (), "no BOS is put before a prompt"),
        ([("gemma3.rope.freq_base", F32, 300.0)], (), "does not answer as the trained one"),
    ],
)
def test_what_an_engine_reads_otherwise_is_named(tmp_path, keys, without, said):
    gate = Gate(tmp_path).packed()
    assert said in refused(
        replaced(gate, alter(gate.inputs["gguf"] / "model.gguf", tmp_path / "x.gguf", keys, without))
    )


class Deaf:
    """An engine that reads as the tokenizer does and ends no answer."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def token_ids(self, text, *, bos=False):
        return self.tokenizer.encode(text, bos=bos)

    def ends_at(self, prompt, token):
        return False


def test_an_end_of_turn_at_which_no_answer_ends_is_named(tmp_path):
    tokenizer = load_tokenizer(write_double(tmp_path / "model", "SmolLM2"))
    (fault,) = Prompts(Deaf(tokenizer), tokenizer, "gguf").turn_faults(CHATML)
    assert (fault.kind, fault.message[:34]) == ("end of turn", "answers do not end at <|im_end|> (")


def test_turn_tokens_that_are_read_as_letters_are_named(tmp_path):
    gate = Gate(tmp_path).packed()
    path = gate.inputs["gguf"] / "model.gguf"
    types = read_gguf(path).metadata["tokenizer.ggml.token_type"].tolist()
    types[4] = 1  # <start_of_turn> is an ordinary token
    message = refused(replaced(gate, alter(path, tmp_path / "x.gguf", [("tokenizer.ggml.token_type", ARRAY, types)])))
    assert "the prompt's tokens differ from token 1 on, at '<start_of_turn>" in message


def test_one_layer_that_is_a_little_wrong_is_seen(tmp_path):
    gate = Gate(tmp_path, quantize="f16").packed()
    path, name = gate.inputs["gguf"] / "model.gguf", "blk.2.attn_norm.weight"
    right = numbers_of(path, name)
    other = {name: right * np.where(np.arange(len(right)) % 2, 1.3, 0.7).astype(np.float32)}
    assert "nats apart on average (limit" in refused(replaced(gate, alter(path, tmp_path / "x.gguf", tensors=other)))


@pytest.fixture
def published(tmp_path):
    """A gate whose file is proved, with the proof beside its adapter; from now on no model may be read again."""
    gate = Gate(tmp_path, quantize="f16").packed()
    found = gate.proved()
    gate.recipe.lora.trained = "adapter"
    write_proof(tmp_path / "adapter", gate.inputs["gguf"] / "model.gguf", found)
    return gate, found


def read_nothing(*_):
    raise AssertionError("a model was read again")


def test_the_same_bytes_are_proved_once(published, monkeypatch):
    gate, found = published
    monkeypatch.setattr(step, "read_trained", read_nothing)
    again = gate.proved()
    assert (again.summary, again.stages, again.texts) == (found.summary, found.stages, found.texts)
    assert again.notes[-1].startswith("the answers of these very bytes were proved")
    assert (gate.inputs["parity"] / ANSWERS).is_file()


def test_other_bytes_and_a_damaged_proof_are_read(published, monkeypatch):
    gate, _ = published
    path, proof = gate.inputs["gguf"] / "model.gguf", gate.root / "adapter" / PROOF
    monkeypatch.setattr(step, "read_trained", read_nothing)
    proof.write_text(proof.read_text("utf-8")[:-9], "utf-8")
    with pytest.raises(AssertionError, match="read again"):
        gate.proved()
    write_proof(gate.root / "adapter", path, load_as(ParityFacts, gate.inputs["parity"] / "parity.json"))
    replaced(gate, alter(path, gate.root / "x.gguf", [("tokenizer.ggml.add_bos_token", BOOL, False)]))
    with pytest.raises(AssertionError, match="read again"):
        gate.proved()


def test_a_proof_of_a_file_does_not_stand_for_its_tokens_and_numbers(published):
    """What takes seconds is never taken on trust: a proof that names a wrong file is refused as the file is."""
    gate, found = published
    path = gate.inputs["gguf"] / "model.gguf"
    right = path.read_bytes()
    replaced(gate, alter(path, gate.root / "x.gguf", [("tokenizer.ggml.add_bos_token", BOOL, False)]))
    write_proof(gate.root / "adapter", path, found)
    assert "no BOS is put before a prompt" in refused(gate)
    path.write_bytes(right)
    write_gguf(gate.inputs["base"], gate.root / "base.gguf", "f16", lambda *_: None)
    write_proof(gate.root / "adapter", replaced(gate, gate.root / "base.gguf").inputs["gguf"] / "model.gguf", found)
    assert refused(gate).startswith("stage gguf: the gguf model (f16)")


KEPT = StageFacts("quantized", "q4_k_m", 96, 0.97, 0.05, 0.4, 0.97, 0.95, 0.99, 0.2, 0.96, 0.99)


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({}, []),
        ({"survival": 0.1, "low": 0.0, "high": 0.2}, ["survival"]),
        ({"survival": 0.4, "low": 0.1, "high": 0.9}, []),  # too uncertain to say
        ({"survival": 0.1, "low": 0.0, "high": 0.2, "noise": 3.0}, []),  # a tune that is smaller than the rounding
        ({"weights": 0.1}, ["survival"]),
        ({"survival": 2.0, "low": 1.9, "high": 2.1}, ["overdone"]),
        ({"divergence": 3.0}, ["divergence"]),
        ({"agreement": 0.01}, ["agreement"]),
        ({"type": "f16"}, ["divergence", "survival"]),
    ],
)
def test_a_figure_is_held_against_the_limit_of_its_type(changes, kinds):
    facts = replace(KEPT, **changes)
    if changes.get("type") == "f16":
        facts = replace(facts, high=0.97)
    assert [one.kind for one in stage_faults(facts, "quantized")] == kinds


def test_figures_are_kept_beside_the_step(tmp_path):
    gate = Gate(tmp_path).packed()
    gate.proved()
    kept = json.loads((gate.inputs["parity"] / "parity.json").read_text())
    assert kept["stages"][1]["stage"] == "gguf"
