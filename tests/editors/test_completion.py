"""What is offered where somebody types, and what the table says about a word: judged without a server."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jessyfile.editors.completion import Scene, complete
from jessyfile.editors.hover import describe_head, hover_text
from jessyfile.language import load_text
from jessyfile.language.source import SourceFile
from jessyfile.language.table import LANGUAGE_WORDS, root
from jessyfile.resources import resource


def offered(text, **scene):
    """The labels at `|`."""
    offset = text.index("|")
    return [one.label for one in complete(Scene(text.replace("|", "", 1), **scene), offset).suggestions]


def hovered(text, part, shift=0):
    found = hover_text(SourceFile("x", text), text.index(part) + shift)
    return found and found[0]


@pytest.mark.parametrize(
    ("text", "wanted", "unwanted"),
    [
        ("JESSY 1\n|", {"NAME", "TRAIN", "PARAMETER", "INCLUDE", "VARIANT"}, {"JESSY", "epochs", "TOPIC"}),
        ("JESSY 1\nNAME x\nNA|", {"FROM"}, {"NAME", "JESSY"}),
        ("LET a = 1\nPARAMETER seed 1\n|", {"LET", "PARAMETER", "MESSAGE"}, set()),
        ("TRAIN {\n  |\n  batch_size 8\n}\n", {"epochs", "DROP"}, {"batch_size", "rank", "LET"}),
        ("TRAIN { sche|", {"schedule"}, {"rank"}),
        ("DATASET {\n  CATEGORY x 5 {\n    |", {"TOPIC", "language"}, {"seed", "CATEGORY"}),
        ("DATASET {\n  CATEGORY x 5 {\n    TOPIC y 3 { |", {"level"}, {"TOPIC"}),
        ("VARIANT x {\n  |", {"LORA", "NAME"}, {"JESSY", "EXTENDS", "VARIANT"}),
        ("VARIANT x {\n  LORA {\n    |", {"rank"}, {"NAME"}),
        ("NOPE {\n  |", set(), {"NAME"}),
        ("TRAIN {\n}\n|", {"EVAL"}, {"TRAIN", "epochs"}),
    ],
)
def test_a_line_begins_with_what_its_block_takes(text, wanted, unwanted):
    found = set(offered(text))
    assert wanted <= found
    assert not unwanted & found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("TRAIN {\n  schedule |", ["cosine", "linear", "constant"]),
        ("TRAIN {\n  schedule cos|", ["cosine", "linear", "constant"]),
        ("TRAIN {\n  include_system |", ["yes", "no"]),
        ("TRAIN {\n  pack |", ["no", "length", "rows"]),
        ("TRAIN {\n  epochs |", ["3"]),
        ("TRAIN {\n  early_stop |", ["none"]),
        ("LORA { layers |", ["all"]),
        ("MESSAGE |", ["system", "user", "assistant"]),
        ("PARAMETER use_mmap |", ["yes", "no"]),
        ("EVAL {\n  MUST no_loops |", ["<", "<=", ">", ">=", "="]),
        ("EVAL {\n  MUST no_loops > |", ["90%", "baseline", "start", "previous"]),
        ("EVAL {\n  MUST latency.low < |", ["5s", "baseline", "start", "previous"]),
        ("EVAL {\n  MUST no_loops > 90% |", ["at"]),
        ("COMPLEXITY {\n  LEVEL low 1-2 |", ["iterations"]),
        ("COMPLEXITY {\n  LEVEL low 1-2 iterations |", ["within"]),
        ("WATCH { max_retrains 3 |", ["per"]),
        ("WATCH { max_retrains 3 per |", ["hour", "day", "week"]),
        ("EXPORT |", ["gguf"]),
        ("ARG x = 1 |", ["FROM ENV"]),
        ("NAME |", []),
        ("TRAIN {\n  epochs 3 |", []),
        ('SYSTEM "quoted |', []),
        ('SYSTEM """\n  |', []),
        ('SYSTEM "x" # comment |', []),
        ("# |", []),
    ],
)
def test_after_a_word_stands_what_its_form_takes(text, found):
    assert offered(text) == found


def test_levels_and_suites_of_the_recipe_make_metrics():
    text = 'COMPLEXITY {\n  LEVEL quick 1-2 iterations\n}\nEVAL {\n  SUITE mine "x.jsonl"\n  MUST |\n}\n'
    found = offered(text)
    assert {"latency.quick", "mine.form", "mine.relevance", "no_loops"} <= set(found)
    assert not {"latency.low", "turkish.form", "latency.<level>"} & set(found)


def test_the_levels_of_a_parent_count_too():
    text = 'EXTENDS "base.jessy"\nDATASET {\n  CATEGORY x 5 {\n    level |'
    assert offered(text, others=("COMPLEXITY {\n  LEVEL quick 1-2 iterations\n}\n",)) == ["quick", "none"]
    assert offered(text)[:3] == ["low", "medium", "high"]


def test_drop_names_what_a_parent_brings():
    text = 'EXTENDS "base.jessy"\nDROP CATEGORY |'
    assert offered(text, others=("DATASET {\n  CATEGORY slang 5\n}\n",)) == ["slang"]
    assert {"CATEGORY", "SYSTEM"} <= set(offered("DROP |"))


@pytest.mark.parametrize(
    "text", ['LET who = 1\nSYSTEM "${|', 'LET who = 1\nSYSTEM """\n  x ${w|\n  """', "LET who = 1\nNAME ${|"]
)
def test_names_are_offered_inside_texts_too(text):
    assert offered(text) == ["who"]


def test_an_escaped_variable_is_no_variable():
    assert offered('LET who = 1\nSYSTEM "$${|') == []


def test_files_are_offered_for_extends_and_include(tmp_path):
    (tmp_path / "base.jessy").write_text("")
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / ".jessy").mkdir()
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "eval.jessy").write_text("")
    assert offered('EXTENDS "|', folder=tmp_path) == ["base.jessy", "parts"]
    assert offered('INCLUDE "parts/|', folder=tmp_path) == ["parts/eval.jessy"]
    assert offered('INCLUDE "nowhere/|', folder=tmp_path) == []
    assert offered('SYSTEM "|', folder=tmp_path) == []


def test_the_word_begun_is_what_is_replaced():
    assert complete(Scene("TRAIN {\n  war"), 13).word == "war"
    assert complete(Scene('SYSTEM "x ${wh'), 14).word == "wh"
    assert complete(Scene("EVAL { MUST latency.l"), 21).word == "latency.l"


@pytest.mark.parametrize("recipe", sorted(resource("recipes").glob("*.jessy")), ids=lambda path: path.name)
def test_what_people_wrote_is_what_would_have_been_offered(recipe):
    """Cut a recipe off before each of its words: the word that follows is among the suggestions."""
    from jessyfile.editors.lsp.places import found_at, parsed

    text = recipe.read_text("utf-8")
    file = SourceFile(recipe.name, text)
    checked = 0
    stack = list(parsed(file).statements)
    while stack:
        statement = stack.pop()
        stack += statement.block.statements if statement.block else ()
        found = found_at(parsed(file).statements, statement.head.span.start)
        assert found is not None
        assert found.is_head
        own = statement.head.text in OWN_NAMES or (statement.head.text == "SUITE" and len(statement.args) > 1)
        own = own or (statement.head.text == "DROP" and "EXTENDS" in text)  # what the parent names stands in its file
        for token in (statement.head, *statement.args):
            suggestions = [one.label for one in complete(Scene(text), token.span.start).suggestions]
            of_a_field = ".field." in token.text  # which fields there are stands in the suite's file
            chosen = token.kind == "NAME" and suggestions and not own and not of_a_field
            if chosen or token is statement.head:
                assert token.text in suggestions, (token.text, token.span.line)
                checked += 1
    assert checked > 30


OWN_NAMES = ("CATEGORY", "TOPIC", "LEVEL", "NAME", "ARG", "LET", "VARIANT")


@pytest.mark.parametrize("word", LANGUAGE_WORDS)
def test_every_word_of_the_language_has_a_page(word):
    page = describe_head(word, None)
    assert page.startswith(f"**{word}**")
    assert f"- form: `{word}" in page


def test_every_instruction_and_setting_has_a_page_with_its_effect():
    for node in root().walk():
        for word, inner in node.statements.items():
            page = describe_head(word, inner)
            assert page is not None, word
            assert inner.schema["description"] in page
            assert "after a change: " in page
            assert "read by: " in page


def test_the_pages_read_well(snapshot):
    text = resource("recipes", "v2.jessy").read_text("utf-8")
    words = [
        "warmup_steps",
        "NAME",
        "LEVEL",
        "turkish_accuracy",
        "latency.low",
        "temperature",
        "gguf",
        "1-2",
        "iterations",
        "q_proj",
    ]
    assert {word: hovered(text, word) for word in words} == snapshot


@pytest.mark.parametrize(
    ("text", "part", "says"),
    [
        ("LET who = 5\nNAME ${who}\n", "${who}", "LET who = 5"),
        ("LET who = 5\nNAME ${who}\n", "who = 5", "LET who = 5"),
        ("NAME ${no}\n", "no}", "`no` is not declared"),
        ('EXTENDS "x.jessy"\n', "EXTENDS", "Starts from another recipe"),
        ("EVAL {\n  MUST nonsense > 1\n}\n", "nonsense", None),
        ("NOPE 5\n", "NOPE", None),
        ("NOPE 5\n", "5", None),
        ("TRAIN {\n  epochs 3 4\n}\n", "4", None),
        ("", "", None),
    ],
)
def test_hover_says_what_is_known_and_nothing_else(text, part, says):
    found = hovered(text, part)
    assert (says in found) if says else found is None


@given(st.text(alphabet=st.sampled_from('{}"\\n\\t #$LETRAIN abc1%<=>'), max_size=80), st.integers(0, 80))
@settings(max_examples=300, deadline=None)
def test_no_text_breaks_an_answer(text, offset):
    complete(Scene(text), min(offset, len(text)))
    hover_text(SourceFile("x", text), min(offset, len(text)))


def test_a_recipe_written_by_suggestions_alone_checks_clean(tmp_path):
    """Each word below is offered where it stands; the values are a person's."""
    text = ""
    for line in FIRST_RECIPE:
        indent = len(line) - len(line.lstrip())
        word = line.split()[0]
        if word != "}":
            assert word in offered(text + " " * indent + "|"), line
        text += line + "\n"
    loaded = load_text(text, tmp_path / "x.jessy", root=tmp_path)
    assert [d for d in loaded.diagnostics if d.severity == "error"] == []


FIRST_RECIPE = [
    "JESSY 1", "NAME tiny", "FROM gemma3:270m",
    "DATASET {", "  CATEGORY technical 20 {", "    TOPIC debugging 20", "  }", "}",
    "LORA {", "  rank 8", "}", "EVAL {", "  MUST no_loops > 95%", "}",
]  # fmt: skip


def test_a_language_is_offered_by_its_code_the_likeliest_first():
    codes = offered("DATASET {\n  CATEGORY x 5 {\n    language |")
    assert codes[:3] == ["tr", "en", "de"]
    assert codes[-2:] == ["mixed", "none"]
    assert len(codes) == len(set(codes)) > 70
