"""The libraries of the extra `voice`, imported when something is heard or spoken and not before."""

from __future__ import annotations

import importlib
from types import ModuleType

from jessyfile.errors import VoiceError

INSTALL = "pip install 'jessy[voice]'"


def library(name: str) -> ModuleType:
    """Return a library of the extra `voice`. Raises VoiceError that says what to install."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        missing = (error.name or name).partition(".")[0]
        raise VoiceError(f"hearing and speaking need the library `{missing}`", hint=INSTALL) from error


def is_installed() -> bool:
    """Return whether the libraries of the extra `voice` are there, without importing them."""
    from importlib.util import find_spec

    return all(find_spec(name) is not None for name in ("av", "faster_whisper", "onnxruntime", "piper"))
