"""The OpenAPI document, made of the types that requests are checked by and answers are written with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec

from jessyfile import __version__
from jessyfile.serve import asked, told
from jessyfile.voice.sound import FORMS

Json = Any
_REFERENCE = "#/components/schemas/{name}"
_TAG_OPENAI, _TAG_OLLAMA, _TAG_SERVER = "OpenAI", "Ollama", "Server"


@dataclass(frozen=True, slots=True)
class Operation:
    """One call: its path and method, what it does, what it takes and answers. `streams` names the type of a stream's parts, by media type;
    `plain` the media type of an answer that is no JSON, `sounds` those of files. `file` is the field of a form's file, where it takes a form;
    `or_gives` is another type that it may answer.
    """

    path: str
    method: str
    says: str
    tag: str
    takes: type[msgspec.Struct] | None = None
    gives: type[msgspec.Struct] | None = None
    streams: tuple[str, type[msgspec.Struct]] | None = None
    plain: str | None = None
    sounds: tuple[str, ...] = ()
    file: str | None = None
    or_gives: type[msgspec.Struct] | None = None
    open: bool = False
    refuses: tuple[int, ...] = ()


_ASKS = (400, 404, 408, 413, 415, 429, 500, 503)
_SSE, _NDJSON = "text/event-stream", "application/x-ndjson"
OPERATIONS = (
    Operation(
        "/", "get", "Says that the server runs; a browser is shown the chat page.", _TAG_SERVER,
        plain="text/plain", open=True,
    ),
    Operation(
        "/healthz", "get", "Says whether questions are taken.", _TAG_SERVER,
        gives=told.Health, open=True, refuses=(503,),
    ),
    Operation("/metrics", "get", "Counters, histograms and gauges for Prometheus.", _TAG_SERVER, plain="text/plain"),
    Operation("/openapi.json", "get", "This document.", _TAG_SERVER, plain="application/json"),
    Operation("/v1/models", "get", "Lists every model.", _TAG_OPENAI, gives=told.OpenAiModels),
    Operation("/v1/models/{model}", "get", "Tells of one model.", _TAG_OPENAI, gives=told.OpenAiModel, refuses=(404,)),
    Operation(
        "/v1/chat/completions", "post", "Answers a conversation.", _TAG_OPENAI,
        asked.ChatCall, told.ChatCompletion, (_SSE, told.ChatChunk), refuses=_ASKS,
    ),
    Operation(
        "/v1/completions", "post", "Answers a prompt, as a question in the model's own chat format.", _TAG_OPENAI,
        asked.CompletionCall, told.TextCompletion, (_SSE, told.TextCompletion), refuses=_ASKS,
    ),
    Operation(
        "/v1/audio/transcriptions", "post", "Hears a recording.", _TAG_OPENAI,
        asked.TranscriptionCall, told.Transcription, (_SSE, told.TranscriptEvent), plain="text/plain", file="file",
        or_gives=told.VerboseTranscription, refuses=_ASKS,
    ),
    Operation(
        "/v1/audio/speech", "post", "Speaks a text.", _TAG_OPENAI,
        asked.SpeechCall, None, (_SSE, told.SpeechEvent), sounds=tuple(form.media_type for form in FORMS.values()),
        refuses=_ASKS,
    ),
    Operation("/api/version", "get", "Tells the version of Ollama's interface.", _TAG_OLLAMA, gives=told.OllamaVersion),
    Operation("/api/tags", "get", "Lists every model.", _TAG_OLLAMA, gives=told.OllamaModels),
    Operation("/api/ps", "get", "Lists every model that is in memory.", _TAG_OLLAMA, gives=told.OllamaRunning),
    Operation(
        "/api/show", "post", "Tells of one model.", _TAG_OLLAMA,
        asked.OllamaShow, told.OllamaShown, refuses=(400, 404, 408, 413, 415),
    ),
    Operation(
        "/api/chat", "post", "Answers a conversation; without messages, says that the model is loaded.", _TAG_OLLAMA,
        asked.OllamaChat, told.OllamaChatAnswer, (_NDJSON, told.OllamaChatAnswer), refuses=_ASKS,
    ),
    Operation(
        "/api/generate", "post", "Answers a prompt, as a question in the model's own chat format.", _TAG_OLLAMA,
        asked.OllamaGenerate, told.OllamaGenerateAnswer, (_NDJSON, told.OllamaGenerateAnswer), refuses=_ASKS,
    ),
    Operation(
        "/jessy/feedback", "post", "Keeps what a person said of an answer.", _TAG_SERVER,
        asked.FeedbackCall, told.FeedbackKept, refuses=(400, 408, 413, 415, 500),
    ),
)  # fmt: skip
_ALWAYS = (400, 403, 421)
_MEANS = {
    400: "The request is not one that can be answered; the message names the place.",
    401: "The API key is missing or wrong.",
    403: "The request comes from a web page that is not allowed to ask.",
    404: "No such model is served, or what hears or speaks is not installed.",
    408: "The body came too slowly.",
    413: "The body is too large.",
    415: "The body is compressed.",
    421: "The request names a host that this server is not called by.",
    429: "Too many questions wait; `Retry-After` says when to come again.",
    500: "The model could not answer.",
    503: "The server is stopping.",
}


@cache
def document() -> dict[str, Json]:
    """Return the document."""
    kinds: list[type[msgspec.Struct] | None] = [told.OpenAiError, told.OllamaError]
    for one in OPERATIONS:
        kinds += [one.takes, one.gives, one.or_gives, one.streams and one.streams[1]]
    ordered = sorted({kind for kind in kinds if kind is not None}, key=lambda kind: kind.__name__)
    _, components = msgspec.json.schema_components(ordered, ref_template=_REFERENCE)
    paths: dict[str, Json] = {}
    for one in OPERATIONS:
        paths.setdefault(one.path, {})[one.method] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "jessy serve",
            "version": __version__,
            "summary": "Promoted models behind OpenAI's and Ollama's interfaces.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "Where the server has a key."}
            },
        },
    }


def _operation(one: Operation) -> dict[str, Json]:
    name = f"{one.method}_{one.path.strip('/').replace('/', '_').replace('{', '').replace('}', '') or 'root'}"
    found: dict[str, Json] = {
        "operationId": name.replace(".", "_"),
        "summary": one.says,
        "tags": [one.tag],
        "responses": {"200": {"description": "The answer.", "content": _content(one)}, **_refusals(one)},
    }
    if not one.open:
        found["security"] = [{}, {"key": []}]
    if "{model}" in one.path:
        parameter = {"name": "model", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        found["parameters"] = [parameter]
    if one.takes is not None:
        found["requestBody"] = {"required": True, "content": _taken(one.takes, one.file)}
    return found


def _taken(kind: type[msgspec.Struct], file: str | None) -> dict[str, Json]:
    if file is None:
        return {"application/json": {"schema": _named(kind)}}
    _, components = msgspec.json.schema_components([kind], ref_template=_REFERENCE)
    fields = components[kind.__name__]
    properties = {**fields["properties"], file: {"type": "string", "format": "binary"}}
    schema = {"type": "object", "properties": properties, "required": [file, *fields["required"]]}
    return {"multipart/form-data": {"schema": schema}}


def _content(one: Operation) -> dict[str, Json]:
    kinds = [_named(kind) for kind in (one.gives, one.or_gives) if kind is not None]
    content: dict[str, Json] = {}
    if kinds:
        content["application/json"] = {"schema": kinds[0] if len(kinds) == 1 else {"anyOf": kinds}}
    if one.plain is not None:
        schema = {"type": "object"} if one.plain == "application/json" else {"type": "string"}
        content[one.plain] = {"schema": schema}
    for media_type in one.sounds:
        content[media_type] = {"schema": {"type": "string", "format": "binary"}}
    if one.streams is not None:
        media_type, part = one.streams
        content[media_type] = {"schema": {"type": "string", "description": f"Parts of the type {part.__name__}."}}
    return content


def _refusals(one: Operation) -> Mapping[str, Json]:
    statuses: Sequence[int] = sorted({*_ALWAYS, *one.refuses, *(() if one.open else (401,))})
    body = told.OpenAiError if one.path.startswith("/v1/") else told.OllamaError
    if one.path == "/healthz":
        return {str(status): _refusal(status, told.Health if status == 503 else body) for status in statuses}
    return {str(status): _refusal(status, body) for status in statuses}


def _refusal(status: int, body: type[msgspec.Struct]) -> dict[str, Json]:
    return {"description": _MEANS[status], "content": {"application/json": {"schema": _named(body)}}}


def _named(kind: type[msgspec.Struct]) -> dict[str, Json]:
    return {"$ref": _REFERENCE.format(name=kind.__name__)}
