"""Ollama's interface: /api/version, /api/tags, /api/ps, /api/show, /api/chat, /api/generate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from starlette.routing import Route

from jessyfile.serve.asked import OllamaCall, OllamaChat, OllamaGenerate, OllamaShow, OllamaTurn
from jessyfile.serve.bodies import decoded, read_body
from jessyfile.serve.faults import bad_request, unsupported
from jessyfile.serve.ollama_form import OllamaForm, line
from jessyfile.serve.openai_routes import json_response
from jessyfile.serve.question import ServedQuestion, Thinking, question_of, schema_text, settings_for
from jessyfile.serve.service import service_of, task_of
from jessyfile.serve.told import (
    OllamaDetails,
    OllamaLoaded,
    OllamaModel,
    OllamaModels,
    OllamaRunning,
    OllamaShown,
    OllamaVersion,
)
from jessyfile.text.printable import json_text, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

    from jessyfile.serve.served import ServedFacts
    from jessyfile.serve.service import Service

INTERFACE = (
    "0.13.0"  # the version of Ollama whose fields are written; clients compare it, and Open WebUI wants whole numbers
)
_FOREVER = "2318-01-01T00:00:00Z"  # as Ollama says it of a model that stays


async def version(request: Request) -> Response:
    """Tell the version of Ollama's interface."""
    del request
    return json_response(OllamaVersion(version=INTERFACE))


async def tags(request: Request) -> Response:
    """List every model."""
    return json_response(OllamaModels(models=[_listed(facts) for facts in service_of(request).house.facts]))


async def running(request: Request) -> Response:
    """List every model that is in memory: all of them."""
    return json_response(OllamaRunning(models=[_loaded(facts) for facts in service_of(request).house.facts]))


async def show(request: Request) -> Response:
    """Tell of one model."""
    service = service_of(request)
    call = decoded(await read_body(request, service.limits), OllamaShow)
    _, facts = service.house.desk(call.model or call.name or "")
    return json_response(_shown(facts))


async def chat(request: Request) -> Response:
    """Answer a conversation; without messages, say that the model is loaded."""
    service = service_of(request)
    call = decoded(await read_body(request, service.limits), OllamaChat)
    if call.tools:
        raise unsupported("tools", f"{call.model} does not support tools")
    _, facts = service.house.desk(call.model)
    turns = [_turn(turn) for turn in call.messages or ()]
    return await _answer(request, call, turns, OllamaForm(facts.tagged, chat=True))


async def generate(request: Request) -> Response:
    """Answer a prompt, as a question in the model's own chat format; without one, say that the model is loaded."""
    service = service_of(request)
    call = decoded(await read_body(request, service.limits), OllamaGenerate)
    _, facts = service.house.desk(call.model)
    if call.raw:
        raise unsupported("raw", "a prompt is always put into the model's own chat format")
    if call.suffix:
        raise unsupported("suffix", f"{call.model} does not support insert")
    if call.images:
        raise unsupported("images", "these models read text alone")
    system = [("system", whole(call.system))] if call.system else []
    turns = [*system, ("user", whole(call.prompt))] if call.prompt else []
    return await _answer(request, call, turns, OllamaForm(facts.tagged, chat=False))


async def _answer(request: Request, call: OllamaCall, turns: Sequence[tuple[str, str]], form: OllamaForm) -> Response:
    service, streams = service_of(request), call.stream is not False
    desk, facts = service.house.desk(call.model)
    said = form.said("", "load") if not turns else None
    if (task := task_of(request, turns)) is not None:
        said = form.said(task)
    if said is not None:
        return Response(line(said), media_type=form.media_type) if streams else json_response(said)
    return await service.ask(request, desk, _question(call, turns, facts, service), form, streams)


def _question(
    call: OllamaCall, turns: Sequence[tuple[str, str]], facts: ServedFacts, service: Service
) -> ServedQuestion:
    options, held = call.options, call.format
    schema = schema_text(held if isinstance(held, dict) else None, any_object=held == "json")
    tokens = options.num_predict if options is not None else None
    settings = settings_for(facts.settings, options, tokens, schema, service.limits.tokens)
    think = call.think
    thinking = Thinking(effort=think) if isinstance(think, str) else Thinking(on=think)
    return question_of(turns, thinking, settings, facts)


def _turn(turn: OllamaTurn) -> tuple[str, str]:
    if turn.images:
        raise bad_request("a message holds images, and these models read text alone", "unsupported_parameter", "images")
    return turn.role, whole(turn.content)


def details(facts: ServedFacts) -> OllamaDetails:
    """Return what a model is, in Ollama's words."""
    return OllamaDetails(
        format="gguf",
        family=facts.family,
        families=[facts.family] if facts.family else [],
        parameter_size=_counted(facts.parameters),
        quantization_level=facts.quantization,
    )


def _counted(parameters: int) -> str:
    if parameters <= 0:
        return ""
    billions = parameters / 1e9
    return f"{billions:.1f}B" if billions >= 1 else f"{parameters / 1e6:.2f}M"


def _listed(facts: ServedFacts) -> OllamaModel:
    return OllamaModel(
        name=facts.tagged,
        model=facts.tagged,
        modified_at=facts.since,
        size=facts.size,
        digest=facts.digest,
        details=details(facts),
    )


def _loaded(facts: ServedFacts) -> OllamaLoaded:
    return OllamaLoaded(
        name=facts.tagged,
        model=facts.tagged,
        size=facts.size,
        digest=facts.digest,
        details=details(facts),
        expires_at=_FOREVER,
        size_vram=0,
        context_length=facts.settings.num_ctx,
    )


def _shown(facts: ServedFacts) -> OllamaShown:
    parameters = "\n".join(_parameters(facts))
    info: dict[str, Any] = {"general.parameter_count": facts.parameters}
    if facts.family:
        info |= {"general.architecture": facts.family, f"{facts.family}.context_length": facts.context}
    written = [f"FROM {facts.tagged}", *(f"PARAMETER {one}" for one in _parameters(facts))]
    return OllamaShown(
        modelfile="\n".join(written) + "\n",
        parameters=parameters,
        template=facts.template,
        details=details(facts),
        model_info=info,
        capabilities=["completion", *(["thinking"] if facts.complexity.marker is not None else [])],
        modified_at=facts.since,
        system=facts.system or "",
    )


def _parameters(facts: ServedFacts) -> list[str]:
    """Return a model's parameters a line each, stop texts in quotes, as Ollama prints them and Continue reads them."""
    found = dict(facts.listed) | {"num_ctx": facts.settings.num_ctx}
    return [
        f"{key:<30} {json_text(one) if isinstance(one, str) else one}"
        for key, value in found.items()
        for one in (value if isinstance(value, tuple) else (value,))
    ]


ROUTES = (
    Route("/api/version", version, methods=["GET"]),
    Route("/api/tags", tags, methods=["GET"]),
    Route("/api/ps", running, methods=["GET"]),
    Route("/api/show", show, methods=["POST"]),
    Route("/api/chat", chat, methods=["POST"]),
    Route("/api/generate", generate, methods=["POST"]),
)
