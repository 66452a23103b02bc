"""`jessy export`: a model leaves the project in every form, whole, and over nothing that jessy did not write."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
import real_world as world
from safetensors.numpy import load_file

from jessyfile.cli import main
from jessyfile.export import forms, model_folder
from jessyfile.export.registry import lookup, model_id
from jessyfile.importing.modelfile_reader import read_modelfile
from jessyfile.models.load import load_model
from jessyfile.models.tokenizer import load_tokenizer
from jessyfile.planning.canonical import normal, sealed, unsealed
from jessyfile.planning.state import load_state, save_state
from jessyfile.planning.store import Store
from jessyfile.results.facts import IndexFacts
from jessyfile.user_files import fill_folder


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = world.fresh(tmp_path_factory.mktemp("world") / "applied")
    assert world.apply(root).exit_code == 0
    return root


@pytest.fixture
def root(applied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose model `tiny` is promoted; the working folder."""
    shutil.copytree(applied, tmp_path / "project", copy_function=shutil.copy2)
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


@pytest.fixture
def jessy(capsys: pytest.CaptureFixture[str]):
    def run(*words: str, code: int = 0) -> str:
        assert main(["export", *words]) == code
        said = capsys.readouterr()
        return said.err if code else said.out

    return run


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_promoted_model_leaves_as_the_file_that_is_served_with_its_modelfile(root, jessy):
    """The stored Modelfile says `FROM ./model.gguf`, and the file lies in another folder of the store."""
    said = jessy("tiny")
    assert "next: ollama create tiny -f tiny-modelfile/Modelfile" in said
    place = root / "tiny-modelfile"
    assert files(place) == ["Modelfile", "jessy-export.json", "tiny-Q8_0.gguf"]
    served = Path(lookup(root, "tiny").gguf)
    assert (place / "tiny-Q8_0.gguf").read_bytes() == served.read_bytes()
    commands = read_modelfile((place / "Modelfile").read_text())
    stored = read_modelfile(
        (Store(root).place(load_state(root, "tiny").steps["modelfile"].object) / "Modelfile").read_text()
    )
    assert (place / commands[0].args).resolve() == (place / "tiny-Q8_0.gguf").resolve()
    told, kept = (sorted((one.name, one.args.removesuffix(".0")) for one in found[1:]) for found in (commands, stored))
    assert told == kept
    assert "create.json" not in (place / "Modelfile").read_text()


def test_what_the_files_do_not_hold_is_named(root, jessy):
    """A model that answers by its rows left as a file that has none, and nothing said so."""
    from jessyfile.export.lineage import of_model, of_recipe
    from jessyfile.results.served import Retrieval

    def notes(lineage, place):
        return forms.export(lineage, forms.Order("gguf"), root / place, lambda *_: None).notes

    assert notes(of_recipe(root, "tiny"), "bare") == ()
    index = load_state(root, "tiny").steps["import"]
    index = replace(index, step="index", facts=normal(IndexFacts(30, 28, "ab" * 32, 1, 2)))
    recipe, model = of_recipe(root, "tiny"), of_model(root, "tiny", "latest")
    assert notes(replace(model, steps={**model.steps, "index": index}), "again") == ()
    entry = replace(model.entry, retrieval=Retrieval("", "ab" * 32, 1, 0.5))
    for place, one in (("recipe", recipe), ("model", replace(model, entry=entry))):
        (note,) = notes(replace(one, steps={**one.steps, "index": index}), place)
        assert "RETRIEVE is no part of the files: here 28 rows stand before a question" in note


def test_what_is_written_is_the_users_own(root, jessy):
    """A hard link into the store would have let an edit of the copy change the served file."""
    jessy("tiny", "--as", "gguf", "-o", "out")
    with (root / "out" / "tiny-Q8_0.gguf").open("r+b") as handle:
        handle.write(b"GGUX")
    jessy("tiny", "--as", "gguf", "-o", "again")


@pytest.mark.parametrize("what", ["tiny", "tiny:latest", "tiny:candidate", "tiny.jessy"])
def test_a_name_a_tag_and_a_recipe_mean_the_same_model_here(what, root, jessy):
    jessy(what, "--as", "gguf", "-o", "out")
    digest = hashlib.sha256((root / "out" / "tiny-Q8_0.gguf").read_bytes()).hexdigest()
    assert digest == lookup(root, "tiny").digest


def test_another_type_is_made_from_the_merged_model(root, jessy):
    jessy("tiny", "--as", "gguf", "--quantize", "F16")
    assert files(root / "tiny-gguf") == ["jessy-export.json", "tiny-F16.gguf"]
    jessy("tiny", "--quantize", "Q4_K_M", "-o", "small")
    assert files(root / "small") == ["Modelfile", "jessy-export.json", "tiny-Q4_K_M.gguf"]
    jessy("tiny", "--quantize", "q8_0", "-o", "same")
    assert (root / "same" / "tiny-Q8_0.gguf").read_bytes() == Path(lookup(root, "tiny").gguf).read_bytes()
    assert "no type" in jessy("tiny", "--quantize", "q9_9", "-o", "wrong", code=1)
    assert not (root / "wrong").exists()


def logits(folder: Path, text: str) -> np.ndarray:
    model, _ = load_model(folder)
    ids = load_tokenizer(folder).encode(text, bos=True)
    return np.array(model(mx.array([ids])).astype(mx.float32))


def test_mlx_lm_loads_the_folder_and_finds_the_end_of_a_turn(root, jessy):
    jessy("tiny", "--as", "mlx")
    from mlx_lm.utils import load

    model, tokenizer = load(str(root / "tiny-mlx"))
    merged = Store(root).place(load_state(root, "tiny").steps["merge"].object)
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": "selam"}], tokenize=False, add_generation_prompt=True
    )
    assert text == "<bos><start_of_turn>user\nselam<end_of_turn>\n<start_of_turn>model\n"
    ids = tokenizer.apply_chat_template([{"role": "user", "content": "selam"}], add_generation_prompt=True)
    assert list(ids) == load_tokenizer(merged).encode(text.removeprefix("<bos>"), bos=True)
    assert tokenizer.encode("selam") == load_tokenizer(merged).encode("selam", bos=True)
    assert set(tokenizer.eos_token_ids) == {tokenizer.convert_tokens_to_ids(one) for one in ("<end_of_turn>", "<eos>")}
    found = np.array(model(mx.array([list(ids)])).astype(mx.float32))
    np.testing.assert_allclose(found, logits(merged, text.removeprefix("<bos>")), atol=1e-5)


def test_numbers_have_the_type_that_was_asked_for(root, jessy):
    jessy("tiny", "--as", "mlx", "--dtype", "float16", "-o", "half")
    assert {array.dtype for array in load_file(root / "half" / "model.safetensors").values()} == {np.dtype(np.float16)}
    assert json.loads((root / "half" / "config.json").read_text())["dtype"] == "float16"


def test_a_number_beyond_float16_is_refused_and_not_made_infinite(root, jessy, monkeypatch):
    monkeypatch.setattr(model_folder, "narrowed", lambda rows, kind: (rows * 1e9).astype(np.float16))
    assert "beyond float16" in jessy("tiny", "--as", "mlx", "--dtype", "float16", code=1)
    assert not (root / "tiny-mlx").exists()


def test_a_large_model_is_sharded_and_a_smaller_one_after_it_leaves_no_shard(root, jessy, monkeypatch):
    """A loader takes every `model*.safetensors` of a folder: a shard of the model before would be loaded with the new one."""
    jessy("tiny", "--as", "mlx", "-o", "whole")
    monkeypatch.setattr(model_folder, "SHARD_BYTES", 300_000)
    jessy("tiny", "--as", "mlx")
    index = json.loads((root / "tiny-mlx" / "model.safetensors.index.json").read_text())
    shards = sorted(set(index["weight_map"].values()))
    assert len(shards) > 2
    assert all((root / "tiny-mlx" / shard).stat().st_size < 310_000 for shard in shards)
    assert np.array_equal(logits(root / "tiny-mlx", "selam"), logits(root / "whole", "selam"))
    monkeypatch.undo()
    monkeypatch.chdir(root)
    jessy("tiny", "--as", "mlx")
    assert files(root / "tiny-mlx") == files(root / "whole")


def test_json_tells_every_file(root, jessy):
    told = json.loads(jessy("tiny", "--json"))
    assert (told["format"], told["model"], told["form"], told["folder"]) == (
        1,
        "tiny:latest",
        "modelfile",
        "tiny-modelfile",
    )
    assert {one["name"]: one["bytes"] for one in told["files"]} == {
        name: (root / "tiny-modelfile" / name).stat().st_size for name in ("Modelfile", "tiny-Q8_0.gguf")
    }


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nope"], 1, "there is no model `nope:latest`"),
        (["tiny:previous"], 1, "there is no model `tiny:previous`"),
        (["tiny:7b"], 64, "a model's tag is latest"),
        (["a b"], 1, "is no name that a model can be registered under"),
        (["../tiny"], 1, "is no name that a model can be registered under"),
        (["nope.jessy"], 1, "there is no recipe `nope.jessy`"),
        ([], 64, "NAME or RECIPE is missing: there is one here: `jessy export tiny.jessy`"),
        (["tiny", "--as", "onnx"], 64, "'onnx' is not one of"),
        (["tiny", "--as", "mlx", "--quantize", "q8_0"], 64, "--quantize is for a GGUF"),
        (["tiny", "--dtype", "float16"], 64, "--dtype is for the numbers of a whole model's folder"),
        (["tiny", "--as", "peft", "--dtype", "float16"], 64, "and not for `peft`"),
        (["tiny", "--set", "lora.rank=3"], 64, "belong to a recipe"),
    ],
)
def test_what_cannot_be_exported_is_one_sentence(words, code, said, root, jessy):
    before = files(root)
    assert said in jessy(*words, code=code)
    assert files(root) == before


def test_a_candidate_that_was_not_promoted_is_named(root, jessy):
    (root / ".jessy" / "models" / "tiny" / "latest.json").unlink()
    assert "it was not promoted; what the last apply made is `tiny:candidate`" in jessy("tiny", code=1)
    jessy("tiny:candidate", "--as", "gguf")


def test_a_recipe_that_was_never_applied_says_so(root, jessy):
    text = (root / "tiny.jessy").read_text().replace("NAME tiny", "NAME other")
    (root / "other.jessy").write_text(text)
    assert "nothing was applied for `other` yet" in jessy("other.jessy", code=1)
    jessy("other.jessy", "--set", "name=tiny", "--as", "gguf")


def test_a_result_older_than_its_training_is_not_taken_for_its_own(root, jessy):
    """A training that was applied alone would have been exported as the GGUF of the one before."""
    state = load_state(root, "tiny")
    train = state.steps["train"]
    newer = type(train)(**{**train.as_json(), "object": state.steps["dataset"].object})
    save_state(root, state.with_step(newer))
    assert "no `gguf` that belongs to its newest training" in jessy("tiny.jessy", "--as", "gguf", code=1)
    jessy("tiny", "--as", "gguf")


@pytest.mark.parametrize("step", ["gguf", "merge", "modelfile"])
def test_a_result_that_gc_took_is_named(step, root, jessy):
    shutil.rmtree(Store(root).folder / load_state(root, "tiny").steps[step].object)
    form = {"gguf": "gguf", "merge": "mlx", "modelfile": "modelfile"}[step]
    said = jessy("tiny.jessy", "--as", form, "-o", "out", code=1)
    assert f"the result of `{step}` that tiny was made of is not in the store any more" in said
    assert "jessy apply" in said
    assert not (root / "out").exists()


def test_a_served_file_outlives_the_results_that_it_was_made_of(root, jessy):
    """`gc` keeps what is served and drops the rest: the served file must still leave."""
    shutil.rmtree(root / ".jessy" / "actions")
    jessy("tiny", "--as", "gguf")
    assert "is not in the store any more" in jessy("tiny", "--as", "mlx", code=1)


@pytest.mark.parametrize(
    ("step", "name", "form"), [("gguf", "model.gguf", "gguf"), ("merge", "model.safetensors", "mlx")]
)
@pytest.mark.parametrize("what", ["tiny", "tiny.jessy"])
def test_a_damaged_file_is_found_before_it_leaves(step, name, form, what, root, jessy):
    path = Store(root).place(load_state(root, "tiny").steps[step].object) / name
    path.chmod(0o644)
    with path.open("r+b") as handle:
        handle.seek(-9, 2)
        handle.write(b"x")
    assert "error[E301]" in jessy(what, "--as", form, "-o", "out", code=1)
    assert not (root / "out").exists()


def test_a_disk_without_room_is_said_before_anything_is_written(root, jessy, monkeypatch):
    free = shutil.disk_usage(root)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: free)
    for form, *more in (("modelfile",), ("gguf",), ("mlx",), ("hf",), ("peft",), ("gguf", "--quantize", "f16")):
        assert "error[E300]: `out` would take" in jessy("tiny", "--as", form, *more, "-o", "out", code=1)
    assert not (root / "out").exists()


def test_an_export_fills_its_own_folder_again_and_nobody_elses(root, jessy):
    jessy("tiny", "-o", "out")
    jessy("tiny", "--as", "mlx", "-o", "out")
    assert files(root / "out") == [
        "config.json", "generation_config.json", "jessy-export.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip
    (root / "out" / "notes.txt").write_text("mine")
    assert "`notes.txt`" in jessy("tiny", "-o", "out", code=1)
    assert "config.json" in files(root / "out")


def test_a_stop_leaves_nothing_behind(root, jessy, monkeypatch):
    from jessyfile.commands import signals

    monkeypatch.setattr(signals.SignalStop, "requested", lambda self: True)
    said = jessy("tiny", "--as", "mlx", "-o", "out", "--dtype", "float16", code=130)
    assert "resume with: jessy export tiny --as mlx --output out --dtype float16" in said
    assert not (root / "out").exists()


def test_a_folder_filled_anew_keeps_nothing_of_the_filling_before(tmp_path):
    for names in (("a", "b"), ("b", "c")):
        with fill_folder(tmp_path / "out", "list.json") as staging:
            for name in (*names, "list.json"):
                (staging / name).write_text("{}")
    assert files(tmp_path / "out") == ["b", "c", "list.json"]


def test_every_form_of_the_command_is_written_by_a_function():
    from jessyfile.commands.export import export

    (form,) = [one for one in export.params if one.name == "form"]
    assert list(form.type.choices) == list(forms.FORMS)


def test_a_model_in_the_store_of_ollama_is_exported_from_ours(root, jessy):
    """For Ollama the registration holds no path: the file is the stored one, and must have the hash that was given away."""
    path = root / ".jessy" / "models" / "tiny" / "latest.json"
    body = json.loads(path.read_text())
    path.write_text(json.dumps({**body, "engine": "ollama", "gguf": None, "ollama": "http://127.0.0.1:9"}))
    assert "is not in the store any more" in jessy("tiny", "--as", "gguf", code=1)  # no run registered it so
    for record in (root / ".jessy" / "actions" / "s-import").iterdir():
        told = unsealed(record.read_bytes())
        told["facts"] |= {"engine": "ollama", "model": model_id(lookup(root, "tiny"))}
        record.write_text(sealed(told))
    jessy("tiny", "--as", "gguf")


def test_the_hub_s_folder_has_a_card_with_what_was_measured_and_no_place_of_this_machine(root, jessy):
    import yaml

    assert "next: hf upload YOU/tiny tiny-hf" in jessy("tiny", "--as", "hf")
    text = (root / "tiny-hf" / "README.md").read_text()
    _, front, body = text.split("---\n", 2)
    told = yaml.safe_load(front)
    assert (told["license"], told["language"], told["library_name"]) == ("gemma", ["tr"], "transformers")
    assert "base_model" not in told  # a GGUF of one's own is nowhere on the hub
    assert "| MUST | `training_time < 1h` |" in body
    assert "n=1 | pass |" in body
    assert "Kısa konuş." in body
    assert "turkish/casual" in body
    assert "lora.rank = 4" in body
    assert "rows of at most 256 tokens" in body
    assert str(root) not in text
    assert "127.0.0.1" not in text
    assert "JESSY_MODEL" not in text
    assert read_json_bytes(root / "tiny-hf" / "config.json")["architectures"] == ["Gemma3ForCausalLM"]


def read_json_bytes(path: Path) -> dict:
    return json.loads(path.read_bytes())


def test_a_card_says_what_is_poor(root, jessy):
    for record in (root / ".jessy" / "actions" / "s-judge").iterdir():
        told = unsealed(record.read_bytes())
        (one,) = told["facts"]["criteria"]
        share = {**one["criterion"], "metric": "no_loops", "value": 0.9, "comparison": ">"}
        failed = {
            **one,
            "criterion": share,
            "unit": "share",
            "value": 0.5,
            "n": 8,
            "low": 0.2,
            "high": 0.8,
            "passed": False,
        }
        told["facts"]["criteria"] = [failed, {**failed, "passed": True, "value": 1, "low": 0.7, "high": 1}]
        record.write_text(sealed(told))
    jessy("tiny", "--as", "hf")
    text = (root / "tiny-hf" / "README.md").read_text()
    assert "It failed what its recipe demands: no_loops." in text
    assert "- `no_loops > 90%` was not reached: 50% [20%, 80%] n=8." in text
    assert "- `no_loops > 90%` rests on 8 cases." in text


def test_a_card_survives_what_gc_took(root, jessy):
    steps = load_state(root, "tiny").steps
    shutil.rmtree(Store(root).folder / steps["dataset"].object)
    for record in (root / ".jessy" / "actions" / "s-judge").iterdir():
        record.unlink()
    jessy("tiny", "--as", "hf")
    text = (root / "tiny-hf" / "README.md").read_text()
    assert "The figures of its training data are not in the project any more." in text
    assert "Nothing is known of how good it is" in text


def test_texts_of_a_user_do_not_break_out_of_their_place_in_the_card(root, jessy):
    entry = root / ".jessy" / "models" / "tiny" / "latest.json"
    body = json.loads(entry.read_text())
    body["served"]["system"] = "```\n# owned\n{{ 7 * 7 }} \u202e ````"
    entry.write_text(json.dumps(body))
    jessy("tiny.jessy", "--as", "hf", "-o", "plain")
    shutil.rmtree(root / ".jessy" / "actions" / "s-import")
    from jessyfile.export.lineage import Lineage
    from jessyfile.export.model_card import model_card
    from jessyfile.results.served import Served
    from jessyfile.results.typed_json import read_as

    config = read_json_bytes(root / "plain" / "config.json")
    text = model_card(Lineage(Store(root), "tiny", {}), read_as(Served, body["served"], "x"), ("MIT",), config)
    assert "`````text\n```\n# owned\n{{ 7 * 7 }} \\u202e ````\n`````" in text
    assert "a base that is not known any more" in text


@pytest.mark.parametrize("form", ["adapter", "peft"])
def test_the_adapter_leaves_alone_with_a_word_about_its_base(form, root, jessy, capsys):
    assert main(["export", "tiny", "--as", form]) == 0
    assert "trained on the numbers of a GGUF" in capsys.readouterr().err
    name = {"adapter": "adapters.safetensors", "peft": "adapter_model.safetensors"}[form]
    assert files(root / f"tiny-{form}") == ["adapter_config.json", name, "jessy-export.json"]


def test_an_adapter_on_another_adapter_is_refused(root, jessy):
    for record in (root / ".jessy" / "actions" / "s-base").iterdir():
        told = unsealed(record.read_bytes())
        told["facts"]["adapter"] = "sha256:0"
        record.write_text(sealed(told))
    assert "with another adapter in it" in jessy("tiny", "--as", "peft", code=1)
    assert not (root / "tiny-peft").exists()
