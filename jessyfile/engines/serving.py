"""From a registration or a recipe to an engine with its model: who serves, and with which settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jessyfile.engines.engine import SAMPLING, ChatMessage, GenerationSettings, ServedModel
from jessyfile.errors import EngineError

if TYPE_CHECKING:
    from jessyfile.engines.engine import Engine

_RANDOM_SEED = -1


def settings_of(parameters: Mapping[str, Any], max_tokens: int) -> GenerationSettings:
    """Return the settings that a model's parameters ask for, an answer never longer than `max_tokens`.

    A seed of -1 (a new one each time) becomes the fixed default: what is measured must be repeatable.
    """
    given = {key: parameters[key] for key in SAMPLING if key in parameters}
    if given.get("seed") == _RANDOM_SEED:
        del given["seed"]
    wished = parameters.get("num_predict", max_tokens)
    longest = min(max_tokens, wished) if wished > 0 else max_tokens
    return GenerationSettings(**given, max_tokens=longest, stop=_texts(parameters.get("stop", ())))


def served_model(entry: Mapping[str, Any], max_tokens: int) -> ServedModel:
    """Return the model that a registration describes. Raises EngineError for one that does not."""
    served, name = entry.get("served") or {}, f"{entry.get('name')}:{entry.get('tag')}"
    try:
        model = described(name, entry.get("gguf"), served, max_tokens)
    except (KeyError, TypeError, ValueError) as error:
        raise EngineError(f"the registration of {name} is not usable", hint="run `jessy apply` again") from error
    return model


def described(name: str, path: str | Path | None, served: Mapping[str, Any], max_tokens: int) -> ServedModel:
    """Return a model from its `served.json`: chat format, system prompt, example messages and parameters."""
    parameters = served.get("parameters") or {}
    return ServedModel(
        name=name,
        path=Path(path) if path is not None else None,
        chat_format=served["chat_format"],
        system=served.get("system"),
        messages=messages_of(served.get("messages") or ()),
        settings=settings_of(parameters, max_tokens),
        threads=parameters.get("num_thread") or None,
        gpu_layers=_layers(parameters.get("num_gpu", -1)),
    )


def messages_of(turns: Sequence[Mapping[str, str]]) -> tuple[ChatMessage, ...]:
    """Return turns as messages."""
    return tuple(ChatMessage(turn["role"], turn["content"]) for turn in turns)  # type: ignore[arg-type]


def engine_of(entry: Mapping[str, Any]) -> Engine:
    """Return the engine that serves a registration. Raises EngineError for an unknown one."""
    if entry["engine"] == "embedded":
        from jessyfile.engines.llamacpp_engine import LlamaCpp

        return LlamaCpp()
    if entry["engine"] == "ollama":
        from jessyfile.engines.ollama_engine import Ollama

        return Ollama(str(entry["ollama"]))
    raise EngineError(f"nothing serves models of the engine `{entry['engine']}`", hint="update jessy")


@contextmanager
def loaded(engine: Engine, model: ServedModel) -> Iterator[float]:
    """Hold a model in an engine during the block; yield the seconds that loading took."""
    seconds = engine.load(model)
    try:
        yield seconds
    finally:
        engine.unload()


def _texts(value: object) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(map(str, value))  # type: ignore[call-overload]


def _layers(value: int) -> int | None:
    return None if value < 0 else value
