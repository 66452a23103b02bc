"""How a model is served, beside its weights: `served.json`, and a part of every registration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

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
class ServedPassages:
    """The index of passages that a model is shown: its folder, as written relative to the root, and its digest; how many of the nearest
    stand before a question, and from which likelihood one is quoted that says the answer (None: the model answers).
    """

    folder: str
    digest: str
    top: int
    quote: float | None


@dataclass(frozen=True, slots=True)
class Retrieval:
    """The index that a model retrieves from: its folder, as written relative to the root, and its digest; how many of the nearest
    rows stand before a question, and from which nearness a row's answer is given as it stands (None: never). Without rows (0) the
    folder and its digest are empty. `passages` are of documents.
    """

    folder: str
    digest: str
    examples: int
    answer: float | None
    passages: ServedPassages | None = None

    def under(self, root: Path) -> Retrieval:
        """Return it with its folders absolute."""
        passages = self.passages and replace(self.passages, folder=str(root / self.passages.folder))
        return replace(self, folder=str(root / self.folder) if self.examples else "", passages=passages)

    @property
    def anywhere(self) -> Retrieval:
        """It, wherever its folders lie."""
        return replace(self, folder="", passages=self.passages and replace(self.passages, folder=""))
