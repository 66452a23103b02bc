"""The application: routes, what stands before them, and how a refusal is written."""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, Router

from jessyfile.serve import audio_routes, feedback_routes, guard, metrics, ollama_routes, openai_routes, pages
from jessyfile.serve.faults import RefusedError, fault_of
from jessyfile.serve.notes import Notes, count, log
from jessyfile.serve.openai_form import error_body
from jessyfile.serve.openai_routes import json_response
from jessyfile.serve.openapi import document
from jessyfile.serve.service import service_of
from jessyfile.serve.told import Health, OllamaError

if TYPE_CHECKING:
    import msgspec
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from jessyfile.serve.service import Service

_LOG = logging.getLogger("jessy.serve")
_KNOWN_METHODS = ("GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE")
_CODES = {404: "not_found", 405: "method_not_allowed"}


async def health(request: Request) -> Response:
    """Say whether questions are taken; 503 once the server was told to stop."""
    service = service_of(request)
    names = [facts.called for facts in service.house.facts]
    answer = json_response(Health(status="stopping" if service.stopping else "ok", models=names))
    answer.status_code = 503 if service.stopping else 200
    return answer


async def counted(request: Request) -> Response:
    """Return the metrics."""
    return PlainTextResponse(service_of(request).metrics.text(), media_type=metrics.MEDIA_TYPE)


async def described(request: Request) -> Response:
    """Return the OpenAPI document."""
    del request
    return Response(json.dumps(document()), media_type="application/json")


ROUTES = (
    Route("/healthz", health, methods=["GET"]),
    Route("/metrics", counted, methods=["GET"]),
    Route("/openapi.json", described, methods=["GET"]),
    *openai_routes.ROUTES,
    *audio_routes.ROUTES,
    *ollama_routes.ROUTES,
    *feedback_routes.ROUTES,
    *pages.ROUTES,
)
_PATHS = tuple((route.endpoint, route.path) for route in ROUTES)  # what a client makes up is no label of the metrics


def application(service: Service) -> ASGIApp:
    """Return the application of a service."""
    return _Door(Router(routes=list(ROUTES), redirect_slashes=False), service)


def _not_routed(method: str, path: str, error: HTTPException) -> RefusedError:
    said = f"{method} {path[:80]}: {_said(error.status_code)}"
    return RefusedError(error.status_code, said, _CODES.get(error.status_code, "http_error"))


def _said(status: int) -> str:
    return {404: "there is no such address", 405: "this address takes another method"}.get(status, "not possible")


def refusal(path: str, fault: RefusedError) -> Response:
    """Return a refusal as the interface of a path writes it."""
    body: msgspec.Struct = error_body(fault) if path.startswith("/v1/") else OllamaError(error=fault.message)
    response = json_response(body)
    response.status_code = fault.status
    if fault.retry is not None:
        response.headers["Retry-After"] = str(fault.retry)
    if fault.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if fault.close:
        response.headers["Connection"] = "close"
    return response


class _Door:
    """What every request passes first and last: it is checked, noted, counted and logged, and a bug answers 500."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)  # Starlette's own lifespan; web sockets it refuses
            return
        method = scope["method"] if scope["method"] in _KNOWN_METHODS else "other"
        notes = scope["jessy.notes"] = Notes(uuid4().hex, method)
        scope["jessy.service"], scope["app"] = self._service, self
        headers, origin = Headers(scope=scope), None

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                notes.status = message["status"]
                _stamp(MutableHeaders(raw=message["headers"]), notes, origin)
            await send(message)

        try:
            guard.check(scope["method"], scope["path"], headers, self._service.access)
            origin = guard.allowed_origin(headers, self._service.access)
            if scope["method"] == "OPTIONS":
                await _preflight(origin)(scope, receive, sent)
            else:
                await self._app(scope, receive, sent)
        except RefusedError as fault:
            notes.fault = fault
            await refusal(scope["path"], fault)(scope, receive, sent)
        except HTTPException as error:
            notes.fault = _not_routed(method, scope["path"], error)
            response = refusal(scope["path"], notes.fault)
            response.headers.update(error.headers or {})
            await response(scope, receive, sent)
        except Exception as error:  # noqa: BLE001 (told in the log; the server goes on)
            _LOG.exception("a bug in jessy")
            notes.fault = fault_of(error)
            if notes.status == 0:
                await refusal(scope["path"], notes.fault)(scope, receive, sent)
        finally:
            self._over(scope, notes)

    def _over(self, scope: Scope, notes: Notes) -> None:
        notes.route = next((path for endpoint, path in _PATHS if endpoint is scope.get("endpoint")), "other")
        count(notes, self._service.metrics)
        client = scope.get("client")
        log(notes, client[0] if client else "", sys.stderr, words=self._service.log_words)


def _stamp(headers: MutableHeaders, notes: Notes, origin: str | None) -> None:
    headers["X-Request-Id"] = notes.id
    headers["X-Content-Type-Options"] = "nosniff"
    if origin is None:
        headers["Cross-Origin-Resource-Policy"] = "same-origin"
        return
    headers["Access-Control-Allow-Origin"] = origin
    headers["Access-Control-Expose-Headers"] = "X-Request-Id, Retry-After"
    headers.add_vary_header("Origin")


def _preflight(origin: str | None) -> Response:
    if origin is None:
        return Response(status_code=405, headers={"Allow": guard.ALLOWED_METHODS})
    return Response(
        status_code=204,
        headers={
            "Access-Control-Allow-Methods": guard.ALLOWED_METHODS,
            "Access-Control-Allow-Headers": guard.ALLOWED_HEADERS,
            "Access-Control-Max-Age": "600",
        },
    )
