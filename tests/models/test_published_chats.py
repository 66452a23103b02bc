"""Our chat formats say what the templates of the models' authors say, but for what has a name."""

import pytest
from chats import ELSEWHERE, REFUSED, TRIMMED, differences, published, rendered

from jessyfile.models.chat_format import FORMATS, chat_format

NAMED = {
    "gemma": (REFUSED,),
    "gemma3": (),
    "llama3.2": ("no dates",),
    "qwen2.5": ("no default system prompt", TRIMMED),
    "qwen3": (TRIMMED, "no empty thoughts"),
    "mistral-v0.3": (ELSEWHERE, TRIMMED),
    "mistral-nemo": (ELSEWHERE, TRIMMED),
    "smollm2": ("no default system prompt", TRIMMED),
    "smollm3": ("no default system prompt", TRIMMED),
    "phi3": (TRIMMED, "no end of text behind an answer"),
    "phi4-mini": (TRIMMED, "no end of text behind an answer"),
    "phi4": (TRIMMED,),
    "mistral-small": ("no default system prompt", TRIMMED),
}


@pytest.mark.parametrize("name", published())
def test_a_format_says_what_its_authors_template_says(name):
    """A Mistral with tekken was asked with the blanks of the older ones, and a Phi in ChatML spelled in letters."""
    found = published()[name]
    assert differences(chat_format(found["format"]), found["bos"], found["chats"], found["more"]) == NAMED[name]


def test_every_format_is_compared():
    assert {found["format"] for found in published().values()} == set(FORMATS)


def test_a_difference_without_a_name_is_told():
    """The comparison must be able to fail: another blank, another order, another end."""
    found = published()["gemma3"]
    for wrong in ("<end_of_turn>", "\n\n", "user"):
        theirs = {name: text.replace(wrong, wrong + " ", 1) for name, text in found["chats"].items()}
        with pytest.raises(AssertionError, match="is"):
            differences(chat_format("gemma"), found["bos"], theirs, found["more"])


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_the_template_that_travels_with_the_weights_says_the_same(form):
    assert differences(form, "<s>", rendered(form.jinja(), "<s>", "</s>"), {}) == ()
