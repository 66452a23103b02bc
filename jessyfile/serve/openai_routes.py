"""OpenAI's interface: /v1/models, /v1/chat/completions, /v1/completions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from jessyfile.serve.asked import ChatCall, ChatTurn, CompletionCall, OpenAiCall
from jessyfile.serve.bodies import decoded, read_body
from jessyfile.serve.faults import bad_request, no_model, unsupported
from jessyfile.serve.openai_form import ChatForm, CompletionForm
from jessyfile.serve.question import ServedQuestion, Thinking, question_of, schema_text, settings_for
from jessyfile.serve.service import service_of, task_of
from jessyfile.serve.told import OpenAiModel, OpenAiModels
from jessyfile.text.printable import whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

    from jessyfile.serve.served import ServedFacts
    from jessyfile.serve.service import Service

_JSON = "application/json"


def json_response(value: msgspec.Struct) -> Response:
    """Return a value as a response."""
    return Response(msgspec.json.encode(value), media_type=_JSON)


async def models(request: Request) -> Response:
    """List every model."""
    found = [_model(facts) for facts in service_of(request).house.facts]
    return json_response(OpenAiModels(data=found))


async def model(request: Request) -> Response:
    """Tell of one model."""
    house = service_of(request).house
    called = request.path_params["model"]
    for facts in house.facts:
        if called in (facts.called, facts.tagged):
            return json_response(_model(facts))
    raise no_model(called, [facts.called for facts in house.facts])


def _model(facts: ServedFacts) -> OpenAiModel:
    return OpenAiModel(id=facts.called, created=facts.created, digest=facts.digest)


async def chat_completions(request: Request) -> Response:
    """Answer a conversation."""
    service = service_of(request)
    call = decoded(await read_body(request, service.limits), ChatCall)
    _refuse(call)
    if call.tools or call.functions:
        raise unsupported("tools", "these models call no tools")
    if call.logprobs:
        raise unsupported("logprobs", "answers come without probabilities")
    desk, facts = service.house.desk(call.model)
    turns = [(_role(turn), _text(turn)) for turn in call.messages]
    form = ChatForm(facts.called, _with_usage(call))
    if (task := task_of(request, turns)) is not None:
        if call.stream:
            return Response(form.said_in_events(task), media_type=form.media_type)
        return json_response(form.said(task))
    tokens = call.max_completion_tokens if call.max_completion_tokens is not None else call.max_tokens
    return await service.ask(request, desk, _question(call, turns, tokens, facts, service), form, bool(call.stream))


async def completions(request: Request) -> Response:
    """Answer a prompt, as a question in the model's own chat format."""
    service = service_of(request)
    call = decoded(await read_body(request, service.limits), CompletionCall)
    _refuse(call)
    if call.suffix:
        raise unsupported("suffix", "these models fill no gaps")
    if call.echo:
        raise unsupported("echo", "the prompt is not repeated")
    if call.logprobs is not None:
        raise unsupported("logprobs", "answers come without probabilities")
    desk, facts = service.house.desk(call.model)
    prompt = call.prompt if isinstance(call.prompt, str) else call.prompt[0]
    question = _question(call, [("user", whole(prompt))], call.max_tokens, facts, service)
    return await service.ask(
        request, desk, question, CompletionForm(facts.called, _with_usage(call)), bool(call.stream)
    )


def _refuse(call: OpenAiCall) -> None:
    """Raise RefusedError for what would be passed over in silence although the answer is another for it."""
    if call.n not in (None, 1):
        raise unsupported("n", "one answer is given to a question")
    if call.logit_bias:
        raise unsupported("logit_bias", "single tokens are not weighed")


def _with_usage(call: OpenAiCall) -> bool:
    return bool(call.stream and call.stream_options is not None and call.stream_options.include_usage)


def _question(
    call: OpenAiCall, turns: Sequence[tuple[str, str]], tokens: int | None, facts: ServedFacts, service: Service
) -> ServedQuestion:
    settings = settings_for(facts.settings, call, tokens, _schema(call), service.limits.tokens)
    return question_of(turns, _thinking(call), settings, facts)


def _schema(call: OpenAiCall) -> str:
    held = call.response_format
    if held is None or held.type == "text":
        return ""
    if held.type == "json_object":
        return schema_text(None, any_object=True)
    if held.json_schema is None or held.json_schema.schema is None:
        raise bad_request(
            "`response_format` of the type json_schema holds no schema", "invalid_schema", "response_format"
        )
    return schema_text(held.json_schema.schema)


def _thinking(call: OpenAiCall) -> Thinking:
    """Return how much thought is asked for, whichever of the words for it a client uses; the more precise one counts."""
    template, reasoning = call.chat_template_kwargs, call.reasoning
    effort = call.reasoning_effort or (reasoning.effort if reasoning is not None else None)
    if effort is None and isinstance(call.think, str):
        effort = call.think
    switches = (
        call.think if isinstance(call.think, bool) else None,
        call.enable_thinking,
        reasoning.enabled if reasoning is not None else None,
        template.enable_thinking if template is not None else None,
        template.thinking if template is not None else None,
    )
    budgets = (
        call.thinking_budget,
        call.thinking_budget_tokens,
        call.thinking_token_budget,
        reasoning.max_tokens if reasoning is not None else None,
    )
    return Thinking(
        effort=effort,
        budget=next((budget for budget in budgets if budget is not None), None),
        on=next((switch for switch in switches if switch is not None), None),
        hidden=bool(reasoning is not None and reasoning.exclude),
    )


def _role(turn: ChatTurn) -> str:
    return "system" if turn.role == "developer" else turn.role


def _text(turn: ChatTurn) -> str:
    if turn.content is None:
        return ""
    if isinstance(turn.content, str):
        return whole(turn.content)
    other = next((part.type for part in turn.content if part.type not in ("text", "input_text", "output_text")), None)
    if other is not None:
        raise unsupported(
            "messages", f"a message holds a part of the type `{other[:40]}`, and these models read text alone"
        )
    return whole("".join(part.text for part in turn.content))


ROUTES = (
    Route("/v1/models", models, methods=["GET"]),
    Route("/v1/models/{model:path}", model, methods=["GET"]),
    Route("/v1/chat/completions", chat_completions, methods=["POST"]),
    Route("/v1/completions", completions, methods=["POST"]),
)
