"""Configurations and metrics hold only what can be meant."""

from __future__ import annotations

import pytest

from jessyfile import (
    ConvergenceError,
    EvaluationError,
    EvaluationMetrics,
    InsufficientMemoryError,
    LoRAConfig,
    TrainingConfig,
    TrainingError,
    TrainingMetrics,
    load_recipe,
)

BAD_LORA = [
    {"r": 0},
    {"r": -4},
    {"r": 2.5},
    {"r": "16"},
    {"r": True},
    {"r": 10_000},
    {"lora_alpha": 0},
    {"lora_alpha": float("nan")},
    {"lora_alpha": float("inf")},
    {"lora_dropout": 1},
    {"lora_dropout": -0.1},
    {"target_modules": []},
    {"target_modules": ["q_proj", "q_proj"]},
    {"target_modules": ["query"]},
    {"target_modules": None},
    {"bias": "all"},
]
BAD_TRAINING = [
    {"epochs": 0},
    {"epochs": 1.5},
    {"batch_size": 0},
    {"learning_rate": 0},
    {"learning_rate": -1e-4},
    {"learning_rate": float("nan")},
    {"learning_rate": "1e-4"},
    {"warmup_steps": -1},
    {"gradient_accumulation": 0},
]


@pytest.mark.parametrize("values", BAD_LORA)
def test_an_adapter_that_a_recipe_would_refuse_is_refused(values):
    with pytest.raises(TrainingError, match=next(iter(values))) as caught:
        LoRAConfig(**values)
    assert caught.value.hint or float(values["lora_alpha"]) != 0


@pytest.mark.parametrize("values", BAD_TRAINING)
def test_a_training_that_a_recipe_would_refuse_is_refused(values):
    with pytest.raises(TrainingError, match=next(iter(values))):
        TrainingConfig(**values)


def test_one_target_may_be_given_as_its_name():
    assert LoRAConfig(target_modules="q_proj").to_lora().targets == ("q_proj",)


def test_a_configuration_is_what_the_recipe_with_these_values_says(tmp_path):
    (tmp_path / "x.jessy").write_text(
        'JESSY 1\nNAME x\nFROM gemma3:270m\nDATASET {\n  CATEGORY turkish 5 "T"\n}\n'
        "LORA {\n  rank 4\n  alpha 8\n  dropout 0.1\n  targets v_proj o_proj\n}\n"
        "TRAIN {\n  epochs 2\n  batch_size 4\n  learning_rate 2e-4\n  warmup_steps 7\n  grad_accumulation 3\n}\n",
        "utf-8",
    )
    recipe = load_recipe(str(tmp_path / "x.jessy")).recipe
    assert recipe is not None
    assert LoRAConfig(4, 8, ["v_proj", "o_proj"], 0.1).to_lora() == recipe.lora
    assert TrainingConfig(2, 4, 2e-4, 7, 3).to_train() == recipe.train


def test_metrics_without_a_gpu_leave_it_out(capsys):
    TrainingMetrics(2, 40, 1.23456, 1e-4, None, 4.2, 61.0).log()
    assert capsys.readouterr().out == "Epoch 2, Iter 40: Loss 1.2346\n"


@pytest.mark.parametrize("share", [-0.1, 75, float("nan")])
def test_shares_are_shares(share):
    with pytest.raises(TrainingError, match="gpu_utilization"):
        TrainingMetrics(1, 1, 0.5, 1e-4, share, 4.2, 61.0)
    with pytest.raises(EvaluationError, match="personality_score"):
        EvaluationMetrics(0.9, 1.0, share, 0.9)
    with pytest.raises(EvaluationError, match="response_time_avg"):
        EvaluationMetrics(0.9, -1.0, 0.9, 0.9)


def test_an_error_of_training_says_what_to_do():
    assert TrainingError("no rows", hint="make some").handle() == "make some"
    assert TrainingError("no rows").handle() == "no rows"
    assert len(InsufficientMemoryError("x").handle().splitlines()) == 3
    assert len(ConvergenceError("x").handle().splitlines()) == 3
