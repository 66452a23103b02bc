"""What an engine is: something that loads a model and answers.

Two engines keep this protocol: `llamacpp` (embedded llama.cpp) and `ollama` (over HTTP). An engine is used by one
thread unless `parallel` says how many requests it serves at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal, Protocol

from jessyfile.language.recipe import Message
from jessyfile.models.control_tokens import spelled_apart
from jessyfile.retrieval.levels import Vote

OnPiece = Callable[[str], bool]  # is shown the answer so far, "" while the prompt is read; ends it by returning True


@dataclass(frozen=True, slots=True)
class GenerationSettings:
    """How to sample, named as Ollama's parameters are.

    `temperature` 0 is greedy; `max_tokens` and `num_ctx` count tokens; `seed` makes sampling repeatable; a penalty or
    filter at its default is off; `schema` is the JSON schema, as text, that an answer is held to while it is made, empty for none.
    A conversation that leaves fewer than `reserve` tokens of the context window for its answer is refused, where an engine can count.
    """

    temperature: float = 0.0
    max_tokens: int = 256
    seed: int = 42
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    typical_p: float = 1.0
    repeat_penalty: float = 1.0
    repeat_last_n: int = 64
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    num_ctx: int = 4096
    stop: tuple[str, ...] = ()
    schema: str = ""
    reserve: int = 0


_NO_SAMPLING = ("max_tokens", "stop", "schema", "reserve")
SAMPLING = tuple(part.name for part in fields(GenerationSettings) if part.name not in _NO_SAMPLING)


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model as it is served: its file, chat format, system prompt, example messages and parameters.

    `path` is a GGUF for the embedded engine, None for Ollama (which knows it by `name`).
    `chat_format` names one of `models.chat_format`'s formats; the engine renders the prompt with it, system prompt and
    example messages included. `threads` and `gpu_layers` are the engine's choice when None.
    """

    name: str
    path: Path | None
    chat_format: str
    system: str | None = None
    messages: tuple[Message, ...] = ()
    settings: GenerationSettings = field(default_factory=GenerationSettings)
    threads: int | None = None
    gpu_layers: int | None = None

    def conversation(self, messages: Sequence[Message]) -> list[Message]:
        """Return what the model is shown: its own example messages, then the given ones (`as_said`); a system prompt stays first."""
        opening = [one for one in messages[:1] if one.role == "system"]
        return [*as_said(opening), *self.messages, *as_said(messages[len(opening) :])]


def as_said(messages: Sequence[Message]) -> list[Message]:
    """Return a conversation in which nobody's words are control tokens: what is written must not begin another's turn."""
    return [Message(one.role, spelled_apart(one.content)) for one in messages]


@dataclass(frozen=True, slots=True)
class Shown:
    """A row that stood before a question, by its id, and how near it was: 1 is the same words."""

    id: str
    score: float


@dataclass(frozen=True, slots=True)
class ShownPassage:
    """A passage that stood before a question, by its id: its title, its file, how near it was, and, where the model was asked so, how
    likely it says the answer.
    """

    id: str
    title: str
    file: str
    score: float
    says: float | None = None


@dataclass(frozen=True, slots=True)
class Retrieved:
    """The rows that stood before a question, nearest first, and the level that the nearest rows voted for. `as_it_stands` says
    that no model was asked: the answer is that of the one row. `passages` stood before the question, too, and the answer leans on that
    of the id `leans_on` (None: on none); `quoted` says that no word is the model's: it is a quote of that passage, or says that none
    has the answer.
    """

    rows: tuple[Shown, ...]
    as_it_stands: bool
    vote: Vote | None
    passages: tuple[ShownPassage, ...] = ()
    leans_on: str | None = None
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. Seconds are wall time; `first_token_seconds` is None where it could not be measured. `stopped` says
    why the answer ended: the model ended it, the token limit was reached, or the caller cut it. `retrieved` is None where nothing
    was looked for. `cached_tokens` of the prompt's tokens were known from an earlier one and not read again, where an engine says so."""

    text: str
    prompt_tokens: int
    tokens: int
    seconds: float
    first_token_seconds: float | None
    stopped: Literal["stop", "length", "cut"]
    retrieved: Retrieved | None = None
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One candidate of the next token with its natural-log probability, and its text."""

    token: int
    logprob: float
    text: str = ""


class Engine(Protocol):
    """Loads one model at a time and answers."""

    @property
    def name(self) -> str:
        """The engine's name, as DEPLOY writes it."""

    @property
    def parallel(self) -> int:
        """How many requests are served at once."""

    def load(self, model: ServedModel) -> float:
        """Make the model ready; return the seconds it took. Raises EngineError."""

    def chat(
        self,
        messages: Sequence[Message],
        settings: GenerationSettings | None = None,
        on_piece: OnPiece | None = None,
    ) -> Reply:
        """Answer a conversation that ends with a user turn; the model's own settings unless others are given.

        `on_piece` is shown the answer so far after every piece, and "" now and then while the prompt is read; it cuts the answer by
        returning True.
        """

    def next_logprobs(self, prompt: str | Sequence[int], top: int) -> list[TokenLogprob]:
        """Return the `top` most probable next tokens after a rendered prompt, or after token ids, best first."""

    def unload(self) -> None:
        """Give the memory back; calling it twice is harmless."""
