"""The embedded engine: llama.cpp's own server inside the process, from `xllamacpp`.

`models.chat_format` renders the prompt, and it is sent as raw text. llama.cpp's tokenizer adds BOS once and turns the
control tokens in the text into their ids, so the model sees exactly what it was trained on. The server also opens a
port on the loopback address. Only the question for token ids goes there; it is locked with a random key.

Not covered: images, several models at once.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jessyfile.engines.engine import GenerationSettings, Reply, ServedModel, TokenLogprob
from jessyfile.engines.gather import Gathered
from jessyfile.errors import ContextFullError, EngineError, ModelError
from jessyfile.language.recipe import Message
from jessyfile.machine import cores, memory, threads_that_rest
from jessyfile.models.chat_format import chat_format

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.engines.engine import OnPiece

Json = Any
_SILENT = -1
_NO_POLLING = (
    0  # threads sleep between two tokens; where llama.cpp is built with OpenMP, `threads_that_rest` says how they wait
)
_BATCH = 512  # tokens of a prompt that are read between two looks at whether the answer is still waited for
_AUTO_LAYERS = -1
_TOKENIZE_SECONDS = 60.0
_MOST_IDS = 1 << 26
_FORCED = 1000.0
_PROMPTS_MB, _PROMPTS_SHARE = (
    1024,
    16,
)  # prompts that were read are kept in so much memory, and at most in this part of all
_WHOLE_TOKENS = 1 << 13  # contexts up to here are kept whole in every layer
_SLOTS, _SLOT_TOKENS = 4, 1 << 14  # answers of an evaluation at once, and the tokens of all their contexts
_LEAST_LOGPROB = -100.0  # below what single precision tells apart from nothing


class LlamaCpp:
    """llama.cpp in the process. `parallel` requests are answered at once, each with the whole context window.

    For an evaluation it takes as many slots as memory for contexts allows.
    """

    name = "embedded"

    def __init__(self, parallel: int | None = None, *, evaluating: bool = False) -> None:
        self.parallel, self._evaluating = parallel or default_parallel(), evaluating
        self._server: Any = None
        self._model: ServedModel | None = None
        self._key = secrets.token_hex(32)

    def load(self, model: ServedModel) -> float:
        """Check the GGUF, load it, and return the seconds that took. Raises EngineError."""
        start = time.perf_counter()
        self.unload()
        path = _checked(model)
        if self._evaluating:
            self.parallel = max(self.parallel, min(_SLOTS, _SLOT_TOKENS // model.settings.num_ctx))
        library = llama_cpp()
        try:
            self._server = library.Server(_parameters(library.CommonParams(), model, path, self.parallel, self._key))
        except RuntimeError as error:
            raise EngineError(
                f"llama.cpp cannot load `{path.name}` of {model.name}",
                hint="its architecture may be unknown to it, or memory too small for the context: lower num_ctx",
            ) from error
        # a server that is let go before it took a request never ends: its loop may not have begun, and is then waited for
        self._server.handle_completions({"prompt": "a", "n_predict": 0})
        self._model = model
        return time.perf_counter() - start

    def chat(
        self,
        messages: Sequence[Message],
        settings: GenerationSettings | None = None,
        on_piece: OnPiece | None = None,
    ) -> Reply:
        """Answer a conversation. Raises EngineError when it does not fit into the context window."""
        gathered, last = Gathered(on_piece), dict[str, Json]()

        def piece(chunk: Json) -> bool:
            last.update(_checked_chunk(chunk))
            return gathered.add(_text(chunk))

        self._complete(self._request(messages, settings), piece)
        usage = last.get("usage") or {}
        gathered.cached_tokens = int((usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0))
        stopped: Any = "length" if _reason(last) == "length" else "stop"
        tokens = None if gathered.cut else int(usage.get("completion_tokens", len(gathered.pieces)))
        return gathered.reply(int(usage.get("prompt_tokens", 0)), tokens, stopped)

    def next_logprobs(self, prompt: str | Sequence[int], top: int) -> list[TokenLogprob]:
        """Return the `top` most probable next tokens after a rendered prompt (BOS is added) or after token ids (nothing
        is added), best first.
        """
        # what is said is not told of a token that ends the answer or is half a letter: another is forced, told is the same
        told = self._next_token(prompt, self.token_ids("a")[-1], top)
        if told is None:
            raise EngineError("llama.cpp gave no probabilities for the next token")
        return [
            TokenLogprob(int(entry["id"]), float(entry["logprob"]), str(entry.get("token", "")))
            for entry in told["top_logprobs"]
        ]

    def token_logprob(self, prompt: Sequence[int], token: int) -> float | None:
        """Return a token's natural-log probability after token ids; None for one that ends the answer or is half a letter,
        of which nothing is told.
        """
        told = self._next_token(prompt, token, 1)
        return None if told is None or int(told["id"]) != token else max(float(told["logprob"]), _LEAST_LOGPROB)

    def _next_token(self, prompt: str | Sequence[int], forced: int, top: int) -> dict[str, Json] | None:
        """Let the model say one token, whichever it is; return what is told of it and of the `top` most probable ones."""
        asked = prompt if isinstance(prompt, str) else list(prompt)
        request = {"prompt": asked, "n_predict": 1, "temperature": 0, "n_probs": top, "logit_bias": [[forced, _FORCED]]}
        answer = _checked_chunk(self._loaded().handle_completions({**request, "cache_prompt": True}))
        try:
            told: dict[str, Json] = answer["choices"][0]["logprobs"]["content"][0]
        except (KeyError, IndexError, TypeError):
            return None
        return told

    def token_ids(self, text: str, *, bos: bool = False) -> list[int]:
        """Return the ids that llama.cpp's own tokenizer makes of a text, control tokens in it included; behind BOS when
        asked and when the file wants one.
        """
        from jessyfile.http import HttpError, exchange

        body = json.dumps({"content": text, "add_special": bos, "parse_special": True}).encode()
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        address = f"{self._loaded().listening_address}/tokenize"
        try:
            with exchange("POST", address, seconds=_TOKENIZE_SECONDS, body=body, headers=headers) as response:
                return [int(token) for token in json.loads(response.read(_MOST_IDS))["tokens"]]
        except (HttpError, ValueError, KeyError, TypeError) as error:
            raise EngineError("llama.cpp does not say how it reads a text", hint="update xllamacpp") from error

    def prompt_tokens(self, text: str) -> int:
        """Return how many tokens a prompt has that is sent as text, BOS included."""
        answer = _checked_chunk(self._loaded().handle_completions({"prompt": text, "n_predict": 0}))
        return int((answer.get("usage") or {}).get("prompt_tokens", 0))

    def ends_at(self, prompt: Sequence[int], token: int) -> bool:
        """Return whether an answer ends when the model says this token."""
        request = {"prompt": list(prompt), "n_predict": 2, "temperature": 0, "logit_bias": [[token, _FORCED]]}
        answer = _checked_chunk(self._loaded().handle_completions(request))
        return _reason(answer) == "stop" and not _text(answer)

    def unload(self) -> None:
        """Give the memory back."""
        self._server = self._model = None

    def _request(self, messages: Sequence[Message], settings: GenerationSettings | None) -> dict[str, Json]:
        self._loaded()
        model = self._model
        if model is None:  # pragma: no cover (`_loaded` has raised)
            raise EngineError("no model is loaded")
        form = chat_format(model.chat_format)
        prompt = form.render(model.conversation(messages), model.system)
        used = settings or model.settings
        self._reserve(prompt, used.reserve, model.settings.num_ctx)
        return {"prompt": prompt, "stream": True, "return_progress": True, **_sampling(used, form.stops)}

    def _reserve(self, prompt: str, wanted: int, room: int) -> None:
        """Make sure that so many tokens are left for the answer. Raises ContextFullError. A token is a byte at least, so that few
        prompts have to be counted."""
        if wanted and len(prompt.encode()) + wanted >= room:
            size = len(self.token_ids(prompt, bos=True))
            if size + wanted > room:
                told = f"the conversation has {size} tokens and the context window {room}"
                raise ContextFullError(f"{told}, {wanted} of them for the answer", size)

    def _complete(self, request: Mapping[str, Json], piece: Callable[[Json], bool]) -> None:
        """Run one completion. llama.cpp would swallow an exception raised in `piece`, so it is kept and raised
        afterwards."""
        raised: list[Exception] = []

        def guarded(chunk: Json) -> bool:
            try:
                return piece(chunk)
            except Exception as error:  # noqa: BLE001 (raised again below, on this side of the border)
                raised.append(error)
                return True

        self._loaded().handle_completions(dict(request), guarded)
        if raised:
            raise raised[0]

    def _loaded(self) -> Any:  # noqa: ANN401 (a class of an untyped library)
        if self._server is None:
            raise EngineError("no model is loaded in the embedded engine")
        return self._server


def llama_cpp() -> Any:  # noqa: ANN401 (an untyped library)
    """Return the module, loaded so that its threads sleep while they wait for each other."""
    with threads_that_rest():
        import xllamacpp

    return xllamacpp


def default_parallel() -> int:
    """Return how many answers to make at once: one on few cores, where sharing them blurs latency."""
    return max(1, min(4, cores() // 4))


def _checked(model: ServedModel) -> Path:
    from jessyfile.models.gguf_reader import read_gguf

    if model.path is None or not model.path.is_file():
        raise EngineError(f"the file of {model.name} is gone", hint="run `jessy apply` again")
    try:
        read_gguf(model.path)
    except ModelError as error:
        raise EngineError(error.message, hint=error.hint or "run `jessy fsck`, then `jessy apply` again") from error
    return model.path


def _parameters(parameters: Any, model: ServedModel, path: Path, parallel: int, key: str) -> Any:  # noqa: ANN401 (untyped)
    threads = model.threads or cores()
    parameters.model.path = str(path)
    parameters.n_parallel = parallel
    parameters.n_ctx = model.settings.num_ctx * parallel
    parameters.n_batch = _BATCH
    parameters.n_gpu_layers = _AUTO_LAYERS if model.gpu_layers is None else model.gpu_layers
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
    parameters.cpuparams.poll = parameters.cpuparams_batch.poll = _NO_POLLING
    parameters.cache_ram_mib = _kept_prompts()
    # layers that look at a window alone would forget what is before it, and a prompt that begins alike be read from there again
    parameters.swa_full = parameters.n_ctx <= _WHOLE_TOKENS
    parameters.verbosity = _SILENT
    parameters.api_keys = [key]
    parameters.ui = parameters.endpoint_slots = False
    parameters.warmup = True
    return parameters


def _kept_prompts() -> int:
    """Return how many megabytes may hold what was worked out of earlier prompts, so that a question that is asked again, or a
    conversation that is gone back to, is not read again."""
    return min(_PROMPTS_MB, memory() // _PROMPTS_SHARE >> 20) or _PROMPTS_MB // _PROMPTS_SHARE


def _sampling(settings: GenerationSettings, stops: Sequence[str]) -> dict[str, Json]:
    return {
        "n_predict": settings.max_tokens,
        "temperature": settings.temperature,
        "seed": settings.seed,
        "top_p": settings.top_p,
        # the most probable token is the same among one candidate as among 262,000, which need not be sorted then
        "top_k": 1 if settings.temperature == 0 else settings.top_k,
        "min_p": settings.min_p,
        "typical_p": settings.typical_p,
        "repeat_penalty": settings.repeat_penalty,
        "repeat_last_n": settings.repeat_last_n,
        "presence_penalty": settings.presence_penalty,
        "frequency_penalty": settings.frequency_penalty,
        "stop": list(dict.fromkeys((*settings.stop, *stops))),
        "cache_prompt": True,
        **({"json_schema": json.loads(settings.schema)} if settings.schema else {}),
    }


def _checked_chunk(chunk: Json) -> dict[str, Json]:
    if not isinstance(chunk, dict):
        raise EngineError("llama.cpp answered with something that is not an object")
    error = chunk.get("error")
    if error is None:
        return chunk
    if isinstance(error, dict) and error.get("type") == "exceed_context_size_error":
        size, room = int(error.get("n_prompt_tokens", 0)), error.get("n_ctx")
        raise ContextFullError(f"the conversation has {size} tokens and the context window {room}", size)
    reason = error.get("message") if isinstance(error, dict) else error
    raise EngineError(f"llama.cpp refused: {' '.join(str(reason).split())[:300]}")


def _choice(chunk: Json) -> dict[str, Json]:
    choices = chunk.get("choices") or [{}]
    return choices[0] if isinstance(choices[0], dict) else {}


def _text(chunk: Json) -> str:
    return str(_choice(chunk).get("text") or "")


def _reason(chunk: Json) -> str:
    return str(_choice(chunk).get("finish_reason") or "")
