"""How a model is served, beside its weights: `served.json`, and a part of every registration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jessyfile.language.recipe import Complexity, Message

ParameterValue = float | int | bool | str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Served:
    """What an engine needs to ask a model as it was trained, and what a reader needs to read its answers.

    `parameters` are named as Ollama's are; `stop` is a tuple, for it may come several times. `complexity` holds the
    levels and the marker that its answers begin with.
    """

    name: str
    chat_format: str
    system: str | None
    messages: tuple[Message, ...]
    parameters: Mapping[str, ParameterValue]
    complexity: Complexity


@dataclass(frozen=True, slots=True)
class Retrieval:
    """The index that a model retrieves from: its folder, as written relative to the root, and its digest; how many of the nearest
    rows stand before a question, and from which nearness a row's answer is given as it stands (None: never).
    """

    folder: str
    digest: str
    examples: int
    answer: float | None
