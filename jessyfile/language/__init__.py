"""Text -> Recipe: the Jessyfile's grammar, table, diagnostics and formatter.

    load_recipe(path) -> Loaded(recipe, diagnostics)
    render_diagnostics(diagnostics) -> text for a terminal
    format_text(text) -> the text laid out

What a name needs is imported when the name is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jessyfile.language.diagnostics import Diagnostic, Place
    from jessyfile.language.format import format_text
    from jessyfile.language.loading import Loaded, load_recipe, load_text
    from jessyfile.language.render import render_diagnostics

__all__ = ["Diagnostic", "Loaded", "Place", "format_text", "load_recipe", "load_text", "render_diagnostics"]

_WHERE = {
    "Diagnostic": "diagnostics",
    "Place": "diagnostics",
    "Loaded": "loading",
    "load_recipe": "loading",
    "load_text": "loading",
    "render_diagnostics": "render",
    "format_text": "format",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 (a module's attribute)
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
