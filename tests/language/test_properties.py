"""What holds for every recipe and for every text, by hypothesis.

JESSY_EXAMPLES sets how many are drawn for each property (120; the long run takes 20,000).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jessyfile.errors import RecipeError
from jessyfile.language import format_text, load_text, render_diagnostics
from jessyfile.language.diagnostics import has_errors
from jessyfile.language.parse import parse
from jessyfile.language.printer import print_document
from jessyfile.language.recipe import Source, leaves
from jessyfile.language.source import SourceFile
from jessyfile.language.variables import text_lines
from tests.language.strategies import NEAR_RECIPES, documents

EXAMPLES = int(os.environ.get("JESSY_EXAMPLES", "120"))
HERE = Path(__file__).parent / "wrong" / "drawn.jessy"
many = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
few = settings(many, max_examples=max(EXAMPLES // 3, 40))


def tree(text: str):
    """Return a text's statements without places, a text by what it says, and its comments in order."""
    parsed = parse(SourceFile("x", text))
    comments = [text[c.start : c.end] for c in parsed.comments]
    return [_plain(s) for s in parsed.statements], comments, parsed.diagnostics


def _plain(statement):
    args = [(t.kind, text_lines(t.text)[0] if t.kind == "TEXT" else t.text) for t in statement.args]
    block = [_plain(s) for s in statement.block.statements] if statement.block else None
    return statement.head.text, args, block


def read(text: str):
    return load_text(text, HERE, root=HERE.parent)


@many
@given(documents())
def test_printing_and_reading_a_recipe_is_the_identity(document):
    text = print_document(document, {}, everything=True)
    found = read(text)
    assert found.recipe is not None, text + render_diagnostics(found.diagnostics, color=False)
    assert found.recipe.document == document


@few
@given(documents())
def test_what_is_printed_lays_out_to_the_same_recipe(document):
    text = print_document(document, {}, everything=True)
    laid_out = format_text(text)
    assert format_text(laid_out) == laid_out
    assert read(laid_out).recipe.document == document


@few
@given(documents())
def test_printing_only_what_was_written_gives_the_same_recipe(document):
    first = read(print_document(document, {}, everything=True)).recipe
    chosen = {".".join(a): Source("x", 1, 1) for a, v in leaves(document) if v is not None}
    again = read(print_document(first.document, {**chosen, **first.sources})).recipe
    assert again.document == first.document


@few
@given(documents())
def test_a_document_is_valid_against_the_schema(document):
    from jsonschema.validators import Draft202012Validator

    from jessyfile.language.table import document_schema

    assert not list(Draft202012Validator(document_schema()).iter_errors(document))


def check_layout(text: str) -> None:
    statements, comments, diagnostics = tree(text)
    if has_errors(diagnostics):
        with pytest.raises(RecipeError):
            format_text(text)
        return
    laid_out = format_text(text)
    assert tree(laid_out)[:2] == (statements, comments)
    assert format_text(laid_out) == laid_out


@many
@given(NEAR_RECIPES)
def test_laying_out_keeps_tree_and_comments_and_is_idempotent(text):
    check_layout(text)


def grammar_texts() -> st.SearchStrategy[str]:
    from hypothesis.extra.lark import from_lark
    from lark import Lark

    from jessyfile.resources import resource

    lark = Lark(resource("grammar", "jessyfile.lark").read_text("utf-8"), parser="lalr", lexer="basic")
    words = {
        "TEXT": ['"""one line"""', '"""\n   a\n\n  b # c\n  """', '""""\n"""\n""""'], "STRING": ['"a # b"', '"\\n${x}"', '""'], "URL": ["http://h:1/a?b=c"],
        "PATH": ["./a.gguf", "../b"], "VAR": ["${x}"], "PERCENT": ["10%"], "DURATION": ["5s", "250ms"], "RANGE": ["1-2"], "NUMBER": ["16", "-1", "1e-4"],
        "WORD": ["LORA", "TOPIC", "A"], "NAME": ["rank", "q_proj", "latency.low"], "OP": [">=", "<"], "REF": ["gemma:2b", "Ç", "日本"], "_NL": ["\n", "\n\n\n", "\r\n  "],
    }  # fmt: skip
    explicit = {
        name: st.sampled_from(found).map(lambda w: w if w.isspace() else f" {w} ") for name, found in words.items()
    }
    explicit |= {"COMMENT": st.just("# note"), "WS": st.sampled_from([" ", "\t", "   "])}
    return from_lark(lark, explicit=explicit)


@few
@given(grammar_texts())
def test_laying_out_holds_for_every_text_of_the_grammar(text):
    check_layout(text)


@many
@given(NEAR_RECIPES | st.text(max_size=300))
def test_any_text_ends_in_a_recipe_or_in_diagnostics(text):
    found = read(text)
    assert found.recipe is not None or has_errors(found.diagnostics)
    rendered = render_diagnostics(found.diagnostics, color=False)
    assert all(c == "\n" or c.isprintable() or c in "\u200d\u3000\u00a0" or not c.isascii() for c in rendered)
    assert "\x1b" not in rendered


@few
@given(st.binary(max_size=400))
def test_any_bytes_end_in_a_recipe_or_in_diagnostics(tmp_path_factory, data):
    from jessyfile.language import load_recipe

    path = tmp_path_factory.getbasetemp() / "bytes.jessy"
    path.write_bytes(data)
    found = load_recipe(path, root=path.parent)
    assert found.recipe is not None or has_errors(found.diagnostics)


@many
@given(st.data())
def test_a_recipe_with_a_stretch_damaged_ends_in_a_recipe_or_in_diagnostics(data):
    text = (Path(__file__).parents[2] / "recipes" / "v2.jessy").read_text("utf-8")
    start = data.draw(st.integers(0, len(text)))
    end = min(len(text), start + data.draw(st.integers(0, 60)))
    found = read(text[:start] + data.draw(NEAR_RECIPES) + text[end:])
    assert found.recipe is not None or has_errors(found.diagnostics)
