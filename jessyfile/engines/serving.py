"""From a registration or a recipe to an engine with its model: who serves, and with which settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.dataset.marker import marked
from jessyfile.engines.engine import SAMPLING, GenerationSettings, ServedModel
from jessyfile.errors import EngineError, StateError
from jessyfile.results.served import ParameterValue, Served
from jessyfile.results.typed_json import read_as

if TYPE_CHECKING:
    from jessyfile.engines.engine import Engine
    from jessyfile.export.registry import Registration
    from jessyfile.language.recipe import Complexity
    from jessyfile.planning.steps import Stop

_RANDOM_SEED = -1


def settings_of(parameters: Mapping[str, ParameterValue], max_tokens: int) -> GenerationSettings:
    """Return the settings that a model's parameters ask for, an answer never longer than `max_tokens`.

    A seed of -1 (a new one each time) becomes the fixed default: what is measured must be repeatable. Raises StateError
    for a value that is none of its key.
    """
    given = {key: parameters[key] for key in SAMPLING if key in parameters}
    if given.get("seed") == _RANDOM_SEED:
        del given["seed"]
    wished = parameters.get("num_predict")
    longest = min(max_tokens, wished) if isinstance(wished, int) and wished > 0 else max_tokens
    stop = parameters.get("stop", ())
    stops = (stop,) if isinstance(stop, str) else stop
    return read_as(GenerationSettings, {**given, "max_tokens": longest, "stop": stops}, "the model's parameters")


def served_model(entry: Registration, max_tokens: int) -> ServedModel:
    """Return the model that a registration describes. Raises EngineError for one that does not."""
    try:
        return described(f"{entry.name}:{entry.tag}", entry.gguf, served_of(entry), max_tokens)
    except StateError as error:
        raise _unusable(entry) from error


def served_of(entry: Registration) -> Served:
    """Return how a registered model is served. Raises EngineError when its record does not fit."""
    try:
        return read_as(Served, entry.served, "the registration")
    except StateError as error:
        raise _unusable(entry) from error


def _unusable(entry: Registration) -> EngineError:
    if entry.engine == "ollama" and not entry.served:
        hint = f"ask it with `ollama run {entry.name}:{entry.tag}`"
        return EngineError(f"jessy did not make {entry.name}:{entry.tag}, and does not know how it is asked", hint=hint)
    return EngineError(f"the registration of {entry.name}:{entry.tag} is not usable", hint="run `jessy apply` again")


def described(name: str, path: str | Path | None, served: Served, max_tokens: int) -> ServedModel:
    """Return the description from which an engine loads a model.

    Args:
        name: the name to load or ask under.
        path: the GGUF file; None for a model that a server holds.
        served: chat format, system prompt, example messages and sampling parameters.
        max_tokens: the most tokens of one answer.

    Returns:
        The model as an engine takes it.
    """
    threads, layers = served.parameters.get("num_thread"), served.parameters.get("num_gpu")
    return ServedModel(
        name=name,
        path=Path(path) if path is not None else None,
        chat_format=served.chat_format,
        system=served.system,
        messages=served.messages,
        settings=settings_of(served.parameters, max_tokens),
        threads=threads if isinstance(threads, int) and threads else None,
        gpu_layers=layers if isinstance(layers, int) and layers >= 0 else None,
    )


def engine_of(
    entry: Registration, stop: Stop | None = None, *, evaluating: bool = False, retrieving: bool = True
) -> Engine:
    """Return what answers for a registration: its engine, which shows the model the rows that it retrieves unless not `retrieving`.

    Args:
        entry: the registration, its paths absolute.
        stop: asked by an engine that waits for a server.
        evaluating: whether an Ollama forgets the model before it loads it, the embedded engine takes more slots, and rows that are served
            and not measured are left out.
        retrieving: whether rows stand before a question, where the model was registered with an index.

    Returns:
        An engine without a model.

    Raises:
        DamagedError: the index is not the one that was registered.
        EngineError: the engine is unknown.
    """
    engine = _plain_engine(entry, stop, evaluating=evaluating)
    if entry.retrieval is None or not retrieving:
        return engine
    from jessyfile.engines.retriever import retrieving as with_rows

    found = with_rows(engine, entry.retrieval, _quote_marker(served_of(entry).complexity))
    return replace(found, examples=found.examples.measured()) if evaluating else found


def _quote_marker(complexity: Complexity) -> str:
    """Return the line that a quote begins with, as answers do: that of the least level."""
    level = complexity.levels[0] if complexity.levels else None
    return marked(complexity.marker, level.name, level.iterations[0], "") if level is not None else ""


def served_with_rows(entry: Registration) -> bool | None:
    """Return whether those whom a registration serves ask with rows before their questions: clients of an Ollama send bare ones.
    None for a model without an index."""
    return None if entry.retrieval is None else entry.engine != "ollama"


def _plain_engine(entry: Registration, stop: Stop | None, *, evaluating: bool) -> Engine:
    if entry.engine == "embedded":
        from jessyfile.engines.llamacpp_engine import LlamaCpp

        return LlamaCpp(evaluating=evaluating)
    if entry.engine == "ollama":
        from jessyfile.engines.ollama_engine import Ollama

        return Ollama(str(entry.ollama), stop=stop, cold=evaluating)
    raise EngineError(f"nothing serves models of the engine `{entry.engine}`", hint="update jessy")


@contextmanager
def loaded(engine: Engine, model: ServedModel) -> Iterator[float]:
    """Hold a model in an engine during the block; yield the seconds that loading took."""
    seconds = engine.load(model)
    try:
        yield seconds
    finally:
        engine.unload()
