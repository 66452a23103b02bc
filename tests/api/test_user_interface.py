"""The classes, fields and uses that the user designed, written as the user writes them."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from jessyfile import (
    Category,
    ComparisonReport,
    Complexity,
    ConvergenceError,
    DatasetMetadata,
    EvaluationError,
    EvaluationMetrics,
    Evaluator,
    InsufficientMemoryError,
    Language,
    LoRAConfig,
    MLXFineTuner,
    ModelExporter,
    TrainingConfig,
    TrainingDataGenerator,
    TrainingDataset,
    TrainingError,
    TrainingExample,
    TrainingMetrics,
    ValidationReport,
    validate_training_data,
)
from jessyfile.evaluation import ask_model, evaluator
from jessyfile.models.gguf_container import ARRAY, STRING, pair_bytes, write_container
from jessyfile.models.reference import parse_reference
from jessyfile.models.resolve import nearby


def example(number=0, **change):
    values = {
        "query": f"Bugün {number} numaralı işi nasıl yapsam?",
        "response": "Önce kısa bir liste çıkar, sonra ilk adımdan başla.",
        "complexity": Complexity.LOW,
        "iterations_needed": 1,
        "category": Category.CONVERSATIONAL,
        "language": Language.TURKISH,
    }
    return TrainingExample(**(values | change))


def test_ten_conversational_examples_are_ten_turkish_and_low():
    generator = TrainingDataGenerator()
    examples = generator.generate_conversational(10)
    assert len(examples) == 10
    assert all(ex.language == Language.TURKISH for ex in examples)
    assert all(ex.complexity == Complexity.LOW for ex in examples)


def test_every_generator_gives_a_list_of_examples():
    generator = TrainingDataGenerator()
    made = [
        generator.generate_conversational(3),
        generator.generate_technical(3),
        generator.generate_philosophical(3),
        generator.generate_iteration_control(3),
    ]
    assert all(isinstance(examples, list) and len(examples) == 3 for examples in made)
    assert {ex.category for ex in made[0]} == {Category.CONVERSATIONAL}
    assert {ex.category for ex in made[1]} == {Category.TECHNICAL}
    assert {ex.category for ex in made[2]} == {Category.PHILOSOPHICAL}


def test_the_full_dataset_is_the_reference_mix_and_is_saved(tmp_path):
    dataset = TrainingDataGenerator().generate_full_dataset()
    assert isinstance(dataset, TrainingDataset)
    assert dataset.metadata.categories == {
        "turkish": 200,
        "technical": 100,
        "philosophical": 50,
        "iteration_control": 50,
    }
    assert validate_training_data(dataset).issues == []
    dataset.save(str(tmp_path / "train.jsonl"))
    assert TrainingDataset.load(tmp_path / "train.jsonl") == dataset
    assert validate_training_data(str(tmp_path / "train.jsonl")).issues == []


def test_what_the_generator_saves_is_sharegpt(tmp_path):
    generator = TrainingDataGenerator()
    generator.save_dataset([example(7)], str(tmp_path / "dataset.jsonl"))
    (line,) = (tmp_path / "dataset.jsonl").read_text("utf-8").splitlines()
    assert json.loads(line)["conversations"] == [
        {"from": "human", "value": "Bugün 7 numaralı işi nasıl yapsam?"},
        {
            "from": "jessy",
            "value": "Önce kısa bir liste çıkar, sonra ilk adımdan başla.",
            "metadata": {"complexity": "low", "iterations_used": 1, "response_time": "2s"},
        },
    ]


def test_an_example_has_the_fields_of_the_design():
    row = TrainingExample("Merhaba", "Merhaba, nasılsın?", Complexity.LOW, 1, Category.CONVERSATIONAL, Language.TURKISH)
    assert (row.query, row.response) == ("Merhaba", "Merhaba, nasılsın?")
    assert (row.complexity, row.iterations_needed) == (Complexity.LOW, 1)
    assert (row.category, row.language) == (Category.CONVERSATIONAL, Language.TURKISH)
    assert row.validate() is True
    assert row.to_mlx_format() == {
        "messages": [{"role": "user", "content": "Merhaba"}, {"role": "assistant", "content": "Merhaba, nasılsın?"}]
    }
    assert example(iterations_needed=3).validate() is False
    assert example(iterations_needed=10, complexity=Complexity.HIGH).validate() is False


def test_the_enums_are_those_of_the_design():
    assert [(level.name, level.value) for level in Complexity] == [("LOW", 1), ("MEDIUM", 2), ("HIGH", 3)]
    assert [category.name for category in Category] == ["CONVERSATIONAL", "TECHNICAL", "PHILOSOPHICAL"]
    assert [language.name for language in Language] == ["TURKISH", "ENGLISH", "MIXED"]


def test_a_dataset_balances_in_place_and_splits_by_the_training_share(tmp_path):
    examples = [example(n) for n in range(40)] + [example(n, category=Category.TECHNICAL) for n in range(40, 60)]
    dataset = TrainingDataset(examples, DatasetMetadata())
    assert not dataset.is_balanced()
    train, validation = dataset.split(0.9)
    assert (len(train), len(validation)) == (54, 6)
    assert dataset.balance() is None
    assert dataset.is_balanced()
    assert len(dataset.examples) == 40
    dataset.save(tmp_path / "train.jsonl")
    first = json.loads((tmp_path / "train.jsonl").read_text("utf-8").splitlines()[0])
    assert [message["role"] for message in first["messages"]] == ["user", "assistant"]


def test_validation_reports_issues():
    examples = [example(n) for n in range(10)]
    examples.append(example(11, category=Category.TECHNICAL, response="Evet."))
    examples.append(example(12, category=Category.PHILOSOPHICAL, iterations_needed=5))
    report = validate_training_data(TrainingDataset(examples))
    assert "Imbalanced categories" in report.issues
    assert any("row:11" in issue and "at least 10" in issue for issue in report.issues)
    assert any("row:12" in issue and "complexity mismatch" in issue for issue in report.issues)
    assert ValidationReport(["one"]).issues == ["one"]


def test_errors_say_what_to_do_in_order():
    memory, convergence = InsufficientMemoryError("too little").handle(), ConvergenceError("no progress").handle()
    assert issubclass(InsufficientMemoryError, TrainingError)
    assert issubclass(ConvergenceError, TrainingError)
    assert memory.index("batch") < memory.index("rank") < memory.index("close other applications")
    assert convergence.index("learning rate") < convergence.index("quality") < convergence.index("epochs")


def test_configurations_have_the_defaults_of_the_design():
    lora = LoRAConfig(r=16, lora_alpha=32, target_modules=["q_proj", "v_proj"], lora_dropout=0.05, bias="none")
    assert (lora.to_lora().rank, lora.to_lora().alpha, lora.to_lora().targets) == (16, 32, ("q_proj", "v_proj"))
    assert lora.target_modules == ["q_proj", "v_proj"]
    assert (LoRAConfig().r, LoRAConfig().lora_alpha, LoRAConfig().lora_dropout, LoRAConfig().bias) == (
        16,
        32,
        0.05,
        "none",
    )
    assert TrainingConfig() == TrainingConfig(
        epochs=3, batch_size=8, learning_rate=1e-4, warmup_steps=50, gradient_accumulation=4
    )
    train = TrainingConfig().to_train()
    assert (train.epochs, train.batch_size, train.learning_rate) == (3, 8, 1e-4)
    assert (train.warmup_steps, train.grad_accumulation) == (50, 4)


def test_metrics_log_one_line(capsys):
    TrainingMetrics(
        epoch=1,
        iteration=20,
        loss=0.5123,
        learning_rate=1e-4,
        gpu_utilization=0.75,
        memory_usage=4.2,
        time_elapsed=61.0,
    ).log()
    assert capsys.readouterr().out == "Epoch 1, Iter 20: Loss 0.5123, GPU 75.0%\n"


def test_the_evaluation_reports_four_lines():
    metrics = EvaluationMetrics(
        turkish_accuracy=0.92, response_time_avg=3.4, personality_score=0.91, iteration_efficiency=0.85
    )
    assert metrics.report().splitlines() == [
        "Turkish Understanding: 92.0%",
        "Avg Response Time: 3.40s",
        "Personality Preservation: 91.0%",
        "Iteration Efficiency: 85.0%",
    ]
    before = EvaluationMetrics(0.5, 2.0, 0.5, 0.5)
    assert ComparisonReport(before, metrics).changes.turkish_accuracy == pytest.approx(0.42)
    assert ComparisonReport(before, metrics).report().splitlines()[0] == "Turkish Understanding: 50.0% -> 92.0%"


@pytest.mark.real
@pytest.mark.stress
def test_a_fine_tuner_trains_one_epoch(tmp_path):
    """On the base that comes with the tests, which was never taught to answer: it begins at a loss of 6.1, and three updates,
    all that ten rows make, leave it at 4.2. So the file holds each of the ten rows twelve times; an epoch is thirty updates.
    """
    import mlx.core as mx

    TrainingDataset(TrainingDataGenerator().generate_conversational(10) * 12).save(tmp_path / "train.jsonl")
    config = TrainingConfig(learning_rate=1e-3, warmup_steps=3, gradient_accumulation=1)
    tuner = MLXFineTuner("gemma3:270m-pt", LoRAConfig(), config)
    tuner.load_training_data(str(tmp_path / "train.jsonl"))
    metrics = tuner.train(epochs=1, batch_size=4)
    assert metrics.loss < 2.0
    if mx.default_device() == mx.Device(mx.gpu):
        assert metrics.gpu_utilization > 0.5
    else:
        assert metrics.gpu_utilization is None


@pytest.fixture
def gemma_2b():
    """The base that the design names; without it on this machine there is nothing to train."""
    if nearby(parse_reference("gemma:2b", Path()), ask=True).path is None:
        pytest.skip("gemma:2b is not on this machine")


@pytest.mark.real
@pytest.mark.stress
@pytest.mark.usefixtures("gemma_2b")
def test_end_to_end(tmp_path):
    dataset = TrainingDataGenerator().generate_full_dataset()
    dataset.save(str(tmp_path / "train.jsonl"))
    tuner = MLXFineTuner("gemma:2b", LoRAConfig())
    tuner.load_training_data(str(tmp_path / "train.jsonl"))
    tuner.train(epochs=3, batch_size=8)
    tuner.save_adapter(str(tmp_path / "adapter"))
    exporter = ModelExporter()
    merged = exporter.merge_lora_weights("gemma:2b", str(tmp_path / "adapter"))
    gguf = exporter.convert_to_gguf(merged)
    exporter.import_to_ollama(gguf, "jessy-v2")
    assert Evaluator("jessy-v2").test_turkish_understanding() > 0.9


@pytest.mark.real
@pytest.mark.stress
def test_end_to_end_on_the_base_of_the_tests(tmp_path, monkeypatch):
    """The same calls on the 270M base that comes with the tests, served by the embedded engine: every number is measured, on four
    cases of a suite, the fewest that hold all three levels. It is too small, and sees too few rows here, for the design's 0.9.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ask_model, "QUICK", 4)
    monkeypatch.setattr(evaluator, "chosen_suites", partial(ask_model.chosen_suites, quick=True))
    dataset = TrainingDataset(TrainingDataGenerator().generate_conversational(10) * 4)
    dataset.save(str(tmp_path / "train.jsonl"))
    config = TrainingConfig(learning_rate=1e-3, warmup_steps=3, gradient_accumulation=1)
    tuner = MLXFineTuner("gemma3:270m-pt", LoRAConfig(), config)
    tuner.load_training_data(str(tmp_path / "train.jsonl"))
    tuner.train(epochs=1, batch_size=4)
    tuner.save_adapter(str(tmp_path / "adapter"))
    exporter = ModelExporter(engine="embedded")
    merged = exporter.merge_lora_weights("gemma3:270m-pt", str(tmp_path / "adapter"))
    gguf = exporter.convert_to_gguf(merged)
    exporter.import_to_ollama(gguf, "jessy-v2")
    asked = Evaluator("jessy-v2")
    assert 0 <= asked.test_turkish_understanding() <= 0.9
    assert 0 <= asked.verify_personality() <= 1
    times = asked.measure_response_times()
    assert set(times) == {"low", "medium", "high", "load"}
    assert times["low"] < 5
    assert times["load"] < 5
    with pytest.raises(EvaluationError, match="nothing says what its base is"):
        asked.compare_before_after()


def test_an_exporter_writes_a_modelfile(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tokens = (ARRAY, ["<bos>", "<start_of_turn>", "<end_of_turn>"])
    keys = [("general.architecture", STRING, "gemma"), ("tokenizer.ggml.tokens", *tokens)]
    write_container(tmp_path / "jessy-v2.gguf", [pair_bytes(*key) for key in keys], [])
    assert ModelExporter().create_modelfile("jessy-v2.gguf", "Sen JESSY'sin.").endswith("Modelfile")


@pytest.mark.real
@pytest.mark.stress
@pytest.mark.usefixtures("gemma_2b")
def test_an_evaluator_compares_before_and_after():
    tuned = Evaluator("jessy-v2", base="gemma:2b")
    assert tuned.test_turkish_understanding() > 0.9
    assert tuned.measure_response_times()["low"] < 5
    assert tuned.verify_personality() > 0.9
    assert isinstance(tuned.compare_before_after(), ComparisonReport)
