"""An Ollama that has taken the file is asked as it will be asked, and compared with the file."""

import pytest
from fake_ollama import fake_ollama, send

from jessyfile.export.ollama_api import OllamaClient
from jessyfile.language.recipe import Complexity, Level, Message
from jessyfile.models.chat_format import GEMMA
from jessyfile.parity.served import FileAnswers, FirstTokens, served_faults
from jessyfile.results.served import Served

ASKED = FileAnswers((FirstTokens((Message("user", "selam"),), (-0.1, -2.5, -5.0)),))
PARAMETERS = {"num_ctx": 4096, "temperature": 0.7, "stop": ("<end_of_turn>",)}
SHOWN = {
    "modelfile": f"FROM /models/blobs/sha256-{'a' * 64}\n",
    "system": "Kısa konuş.",
    "parameters": 'num_ctx                        4096\ntemperature   0.7\nstop  "<end_of_turn>"',
}
SERVED = Served("tiny", "gemma", "Kısa konuş.", (), PARAMETERS, Complexity((Level("low", (1, 2), None),), "[{level}]"))


def rendered(form):
    """Return what a server writes that renders the turns by a format."""

    def render(turns):
        system = next((one["content"] for one in turns if one["role"] == "system"), None)
        return form.render([Message(one["role"], one["content"]) for one in turns if one["role"] != "system"], system)

    return render


def found(prepare=lambda state: None):
    notes = []
    with fake_ollama() as (state, url):
        state.models["tiny:candidate"] = {"model": "tiny:candidate"}
        state.render, state.logprobs = rendered(GEMMA), [-0.1, -2.5, -5.0]
        prepare(state)
        faults = list(served_faults(OllamaClient(url), "tiny:candidate", SERVED, ASKED, notes, "a" * 64))
        sent = [body for word, body in state.bodies if word == "chat"]
    return [one.kind for one in faults], notes, sent


def test_a_server_that_asks_and_answers_as_the_file_does_passes():
    kinds, notes, sent = found()
    assert kinds == []
    assert notes == [
        "Ollama renders 5 conversations as they are trained",
        "Ollama answers as the file does: 0 nats apart over 1 conversations",
    ]
    assert sent[0]["messages"][0] == {"role": "system", "content": "Kısa konuş."}
    assert sent[-1]["think"] is False


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"capabilities": ["completion", "tools"]}, "capabilities"),
        ({"render": lambda turns: "<|im_start|>"}, "template"),
        ({"logprobs": [-2.0, -2.1, -2.2]}, "answers"),
    ],
)
def test_a_server_that_does_otherwise_is_refused(change, kind):
    """Since 0.30 Ollama prefers a Jinja that knows tools to the TEMPLATE it was given; nothing looked at what it renders."""
    kinds, _, _ = found(lambda state: [setattr(state, name, value) for name, value in change.items()])
    assert kinds == [kind]


@pytest.mark.parametrize(
    ("change", "kind", "says"),
    [
        ({"modelfile": f"FROM /models/blobs/sha256-{'b' * 64}\n"}, "file", "serves another file"),
        ({"system": "You are a helpful assistant."}, "system", "helpful assistant"),
        ({"system": ""}, "system", "Kısa konuş."),
        ({"parameters": SHOWN["parameters"].replace("4096", "2048")}, "parameters", "num_ctx '2048'"),
        ({"parameters": "num_ctx 4096\ntemperature 0.7"}, "parameters", "stop 'nothing'"),
        ({"parameters": SHOWN["parameters"] + '\nstop "A"'}, "parameters", "stop '<end_of_turn>, A'"),
        ({"parameters": None}, "parameters", "nothing"),
        ({"parameters": SHOWN["parameters"].replace("0.7", "1")}, "parameters", "temperature '1'"),
    ],
)
def test_what_the_server_keeps_beside_the_weights_is_compared(change, kind, says):
    faults = shown(SHOWN | change)
    assert {one.kind for one in faults} == {kind}
    assert says in faults[0].message


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"parameters": 'stop "<end_of_turn>"\n\ntemperature 0.70\nnum_ctx 4096.0'},
        {"parameters": "num_ctx 4096\ntemperature 0.7\nstop `<end_of_turn>`"},
        {"parameters": SHOWN["parameters"] + "\nnum_thread 4"},
        {"modelfile": "FROM tiny:latest\n"},
    ],
)
def test_what_is_only_written_otherwise_passes(change):
    assert shown(SHOWN | change) == []


def shown(told):
    with fake_ollama() as (state, url):
        state.models["tiny:candidate"] = {"model": "tiny:candidate"}
        state.render, state.logprobs = rendered(GEMMA), [-0.1, -2.5, -5.0]
        state.answer[("POST", "/api/show")] = lambda handler: send(
            handler, 200, {"capabilities": ["completion"], **told}
        )
        return list(served_faults(OllamaClient(url), "tiny:candidate", SERVED, ASKED, [], "a" * 64))


def test_the_turn_that_is_rendered_otherwise_is_named():
    def late(turns):
        return rendered(GEMMA)(turns).replace("iki", "3") if len(turns) > 2 else rendered(GEMMA)(turns)

    with fake_ollama() as (state, url):
        state.models["tiny:candidate"] = {"model": "tiny:candidate"}
        state.render = late
        (fault,) = served_faults(OllamaClient(url), "tiny:candidate", SERVED, FileAnswers(()), [])
    assert fault.kind == "template"
    assert "at turn" in fault.message


def test_an_old_server_that_tells_neither_is_no_fault():
    kinds, notes, _ = found(lambda state: (setattr(state, "render", None), setattr(state, "logprobs", None)))
    assert kinds == []
    assert "does not show what it renders" in notes[0]
    assert "tells no log-probabilities" in notes[1]
