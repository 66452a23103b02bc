"""Other models that the questions of a level or a category go to: found, loaded when they are first needed, and let go."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.engines.adaptive import read_marker
from jessyfile.errors import EngineError, JessyError
from jessyfile.language.recipe import Message

if TYPE_CHECKING:
    from jessyfile.engines.engine import Engine, GenerationSettings, ServedModel
    from jessyfile.language.recipe import Complexity, Route
    from jessyfile.retrieval.levels import Vote
    from jessyfile.thinking.clock import Clock

SURE = 0.5  # of the nearest rows' vote: a category that has less is none


@dataclass(slots=True)
class Deadline:
    """Asked by an engine that waits for a server: whether the time of the question that this thread asks is over."""

    _own: threading.local = field(default_factory=threading.local)

    def set(self, clock: Clock | None) -> None:
        """Say by which clock this thread waits; None waits as long as it takes."""
        self._own.clock = clock

    def requested(self) -> bool:
        """Return whether it is over."""
        clock: Clock | None = getattr(self._own, "clock", None)
        return clock is not None and clock.over()


@dataclass(frozen=True, slots=True)
class Voice:
    """A model that can be asked: its engine, loaded, how it samples and marks its answers, and what it is called. `foreign` says that it
    never learned jessy's markers."""

    engine: Engine
    settings: GenerationSettings
    complexity: Complexity
    name: str
    digest: str
    foreign: bool = False
    deadline: Deadline = field(default_factory=Deadline)

    def heard(self, messages: Sequence[Message], own: Complexity) -> list[Message]:
        """Return a conversation as this model is shown it: without the markers of the recipe's own where it knows none."""
        if not self.foreign:
            return list(messages)
        return [
            Message(one.role, read_marker(one.content, own).text) if one.role == "assistant" else one
            for one in messages
        ]


@dataclass(slots=True)
class Routes:
    """Where a model's questions go. Nothing is loaded before it is needed; `close` lets everything go."""

    root: Path
    routes: tuple[Route, ...]
    own: str
    model: ServedModel
    _voices: dict[str, Voice] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, level: str | None, kind: Vote | None) -> Route | None:
        """Return the line by which a question goes to another model; that of its category comes first. None where it stays."""
        by_name = {one.name: one for one in self.routes}
        category = by_name.get(kind.level) if kind is not None and kind.share >= SURE else None
        found = category or by_name.get(level or "")
        return None if found is None or self._is_own(found) else found

    def voice(self, route: Route) -> Voice:
        """Return the model of a route, loaded.

        Raises:
            JessyError: it is not there, is damaged or does not answer, or its server is another machine that nobody allowed.
        """
        with self._lock:
            key = f"{route.model} {route.at or ''}"
            if key not in self._voices:
                self._voices[key] = self._loaded(route)
            return self._voices[key]

    def lost(self, voice: Voice) -> None:
        """Forget a model that stopped answering, so that it is looked for again next time."""
        with self._lock:
            self._voices = {key: one for key, one in self._voices.items() if one is not voice}

    def close(self) -> None:
        """Give the memory of all of them back."""
        with self._lock:
            for voice in self._voices.values():
                voice.engine.unload()
            self._voices = {}

    def _is_own(self, route: Route) -> bool:
        return route.at is None and route.model in (self.own, self.own.partition(":")[0])

    def _loaded(self, route: Route) -> Voice:
        return self._registered(route) if route.at is None else self._served(route, route.at)

    def _registered(self, route: Route) -> Voice:
        from jessyfile.engines.promoted import find
        from jessyfile.engines.serving import engine_of, served_model
        from jessyfile.export.registry import LATEST

        name, _, tag = route.model.partition(":")
        found, deadline = find(self.root, name, tag or LATEST), Deadline()
        model = served_model(found.entry, self.model.settings.max_tokens)
        engine = engine_of(found.entry, deadline)
        engine.load(model)
        return Voice(engine, model.settings, found.complexity, model.name, found.entry.digest, deadline=deadline)

    def _served(self, route: Route, url: str) -> Voice:
        from dataclasses import replace

        from jessyfile.engines.ollama_engine import Ollama
        from jessyfile.export.ollama_api import OllamaClient
        from jessyfile.language.recipe import Complexity
        from jessyfile.planning.consent import require, route_sends

        require(route_sends([route]))
        digest = OllamaClient(url).file_digest(route.model) or ""
        deadline = Deadline()
        engine = Ollama(url, keeps_examples=False, stop=deadline)
        engine.load(replace(self.model, name=route.model, path=None, threads=None, gpu_layers=None))
        settings = replace(self.model.settings, stop=())
        return Voice(engine, settings, Complexity((), None), f"{route.model} at {url}", digest, True, deadline)


def told(route: Route, error: JessyError) -> str:
    """Return why another model stands in for that of a route, in one sentence."""
    hint = f" ({error.hint})" if error.hint and not isinstance(error, EngineError) else ""
    return f"{route.model}, which ROUTE names for `{route.name}`, did not answer: {error.message}{hint}"
