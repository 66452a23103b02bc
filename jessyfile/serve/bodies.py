"""A request's body, read in bounded size and time, and decoded as one of the types of `serve.asked`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

import msgspec

from jessyfile.serve.faults import RefusedError, bad_request

if TYPE_CHECKING:
    from starlette.requests import Request

    from jessyfile.serve.settings import Limits

T = TypeVar("T")


async def read_body(request: Request, limits: Limits) -> bytes:
    """Return the body. Raises RefusedError for one that is too large or comes too slowly, or whose sender has left."""
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced[:20]) > limits.body:
        raise _too_large(limits)
    if request.headers.get("content-encoding", "identity") != "identity":
        raise RefusedError(415, "the body is compressed, which this server does not read", "encoded_body", close=True)
    try:
        async with asyncio.timeout(limits.body_seconds):
            return await _whole(request, limits)
    except TimeoutError:
        raise RefusedError(408, "the body came too slowly", "slow_body", close=True) from None


async def _whole(request: Request, limits: Limits) -> bytes:
    found = bytearray()
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise RefusedError(400, "the body is not whole", "torn_body", close=True)
        found += message.get("body", b"")
        if len(found) > limits.body:
            raise _too_large(limits)
        if not message.get("more_body", False):
            return bytes(found)


def converted(fields: Mapping[str, object], kind: type[T]) -> T:
    """Return the fields of a form, which are texts, as what they must be. Raises RefusedError that names the one that does not fit."""
    try:
        return msgspec.convert(fields, type=kind, strict=False)
    except msgspec.ValidationError as error:
        raise _unfit(error) from None


def _unfit(error: msgspec.ValidationError) -> RefusedError:
    said, _, place = str(error).partition(" - at `")
    field = place.rstrip("`").removeprefix("$").lstrip(".") or None
    return bad_request(f"{said}{f' at `{field}`' if field else ''}", "invalid_value", field)


def _too_large(limits: Limits) -> RefusedError:
    return RefusedError(413, f"the body is larger than {limits.body} bytes", "too_large", close=True)


def decoded(body: bytes, kind: type[T]) -> T:
    """Return a body as what it must be. Raises RefusedError that names the place of what does not fit."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise _unfit(error) from None
    except msgspec.DecodeError as error:
        raise bad_request(f"the body is no JSON: {error}", "invalid_json") from None
    except RecursionError:
        raise bad_request("the body is nested too deeply", "invalid_json") from None
