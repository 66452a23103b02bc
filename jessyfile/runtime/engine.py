"""What an engine is: something that loads a model and answers.

Three engines keep this protocol: `llamacpp` (embedded llama.cpp), `ollama` (over HTTP) and `mlx` (in the process). An engine is used
by one thread unless `parallel` says how many requests it serves at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class GenerationSettings:
    """How to sample. `temperature` 0 is greedy; `max_tokens` and `num_ctx` count tokens; `seed` makes sampling repeatable."""

    temperature: float = 0.0
    max_tokens: int = 256
    seed: int = 42
    top_p: float = 1.0
    top_k: int = 0
    repeat_penalty: float = 1.0
    num_ctx: int = 4096
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model as it is served: its file or folder, chat format, system prompt and parameters.

    `path` is a GGUF for the embedded engine, an MLX folder for `mlx`, None for Ollama (which knows it by `name`).
    `chat_format` names one of `export.chat_format`'s formats; the engine renders the prompt with it, system prompt included.
    """

    name: str
    path: Path | None
    chat_format: str
    system: str | None = None
    settings: GenerationSettings = field(default_factory=GenerationSettings)


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. Seconds are wall time; `first_token_seconds` is None where it could not be measured."""

    text: str
    prompt_tokens: int
    tokens: int
    seconds: float
    first_token_seconds: float | None
    stopped: Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One candidate of the next token with its natural-log probability."""

    token: int
    logprob: float


class Engine(Protocol):
    """Loads one model at a time and answers."""

    name: str
    parallel: int

    def load(self, model: ServedModel) -> float:
        """Make the model ready; return the seconds it took. Raises EngineError."""

    def chat(self, messages: Sequence[ChatMessage], settings: GenerationSettings | None = None) -> Reply:
        """Answer a conversation that ends with a user turn; the model's own settings unless others are given."""

    def stream(self, messages: Sequence[ChatMessage], settings: GenerationSettings | None = None) -> Iterator[str]:
        """Answer piece by piece."""

    def next_logprobs(self, prompt: str, top: int) -> list[TokenLogprob]:
        """Return the `top` most probable next tokens after a rendered prompt, best first."""

    def unload(self) -> None:
        """Give the memory back; calling it twice is harmless."""
