"""What a recipe says reaches the engine unchanged; what a Modelfile's text cannot say is named, never bent."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import recipe as plain_recipe

from jessyfile.errors import ExportError
from jessyfile.export.modelfile import create_request, modelfile_text, packaging, served
from jessyfile.importing.modelfile_reader import read_modelfile
from jessyfile.language.recipe import Message, Parameter
from jessyfile.models.chat_format import GEMMA
from jessyfile.planning.canonical import normal, readable
from jessyfile.results.served import Served
from jessyfile.results.typed_json import read_as

TEXT = st.text(alphabet="aıİ \n\t\"'#{}%\u00a0\u200d\u00ad😀\r", max_size=40)


def pack(tmp_path, **settings):
    return packaging(plain_recipe(tmp_path, **settings), GEMMA)


def test_defaults_make_two_machines_answer_alike(tmp_path):
    """Ollama would choose num_ctx by video memory and a random seed."""
    found = create_request(pack(tmp_path, parameters=(Parameter("temperature", 0.7),)), "candidate")["parameters"]
    assert found == {"temperature": 0.7, "num_ctx": 4096, "seed": 42, "stop": ("<end_of_turn>",)}


def test_what_the_recipe_says_wins_over_the_defaults(tmp_path):
    given_ = (
        Parameter("num_ctx", 2048),
        Parameter("seed", 7),
        Parameter("stop", "<end_of_turn>"),
        Parameter("stop", "x"),
    )
    found = create_request(pack(tmp_path, parameters=given_), "candidate")["parameters"]
    assert found == {"num_ctx": 2048, "seed": 7, "stop": ("<end_of_turn>", "x")}


def test_the_rendered_modelfile(tmp_path, snapshot):
    messages = (Message("user", "napıyon"), Message("assistant", "Sor kanka,\ndinliyorum."))
    full = pack(
        tmp_path, messages=messages, licenses=("MIT",), requires="0.17.1", parameters=(Parameter("temperature", 0.7),)
    )
    text, lost = modelfile_text(full)
    assert lost == ()
    assert text == snapshot


@given(system=TEXT, content=TEXT, stop=TEXT.filter(bool))
def test_every_part_survives_the_text_or_is_named(system, content, stop, tmp_path_factory):
    """Ollama's format has no escapes: twenty thousand prompts either read back letter by letter or are reported."""
    full = pack(
        tmp_path_factory.getbasetemp(),
        system=system,
        messages=(Message("user", content),),
        parameters=(Parameter("stop", stop),),
    )
    text, lost = modelfile_text(full)
    commands = [(command.name, command.args) for command in read_modelfile(text)]
    assert (("system", full.system) in commands) == ("SYSTEM" not in lost and full.system is not None)
    assert (("message", f"user: {content}") in commands) == ("MESSAGE user" not in lost)
    assert (("stop", stop) in commands) == ("PARAMETER stop" not in lost)
    body = create_request(full, "candidate")
    assert body.get("system") == (system.strip() or None)
    assert body["messages"][0]["content"] == content
    assert stop in body["parameters"]["stop"]


def test_a_text_that_closes_its_own_quotes_is_left_out_and_named(tmp_path):
    text, lost = modelfile_text(pack(tmp_path, system='kapat """\nSYSTEM başka'))
    assert lost == ("SYSTEM",)
    assert [command.name for command in read_modelfile(text)].count("system") == 0


def test_recipe_text_is_data_for_jinja(tmp_path):
    """A system prompt that looks like a template is shown, not executed."""
    hostile = "{{ 7 * 7 }} {% for i in range(9) %}x{% endfor %} {{ self.__class__ }}"
    text, lost = modelfile_text(pack(tmp_path, system=hostile))
    assert lost == ()
    assert f'SYSTEM """{hostile}"""' in text


def test_engines_get_the_same_settings_as_ollama(tmp_path):
    asked = plain_recipe(tmp_path, messages=(Message("user", "a"),))
    ours, theirs = served(asked, GEMMA), create_request(packaging(asked, GEMMA), "candidate")
    assert ours.parameters == theirs["parameters"]
    assert ours.system == theirs["system"]
    assert normal(ours.messages) == theirs["messages"]
    assert ours.chat_format == "gemma"


def test_a_served_model_says_how_its_answers_are_read(tmp_path):
    """Levels and marker were taken from the last apply, which may have trained another model with another marker."""
    ours = served(plain_recipe(tmp_path), GEMMA)
    assert ours.complexity.marker == "[{level} {iterations}]"
    assert [(level.name, level.iterations, level.within) for level in ours.complexity.levels] == [("low", (1, 2), None)]
    assert read_as(Served, json.loads(readable(ours)), "served.json") == ours


def test_a_template_is_never_used_in_one_place_alone(tmp_path):
    """A recipe's own TEMPLATE was sent to Ollama, while training, baseline and the embedded engine used the format's."""
    full = pack(tmp_path, template="{{ .Prompt }}")
    assert create_request(full, "candidate")["template"] == GEMMA.go_template()


def test_a_text_that_breaks_in_composition_is_an_error(tmp_path, monkeypatch):
    """The whole is read back as well as the parts."""
    from jessyfile.export import modelfile

    monkeypatch.setattr(modelfile, "_survivors", lambda full: (replace(full, system='x"""\ny'), ()))
    with pytest.raises(ExportError):
        modelfile_text(pack(tmp_path))
