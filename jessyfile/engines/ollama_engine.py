"""The engine Ollama, over HTTP: `/api/chat` streamed, so that the time to the first token can be measured.

The system prompt and the sampling are always sent, so that the answer does not depend on what else is stored under the
model's name. Example messages that the server keeps with a model are not sent again. Ollama renders the prompt. A model that
can think is asked not to: what it thinks comes in a field of its own, and its answer would be empty.

Not covered: `next_logprobs`, for Ollama names tokens by their text and not by their ids.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jessyfile.engines.engine import SAMPLING, as_said
from jessyfile.engines.gather import Gathered
from jessyfile.errors import ContextFullError, EngineError

if TYPE_CHECKING:
    from jessyfile.engines.engine import GenerationSettings, OnPiece, Reply, ServedModel, TokenLogprob
    from jessyfile.language.recipe import Message
    from jessyfile.planning.steps import Stop

_ANSWER_SECONDS = 600.0
_KEEP_ALIVE = "5m"
_CHARACTER = 4  # the most tokens that one character takes, a byte each
_FULL = re.compile(r"n_prompt_tokens\W+(\d+)|(?:exceeds|longer than) the context length")  # as versions have said it


class _BrokenOffError(EngineError):
    """An answer that ended without its last event, after so many pieces."""

    tokens = 0


class Ollama:
    """One Ollama server with one model. It queues requests itself, so one is asked at a time.

    Loading and answering raise Interrupted when `stop` is requested.
    """

    name = "ollama"
    parallel = 1

    def __init__(
        self,
        url: str,
        *,
        keeps_examples: bool = True,
        stop: Stop | None = None,
        cold: bool = False,
        note: Callable[[str], None] | None = None,
    ) -> None:
        """Take who is asked; nothing is asked yet.

        Args:
            url: the server's address.
            keeps_examples: the server holds the model's example messages, as it does for one that jessy created.
            stop: asked while the server is waited for.
            cold: let the server forget the model before it loads it, so that the seconds are those of loading.
            note: told once when the model thinks although it was asked not to.
        """
        self.url, self.cold = url, cold
        self._stop, self._note = stop, note
        self._keeps_examples = keeps_examples
        self._model: ServedModel | None = None

    def load(self, model: ServedModel) -> float:
        """Let the server bring the model into memory. Raises EngineError when it has none or does not answer."""
        if self.cold:
            self._forget(model, self._stop)
        start = time.perf_counter()
        options = _options(model.settings, model)
        self._exchange(
            "/api/generate",
            {"model": model.name, "options": options, "keep_alive": _KEEP_ALIVE},
            lambda _: False,
            self._stop,
        )
        self._model = model
        return time.perf_counter() - start

    def chat(
        self,
        messages: Sequence[Message],
        settings: GenerationSettings | None = None,
        on_piece: OnPiece | None = None,
    ) -> Reply:
        """Answer a conversation. Raises EngineError, ContextFullError when it does not fit into the context window.

        A server whose last token is half a character ends its answer without a word (seen in 0.33); it is then asked for one token less,
        until the character is left out.
        """
        request = self._request(messages, settings)
        longest = int(request["options"]["num_predict"])
        for fewer in range(_CHARACTER):
            request["options"]["num_predict"] = longest - fewer
            try:
                return self._answer(request, on_piece)
            except _BrokenOffError as error:
                near_the_end = error.tokens + _CHARACTER >= longest - fewer
                if fewer + 1 in (_CHARACTER, longest) or not near_the_end:
                    raise
        raise AssertionError("the last try returns or raises")

    def _answer(self, request: Mapping[str, Any], on_piece: OnPiece | None) -> Reply:
        gathered, last = Gathered(on_piece), dict[str, Any]()

        def event(found: Mapping[str, Any]) -> bool:
            last.update(found)
            if _text(found, "thinking") and self._note is not None:
                told = "thinks although it is asked not to: its thoughts are no part of its answers"
                self._note(f"Ollama's {self._named} {told}")
                self._note = None
            return gathered.add(_text(found))

        try:
            self._exchange("/api/chat", request, event, self._stop)
        except _BrokenOffError as error:
            error.tokens = len(gathered.pieces)
            raise
        except EngineError as error:
            if (told := _FULL.search(error.message)) is None:
                raise
            raise ContextFullError("the conversation is longer than the context window", int(told[1] or 0)) from error
        tokens = None if gathered.cut else _count(last.get("eval_count")) or len(gathered.pieces)
        stopped: Any = "length" if last.get("done_reason") == "length" else "stop"
        return gathered.reply(_count(last.get("prompt_eval_count")), tokens, stopped)

    @property
    def _named(self) -> str:
        return self._model.name if self._model is not None else "model"

    def next_logprobs(self, prompt: str | Sequence[int], top: int) -> list[TokenLogprob]:  # noqa: ARG002 (the protocol's signature)
        """Refuse: Ollama gives no token ids. Raises EngineError."""
        raise EngineError("Ollama does not say which token is how probable", hint="write `engine embedded` in DEPLOY")

    def unload(self) -> None:
        """Let the server give the memory back; one that is gone already has."""
        model, self._model = self._model, None
        if model is not None:
            with contextlib.suppress(EngineError):
                self._forget(model, None)

    def _forget(self, model: ServedModel, stop: Stop | None) -> None:
        self._exchange("/api/generate", {"model": model.name, "keep_alive": 0}, lambda _: False, stop)

    def _request(self, messages: Sequence[Message], settings: GenerationSettings | None) -> dict[str, Any]:
        model = self._model
        if model is None:
            raise EngineError("no model is loaded in Ollama")
        used = settings or model.settings
        shown = as_said(messages) if self._keeps_examples else model.conversation(messages)
        turns = [{"role": message.role, "content": message.content.strip()} for message in shown]
        if model.system is not None and (not turns or turns[0]["role"] != "system"):
            turns.insert(0, {"role": "system", "content": model.system})
        options = _options(used, model)
        body = {"model": model.name, "messages": turns, "stream": True, "options": options, "keep_alive": _KEEP_ALIVE}
        if used.schema:
            body["format"] = json.loads(used.schema)
        # else the beginning of what is too long is dropped, and a model that can think does
        return {**body, "truncate": False, "shift": False, "think": False}

    def _exchange(
        self, path: str, body: Mapping[str, Any], take: Callable[[Mapping[str, Any]], bool], stop: Stop | None
    ) -> None:
        """Send a request and hand over its events until the last, or until `take` returns True."""
        from jessyfile.export.ollama_api import OllamaClient

        client = OllamaClient(self.url, stop)
        for line in client.lines(path, body, _ANSWER_SECONDS):
            found = _event(line, self.url)
            if take(found) or found.get("done"):
                return
        raise _BrokenOffError(f"Ollama at {self.url} broke off in the middle of an answer", hint="see Ollama's log")


def _options(settings: GenerationSettings, model: ServedModel) -> dict[str, Any]:
    found: dict[str, Any] = {key: getattr(settings, key) for key in SAMPLING}
    found["num_predict"] = settings.max_tokens
    if settings.stop:
        found["stop"] = list(settings.stop)
    if model.threads is not None:
        found["num_thread"] = model.threads
    if model.gpu_layers is not None:
        found["num_gpu"] = model.gpu_layers
    return found


def _event(line: bytes, url: str) -> Mapping[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise EngineError(f"`{url}` answered with something that is not JSON") from error
    if not isinstance(found, dict):
        raise EngineError(f"`{url}` answered with something that is not an object")
    if found.get("error"):
        raise EngineError(f"Ollama refused: {' '.join(str(found['error']).split())[:300]}")
    return found


def _count(told: object) -> int:
    return told if isinstance(told, int) and not isinstance(told, bool) and told > 0 else 0


def _text(found: Mapping[str, Any], field: str = "content") -> str:
    message = found.get("message")
    return str(message.get(field) or "") if isinstance(message, dict) else ""
