"""From a registration to what answers at a desk: the engine with its model loaded, the thinker before it, and what the model is."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.engines.engine import GenerationSettings
from jessyfile.engines.promoted import Registered, thought_complexity
from jessyfile.engines.serving import engine_of, served_model, served_of
from jessyfile.errors import ModelError
from jessyfile.export.registry import LATEST, check_served, model_id
from jessyfile.models.chat_format import chat_format
from jessyfile.serve.remembered import Markers
from jessyfile.thinking.route import Deadline
from jessyfile.thinking.thinker import Thinker, thinker_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jessyfile.engines.engine import Engine
    from jessyfile.export.registry import Registration
    from jessyfile.language.recipe import Complexity, Message
    from jessyfile.results.served import ParameterValue, Served
    from jessyfile.thinking.thought import OnEvent, Thought, Wishes


@dataclass(frozen=True, slots=True)
class ServedFacts:
    """What a served model is. `name` is what clients call it, `id` names everything about it; `size` is in bytes, `since` in ISO 8601.

    `parameters`, `family`, `quantization` and `context` are 0 and empty where an Ollama keeps the file.
    """

    name: str
    tag: str
    id: str
    digest: str
    since: str
    engine: str
    complexity: Complexity
    settings: GenerationSettings
    chat_format: str
    system: str | None = None
    listed: tuple[tuple[str, ParameterValue], ...] = ()
    size: int = 0
    parameters: int = 0
    family: str = ""
    quantization: str = ""
    context: int = 0

    @property
    def called(self) -> str:
        """Its name as clients are told it: without a tag for what is promoted."""
        return self.name if self.tag == LATEST else f"{self.name}:{self.tag}"

    @property
    def tagged(self) -> str:
        """Its name with the tag, as Ollama's clients know models."""
        return f"{self.name}:{self.tag}"

    @property
    def created(self) -> int:
        """When it was registered, in seconds since 1970; 0 where that is not known."""
        with contextlib.suppress(ValueError):
            return int(datetime.fromisoformat(self.since).astimezone(UTC).timestamp())
        return 0

    @property
    def template(self) -> str:
        """Its chat format as Ollama's clients read one."""
        return chat_format(self.chat_format).go_template()


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that is ready to answer, with the markers of what it answered lately. Several threads may ask it."""

    facts: ServedFacts
    engine: Engine
    thinker: Thinker
    markers: Markers

    @property
    def parallel(self) -> int:
        """How many answers it gives at once."""
        return self.engine.parallel

    def answer(self, messages: Sequence[Message], wishes: Wishes, on_event: OnEvent) -> Thought:
        """Answer a conversation whose earlier answers come without their markers."""
        asked = self.markers.restore(messages, self.facts.complexity)
        thought = self.thinker.answer(asked, wishes, on_event)
        self.markers.keep(thought.text, thought.level, thought.asked)
        return thought

    def unload(self) -> None:
        """Give the memory back."""
        self.thinker.close()
        self.engine.unload()


def loader(root: Path, most_tokens: int) -> Callable[[Registration], LoadedModel]:
    """Return what loads a registered model: its file checked, its engine with the rows that it retrieves, as `jessy chat` asks it.

    Args:
        root: the project's root folder.
        most_tokens: the longest answer.

    Returns:
        The function; it raises DamagedError and EngineError.
    """
    markers = Markers()

    def load(entry: Registration) -> LoadedModel:
        check_served(root, entry)
        model = served_model(entry, most_tokens)
        deadline = Deadline()
        engine = engine_of(entry, deadline)
        engine.load(model)
        facts = facts_of(entry, served_of(entry), model.settings)
        found = Registered(entry, facts.complexity)
        thinker = replace(thinker_of(root, found, engine, model, deadline), speaker=facts.called)
        return LoadedModel(facts, engine, thinker, markers)

    return load


@dataclass(frozen=True, slots=True)
class _File:
    size: int = 0
    parameters: int = 0
    family: str = ""
    quantization: str = ""
    context: int = 0


def facts_of(entry: Registration, served: Served, settings: GenerationSettings) -> ServedFacts:
    """Return what a registered model is, its file read as far as its header."""
    file = _file(entry)
    return ServedFacts(
        name=entry.name,
        tag=entry.tag,
        id=model_id(entry),
        digest=entry.answering,
        since=entry.since,
        engine=entry.engine,
        complexity=thought_complexity(entry),
        settings=settings,
        chat_format=served.chat_format,
        system=served.system,
        listed=tuple(served.parameters.items()),
        size=file.size,
        parameters=file.parameters,
        family=file.family,
        quantization=file.quantization,
        context=file.context or settings.num_ctx,
    )


def _file(entry: Registration) -> _File:
    if entry.gguf is None:
        return _File()
    from jessyfile.export.tensor_types import FILE_TYPES
    from jessyfile.models.gguf_reader import read_gguf

    path = Path(entry.gguf)
    try:
        found = read_gguf(path)
    except ModelError:  # loading it says more
        return _File()
    family = str(found.metadata.get("general.architecture", ""))
    kinds = {number: name for name, (_, number) in FILE_TYPES.items()}
    return _File(
        path.stat().st_size,
        sum(math.prod(tensor.shape) for tensor in found.tensors.values()),
        family,
        kinds.get(found.metadata.get("general.file_type", -1), "").upper(),
        int(found.metadata.get(f"{family}.context_length", 0) or 0),
    )
