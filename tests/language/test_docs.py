"""The documentation cannot drift: its recipes check clean, its reference is what the table says, its messages are real."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jessyfile.editors.reference import reference
from jessyfile.language import format_text, load_recipe, load_text, render_diagnostics
from jessyfile.language.codes import CODES
from jessyfile.language.diagnostics import has_errors
from jessyfile.language.table import LANGUAGE_WORDS, document_schema, root

HOUSE = Path(__file__).parents[2]
RECIPES = sorted((HOUSE / "recipes").glob("*.jessy"))
PAGES = [*sorted((HOUSE / "docs").glob("*.md")), HOUSE / "README.md"]
HEAD = "JESSY 1\nNAME test\nFROM gemma3:270m\n"
REST = {
    "DATASET": "DATASET {\n  CATEGORY more 20 {\n    TOPIC a 20\n  }\n}\n",
    "EVAL": "EVAL {\n  MUST no_loops > 95%\n}\n",
}

# examples of one file are read beside these
FILES = {
    "golden.jsonl": '{"id": "g-1", "suite": "golden", "prompt": "selam"}\n',  # docs/feedback.md
    "prompt.md": "x",
    "LICENSE.txt": "x",
    "chat.tmpl": "x",
    "adapters/old": "x",
    "data/replay/general.jsonl": "{}",
    "cases.jsonl": "{}",
    "pairs.jsonl": "{}",
    "judged.jsonl": "{}",
    "examples/pairs.jsonl": "{}",
}


def snippets() -> list:
    found = []
    for page in PAGES:
        if page.is_file():
            text = page.read_text("utf-8")
            for match in re.finditer(r"^```jessy\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
                line = text.count("\n", 0, match.start()) + 1
                found.append(pytest.param(match[1], id=f"{page.name}:{line}"))
    return found


def whole(text: str) -> str:
    """Return an excerpt as a whole recipe: what it lacks is added, a line that it says itself is left out."""
    if "NAME" in text and "FROM" in text:
        return text
    text = text.removeprefix("JESSY 1\n")
    said = {line.split()[0] for line in text.splitlines() if line.strip()}
    head = "".join(line + "\n" for line in HEAD.splitlines() if line.split()[0] not in said)
    rest = "".join(
        block
        for block in REST.values()
        if not ("CATEGORY" in block and "CATEGORY" in said) and not ("no_loops" in block and "no_loops" in text)
    )
    if "FEEDBACK mine" in text:
        rest = rest.replace("CATEGORY more", "CATEGORY mine")
    return head + text + ("" if text.endswith("\n") else "\n") + rest


@pytest.mark.parametrize("text", snippets())
def test_an_example_in_the_documentation_checks_clean(tmp_path, text):
    for name, content in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
    (tmp_path / "data" / "seeds").mkdir(parents=True)
    for part in ("v2.jessy", "parts/eval.jessy"):
        (tmp_path / part).parent.mkdir(exist_ok=True)
    (tmp_path / "parts" / "eval.jessy").write_text("WATCH { debounce 2s }\n", "utf-8")
    (tmp_path / "v2.jessy").write_text(HEAD + "DATASET {\n  CATEGORY slang 5 {\n    TOPIC a 5\n  }\n}\n", "utf-8")
    if text.startswith("DROP"):
        text = 'EXTENDS "v2.jessy"\n' + text
    if text.startswith(("LET rank", "LET size")):
        text = text + "" if "${" in text else text + "LORA {\n  rank ${rank}\n}\n"
    if text.startswith("ARG size"):
        text = text + 'PARAMETER stop "${size}"\n'
    found = load_text(whole(text), tmp_path / "recipe.jessy", root=tmp_path)
    assert not has_errors(found.diagnostics), whole(text) + render_diagnostics(found.diagnostics, color=False)


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.name)
def test_a_shipped_recipe_checks_without_errors_and_is_laid_out(path):
    found = load_recipe(path)
    assert found.recipe is not None, render_diagnostics(found.diagnostics, color=False)
    text = path.read_text("utf-8")
    assert format_text(text) == text


def test_the_reference_recipe_keeps_the_users_numbers():
    path = HOUSE / "recipes" / "v2.jessy"
    found = load_recipe(path)
    assert found.diagnostics == ()
    recipe = found.recipe
    assert sum(c.count for c in recipe.dataset.categories[:4]) == 400
    assert (recipe.lora.rank, recipe.lora.alpha, recipe.lora.dropout) == (16, 32.0, 0.05)
    train = recipe.train
    assert (train.epochs, train.batch_size, train.grad_accumulation, train.learning_rate, train.warmup_steps) == (
        3,
        8,
        4,
        1e-4,
        50,
    )
    assert [(level.name, level.iterations, level.within) for level in recipe.complexity.levels] == [
        ("low", (1, 2), 5.0),
        ("medium", (3, 5), 15.0),
        ("high", (6, 9), 60.0),
    ]
    assert {c.metric: (c.rank, c.comparison, c.value) for c in recipe.evaluation.criteria}["latency.low"] == (
        "must",
        "<",
        5.0,
    )


def test_the_reference_page_is_what_the_table_says():
    """Run `python -m jessyfile.editors.reference` after a change of the table."""
    assert (HOUSE / "docs" / "reference.md").read_text("utf-8") == reference()


def test_the_words_that_put_recipes_together_are_documented():
    assert tuple(document_schema()["x-words"]) == LANGUAGE_WORDS


def test_the_reference_names_every_word_of_the_language():
    page = reference()
    for node in root().walk():
        for keyword in node.statements:
            assert (
                f"`{keyword}`" in page or f" {keyword}\n" in page or f"{keyword} / " in page or f"/ {keyword}" in page
            ), keyword


@pytest.mark.parametrize("code", [code for code, entry in CODES.items() if entry.wrong])
def test_the_wrong_example_of_a_code_earns_it_and_the_right_one_does_not(tmp_path, code):
    """`jessy explain` shows both; a code whose example is stale explains nothing."""
    (tmp_path / "cases.jsonl").write_text("{}\n", "utf-8")
    path = tmp_path / "recipe.jessy"
    entry = CODES[code]
    path.write_text(
        HEAD + "DATASET {\n  CATEGORY talk 40 {\n    TOPIC small 40\n  }\n}\n" + REST["EVAL"] + entry.wrong + "\n",
        "utf-8",
    )
    assert {d.code for d in load_recipe(path, root=tmp_path).diagnostics} == {code}
    if entry.right and code != "J018":
        path.write_text(path.read_text("utf-8").replace(entry.wrong, entry.right), "utf-8")
        assert code not in {d.code for d in load_recipe(path, root=tmp_path).diagnostics}


def test_the_guides_message_is_what_jessy_prints(tmp_path):
    page = (HOUSE / "docs" / "language.md").read_text("utf-8")
    shown = re.search(r"^```\n(error\[J001\].*?)\n```", page, re.MULTILINE | re.DOTALL)[1]
    path = tmp_path / "recipe.jessy"
    path.write_text(HEAD + REST["DATASET"] + REST["EVAL"] + "TRAIN {\n  dropout 0.1\n}\n", "utf-8")
    printed = render_diagnostics(load_recipe(path, root=tmp_path).diagnostics, color=False)
    assert printed.replace(":13:", ":13:") == shown
