"""The engine MLX, in the process: a model folder, mlx-lm's layers, its sampler, and our own prompt.

It serves where no GGUF exists and is the reference that exported models are compared with. On a processor it gives
four tokens a second where llama.cpp gives sixty.

Not covered: several requests at once, a context window (`num_ctx` is not enforced), `typical_p`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from jessyfile.engines.engine import TokenLogprob
from jessyfile.engines.gather import Gathered, pieces_of
from jessyfile.errors import EngineError, ModelError
from jessyfile.models.chat_format import chat_format

if TYPE_CHECKING:
    from jessyfile.engines.engine import ChatMessage, GenerationSettings, Reply, ServedModel, Watch
    from jessyfile.models.tokenizer import Tokenizer

Push = Callable[[str], bool]


class Mlx:
    """One model folder in MLX."""

    name = "mlx"
    parallel = 1

    def __init__(self) -> None:
        self._model: Any = None
        self._tokenizer: Tokenizer | None = None
        self._served: ServedModel | None = None

    def load(self, model: ServedModel) -> float:
        """Load a model folder; return the seconds that took. Raises EngineError."""
        from jessyfile.models.load import load_model
        from jessyfile.models.tokenizer import load_tokenizer

        start = time.perf_counter()
        if model.path is None:
            raise EngineError(f"{model.name} has no model folder for MLX")
        try:
            self._model, _ = load_model(model.path)
            self._tokenizer = load_tokenizer(model.path)
        except ModelError as error:
            raise EngineError(error.message, hint=error.hint) from error
        self._served = model
        return time.perf_counter() - start

    def chat(
        self,
        messages: Sequence[ChatMessage],
        settings: GenerationSettings | None = None,
        watch: Watch | None = None,
    ) -> Reply:
        """Answer a conversation."""
        gathered = Gathered(watch)
        prompt_tokens, tokens, stopped = self._generate(messages, settings, gathered.add)
        return gathered.reply(prompt_tokens, tokens, "stop" if stopped else "length")

    def stream(self, messages: Sequence[ChatMessage], settings: GenerationSettings | None = None) -> Iterator[str]:
        """Answer piece by piece; closing the iterator ends the answer."""
        return pieces_of(lambda push: self._generate(messages, settings, push))

    def next_logprobs(self, prompt: str, top: int) -> list[TokenLogprob]:
        """Return the `top` most probable next tokens after a rendered prompt (BOS is added), best first."""
        import mlx.core as mx
        import numpy as np

        _, tokenizer = self._loaded()
        logits = self._model(mx.array([tokenizer.encode(prompt, bos=True)]))[0, -1].astype(mx.float32)
        found = np.array(logits - mx.logsumexp(logits))
        best = np.argsort(-found, kind="stable")[:top]
        return [TokenLogprob(int(token), float(found[token])) for token in best]

    def unload(self) -> None:
        """Give the memory back."""
        self._model = self._tokenizer = self._served = None

    def _loaded(self) -> tuple[ServedModel, Tokenizer]:
        if self._served is None or self._tokenizer is None:
            raise EngineError("no model is loaded in MLX")
        return self._served, self._tokenizer

    def _generate(
        self, messages: Sequence[ChatMessage], settings: GenerationSettings | None, push: Push
    ) -> tuple[int, int, bool]:
        """Push an answer piece by piece; return tokens of the prompt, tokens of the answer and whether it ended."""
        served, tokenizer = self._loaded()
        used, form = settings or served.settings, chat_format(served.chat_format)
        prompt = tokenizer.encode(form.render(served.conversation(messages), served.system), bos=True)
        ends = {tokenizer.eos, tokenizer.id_of(form.end_of_turn)}
        text = _Text(tokenizer, (*used.stop, *form.stops))
        for count, token in enumerate(_tokens(self._model, prompt, used), start=1):
            if token in ends:
                push(text.rest())
                return len(prompt), count, True
            cut = push(text.add(token))
            if cut or text.stopped:
                return len(prompt), count, text.stopped
        push(text.rest())
        return len(prompt), used.max_tokens, False


class _Text:
    """Turns tokens into text that is safe to show: whole characters, and nothing that may begin a stop text."""

    def __init__(self, tokenizer: Tokenizer, stops: Sequence[str]) -> None:
        self._tokenizer, self._stops = tokenizer, [stop for stop in dict.fromkeys(stops) if stop]
        self._ids: list[int] = []
        self._shown = 0
        self.stopped = False

    def add(self, token: int) -> str:
        """Take a token; return the new text that is certain."""
        self._ids.append(token)
        text = self._tokenizer.decode(self._ids, skip_special=True)
        found = min((at for stop in self._stops if (at := text.find(stop)) >= 0), default=None)
        if found is not None:
            self.stopped = True
            return self._upto(text, found)
        return "" if text.endswith("\N{REPLACEMENT CHARACTER}") else self._upto(text, len(text) - self._held(text))

    def rest(self) -> str:
        """Return what was held back, at the end of the answer."""
        text = self._tokenizer.decode(self._ids, skip_special=True)
        return self._upto(text, len(text))

    def _held(self, text: str) -> int:
        """Return how many characters at the end could be the beginning of a stop text."""
        longest = max(map(len, self._stops), default=1) - 1
        sizes = range(min(longest, len(text)), 0, -1)
        return next((size for size in sizes if any(stop.startswith(text[-size:]) for stop in self._stops)), 0)

    def _upto(self, text: str, end: int) -> str:
        new, self._shown = text[self._shown : end], max(self._shown, end)
        return new


def _tokens(model: Any, prompt: Sequence[int], settings: GenerationSettings) -> Iterator[int]:  # noqa: ANN401 (untyped library)
    from jessyfile.models.load import limits_kept

    with limits_kept():
        from mlx_lm.generate import generate_step
        from mlx_lm.sample_utils import make_logits_processors, make_sampler
    import mlx.core as mx

    mx.random.seed(settings.seed)
    sampler = make_sampler(temp=settings.temperature, top_p=settings.top_p, min_p=settings.min_p, top_k=settings.top_k)
    processors = make_logits_processors(
        repetition_penalty=None if settings.repeat_penalty == 1 else settings.repeat_penalty,
        repetition_context_size=settings.repeat_last_n,
        presence_penalty=settings.presence_penalty or None,
        frequency_penalty=settings.frequency_penalty or None,
    )
    steps = generate_step(
        mx.array(list(prompt)), model, max_tokens=settings.max_tokens, sampler=sampler, logits_processors=processors
    )
    for token, _ in steps:
        yield int(token)
