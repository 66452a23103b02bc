"""What clients send, typed: the bodies of OpenAI's and Ollama's calls as far as jessy reads them. Fields that are not named are passed over.

The same types make the OpenAPI document, so that what it says is what is checked.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Json = Any
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
ModelName = Annotated[str, Meta(min_length=1, max_length=256)]
Tokens = Annotated[int, Meta(ge=-2, le=1_000_000_000)]
Share = Annotated[float, Meta(ge=0, le=1)]
Heat = Annotated[float, Meta(ge=0, le=2)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
Repeat = Annotated[float, Meta(ge=0, le=10)]
Count = Annotated[int, Meta(ge=-1, le=1_000_000)]
Seed = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
StopText = Annotated[str, Meta(max_length=1000)]
Stops = StopText | Annotated[list[StopText], Meta(max_length=16)]
Budget = Annotated[int, Meta(ge=-1, le=1_000_000_000)]
Schema = dict[str, Json]
MOST_TURNS = 1000


class ContentPart(Struct, kw_only=True):
    """A part of a message's content; only `text` is read."""

    type: str
    text: str = ""


class ChatTurn(Struct, kw_only=True):
    """One message of a conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | Annotated[list[ContentPart], Meta(max_length=MOST_TURNS)] | None = None


Turns = Annotated[list[ChatTurn], Meta(min_length=1, max_length=MOST_TURNS)]


class StreamOptions(Struct, kw_only=True):
    """How an answer is streamed; with `include_usage` the last chunk says what it took."""

    include_usage: bool | None = None


class NamedSchema(Struct, kw_only=True):
    """A JSON schema that an answer is held to, with its name."""

    schema: Schema | None = None
    name: str = ""


class ResponseFormat(Struct, kw_only=True):
    """The form that an answer is held to."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: NamedSchema | None = None


class Reasoning(Struct, kw_only=True):
    """How much thought an answer gets, as OpenRouter writes it; `exclude` keeps the thoughts back."""

    effort: Effort | None = None
    max_tokens: Budget | None = None
    exclude: bool | None = None
    enabled: bool | None = None


class TemplateArguments(Struct, kw_only=True):
    """What llama.cpp and vLLM hand to a chat template; here it steers the thought."""

    enable_thinking: bool | None = None
    thinking: bool | None = None


class Sampling(Struct, kw_only=True):
    """How the words are chosen; what is left out is the model's own."""

    temperature: Heat | None = None
    top_p: Share | None = None
    top_k: Count | None = None
    min_p: Share | None = None
    typical_p: Share | None = None
    seed: Seed | None = None
    stop: Stops | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    repeat_penalty: Repeat | None = None
    repeat_last_n: Count | None = None


class OpenAiCall(Sampling, kw_only=True):
    """What both of OpenAI's calls have."""

    model: ModelName
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Tokens | None = None
    n: Annotated[int, Meta(ge=1)] | None = None
    logit_bias: dict[str, float] | None = None
    reasoning_effort: Effort | None = None
    reasoning: Reasoning | None = None
    think: bool | Effort | None = None
    thinking_budget: Budget | None = None
    thinking_budget_tokens: Budget | None = None
    thinking_token_budget: Budget | None = None
    enable_thinking: bool | None = None
    chat_template_kwargs: TemplateArguments | None = None
    response_format: ResponseFormat | None = None


class ChatCall(OpenAiCall, kw_only=True):
    """The body of POST /v1/chat/completions."""

    messages: Turns
    max_completion_tokens: Tokens | None = None
    logprobs: bool | None = None
    tools: list[Json] | None = None
    functions: list[Json] | None = None


class CompletionCall(OpenAiCall, kw_only=True):
    """The body of POST /v1/completions: the prompt is asked as a question, in the model's own chat format."""

    prompt: str | Annotated[list[str], Meta(min_length=1, max_length=1)]
    logprobs: int | None = None
    suffix: str | None = None
    echo: bool | None = None


SpokenText = Annotated[str, Meta(min_length=1, max_length=4096)]
Pace = Annotated[float, Meta(ge=0.25, le=4)]


class VoiceName(Struct, kw_only=True):
    """A voice, as OpenAI names those of one's own."""

    id: Annotated[str, Meta(min_length=1, max_length=80)]


class SpeechCall(Struct, kw_only=True):
    """The body of POST /v1/audio/speech. OpenAI's names of models and voices mean the server's own."""

    model: ModelName
    input: SpokenText
    voice: Annotated[str, Meta(min_length=1, max_length=80)] | VoiceName
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    speed: Pace = 1.0
    instructions: str | None = None
    stream_format: Literal["audio", "sse"] = "audio"


class TranscriptionCall(Struct, kw_only=True, rename={"timestamp_granularities": "timestamp_granularities[]"}):
    """The fields of POST /v1/audio/transcriptions beside its file. `language` is a code such as `tr`; `auto` lets the model find it out."""

    model: ModelName
    language: Annotated[str, Meta(min_length=2, max_length=16)] | None = None
    prompt: Annotated[str, Meta(max_length=8000)] = ""
    response_format: Literal["json", "text", "srt", "verbose_json", "vtt"] = "json"
    temperature: Share = 0.0
    timestamp_granularities: list[Literal["word", "segment"]] = []
    stream: bool = False


class OllamaTurn(Struct, kw_only=True):
    """One message as Ollama writes it."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    images: list[Json] | None = None


class OllamaOptions(Sampling, kw_only=True):
    """Ollama's `options`, as far as they count for one answer; the context window is that of the loaded model."""

    num_predict: Tokens | None = None


class OllamaCall(Struct, kw_only=True):
    """What both of Ollama's calls have. `format` is empty, `json` or a JSON schema."""

    model: ModelName
    stream: bool | None = None
    think: bool | Effort | None = None
    format: Literal["", "json"] | Schema | None = None
    options: OllamaOptions | None = None
    keep_alive: str | float | None = None


class OllamaChat(OllamaCall, kw_only=True):
    """The body of POST /api/chat."""

    messages: Annotated[list[OllamaTurn], Meta(max_length=MOST_TURNS)] | None = None
    tools: list[Json] | None = None


class OllamaGenerate(OllamaCall, kw_only=True):
    """The body of POST /api/generate: the prompt is asked as a question, in the model's own chat format."""

    prompt: str | None = None
    system: str | None = None
    suffix: str | None = None
    images: list[Json] | None = None
    raw: bool | None = None


class OllamaShow(Struct, kw_only=True):
    """The body of POST /api/show; older clients write `name`."""

    model: Annotated[str, Meta(max_length=256)] | None = None
    name: Annotated[str, Meta(max_length=256)] | None = None
    verbose: bool | None = None


class FeedbackTurn(Struct, kw_only=True):
    """One message of the conversation that feedback speaks of."""

    role: Literal["system", "user", "assistant"]
    content: str


class FeedbackCall(Struct, kw_only=True):
    """The body of POST /jessy/feedback: what a person said of an answer, and the answer with the conversation before it."""

    signal: Literal["up", "down", "edit", "regenerate"]
    model: ModelName
    messages: Annotated[list[FeedbackTurn], Meta(min_length=1, max_length=MOST_TURNS)]
    answer: str
    chosen: str | None = None
    reason: str | None = None
    digest: str | None = None
    level: str | None = None
    iterations: int | None = None
    source: Literal["page", "api"] = "api"
