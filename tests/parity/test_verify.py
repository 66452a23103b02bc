"""`jessy verify`: a file that is not the model of the folder is refused by the name of what differs; harmless differences pass."""

import json
import shutil

import numpy as np
import pytest
from alter import alter, numbers_of
from doubles import write_double
from safetensors.numpy import load_file, save_file
from tiny import tiny_adapter

from jessyfile import cli
from jessyfile.export.gguf_writer import write_gguf
from jessyfile.models.adapters.merge import merge_folder
from jessyfile.models.chat_format import CHATML, GEMMA
from jessyfile.models.from_folder import bring_folder
from jessyfile.models.gguf_container import ARRAY, BOOL, F32, STRING, U32, OutTensor, pair_bytes, write_container
from jessyfile.models.gguf_reader import read_gguf
from jessyfile.models.weights import Weights
from jessyfile.parity.verify import Claim, verify


def silent(*_):
    pass


class Made:
    """A tiny base, an adapter on it, and the GGUF of the two."""

    def __init__(self, root, double):
        self.root, self.base, self.published = root, root / "base", root / "published"
        write_double(self.published, double)
        self.base.mkdir()
        bring_folder(self.published, self.base, silent)
        self.adapter = self.adapted("adapter", 1)
        self.gguf = self.tuned("tuned", self.adapter)

    def adapted(self, name, seed, scale=0.05):
        weights = Weights(self.base)
        shapes = {one: weights.shape(one) for one in weights.names if one.endswith("_proj.weight")}
        modules = {one.removesuffix(".weight"): shape for one, shape in shapes.items()}
        return tiny_adapter(self.root / name, modules, scale=scale, seed=seed)

    def tuned(self, name, adapter, quantize="f16"):
        folder = self.root / name
        folder.mkdir(exist_ok=True)
        merge_folder(self.base, adapter, folder, silent)
        write_gguf(folder, self.root / f"{name}.gguf", quantize, silent)
        return self.root / f"{name}.gguf"

    def found(self, gguf, **more):
        return verify(Claim(gguf, self.base, more.pop("adapter", self.adapter), **more))


@pytest.fixture(scope="module")
def gemma(tmp_path_factory):
    return Made(tmp_path_factory.mktemp("gemma"), "Gemma 3, text")


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return Made(tmp_path_factory.mktemp("llama"), "Llama 3.2")


@pytest.fixture(scope="module")
def qwen(tmp_path_factory):
    return Made(tmp_path_factory.mktemp("qwen"), "Qwen2.5")


def kinds(found):
    return {fault.kind for fault in found.faults}


REFUSING = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('none') }}{% endif %}"
KEYS = {
    "rope base": ([("gemma3.rope.freq_base", F32, 10_000.0)], (), "rope"),
    "no rope base": ([], ("gemma3.rope.freq_base",), "rope"),
    "local rope base": ([("gemma3.rope.freq_base_swa", F32, 1e6)], (), "rope"),
    "rope scaling": (
        [("gemma3.rope.scaling.type", STRING, "linear"), ("gemma3.rope.scaling.factor", F32, 8.0)], (), "rope",
    ),
    "epsilon": ([("gemma3.attention.layer_norm_rms_epsilon", F32, 1e-5)], (), "epsilon"),
    "softcap": ([("gemma3.final_logit_softcapping", F32, 30.0)], (), "softcap"),
    "window": ([("gemma3.attention.sliding_window", U32, 64)], (), "sliding window"),
    "heads": ([("gemma3.attention.head_count_kv", U32, 4)], (), "heads"),
    "no BOS": ([("tokenizer.ggml.add_bos_token", BOOL, False)], (), "bos"),
    "another BOS": ([("tokenizer.ggml.bos_token_id", U32, 4)], (), "bos"),
    "EOS behind the prompt": ([("tokenizer.ggml.add_eos_token", BOOL, True)], (), "eos"),
    "another end": ([("tokenizer.ggml.eos_token_id", U32, 300)], (), "end of text"),
    "blanks before words": ([("tokenizer.ggml.add_space_prefix", BOOL, True)], (), "space prefix"),
    "another format": ([("tokenizer.chat_template", STRING, CHATML.jinja())], (), "template"),
    "tools": ([("tokenizer.chat_template", STRING, "{% if tools %}{{ tools }}{% endif %}" + GEMMA.jinja())], (), "template"),
    "the day": (
        [("tokenizer.chat_template", STRING, "{{ bos_token }}{{ strftime_now('%d') }}" + GEMMA.jinja(bos=False))], (),
        "template",
    ),
    "no system prompt": (
        [("tokenizer.chat_template", STRING, REFUSING + GEMMA.jinja())], (), "template",
    ),
    "no template": ([], ("tokenizer.chat_template",), "template"),
    "endless": (
        [("tokenizer.chat_template", STRING, "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}")],
        (), "template",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", [one for one in KEYS if one != "endless"])
def test_a_key_that_changes_the_model_is_named(name, gemma, tmp_path):
    keys, without, kind = KEYS[name]
    found = gemma.found(alter(gemma.gguf, tmp_path / "x.gguf", keys, without))
    assert kinds(found) == {kind}
    assert not found.verified


def test_a_template_that_refuses_a_system_prompt_is_right_for_its_own_model_and_wrong_for_a_tune(gemma, tmp_path):
    """Gemma 2's own Jinja knows no system prompt: a tune that carried it, as its base's folder did, was said to be right."""
    own = REFUSING + GEMMA.jinja()
    keys, without = [("tokenizer.chat_template", STRING, own)], ("jessy.chat_format",)
    (tmp_path / "stock").mkdir()
    write_gguf(gemma.base, tmp_path / "plain.gguf", "f16", silent)
    shutil.copytree(gemma.published, tmp_path / "folder")
    (tmp_path / "folder" / "chat_template.jinja").write_text(own)
    plain = alter(tmp_path / "plain.gguf", tmp_path / "stock" / "plain.gguf", keys, without)
    assert verify(Claim(plain, tmp_path / "folder")).faults == ()
    tune = alter(gemma.gguf, tmp_path / "stock" / "tune.gguf", keys, without)
    assert kinds(verify(Claim(tune, tmp_path / "folder", gemma.adapter))) == {"template"}


def renamed(tokens, first, second):
    tokens = list(tokens)
    tokens[first], tokens[second] = tokens[second], tokens[first]
    return tokens


def test_tokens_that_changed_places_and_turn_tokens_that_are_none_are_named(gemma, tmp_path):
    metadata = read_gguf(gemma.gguf).metadata
    tokens, types = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"].tolist()
    other = [("tokenizer.ggml.tokens", ARRAY, renamed(tokens, 400, 401))]
    found = gemma.found(alter(gemma.gguf, tmp_path / "x.gguf", other))
    assert (kinds(found), "token 400 is" in found.faults[0].message) == ({"token ids"}, True)
    types[tokens.index("<end_of_turn>")] = 1
    found = gemma.found(alter(gemma.gguf, tmp_path / "y.gguf", [("tokenizer.ggml.token_type", ARRAY, types)]))
    assert (kinds(found), "<end_of_turn>" in found.faults[0].message) == ({"token type"}, True)


def test_a_vocabulary_that_was_cut_is_named(gemma, tmp_path):
    metadata = read_gguf(gemma.gguf).metadata
    size = len(metadata["tokenizer.ggml.tokens"]) - 8
    lists = {key: metadata[f"tokenizer.ggml.{key}"][:size] for key in ("tokens", "scores", "token_type")}
    keys = [(f"tokenizer.ggml.{key}", ARRAY, one if key == "tokens" else one.tolist()) for key, one in lists.items()]
    rows = numbers_of(gemma.gguf, "token_embd.weight")[:size].copy()
    found = gemma.found(alter(gemma.gguf, tmp_path / "x.gguf", keys, tensors={"token_embd.weight": rows}))
    assert kinds(found) == {"vocabulary"}


def changed(made, tmp_path, name, change):
    """Return what is found of the file with one tensor changed."""
    tensors = {name: np.ascontiguousarray(change(numbers_of(made.gguf, name)), np.float32)}
    return made.found(alter(made.gguf, tmp_path / "x.gguf", tensors=tensors))


TENSORS = {
    "a norm without the one": ("gemma", "blk.1.attn_norm.weight", lambda a: a - 1, "norm"),
    "all zeros": ("gemma", "blk.2.ffn_down.weight", np.zeros_like, "zeroed"),
    "noise": ("gemma", "blk.2.ffn_down.weight", lambda a: a[::-1], "order"),
    "twice": ("gemma", "blk.0.ffn_up.weight", lambda a: a * 2, "scaled"),
    "q in the folder's order": ("llama", "blk.0.attn_q.weight", lambda a: unpermuted(a, 4), "permutation"),
    "k in the folder's order": ("llama", "blk.0.attn_k.weight", lambda a: unpermuted(a, 2), "permutation"),
    "q permuted": ("gemma", "blk.0.attn_q.weight", lambda a: permuted_rows(a, 4), "permutation"),
    "a bias of zeros": ("qwen", "blk.1.attn_k.bias", np.zeros_like, "zeroed"),
    "rope factors": ("llama", "rope_freqs.weight", np.ones_like, "rope"),
    "one number in a thousand": ("gemma", "blk.3.ffn_gate.weight", lambda a: a + sparse(a), "other numbers"),
}  # fmt: skip


def unpermuted(array, heads):
    from jessyfile.models.from_gguf import unpermuted

    return unpermuted(array, heads)


def permuted_rows(array, heads):
    rows = len(array)
    return array.reshape(heads, 2, rows // heads // 2, -1).swapaxes(1, 2).reshape(array.shape)


def sparse(array):
    noise = np.zeros_like(array)
    noise.reshape(-1)[::17] = 0.05
    return noise


@pytest.mark.parametrize("name", TENSORS)
def test_a_tensor_that_is_another_is_named(name, tmp_path, request):
    model, tensor, change, kind = TENSORS[name]
    found = changed(request.getfixturevalue(model), tmp_path, tensor, change)
    assert kinds(found) == {kind}
    assert tensor in found.faults[0].message


def test_tensors_that_changed_places_are_named_by_each_other(gemma, tmp_path):
    first, second = "blk.1.ffn_up.weight", "blk.2.ffn_up.weight"
    other = {first: numbers_of(gemma.gguf, second), second: numbers_of(gemma.gguf, first)}
    found = gemma.found(alter(gemma.gguf, tmp_path / "x.gguf", tensors=other))
    assert kinds(found) == {"swapped"}
    assert f"{first!r} holds the numbers of {second!r}" in found.faults[0].message


@pytest.mark.parametrize("quantize", ["f16", "q8_0", "q4_0"])
def test_what_happened_to_the_adapter_is_named_behind_any_type(quantize, gemma, tmp_path):
    """In four bits the error of the type is many times the tune's change, and an earlier tune passed."""
    write_gguf(gemma.base, tmp_path / "base.gguf", quantize, silent)
    assert kinds(gemma.found(tmp_path / "base.gguf")) == {"unmerged"}
    half = gemma.adapted(f"half-{quantize}", 1, scale=0.025)
    found = gemma.found(gemma.tuned(f"tuned-half-{quantize}", half, quantize))
    assert (kinds(found), "0.5 times its scale" in found.faults[0].message) == ({"scale"}, True)
    earlier = gemma.adapted(f"earlier-{quantize}", 2)
    stale = gemma.tuned(f"stale-{quantize}", earlier, quantize)
    assert kinds(gemma.found(stale)) == {"stale"}
    alone = verify(Claim(stale, gemma.root / "tuned"))  # nothing is known of the base
    assert kinds(alone) <= {"other numbers", "tensor"}
    assert not alone.verified


def dora(made, name):
    """Return the adapter with the lengths of DoRA, which are no longer those of the base."""
    folder = made.root / name
    shutil.copytree(made.adapter, folder)
    arrays = load_file(folder / "adapters.safetensors")
    for module in sorted({one.rpartition(".")[0] for one in arrays}):
        lengths = np.linalg.norm(Weights(made.base).read(f"{module}.weight"), axis=1)
        arrays[f"{module}.m"] = (lengths * np.linspace(0.9, 1.1, len(lengths))).astype(np.float32)
    save_file(arrays, folder / "adapters.safetensors")
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, "fine_tune_type": "dora"}))
    return folder


def test_a_dora_that_was_merged_as_a_lora_is_named(gemma):
    adapter = dora(gemma, "dora")
    assert kinds(gemma.found(gemma.gguf, adapter=adapter)) == {"dora"}
    assert gemma.found(gemma.tuned("tuned-dora", adapter), adapter=adapter).verified


def test_a_damaged_file_is_named(gemma, tmp_path):
    (tmp_path / "x.gguf").write_bytes(gemma.gguf.read_bytes()[:-1000])
    assert kinds(gemma.found(tmp_path / "x.gguf")) == {"damaged"}


def test_another_models_file_is_named(gemma, qwen, llama):
    assert kinds(gemma.found(qwen.gguf)) == {"architecture"}
    assert not gemma.found(llama.gguf).verified


MODELFILE = f'FROM ./tuned.gguf\nTEMPLATE """{GEMMA.go_template()}"""\nPARAMETER stop <end_of_turn>\n'
SHORT = (
    "{{ if .Prompt }}<start_of_turn>user\n{{ if .System }}{{ .System }}\n\n{{ end }}{{ .Prompt }}<end_of_turn>\n{{ end }}"
    "<start_of_turn>model\n{{ .Response }}<end_of_turn>\n"
)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (MODELFILE, None),
        (f"# mine\n{MODELFILE}PARAMETER temperature 0.2\nPARAMETER stop <start_of_turn>\nSYSTEM Kısa konuş.\n", None),
        (f'FROM ./tuned.gguf\nTEMPLATE """{SHORT}"""\n', None),
        ("FROM ./tuned.gguf\n", None),
        (MODELFILE.replace("<end_of_turn>\n{{ else", "<end_of_turn>{{ else"), "template"),
        (f'FROM ./tuned.gguf\nTEMPLATE """{CHATML.go_template()}"""\n', "template"),
        (f'FROM ./tuned.gguf\nTEMPLATE """<bos>{GEMMA.go_template()}"""\n', "template"),
        (MODELFILE.replace("stop <end_of_turn>", "stop <|im_end|>"), "stop"),
        (MODELFILE.replace("./tuned.gguf", "./other.gguf"), "from"),
        (f"{MODELFILE}ADAPTER ./adapter\n", "adapter"),
        ('FROM ./tuned.gguf\nTEMPLATE """{{ range"""\n', "template"),
    ],
)
def test_a_modelfile_is_compared_by_what_it_asks(text, kind, gemma):
    from jessyfile.parity.templates import modelfile_faults

    path = gemma.root / "Modelfile"
    path.write_text(text)
    found = {fault.kind for fault in modelfile_faults(path, gemma.gguf, read_gguf(gemma.gguf), GEMMA)}
    assert found == ({kind} if kind else set())


def otherwise(gguf, target):
    """Write a GGUF with its keys and tensors in another order, other names and notes, and another alignment."""
    file = read_gguf(gguf)
    raw = {key: data for key, data in file.raw.items() if key not in ("general.name", "gemma3.vocab_size")}
    more = [
        ("general.name", STRING, "Something else"), ("general.author", STRING, "x"),
        ("quantize.imatrix.file", STRING, "a.dat"), ("gemma3.rope.scaling.type", STRING, "none"),
    ]  # fmt: skip
    keys = [*(pair_bytes(*one) for one in more), *reversed(raw.values())]
    out = [
        OutTensor(name, one.shape, one.kind, one.nbytes, lambda one=one: iter([file.stored(one)]))
        for name, one in reversed(file.tensors.items())
    ]
    write_container(target, keys, out)
    return target


def test_order_names_and_notes_are_nothing(gemma, tmp_path):
    assert gemma.found(otherwise(gemma.gguf, tmp_path / "x.gguf")).verified


def test_a_head_that_is_written_out_is_nothing(llama, tmp_path):
    file = read_gguf(llama.gguf)
    head = numbers_of(llama.gguf, "token_embd.weight")
    out = [OutTensor(n, t.shape, t.kind, t.nbytes, lambda t=t: iter([file.stored(t)])) for n, t in file.tensors.items()]
    out.append(OutTensor("output.weight", head.shape, 0, head.nbytes, lambda: iter([head])))
    write_container(tmp_path / "x.gguf", list(file.raw.values()), out)
    assert llama.found(tmp_path / "x.gguf").verified
    wrong = alter(tmp_path / "x.gguf", tmp_path / "y.gguf", tensors={"output.weight": head[::-1].copy()})
    assert kinds(llama.found(wrong)) == {"order"}


def test_a_folder_in_shards_and_in_bf16_is_the_same_model(gemma, tmp_path):
    arrays = load_file(gemma.root / "tuned" / "model.safetensors")
    shutil.copytree(gemma.root / "tuned", tmp_path / "shards", ignore=shutil.ignore_patterns("*.safetensors"))
    names = sorted(arrays)
    parts = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for part, own in parts.items():
        save_file({name: arrays[name].astype(np.float16) for name in own}, tmp_path / "shards" / part)
    index = {name: part for part, own in parts.items() for name in own}
    (tmp_path / "shards" / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    assert verify(Claim(gemma.gguf, tmp_path / "shards")).verified


def test_a_gguf_in_parts_is_joined(qwen, tmp_path):
    file = read_gguf(qwen.gguf)
    names = list(file.tensors)
    for number, own in enumerate((names[:9], names[9:]), 1):
        keys = [pair_bytes("split.count", U32, 2), pair_bytes("split.no", U32, number - 1)]
        keys = [*(file.raw.values() if number == 1 else [file.raw["general.architecture"]]), *keys]
        out = [
            OutTensor(name, file.tensors[name].shape, file.tensors[name].kind, file.tensors[name].nbytes,
                      lambda name=name: iter([file.stored(file.tensors[name])]))
            for name in own
        ]  # fmt: skip
        write_container(tmp_path / f"m-0000{number}-of-00002.gguf", keys, out)
    assert qwen.found(tmp_path / "m-00001-of-00002.gguf").verified
    (tmp_path / "m-00002-of-00002.gguf").unlink()
    assert kinds(qwen.found(tmp_path / "m-00001-of-00002.gguf")) == {"damaged"}


RARE = [pytest.param(one, marks=pytest.mark.stress) for one in ("f32", "q8_0", "q5_k_m", "q4_1")]


@pytest.mark.parametrize("quantize", ["bf16", "q4_k_m", *RARE])
def test_every_type_of_the_right_numbers_passes(quantize, gemma):
    found = gemma.found(gemma.tuned(f"as-{quantize}", gemma.adapter, quantize))
    assert (found.verified, found.faults) == (True, ())
    assert found.weights == pytest.approx(1, abs=0.03)


def test_the_command_says_it_in_lines_and_as_json(gemma, tmp_path, capsys):
    words = ["verify", str(gemma.gguf), "--against", str(gemma.base), "--adapter", str(gemma.adapter)]
    assert cli.main(words) == 0
    assert capsys.readouterr().out.startswith("tuned.gguf is the model of base: ")
    wrong = alter(gemma.gguf, tmp_path / "x.gguf", [("gemma3.rope.freq_base", F32, 1e4)])
    assert cli.main(["verify", str(wrong), "--against", str(gemma.root / "tuned")]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error[E702]: rope, stage gguf: 'gemma3.rope.freq_base' is 10000, and the folder's")
    assert "  = help: " in said.err
    assert cli.main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["verified"], told["faults"]) == (True, [])
    assert told["figures"]["answers"]["survival"] == pytest.approx(1, abs=0.01)
    assert cli.main(["verify", str(tmp_path / "none.gguf"), "--against", str(gemma.base)]) == 1


def test_a_wrong_folder_is_named_with_what_the_option_takes(gemma, tmp_path, capsys):
    """The help spoke of FROM and ADAPTER, which are words of a recipe; and a file that is none was looked at last."""
    assert cli.main(["verify", str(gemma.gguf), "--against", str(tmp_path)]) == 1
    assert "has no config.json" in (said := capsys.readouterr().err)
    assert "--against takes a model's folder" in said
    assert cli.main(["verify", str(gemma.gguf), "--against", str(gemma.base), "--adapter", str(gemma.base)]) == 1
    assert "--adapter takes an adapter's folder" in capsys.readouterr().err
