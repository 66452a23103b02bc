"""Why a request is not answered, with the status that says so; each interface writes it in its own form."""

from __future__ import annotations

from dataclasses import dataclass

from jessyfile.errors import ContextFullError, EngineError, JessyError


@dataclass(slots=True, eq=False)
class RefusedError(Exception):
    """A request that is refused: the status, a sentence, and the word that programs read. `retry` is in seconds; `close` ends the
    connection, of which more is to come than is read.
    """

    status: int
    message: str
    code: str
    param: str | None = None
    retry: int | None = None
    close: bool = False


def bad_request(message: str, code: str = "invalid_request", param: str | None = None) -> RefusedError:
    """Return the refusal of what a client must write otherwise."""
    return RefusedError(400, message, code, param)


def unsupported(field: str, why: str) -> RefusedError:
    """Return the refusal of a field that asks for what these models cannot do."""
    return bad_request(f"`{field}` is not supported: {why}", "unsupported_parameter", field)


def no_model(name: str, known: list[str]) -> RefusedError:
    """Return the refusal of a model that is not served."""
    there = ", ".join(known) or "none"
    return RefusedError(404, f"model `{name[:80]}` not found; served are: {there}", "model_not_found", "model")


def fault_of(error: BaseException, held_to_schema: bool = False) -> RefusedError:
    """Return what a client is told of an error while it was answered; what is not the client's own is not told in detail.

    `held_to_schema` says that the answer was to keep to a schema of the client's.
    """
    if isinstance(error, RefusedError):
        return error
    if isinstance(error, ContextFullError):
        return bad_request(error.message, "context_length_exceeded", "messages")
    if isinstance(error, EngineError) and held_to_schema and error.message.startswith("llama.cpp refused"):
        return bad_request(f"the schema cannot be kept to: {error.message[:300]}", "invalid_schema", "response_format")
    if isinstance(error, JessyError):
        return RefusedError(500, f"the model could not answer: {error.message}", error.code)
    return RefusedError(500, "a bug in jessy; its log says where", "E000")
