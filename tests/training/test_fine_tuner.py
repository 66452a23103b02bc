"""The fine-tuner is `apply` without a project: the same rows give the same adapter, whatever file they come from."""

import json
import math
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from mlx_lm.tuner.utils import load_adapters
from tiny import tiny_model

from jessyfile import (
    Category,
    Complexity,
    DatasetError,
    Language,
    LoRAConfig,
    MLXFineTuner,
    ModelError,
    ProjectError,
    TrainingConfig,
    TrainingDataset,
    TrainingError,
    TrainingExample,
    TrainingMetrics,
    apply,
)
from jessyfile.models.load import load_model
from jessyfile.models.tokenizer import load_tokenizer

SMALL = LoRAConfig(4, 8, ["q_proj", "v_proj"], 0.0)
SHORT = TrainingConfig(epochs=2, batch_size=3, learning_rate=1e-3, warmup_steps=1, gradient_accumulation=1)
ASKED = ("selam", "naber", "bugün ne yapsak", "film önersene", "hava nasıl", "iyi geceler", "canım sıkıldı", "açım")
RECIPE = """JESSY 1
NAME tiny
FROM "./model"
DATASET {
  SEEDS "seeds"
  validation 20%
  CATEGORY turkish 8 "Small talk" {
    language tr
    level low
    TOPIC casual 8
  }
}
LORA {
  rank 4
  alpha 8
  targets q_proj v_proj
}
TRAIN {
  epochs 2
  batch_size 3
  learning_rate 1e-3
  warmup_steps 1
}
DEPLOY { engine embedded }
"""


def examples() -> list[TrainingExample]:
    return [
        TrainingExample(
            asked, f"{asked.capitalize()} dedin, ben de buradayım {n}.", Complexity.LOW, 1, Category("turkish"),
            Language.TURKISH, topic="casual",
        )
        for n, asked in enumerate(ASKED)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny") / "model")


def tuner(model: Path, **changes: object) -> MLXFineTuner:
    return MLXFineTuner(model, SMALL, SHORT, **changes)


def weights(folder: Path) -> bytes:
    return (folder / "adapters.safetensors").read_bytes()


def test_it_trains_the_adapter_that_apply_trains(tmp_path: Path) -> None:
    tiny_model(tmp_path / "model")
    (tmp_path / "seeds" / "turkish").mkdir(parents=True)
    TrainingDataset(examples()).save(tmp_path / "seeds" / "turkish" / "casual.jsonl", "jessy")
    (tmp_path / "tiny.jessy").write_text(RECIPE, "utf-8")
    result = apply(tmp_path / "tiny.jessy", only=["train"])
    made = tuner(tmp_path / "model")
    assert made.load_training_data(result.step("dataset").folder) == 6
    made.train()
    made.save_adapter(tmp_path / "adapter")
    assert weights(tmp_path / "adapter") == weights(result.step("train").folder)


@pytest.mark.parametrize("form", ["sharegpt", "messages", "jessy", "completions"])
def test_every_form_that_jessy_writes_trains_the_same_adapter(tmp_path: Path, model: Path, form: str) -> None:
    in_code, in_file = tuner(model), tuner(model)
    TrainingDataset(examples()).save(tmp_path / "rows.jsonl", form)
    assert in_code.load_training_data(examples()) == in_file.load_training_data(str(tmp_path / "rows.jsonl")) == 8
    assert in_code.train().loss == in_file.train().loss
    folders = [one.save_adapter(tmp_path / name) for name, one in (("code", in_code), ("file", in_file))]
    assert weights(folders[0]) == weights(folders[1])


def test_the_metrics_follow_the_training_and_are_told_as_it_goes(model: Path) -> None:
    heard: list[TrainingMetrics] = []
    made = tuner(model, watchers=[heard.append])
    made.load_training_data(examples())
    last = made.train(epochs=3, batch_size=4)
    assert [(one.epoch, one.iteration) for one in heard] == [(1, 1), (1, 2), (2, 3), (2, 4), (3, 5), (3, 6)]
    assert tuple(heard) == made.history
    assert last == heard[-1]
    assert last.time_elapsed > heard[0].time_elapsed > 0
    assert last.memory_usage > 0
    assert last.tokens_per_second > 0
    assert 0 < last.cpu_utilization <= 1


def test_it_learns_and_says_so_on_other_rows(tmp_path: Path, model: Path) -> None:
    made = MLXFineTuner(model, LoRAConfig(8, 16, lora_dropout=0.0), TrainingConfig(1, 4, 2e-2, 0, 1))
    before = made.evaluate(examples())
    assert before.loss == pytest.approx(math.log(before.perplexity))
    made.load_training_data(examples())
    made.train(epochs=8)
    after = made.evaluate(examples())
    assert after.loss < before.loss - 0.3
    assert after.token_accuracy > before.token_accuracy
    assert (after.rows, after.tokens) == (before.rows, before.tokens)
    folder = made.save_adapter(tmp_path / "adapter")
    assert json.loads((folder / "training.json").read_text("utf-8"))["training"]["updates"] == len(made.history)


def test_mlx_lm_reads_the_saved_adapter_and_answers_as_the_trained_model(tmp_path: Path, model: Path) -> None:
    """The folder had no `num_layers` and no `lora_parameters`: mlx-lm's own loader stopped at it."""
    made = MLXFineTuner(model, LoRAConfig(4, 8, ["q_proj", "down_proj"], 0.0), SHORT)
    made.load_training_data(examples())
    made.train()
    folder = made.save_adapter(tmp_path / "adapter")
    ids = mx.array([load_tokenizer(model).encode("selam naber")])
    plain, theirs = load_model(model)[0], load_adapters(load_model(model)[0], str(folder))
    ours = made._model(made._recipe(SHORT))
    np.testing.assert_array_equal(np.array(ours(ids)), np.array(theirs(ids)))
    assert not np.array_equal(np.array(plain(ids)), np.array(ours(ids)))


def test_a_folder_as_mlx_lm_reads_it_gives_rows_to_train_and_rows_to_hold_out(tmp_path: Path, model: Path) -> None:
    TrainingDataset(examples()[:6]).save(tmp_path / "train.jsonl")
    TrainingDataset(examples()[6:]).save(tmp_path / "valid.jsonl")
    made = tuner(model)
    assert made.load_training_data(tmp_path) == 6
    made.train()
    made.save_adapter(tmp_path / "adapter")
    facts = json.loads((tmp_path / "adapter" / "training.json").read_text("utf-8"))["training"]
    assert facts["best_validation_loss"] is not None
    assert made.evaluate(tmp_path).rows == 2


def test_a_row_keeps_its_own_system_prompt(tmp_path: Path, model: Path) -> None:
    """A system turn of a file was dropped without a word: the model was trained without what it is asked with."""
    turns = [{"role": "user", "content": "selam"}, {"role": "assistant", "content": "Selam, buradayım."}]
    system = {"role": "system", "content": "Kısa konuş, sıcak ol."}
    losses = []
    for name, lead in (("with", [system]), ("without", [])):
        path = tmp_path / f"{name}.jsonl"
        path.write_text(json.dumps({"messages": [*lead, *turns]}) + "\n", "utf-8")
        made = tuner(model)
        made.load_training_data(path)
        losses.append(made.evaluate(path).loss)
    assert losses[0] != losses[1]


def test_messages_in_parts_are_text_and_pictures_are_refused(tmp_path: Path, model: Path) -> None:
    path = tmp_path / "rows.jsonl"
    asked = {"role": "user", "content": [{"type": "text", "text": "selam"}]}
    answer = {"role": "assistant", "content": "Selam, buradayım."}
    path.write_text(json.dumps({"messages": [asked, answer]}) + "\n", "utf-8")
    assert tuner(model).load_training_data(path) == 1
    picture = {"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}
    path.write_text(json.dumps({"messages": [asked, answer, picture, answer]}) + "\n", "utf-8")
    with pytest.raises(DatasetError, match=r"rows\.jsonl:1: holds a message that is not text"):
        tuner(model).load_training_data(path)


BAD_ROWS = {
    "nothing": "",
    "no object": "7\n",
    "no answer": '{"messages": [{"role": "user", "content": "a"}]}\n',
    "another form": '{"text": "a"}\n',
    "empty answer": '{"prompt": "a", "completion": " "}\n',
    "own form without answer": '{"query": "a"}\n',
    "own form with strange turns": '{"query": "a", "response": "b", "turns": 3}\n',
    "a control token": '{"prompt": "a<end_of_turn>", "completion": "b"}\n',
    "no answer to learn": '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0}]}\n',
    "damaged row of a step": '{"kind": "chat", "levels": [], "messages": 3}\n',
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_what_is_no_row_is_an_error_with_its_line(tmp_path: Path, model: Path, name: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(BAD_ROWS[name], "utf-8")
    with pytest.raises(DatasetError, match=r"rows\.jsonl") as caught:
        tuner(model).load_training_data(path)
    assert name == "nothing" or "rows.jsonl:1" in str(caught.value)


def test_what_cannot_be_trained_is_an_error_of_the_house(tmp_path: Path, model: Path) -> None:
    made = tuner(model)
    with pytest.raises(TrainingError, match="no rows"):
        made.train()
    with pytest.raises(TrainingError, match="no adapter to save"):
        made.save_adapter(tmp_path / "adapter")
    with pytest.raises(DatasetError, match="no rows"):
        made.load_training_data([])
    with pytest.raises(DatasetError, match=r"no train\.jsonl"):
        made.load_training_data(tmp_path)
    made.load_training_data(examples())
    for values in ({"epochs": 0}, {"batch_size": True}, {"epochs": "2"}):
        with pytest.raises(TrainingError, match=next(iter(values))):
            made.train(**values)
    with pytest.raises(TrainingError, match="precision"):
        tuner(model, precision="int3")
    with pytest.raises(ModelError, match="does not exist"):
        tuner(tmp_path / "nowhere")
    short = MLXFineTuner(model, SMALL, TrainingConfig(warmup_steps=0, max_length=16))
    short.load_training_data([TrainingExample("çok uzun " * 60, "Tamam, dinliyorum.", "low", 1, "turkish", "tr")])
    with pytest.raises(TrainingError, match="no token would be trained"):
        short.train()


def test_a_warm_up_beyond_the_end_is_told(model: Path) -> None:
    """The defaults warm up for fifty updates: with ten rows the rate stayed at a fiftieth, and nothing said so."""
    made = MLXFineTuner(model, SMALL, TrainingConfig(epochs=1))
    made.load_training_data(examples())
    with pytest.warns(UserWarning, match="warmup_steps 50 is more than the 1 updates"):
        made.train()


def test_a_folder_that_jessy_did_not_fill_is_left_alone(tmp_path: Path, model: Path) -> None:
    made = tuner(model)
    made.load_training_data(examples())
    made.train(epochs=1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep", "utf-8")
    with pytest.raises(ProjectError, match=r"notes\.txt"):
        made.save_adapter(tmp_path / "mine")
    folder = made.save_adapter(tmp_path / "own")
    made.train(epochs=2)
    assert made.save_adapter(tmp_path / "own") == folder
    (folder / "adapters.safetensors").write_bytes(b"mine now")
    with pytest.raises(ProjectError, match="changed since"):
        made.save_adapter(folder)


def test_an_interrupted_training_goes_on_where_it_was(tmp_path: Path, model: Path) -> None:
    whole = tuner(model)
    whole.load_training_data(examples())
    whole.train()

    def interrupt(metrics: TrainingMetrics) -> None:
        if metrics.iteration == 4 and not told:
            told.append(metrics)
            raise KeyboardInterrupt

    told: list[TrainingMetrics] = []
    made = tuner(model, watchers=[interrupt])
    made.load_training_data(examples())
    with pytest.raises(KeyboardInterrupt):
        made.train()
    made.train()
    assert [one.loss for one in made.history] == [one.loss for one in whole.history]
    folders = [one.save_adapter(tmp_path / name) for name, one in (("whole", whole), ("again", made))]
    assert weights(folders[0]) == weights(folders[1])
