"""The lexer and the TextMate grammar come from the table, cover it, and agree with the parser about every recipe."""

import importlib
import json
import re
import time
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pygments.token import Comment, Keyword, Name, String, Token

from jessyfile.editors import vocabulary
from jessyfile.editors.pygments_lexer import JessyfileLexer
from jessyfile.editors.textmate import PLACE, grammar_text, textmate_grammar
from jessyfile.language.parse import parse
from jessyfile.language.source import SourceFile
from jessyfile.language.table import root
from jessyfile.resources import resource
from tests.editors.textmate_engine import scopes

RECIPES = sorted(resource("recipes").glob("*.jessy"))
FULL = '''JESSY 1
ARG base = gemma3:270m FROM ENV BASE
LET who = "x ${base} \\n \\\\ $${no}"
FROM ${base}
SYSTEM """"
  ${who} says """ and "SYSTEM" # no comment
  LORA {
  """"   # a comment
TEMPLATE """{{ .Prompt }} ${who}"""
SYSTEM FILE "a.md"
LORA { rank 8 }
DEPLOY { ollama http://127.0.0.1:11434  # local
}
FROM ./model.gguf
EVAL { MUST latency.low <= 5s
  SHOULD turkish_accuracy > 90% at 95% }
WATCH { max_retrains 3 per day }
PARAMETER   top_p 0.9
DROP CATEGORY slang
VARIANT small "why" {
}
'''


def statements(text):
    """Every statement of a text, the inner ones too."""

    def walk(found):
        for statement in found:
            yield statement
            yield from walk(statement.block.statements if statement.block else ())

    return list(walk(parse(SourceFile("x", text)).statements))


def pygments(text):
    """(offset, kind, text) of every token."""
    return list(JessyfileLexer().get_tokens_unprocessed(text))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.name)
def test_pygments_sees_every_head_and_comment_that_the_parser_sees(recipe):
    text = recipe.read_text("utf-8")
    tokens = {at: (kind, value) for at, kind, value in pygments(text)}
    for statement in statements(text):
        kind = Keyword if statement.head.text.isupper() else Name.Attribute
        assert tokens[statement.head.span.start] == (kind, statement.head.text)
    comments = [(at, value) for at, (kind, value) in tokens.items() if kind is Comment.Single]
    parsed = parse(SourceFile("x", text))
    assert comments == [
        (span.start, text[span.start : span.end]) for span in sorted(parsed.comments, key=lambda s: s.start)
    ]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.name)
def test_textmate_sees_every_head_and_comment_that_the_parser_sees(recipe):
    text = recipe.read_text("utf-8")
    found = {(line, column): (value, scope) for line, column, value, scope in scopes(textmate_grammar(), text)}
    for statement in statements(text):
        scope = "keyword.control.jessyfile" if statement.head.text.isupper() else "support.type.property-name.jessyfile"
        assert found[statement.head.span.line, statement.head.span.column] == (statement.head.text, scope)
    comments = {place for place, (_, scope) in found.items() if scope.startswith("comment")}
    assert comments == {(span.line, span.column) for span in parse(SourceFile("x", text)).comments}


@pytest.mark.parametrize("word", [*vocabulary.instructions(), *vocabulary.settings()])
def test_every_word_of_the_table_is_coloured_by_both(word):
    kind = Keyword if word.isupper() else Name.Attribute
    scope = "keyword.control.jessyfile" if word.isupper() else "support.type.property-name.jessyfile"
    assert (2, kind, word) in pygments(f"  {word} x\n")
    assert (1, 3, word, scope) in scopes(textmate_grammar(), f"  {word} x\n")


def test_no_word_of_the_table_is_forgotten():
    """An instruction that is new in the table is in the vocabulary without anybody writing it again."""
    written = {keyword for node in root().walk() for keyword in node.statements if not keyword.startswith("<")}
    assert written <= {*vocabulary.instructions(), *vocabulary.settings()}
    assert {"ARG", "LET", "EXTENDS", "INCLUDE", "DROP", "VARIANT"} <= set(vocabulary.instructions())
    assert {"q_proj", "cosine", "baseline", "day", "tr", "q8_0"} <= set(vocabulary.choices())
    assert {"iterations", "within", "at", "per"} <= set(vocabulary.fixed_words())


def test_a_word_inside_a_text_or_a_comment_is_no_keyword():
    inside = [(at, value) for at, kind, value in pygments(FULL) if kind in Keyword and FULL[:at].count('""""') == 1]
    assert inside == []
    block = {6, 7}
    assert not [
        s for s in scopes(textmate_grammar(), FULL) if s[0] in block and s[3].startswith(("keyword", "comment"))
    ]


def test_a_whole_language_tour_in_pygments(snapshot):
    assert [f"{kind} {value!r}" for _, kind, value in pygments(FULL) if value.strip()] == snapshot


def test_a_whole_language_tour_in_textmate(snapshot):
    assert [
        f"{line}:{column} {value!r} {scope}" for line, column, value, scope in scopes(textmate_grammar(), FULL)
    ] == snapshot


def test_variables_and_escapes_stand_out_inside_texts():
    tokens = pygments('SYSTEM "a ${x} $${y} \\n"\n')
    assert [(kind, value) for _, kind, value in tokens if kind in (String.Interpol, String.Escape)] == [
        (String.Interpol, "${x}"),
        (String.Escape, "$${"),
        (String.Escape, "\\n"),
    ]


@given(st.text(alphabet=st.one_of(st.sampled_from('"\\${}#\n\t FROM=<>%'), st.characters(codec="utf-8")), max_size=120))
@settings(max_examples=300, deadline=None)
def test_the_lexer_gives_any_text_back(text):
    assert "".join(value for _, _, value in pygments(text)) == text


def test_a_recipe_has_no_token_of_error():
    for recipe in RECIPES:
        assert Token.Error not in {kind for _, kind, _ in pygments(recipe.read_text("utf-8"))}


@pytest.mark.parametrize("text", ['"' * 20_000, '"""\n' + "x\n" * 20_000, '"a' * 10_000, "${" * 10_000])
def test_a_hostile_text_is_coloured_in_a_breath(text):
    started = time.monotonic()
    pygments(text)
    assert time.monotonic() - started < 5


def test_the_package_tells_pygments_where_the_lexer_is():
    package = tomllib.loads(resource("pyproject.toml").read_text("utf-8"))
    module, _, name = package["project"]["entry-points"]["pygments.lexers"]["jessyfile"].partition(":")
    assert getattr(importlib.import_module(module), name) is JessyfileLexer
    assert JessyfileLexer.filenames == ["*.jessy"]


def test_the_committed_grammar_is_the_generated_one():
    committed = resource(PLACE[0]).joinpath(*PLACE[1:]).read_text("utf-8")
    assert committed == grammar_text(), "run python -m jessyfile.editors.textmate"


def test_the_grammar_is_whole():
    grammar = textmate_grammar()
    text = json.dumps(grammar)
    included = set(re.findall(r'"include": "#(\w+)"', text))
    assert included == set(grammar["repository"])
    assert "\\\\Z" not in text
    assert "(?P" not in text


def test_the_extension_names_files_that_are_there():
    folder = resource("grammar", "editors", "vscode")
    package = json.loads((folder / "package.json").read_text("utf-8"))
    language, grammar = package["contributes"]["languages"][0], package["contributes"]["grammars"][0]
    assert grammar["scopeName"] == textmate_grammar()["scopeName"]
    for name in (package["main"], language["configuration"], grammar["path"], "README.md"):
        assert (folder / name).is_file()
    assert language["extensions"] == [".jessy"]
    json.loads((folder / language["configuration"]).read_text("utf-8"))


def test_the_extension_starts_the_command_that_jessy_has():
    from jessyfile.cli import COMMANDS

    folder = resource("grammar", "editors", "vscode")
    package = json.loads((folder / "package.json").read_text("utf-8"))
    program, command = package["contributes"]["configuration"]["properties"]["jessyfile.command"]["default"]
    assert program == "jessy"
    assert command in COMMANDS
