"""What people say of answers, into the project's store of feedback: POST /jessy/feedback."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
from starlette.routing import Route

from jessyfile.errors import FeedbackError
from jessyfile.feedback.signal import read_signal
from jessyfile.feedback.store import record
from jessyfile.serve.asked import FeedbackCall
from jessyfile.serve.bodies import decoded, read_body
from jessyfile.serve.faults import bad_request
from jessyfile.serve.openai_routes import json_response
from jessyfile.serve.service import service_of
from jessyfile.serve.told import FeedbackKept

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


async def feedback(request: Request) -> Response:
    """Keep one signal and answer with its id."""
    service = service_of(request)
    call = decoded(await read_body(request, service.limits), FeedbackCall)
    given = {name: value for name, value in msgspec.to_builtins(call).items() if value is not None}
    try:
        signal = read_signal(given)
    except FeedbackError as error:
        raise bad_request(error.message, "invalid_feedback") from None
    # the store waits for the disk, and nobody else is to wait with it
    return json_response(FeedbackKept(id=await asyncio.to_thread(record, service.house.root, signal)))


ROUTES = (Route("/jessy/feedback", feedback, methods=["POST"]),)
