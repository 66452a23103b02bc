"""A whole session with the real server process over its pipes, as an editor leads it."""

import subprocess
import sys

import pytest

from tests.editors.editor import Editor, RefusedError

GOOD = """JESSY 1

LET rows = 20
ARG base = gemma3:270m

NAME tiny
FROM ${base}
SYSTEM "Sen 👍 ${base}sin."

DATASET {
  CATEGORY technical ${rows} "x" {
    TOPIC debugging ${rows}
  }
}

TRAIN {
  epochs 3
}

EVAL {
  MUST no_loops > 95%
  MUST latency.low < 5s
}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("editor").resolve()
    (root / ".jessy").mkdir()
    return root


@pytest.fixture(scope="module")
def editor(project):
    found = Editor(project)
    yield found
    found.end()


def line_of(text, part):
    """(line, character) of the first time that something stands in a text, in UTF-16 units."""
    before = text[: text.index(part)]
    line = before.rpartition("\n")[2]
    return before.count("\n"), len(line) + sum(c > "\uffff" for c in line)


def place(text, part):
    line, character = line_of(text, part)
    return {"line": line, "character": character}


def labels(answer):
    return [item["label"] for item in answer["items"]]


def test_the_server_says_what_it_can(editor):
    can = editor.hello["capabilities"]
    assert editor.hello["serverInfo"]["name"] == "jessy"
    assert can["textDocumentSync"]["change"] == 1
    for name in ("hoverProvider", "documentFormattingProvider", "definitionProvider", "documentSymbolProvider"):
        assert can[name]
    assert can["renameProvider"]["prepareProvider"]
    assert "{" in can["completionProvider"]["triggerCharacters"]


def test_a_good_recipe_has_no_mistakes(editor):
    assert editor.open("good.jessy", GOOD) == []


def test_mistakes_come_when_a_file_is_opened_with_place_code_and_help(editor):
    text = GOOD.replace("epochs 3", "epochz 3").replace("👍", "👍👍")
    [found] = editor.open("typo.jessy", text)
    assert (found["code"], found["severity"], found["source"]) == ("J001", 1, "jessy")
    assert found["range"]["start"] == place(text, "epochz")
    assert "help: a similar name exists: `epochs`" in found["message"]


def test_mistakes_follow_typing_and_only_the_last_text_counts(editor):
    editor.open("typing.jessy", GOOD)
    for version, word in enumerate(["e", "ep", "epo", "epochz"], 2):
        editor.type("typing.jessy", GOOD.replace("epochs", word), version)
    [found] = editor.mistakes("typing.jessy", bool)
    assert "`epochz`" in found["message"]
    editor.type("typing.jessy", GOOD, 9)
    assert editor.mistakes("typing.jessy", lambda diagnostics: not diagnostics) == []


def test_a_place_behind_a_wide_character_counts_in_the_editors_units(editor):
    text = GOOD.replace('"Sen 👍 ${base}sin."', '"👍👍 ${basf}"').replace("FROM ${base}", "FROM ${base} # x")
    [found] = editor.open("wide.jessy", text)
    assert found["code"] == "J030"
    assert found["range"]["start"] == place(text, '"👍👍')


def test_a_second_place_leads_to_the_first_definition(editor):
    text = GOOD.replace("  epochs 3\n", "  epochs 3\n  epochs 4\n")
    [found] = editor.open("twice.jessy", text)
    [related] = found["relatedInformation"]
    assert related["location"]["uri"] == editor.uri("twice.jessy")
    assert related["location"]["range"]["start"] == place(text, "3\n  epochs")


def test_a_quick_fix_puts_the_right_word_in(editor):
    [found] = editor.open("fix.jessy", GOOD.replace("epochs 3", "epochz 3"))
    [action] = editor.about("codeAction", "fix.jessy", range=found["range"], context={"diagnostics": [found]})
    assert action["title"] == "Replace with `epochs`"
    assert action["edit"]["changes"] == {editor.uri("fix.jessy"): [{"range": found["range"], "newText": "epochs"}]}


def test_completion_knows_the_block_and_leaves_out_what_is_there(editor):
    text = GOOD.replace("  epochs 3\n", "  epochs 3\n  war\n")
    editor.open("complete.jessy", text)
    line, character = line_of(text, "war\n")
    answer = editor.at("completion", "complete.jessy", line, character + 3)
    assert "warmup_steps" in labels(answer)
    assert not {"epochs", "rank", "NAME"} & set(labels(answer))
    item = next(item for item in answer["items"] if item["label"] == "warmup_steps")
    assert "Optimizer updates" in item["documentation"]["value"]
    start = {"line": line, "character": character}
    assert item["textEdit"]["range"] == {"start": start, "end": {"line": line, "character": character + 3}}


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("TRAIN {\n  schedule ", {"cosine", "linear", "constant"}),
        ("LORA {\n  targets q_proj ", {"k_proj", "down_proj"}),
        ("EVAL {\n  MUST ", {"turkish_accuracy", "latency.low", "turkish.form", "no_loops"}),
        ("EVAL {\n  MUST no_loops ", {">", ">="}),
        ("PARAMETER ", {"temperature", "stop"}),
        ('LET who = "x"\nSYSTEM "${', {"who"}),
    ],
)
def test_completion_over_the_wire(editor, typed, offered):
    name = f"wire{abs(hash(typed))}.jessy"
    editor.open(name, typed)
    assert offered <= set(labels(editor.at("completion", name, typed.count("\n"), len(typed.rpartition("\n")[2]))))


def test_a_block_comes_as_a_snippet_only_for_editors_that_take_one(editor, project):
    editor.open("snippet.jessy", "JESSY 1\nTR")
    asked = [i for i in editor.at("completion", "snippet.jessy", 1, 2)["items"] if i["label"] == "TRAIN"]
    assert [item["textEdit"]["newText"] for item in asked] == ["TRAIN {\n  $0\n}"]
    other = Editor(project, snippets=False)
    try:
        other.open("snippet.jessy", "JESSY 1\nTR")
        asked = [i for i in other.at("completion", "snippet.jessy", 1, 2)["items"] if i["label"] == "TRAIN"]
        assert [item["textEdit"]["newText"] for item in asked] == ["TRAIN"]
        assert other.leave() == 0
    finally:
        other.end()


def test_hover_shows_documentation_default_and_effect(editor):
    editor.open("hover.jessy", GOOD)
    found = editor.at("hover", "hover.jessy", *line_of(GOOD, "epochs"))
    text = found["contents"]["value"]
    assert "How often every row is seen" in text
    assert "default: `3`" in text
    assert "after a change: the model is trained again (retrain)" in text
    assert found["range"]["start"] == place(GOOD, "epochs")
    assert editor.at("hover", "hover.jessy", 1, 0) is None


def test_hover_over_a_name_shows_its_declaration(editor):
    editor.open("hover.jessy", GOOD)
    line, character = line_of(GOOD, '${rows} "x"')
    assert "LET rows = 20" in editor.at("hover", "hover.jessy", line, character + 3)["contents"]["value"]


def test_layout_replaces_the_whole_text(editor):
    editor.open("layout.jessy", GOOD.replace("  epochs 3", "epochs    3"))
    [edit] = editor.about("formatting", "layout.jessy", options={"tabSize": 2, "insertSpaces": True})
    assert edit["range"]["start"] == {"line": 0, "character": 0}
    assert edit["range"]["end"] == {"line": GOOD.count("\n"), "character": 0}
    editor.type("layout.jessy", edit["newText"], 2)
    assert editor.about("formatting", "layout.jessy", options={"tabSize": 2, "insertSpaces": True}) == []


def test_a_broken_text_is_not_laid_out_and_the_reason_is_shown(editor):
    editor.open("broken.jessy", 'JESSY 1\nSYSTEM "open\n')
    assert editor.about("formatting", "broken.jessy", options={"tabSize": 2, "insertSpaces": True}) is None
    assert "left as it is" in editor.wait_for("window/showMessage")["message"]


def test_definitions_of_names_levels_and_files(editor, project):
    part, base = (
        "EVAL {\n  MUST no_loops > 95%\n}\n",
        GOOD.replace("EVAL", "COMPLEXITY {\n  LEVEL low 1-2 iterations\n}\nEVAL"),
    )
    (project / "part.jessy").write_text(part)
    (project / "base.jessy").write_text(base)
    text = 'JESSY 1\nEXTENDS "base.jessy"\nINCLUDE "part.jessy"\nLET a = 5s\nEVAL {\n  SHOULD latency.low < ${a}\n}\n'
    editor.open("child.jessy", text)

    def target(part, shift=1):
        line, character = line_of(text, part)
        found = editor.at("definition", "child.jessy", line, character + shift)
        return found and (found["uri"], found["range"]["start"])

    assert target('"base.jessy"') == (editor.uri("base.jessy"), {"line": 0, "character": 0})
    assert target('"part.jessy"') == (editor.uri("part.jessy"), {"line": 0, "character": 0})
    assert target("${a}", 2) == (editor.uri("child.jessy"), place(text, "a = 5s"))
    assert target("latency.low") == (editor.uri("base.jessy"), place(base, "low 1-2"))
    assert target("EVAL") is None


def test_the_outline_is_a_tree(editor):
    editor.open("outline.jessy", GOOD)
    outline = editor.about("documentSymbol", "outline.jessy")
    assert [s["name"] for s in outline][:4] == ["JESSY 1", "LET rows", "ARG base", "NAME tiny"]
    dataset = next(s for s in outline if s["name"] == "DATASET")
    assert [s["name"] for s in dataset["children"]] == ["CATEGORY technical"]
    assert [s["name"] for s in dataset["children"][0]["children"]] == ["TOPIC debugging"]
    assert dataset["range"]["end"]["line"] > dataset["selectionRange"]["end"]["line"]


def test_a_let_is_renamed_wherever_it_stands(editor):
    editor.open("rename.jessy", GOOD)
    line, character = line_of(GOOD, "rows = 20")
    assert editor.at("prepareRename", "rename.jessy", line, character)["start"] == place(GOOD, "rows = 20")
    answer = editor.at("rename", "rename.jessy", line, character, newName="count")
    [edits] = answer["changes"].values()
    lines = GOOD.split("\n")
    for edit in sorted(edits, key=lambda e: (e["range"]["start"]["line"], -e["range"]["start"]["character"])):
        at, start, end = (
            edit["range"]["start"]["line"],
            edit["range"]["start"]["character"],
            edit["range"]["end"]["character"],
        )
        lines[at] = lines[at][:start] + edit["newText"] + lines[at][end:]
    assert "\n".join(lines) == GOOD.replace("rows", "count")


@pytest.mark.parametrize(
    ("part", "shift", "new", "reason"),
    [
        ("NAME", 0, "x", "only the names of ARG and LET"),
        ("rows = 20", 0, "base", "`base` is taken"),
        ("rows = 20", 0, "çok iyi", "is no name"),
    ],
)
def test_a_rename_that_is_not_safe_is_refused_with_the_reason(editor, part, shift, new, reason):
    editor.open("refuse.jessy", GOOD)
    line, character = line_of(GOOD, part)
    with pytest.raises(RefusedError, match=reason):
        editor.at("rename", "refuse.jessy", line, character + shift, newName=new)


def test_a_part_is_judged_inside_the_recipe_that_includes_it(editor, project):
    """Alone it would lack everything that a recipe needs."""
    (project / "whole.jessy").write_text(GOOD + 'INCLUDE "only_part.jessy"\n')
    assert editor.open("only_part.jessy", "WATCH {\n  debounce 2s\n}\n") == []
    editor.type("only_part.jessy", "WATCH {\n  debounze 2s\n}\n", 2)
    [found] = editor.mistakes("only_part.jessy", bool)
    assert "debounze" in found["message"]


def test_an_unsaved_parent_counts_before_the_one_on_the_disk(editor, project):
    (project / "parent.jessy").write_text(GOOD)
    editor.open("parent.jessy", GOOD)
    assert editor.open("heir.jessy", 'JESSY 1\nEXTENDS "parent.jessy"\nNAME heir\n') == []
    editor.type("parent.jessy", GOOD.replace("20\n", "21\n").replace("TOPIC debugging ${rows}", "TOPIC debugging 1"), 2)
    assert [d["code"] for d in editor.mistakes("parent.jessy", bool)] == ["J010"]
    editor.tell("textDocument/didClose", {"textDocument": {"uri": editor.uri("parent.jessy")}})
    assert editor.mistakes("parent.jessy", lambda diagnostics: not diagnostics) == []


def test_the_server_survives_what_people_type(editor):
    """After any of these texts it still answers."""
    editor.open("odd.jessy", "")
    odd = [
        "{" * 300,
        '"' * 500,
        "\x00\x1b[31m",
        "\ud83d",
        "A" * 10_000,
        "}\n" * 50,
        'SYSTEM """\n',
        "DROP\nVARIANT\nARG\n",
        "a\r\nb\rc",
    ]
    for version, text in enumerate(odd, 2):
        editor.type("odd.jessy", text.encode("utf-8", "replace").decode(), version)
        for method in ("completion", "hover", "definition"):
            editor.at(method, "odd.jessy", 0, 3)
        editor.about("documentSymbol", "odd.jessy")
    editor.type("odd.jessy", GOOD, 99)
    assert editor.mistakes("odd.jessy", lambda diagnostics: not diagnostics) == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-32"])
def test_editors_that_count_otherwise_are_understood(project, encoding):
    other = Editor(project, encodings=(encoding,))
    try:
        assert other.hello["capabilities"]["positionEncoding"] == encoding
        text = GOOD.replace("👍 ${base}sin.", "ş👍 ${none}")
        [found] = other.open("units.jessy", text)
        line = text.split("\n")[7]
        units = len(line) if encoding == "utf-32" else len(line.encode())
        assert found["range"]["end"] == {"line": 7, "character": units}
        assert other.leave() == 0
    finally:
        other.end()


def test_without_pygls_the_command_says_what_to_install(tmp_path):
    code = (
        "import sys; sys.modules['pygls'] = None; sys.modules['lsprotocol'] = None\n"
        "from jessyfile.cli import main; sys.exit(main(['lsp']))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    assert found.returncode == 1
    assert "the language server needs pygls" in found.stderr
    assert "pip install 'jessy[editor]'" in found.stderr


def test_the_session_ends_well(editor):
    assert editor.leave() == 0
    noise = b"".join(editor.noise).decode()
    assert "Traceback" not in noise
