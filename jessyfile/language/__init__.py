"""Text -> Recipe: the Jessyfile's grammar, table, diagnostics and formatter.

    load_recipe(path) -> Loaded(recipe, diagnostics)
    render_diagnostics(diagnostics) -> text for a terminal
    format_text(text) -> the text, formatted

The stages from a text to a recipe, each with its module; `loading` calls them in this order:

    parse       text -> statements; `malformed` words what is none, `syntax` holds grammar, tokens and limits
    variables   ARG, LET and ${name}: a token -> the word or text it stands for
    bind        statements -> nodes of the `table`; `instruction` and `form_match` read one statement into its values
    reading     one value: units by `values`, paths by `project_files`, judged by its schema (`fit`, `schema_messages`)
    layer       what one recipe says, by address
    inherit     EXTENDS, INCLUDE, VARIANT: layers -> one merged set of values; `overrides` lays --set over them
    document    merged values -> the JSON document, defaults filled in
    draft       document and places together: what `consistency` (errors) and `practice` (warnings) ask
    build       document -> the frozen tree in `recipe`

Beside them: `diagnostics` and `codes` (what a mistake is), `render` (how it is printed), `suggest` (did you mean), `format`
(layout), `printer` and `write_value` (recipe -> text). What a name needs is imported when the name is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

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

if not TYPE_CHECKING:  # a type checker that saw this would take any name for one of these

    def __getattr__(name: str) -> object:
        if name not in _WHERE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
