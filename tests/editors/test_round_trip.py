"""Modelfile -> recipe -> Modelfile -> recipe: what the exporter writes, the importer takes back unchanged."""

import pytest

from jessyfile.export.modelfile import modelfile_text, packaging
from jessyfile.importing import import_file
from jessyfile.language import load_text
from jessyfile.language.printer import flatten
from jessyfile.models.chat_format import chat_format

SOURCE = '''FROM gemma3:270m
SYSTEM """Sen "Mia"sın: ${adı} sıcak.
  İki satır, \\n kaçış değil, "" ve tek " tırnak."""
TEMPLATE """{template}"""
PARAMETER temperature 0.7
PARAMETER num_ctx 4096
PARAMETER seed 7
PARAMETER stop "<end_of_turn>"
PARAMETER stop "### Kullanıcı: "
MESSAGE user merhaba # yorum değil
MESSAGE assistant """selam
sana"""
LICENSE Gemma
'''.replace("{template}", chat_format("gemma").go_template())


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    return tmp_path


def imported(folder, text):
    (folder / "Modelfile").write_text(text)
    found = import_file(folder / "Modelfile", target=folder / "m.jessy", name="m")
    assert found.notes == ()
    return load_text(found.text, folder / "m.jessy", root=folder).recipe


def said(recipe):
    """Everything that a Modelfile can say; the base is the exported file afterwards."""
    parameters = sorted((p.key, p.value) for p in recipe.parameters)
    return recipe.system, recipe.template, recipe.messages, recipe.licenses, recipe.requires, parameters


def test_a_modelfile_survives_two_journeys(folder):
    first = imported(folder, SOURCE)
    text, lost = modelfile_text(packaging(first, chat_format("gemma")))
    assert lost == ()
    assert said(imported(folder, text)) == said(first)


def test_an_imported_recipe_survives_being_printed_flat(folder):
    first = imported(folder, SOURCE)
    again = load_text(flatten(first), folder / "m.jessy", root=folder).recipe
    assert again.document == first.document
