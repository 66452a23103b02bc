"""A registration becomes a model with the settings that its recipe wrote."""

from __future__ import annotations

from dataclasses import replace

import pytest
from evaluation_fakes import served

from jessyfile.engines.engine import GenerationSettings
from jessyfile.engines.serving import engine_of, served_model, settings_of
from jessyfile.errors import EngineError
from jessyfile.export.registry import Registration
from jessyfile.language.recipe import Message

SERVED = served(
    messages=(Message("user", "selam"), Message("assistant", "[low 1]\nSelam!")),
    parameters={"temperature": 0.7, "num_ctx": 2048, "stop": ("<end_of_turn>",), "num_thread": 3, "num_gpu": -1},
)
ENTRY = Registration("embedded", served=SERVED, gguf="/x/model.gguf", name="tiny", tag="latest")


def test_a_registration_keeps_everything_the_recipe_said() -> None:
    model = served_model(ENTRY, 64)
    assert model.name == "tiny:latest"
    assert model.settings == GenerationSettings(temperature=0.7, max_tokens=64, num_ctx=2048, stop=("<end_of_turn>",))
    assert (model.threads, model.gpu_layers) == (3, None)
    shown = model.conversation([Message("user", "naber")])
    assert [turn.content for turn in shown] == ["selam", "[low 1]\nSelam!", "naber"]


@pytest.mark.parametrize(("num_predict", "longest"), [(16, 16), (999, 64), (-1, 64), (-2, 64)])
def test_an_answer_is_never_longer_than_either_limit(num_predict: int, longest: int) -> None:
    assert settings_of({"num_predict": num_predict}, 64).max_tokens == longest


def test_a_random_seed_becomes_a_fixed_one() -> None:
    """What is measured must be repeatable, whatever the recipe leaves to chance."""
    assert settings_of({"seed": -1}, 64).seed == GenerationSettings().seed
    assert settings_of({"seed": 7}, 64).seed == 7


@pytest.mark.parametrize(
    "broken", [{}, {**SERVED, "messages": [{"role": "user"}]}, {**SERVED, "parameters": {"top_k": "x"}}, None]
)
def test_a_broken_registration_is_one_clear_line(broken: object) -> None:
    with pytest.raises(EngineError, match="the registration of tiny:latest is not usable"):
        served_model(replace(ENTRY, served=broken), 64)


def test_an_engine_nobody_knows_is_refused() -> None:
    with pytest.raises(EngineError, match="vllm"):
        engine_of(replace(ENTRY, engine="vllm"))
