"""One description, three renderings: the training text, the Jinja template and the Go TEMPLATE say the same."""

from dataclasses import dataclass

import jinja2
import pytest
from go_template import execute
from hypothesis import given
from hypothesis import strategies as st

from jessyfile.errors import ModelError
from jessyfile.models.chat_format import CHATML, FORMATS, GEMMA, chat_format, format_of

TEXT = st.text(alphabet="aıİŞğ 😀\n\t'\"{}<>|[]/\\", max_size=30)
NAMES = sorted(FORMATS)


@dataclass(frozen=True)
class Turn:
    role: str
    content: str


@st.composite
def conversations(draw):
    """User and assistant in turns, the user first and last, as an engine is asked."""
    contents = draw(st.lists(TEXT, min_size=1, max_size=5))
    contents = contents if len(contents) % 2 else contents[:-1]
    return [Turn("assistant" if number % 2 else "user", content) for number, content in enumerate(contents)]


@pytest.mark.parametrize("name", NAMES)
@given(turns=conversations(), system=st.none() | TEXT)
def test_jinja_says_what_render_says(name, turns, system):
    form = chat_format(name)
    messages = [{"role": turn.role, "content": turn.content} for turn in turns]
    if system is not None:
        messages.insert(0, {"role": "system", "content": system})
    for settings in ({}, {"trim_blocks": True, "lstrip_blocks": True}):
        template = jinja2.Environment(**settings).from_string(form.jinja())  # noqa: S701 (a prompt is no HTML)
        text = template.render(messages=messages, bos_token="<s>", add_generation_prompt=True)
        assert text == "<s>" + form.render(turns, system)
    plain = jinja2.Environment().from_string(form.jinja(bos=False))  # noqa: S701 (a prompt is no HTML)
    text = plain.render(messages=messages, bos_token="<s>", add_generation_prompt=True)
    assert text == form.render(turns, system)


@pytest.mark.parametrize("name", NAMES)
@given(turns=conversations(), system=st.none() | TEXT)
def test_the_go_template_says_what_render_says(name, turns, system):
    """A Go template cannot strip, so it is handed stripped text, as every engine of ours does."""
    form = chat_format(name)
    messages = [{"Role": turn.role, "Content": turn.content.strip()} for turn in turns]
    text = execute(form.go_template(), {"System": (system or "").strip(), "Messages": messages})
    assert text == form.render(turns, system)


def test_gemmas_template_is_the_one_that_equals_googles():
    """Of the Gemma templates in circulation none equals Google's once there is a system prompt; this text does."""
    assert GEMMA.go_template() == (
        '{{- $sys := .System }}{{- range .Messages }}{{- if eq .Role "user" }}<start_of_turn>user\n'
        '{{ if $sys }}{{ $sys }}\n\n{{ $sys = "" }}{{ end }}{{ .Content }}<end_of_turn>\n'
        '{{ else if eq .Role "assistant" }}<start_of_turn>model\n{{ .Content }}<end_of_turn>\n{{ end }}{{ end }}'
        "<start_of_turn>model\n"
    )


@pytest.mark.parametrize("name", NAMES)
@given(turns=conversations(), answer=TEXT, system=st.none() | TEXT)
def test_only_answers_and_their_end_are_trained(name, turns, answer, system):
    form = chat_format(name)
    turns = [*turns, Turn("assistant", answer)]
    parts = form.render_parts(turns, system)
    assert "".join(text for text, _ in parts) == form.render(turns, system, add_generation_prompt=False)
    trained = [text for text, flag in parts if flag]
    expected = [form.reply_lead + turn.content.strip() + form.end_of_turn for turn in turns if turn.role == "assistant"]
    assert trained == expected


@pytest.mark.parametrize("name", NAMES)
@given(turns=conversations(), answer=TEXT)
def test_a_prompt_is_the_beginning_of_what_was_trained(name, turns, answer):
    """What an engine sends must be a prefix of a training row, or the model is asked something it never saw."""
    form = chat_format(name)
    row = form.render([*turns, Turn("assistant", answer)], "kısa", add_generation_prompt=False)
    assert row.startswith(form.render(turns, "kısa"))


def test_an_unknown_role_and_format_are_refused():
    with pytest.raises(ModelError, match="tool"):
        GEMMA.render([Turn("tool", "x")])
    with pytest.raises(ModelError, match="alpaca"):
        chat_format("alpaca")


def test_the_vocabulary_chooses_the_format():
    assert format_of(["a", "<start_of_turn>"]) is GEMMA
    assert format_of(["a", "[INST]"]).name == "mistral"
    assert format_of(["Ġ", "[INST]"]).name == "mistral-tekken"
    assert format_of(["Ġ", "[INST]", "[SYSTEM_PROMPT]"]).name == "mistral-v7"
    assert format_of(["<|im_start|>", "<|im_sep|>"]).name == "phi4"
    assert format_of(["<|user|>", "<|end|>"]).name == "phi3"
    assert format_of(["<|user|>"]) is CHATML


def test_phis_and_mistrals_formats_are_the_published_ones():
    """Phi's line breaks belong to its turn tokens, which take the blanks behind them; tekken's formats have no blanks."""
    turns = [Turn("user", "a"), Turn("assistant", "b"), Turn("user", "c")]
    said = {name: chat_format(name).render(turns, "s") for name in ("phi3", "phi4", "mistral-tekken", "mistral-v7")}
    assert said == {
        "phi3": "<|system|>s<|end|><|user|>a<|end|><|assistant|>b<|end|><|user|>c<|end|><|assistant|>",
        "phi4": (
            "<|im_start|>system<|im_sep|>s<|im_end|><|im_start|>user<|im_sep|>a<|im_end|><|im_start|>assistant<|im_sep|>b"
            "<|im_end|><|im_start|>user<|im_sep|>c<|im_end|><|im_start|>assistant<|im_sep|>"
        ),
        "mistral-tekken": "[INST]s\n\na[/INST]b</s>[INST]c[/INST]",
        "mistral-v7": "[SYSTEM_PROMPT]s[/SYSTEM_PROMPT][INST]a[/INST]b</s>[INST]c[/INST]",
    }
    assert format_of(["a"]) is CHATML


def test_a_letter_of_malta_makes_no_vocabulary_byte_level():
    """What stands for a blank in byte-level vocabularies is a letter in those of SentencePiece."""
    assert format_of(["[INST]", "Ġ", "<0x0A>"]).name == "mistral"
    assert format_of(["[INST]", "Ġ"]).name == "mistral-tekken"
