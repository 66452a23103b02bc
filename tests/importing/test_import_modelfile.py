"""What `jessy import Modelfile` writes loads without a mistake and says what the Modelfile said; the rest is named."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jessyfile.errors import ModelfileError, ProjectError
from jessyfile.importing import MAX_BYTES, import_file
from jessyfile.importing.modelfile_reader import read_modelfile
from jessyfile.language import load_text
from jessyfile.language.format import format_text


def imported(folder, text, name="Modelfile"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return import_file(path, target=folder / "out.jessy", name="m")


def recipe(folder, text):
    """The recipe that an import comes to: it must check clean of errors, and be laid out already."""
    found = imported(folder, text)
    loaded = load_text(found.text, folder / "out.jessy", root=folder)
    assert [d for d in loaded.diagnostics if d.severity == "error"] == []
    assert format_text(found.text) == found.text
    return loaded.recipe, found.notes


FULL = '''# who made it
FROM gemma3:270m
SYSTEM """
Sen "JESSY"sin: ${adı} sıcak.
  girinti """" dört
"""
TEMPLATE """{{ .Prompt }}"""
# how it samples
PARAMETER temperature .7
PARAMETER stop "<end_of_turn>"
PARAMETER stop """two
lines"""
PARAMETER use_mmap T
PARAMETER num_ctx 4096
MESSAGE user "hi"
MESSAGE assistant he said "x" \\n ok
LICENSE """MIT
"""
LICENSE another
REQUIRES v0.17.1
'''


def test_everything_that_both_say_arrives_as_it_was(tmp_path):
    found, notes = recipe(tmp_path, FULL)
    assert found.name == "m"
    assert found.base == "gemma3:270m"
    assert found.system == '\nSen "JESSY"sin: ${adı} sıcak.\n  girinti """" dört\n'
    assert found.template == "{{ .Prompt }}"
    assert {(p.key, p.value) for p in found.parameters} == {
        ("num_ctx", 4096), ("use_mmap", True), ("temperature", 0.7), ("stop", "<end_of_turn>"), ("stop", "two\nlines"),
    }  # fmt: skip
    assert [(m.role, m.content) for m in found.messages] == [("user", "hi"), ("assistant", 'he said "x" \\n ok')]
    assert found.licenses == ("MIT\n", "another")
    assert found.requires == "0.17.1"
    assert notes == ()


def test_the_recipe_is_what_a_person_would_write(tmp_path, snapshot):
    assert imported(tmp_path, FULL).text == snapshot


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("FROM a:1\nRENDERER x", 2, "RENDERER was left out"),
        ("FROM a:1\nPARSER x", 2, "PARSER was left out"),
        ("FROM a:1\nDRAFT x", 2, "DRAFT was left out"),
        ("FROM a:1\nPARAMETER mirostat 1", 2, "Ollama ignores it too"),
        ("FROM a:1\nPARAMETER temprature 1", 2, "jessy knows no such key"),
        ("FROM a:1\nPARAMETER  seed 1", 2, "a second space"),
        ("FROM a:1\nPARAMETER seed 1.5", 2, "Ollama takes no `1.5` there"),
        ("FROM a:1\nPARAMETER temperature hot", 2, "Ollama takes no `hot` there"),
        ("FROM a:1\nPARAMETER use_mmap yes", 2, "Ollama takes no `yes` there"),
        ("FROM a:1\nPARAMETER num_ctx 99999999999", 2, "PARAMETER num_ctx was left out"),
        ("FROM a:1\nPARAMETER seed 1\nPARAMETER seed 2", 2, "line 3 says it again"),
        ("FROM a:1\nSYSTEM one\nSYSTEM two", 2, "line 3 says it again"),
        ("FROM a:1\nFROM b:1", 1, "line 2 says it again"),
        ("FROM a:1\nADAPTER ./missing", 2, "ADAPTER was left out"),
        ("FROM a:1\nREQUIRES soon", 2, "REQUIRES was left out"),
        ('FROM a:1\nLICENSE ""', 2, "LICENSE was left out"),
        ('FROM a:1\nPARAMETER stop ""', 2, "PARAMETER stop was left out"),
        ("FROM a:1\nSYSTEM no\u00a0break", 2, "loses 1 character that Ollama drops (U+00A0)"),
        ('FROM a:1\nSYSTEM """one\r\ntwo"""', 2, "carriage returns became line ends"),
        ("FROM ./missing.gguf", 0, "the recipe must be completed by hand"),
    ],
)
def test_what_does_not_survive_is_named_with_its_line(tmp_path, text, line, says):
    notes = imported(tmp_path, text).notes
    assert [(n.line, n.file) for n in notes if says in n.message] == [(line, str(tmp_path / "Modelfile"))], notes


@pytest.mark.parametrize("text", ["FROM a:1\nSYSTEM x", "FROM a:1\nPARAMETER seed 3\nPARAMETER stop x\nMESSAGE user y"])
def test_nothing_is_noted_when_everything_survives(tmp_path, text):
    assert imported(tmp_path, text).notes == ()


def test_a_left_out_line_leaves_the_others(tmp_path):
    found, notes = recipe(tmp_path, "FROM a:1\nPARAMETER num_ctx 99999999999\nADAPTER ./no\nPARAMETER seed 3")
    assert [(p.key, p.value) for p in found.parameters] == [("seed", 3)]
    assert [n.line for n in notes] == [2, 3]


def test_paths_count_from_the_recipe_and_not_from_the_modelfile(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "base.gguf").write_bytes(b"GGUF")
    (tmp_path / "models" / "lora").mkdir()
    (tmp_path / "models" / "Modelfile").write_text("FROM base.gguf\nADAPTER ./lora")
    text = import_file(tmp_path / "models" / "Modelfile", target=tmp_path / "out.jessy").text
    loaded = load_text(text, tmp_path / "out.jessy", root=tmp_path)
    assert [Path(loaded.recipe.base), Path(loaded.recipe.adapter)] == [Path("models/base.gguf"), Path("models/lora")]


def test_names_come_from_the_file_or_from_its_folder(tmp_path):
    folder = tmp_path / "Çok İyi Model!"
    folder.mkdir()
    (folder / "Modelfile").write_text("FROM a")
    (folder / "büyük.modelfile").write_text("FROM a")
    assert "NAME cok-iyi-model\n" in import_file(folder / "Modelfile").text
    assert "NAME buyuk\n" in import_file(folder / "büyük.modelfile").text


def test_comments_of_the_modelfile_stay_beside_what_they_describe(tmp_path):
    text = imported(tmp_path, FULL).text
    assert text.index("# who made it") < text.index("FROM") < text.index("# how it samples") < text.index("PARAMETER")


def test_a_comment_cannot_smuggle_a_control_character(tmp_path):
    found, _ = recipe(tmp_path, "# a\x1b[31mb\u202e\nFROM a:1")
    assert found.base == "a:1"


def test_files_that_are_no_modelfiles_are_refused(tmp_path):
    with pytest.raises(ModelfileError, match="line 1"):
        imported(tmp_path, "hello world")
    with pytest.raises(ModelfileError, match="UTF-8"):
        imported(tmp_path, b"FROM \xff")
    with pytest.raises(ProjectError, match="more than"):
        imported(tmp_path, b"#" * (MAX_BYTES + 1))
    with pytest.raises(ProjectError, match="no file"):
        import_file(Path(tmp_path / "absent"))


TEXTS = st.text(alphabet=st.one_of(st.sampled_from('"\\${}#\n\t İıŞğ'), st.characters(codec="utf-8")), max_size=80)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("import")


@given(system=TEXTS, message=TEXTS)
@settings(max_examples=120, deadline=None)
def test_any_text_that_ollama_keeps_survives(folder, system, message):
    """Quotes, runs of them, backslashes, `${`, Turkish letters, blank lines: the recipe says what Ollama keeps."""
    source = f'FROM a:1\nSYSTEM """{system}"""\nMESSAGE user """{message}"""\n'
    try:
        kept = {c.name: c.args for c in read_modelfile(source)}
    except ModelfileError:
        return
    found, _ = recipe(folder, source)
    as_lines = {name: text.replace("\r\n", "\n").replace("\r", "\n") for name, text in kept.items()}
    assert found.system == as_lines.get("system")
    assert [f"user: {m.content}" for m in found.messages] == [as_lines["message"]] if "message" in as_lines else []
