"""What clients are answered, typed: OpenAI's and Ollama's objects, with jessy's own facts in one field, `jessy`."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType, field

Finish = Literal["stop", "length"]
Json = Any


class ToldRow(Struct, kw_only=True):
    """A row or passage that stood before a question, by its id, and how near it was: 1 is the same words."""

    id: str
    score: float


class JessyFacts(Struct, kw_only=True):
    """What jessy says of an answer.

    `level` is what the answer was given as and `iterations` how many were spent of those `asked` for; `ended` says why it ended; `router`
    who decided on the number; `speaker` and `model_digest` which model spoke. `as_it_stands` is true where the answer is a row's own.
    `forgotten` counts the messages that no longer fitted; `system` says whose system prompt stood.
    """

    level: str | None
    iterations: int
    asked: int
    ended: str
    router: str
    speaker: str
    model_digest: str
    retrieved: list[ToldRow]
    seconds: float
    queued_seconds: float
    as_it_stands: bool = False
    passages: list[ToldRow] | UnsetType = UNSET
    fallback: str | UnsetType = UNSET
    forgotten: int | UnsetType = UNSET
    system: Literal["model", "client"] | None = None


class TokenDetails(Struct, kw_only=True):
    """How many of the tokens of an answer were thoughts."""

    reasoning_tokens: int


class PromptDetails(Struct, kw_only=True):
    """How many of the prompt's tokens were read before."""

    cached_tokens: int


class Usage(Struct, kw_only=True):
    """What an answer took, in tokens; thoughts count as part of the completion."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    completion_tokens_details: TokenDetails
    prompt_tokens_details: PromptDetails


class OpenAiMessage(Struct, kw_only=True):
    """An answer, or a piece of one. The thoughts stand in both of the fields that clients read."""

    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType = UNSET
    reasoning_content: str | UnsetType = UNSET
    reasoning: str | UnsetType = UNSET


class Choice(Struct, kw_only=True):
    """The one answer to a chat completion."""

    message: OpenAiMessage
    finish_reason: Finish
    index: int = 0
    logprobs: None = None


class ChunkChoice(Struct, kw_only=True):
    """A piece of the one answer."""

    delta: OpenAiMessage
    finish_reason: Finish | None = None
    index: int = 0
    logprobs: None = None


class TextChoice(Struct, kw_only=True):
    """The one answer to a completion, or a piece of it."""

    text: str
    finish_reason: Finish | None = None
    index: int = 0
    logprobs: None = None
    reasoning_content: str | UnsetType = UNSET


class ChatCompletion(Struct, kw_only=True):
    """The answer of POST /v1/chat/completions."""

    id: str
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    jessy: JessyFacts | UnsetType = UNSET
    object: Literal["chat.completion"] = "chat.completion"


class ChatChunk(Struct, kw_only=True):
    """One event of a streamed chat completion."""

    id: str
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | UnsetType | None = UNSET
    jessy: JessyFacts | UnsetType = UNSET
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"


class TextCompletion(Struct, kw_only=True):
    """The answer of POST /v1/completions, and one event of a streamed one."""

    id: str
    created: int
    model: str
    choices: list[TextChoice]
    usage: Usage | UnsetType | None = UNSET
    jessy: JessyFacts | UnsetType = UNSET
    object: Literal["text_completion"] = "text_completion"


class OpenAiModel(Struct, kw_only=True):
    """A model as OpenAI's clients list it; `jessy` holds the digest of its file."""

    id: str
    created: int
    owned_by: str = "jessy"
    digest: str = field(default="", name="model_digest")
    object: Literal["model"] = "model"


class OpenAiModels(Struct, kw_only=True):
    """Every model that is served."""

    data: list[OpenAiModel]
    object: Literal["list"] = "list"


class OpenAiFault(Struct, kw_only=True):
    """Why a call to /v1 failed."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class OpenAiError(Struct, kw_only=True):
    """The body of an error of /v1."""

    error: OpenAiFault


class HeardSeconds(Struct, kw_only=True):
    """How long the sound was that was heard."""

    seconds: float
    type: Literal["duration"] = "duration"


class Transcription(Struct, kw_only=True):
    """What was heard, in words."""

    text: str
    usage: HeardSeconds


class TranscribedWord(Struct, kw_only=True):
    """A word that was heard, with its seconds."""

    word: str
    start: float
    end: float


class TranscribedSegment(Struct, kw_only=True):
    """A stretch of speech with its seconds, and what the model says of it."""

    id: int
    seek: int
    start: float
    end: float
    text: str
    tokens: list[int]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float


class VerboseTranscription(Struct, kw_only=True):
    """What was heard, with what the model says of it. `language` is a code such as `tr`."""

    language: str
    duration: float
    text: str
    usage: HeardSeconds
    segments: list[TranscribedSegment] | UnsetType = UNSET
    words: list[TranscribedWord] | UnsetType = UNSET
    task: Literal["transcribe"] = "transcribe"


class TranscriptEvent(Struct, kw_only=True):
    """An event of a transcription that is streamed: the next words (`delta`), or all of them at the end (`text`)."""

    type: Literal["transcript.text.delta", "transcript.text.done"]
    delta: str | UnsetType = UNSET
    text: str | UnsetType = UNSET


class SpeechEvent(Struct, kw_only=True):
    """An event of speech that is streamed so: the next bytes of the file in base64, or that this was all."""

    type: Literal["speech.audio.delta", "speech.audio.done"]
    audio: str | UnsetType = UNSET


class OllamaError(Struct, kw_only=True):
    """The body of an error of /api, and of those that belong to neither."""

    error: str


class OllamaMessage(Struct, kw_only=True):
    """An answer, or a piece of one, as Ollama writes it."""

    content: str
    role: Literal["assistant"] = "assistant"
    thinking: str | UnsetType = UNSET


class OllamaTimes(Struct, kw_only=True):
    """What Ollama's last object says of an answer; durations in nanoseconds."""

    model: str
    created_at: str
    done: bool = False
    done_reason: str | UnsetType = UNSET
    total_duration: int | UnsetType = UNSET
    load_duration: int | UnsetType = UNSET
    prompt_eval_count: int | UnsetType = UNSET
    prompt_eval_duration: int | UnsetType = UNSET
    eval_count: int | UnsetType = UNSET
    eval_duration: int | UnsetType = UNSET
    jessy: JessyFacts | UnsetType = UNSET


class OllamaChatAnswer(OllamaTimes, kw_only=True):
    """The answer of POST /api/chat, and one line of a streamed one."""

    message: OllamaMessage


class OllamaGenerateAnswer(OllamaTimes, kw_only=True):
    """The answer of POST /api/generate, and one line of a streamed one."""

    response: str
    thinking: str | UnsetType = UNSET


class OllamaVersion(Struct, kw_only=True):
    """The version of Ollama's interface that is kept, in the form that its clients compare."""

    version: str


class OllamaDetails(Struct, kw_only=True):
    """What a model is, in Ollama's words."""

    format: str
    family: str
    families: list[str]
    parameter_size: str
    quantization_level: str
    parent_model: str = ""


class OllamaModel(Struct, kw_only=True):
    """A model as Ollama lists it."""

    name: str
    model: str
    modified_at: str
    size: int
    digest: str
    details: OllamaDetails


class OllamaModels(Struct, kw_only=True):
    """Every model that is served."""

    models: list[OllamaModel]


class OllamaLoaded(Struct, kw_only=True):
    """A model that is in memory; it stays there."""

    name: str
    model: str
    size: int
    digest: str
    details: OllamaDetails
    expires_at: str
    size_vram: int
    context_length: int


class OllamaRunning(Struct, kw_only=True):
    """Every model that is in memory."""

    models: list[OllamaLoaded]


class OllamaShown(Struct, kw_only=True):
    """The answer of POST /api/show."""

    modelfile: str
    parameters: str
    template: str
    details: OllamaDetails
    model_info: dict[str, Json]
    capabilities: list[str]
    modified_at: str
    system: str = ""


class Health(Struct, kw_only=True):
    """Whether the server takes questions: `ok`, or `stopping`."""

    status: Literal["ok", "stopping"]
    models: list[str]


class FeedbackKept(Struct, kw_only=True):
    """The answer of POST /jessy/feedback: the id under which the signal was kept."""

    id: str
