"""Conversations in which a chat format is compared with the template that a model's authors publish.

`published_chats.json` holds what those templates say, rendered with jinja2 as transformers does it; each with its source, and with
the texts that it has more than ours, by the name under which docs/models.md explains them.
"""

import json
from functools import cache
from pathlib import Path

from jessyfile.language.recipe import Message
from jessyfile.models.chat_format import ChatFormat

_TURKISH = (
    ("user", "Iğdır'a ŞİMDİ mi gitsem? 🤽‍♀️"),
    ("assistant", "Bence git:\n\n```py\nprint('ığüşöç')\n```"),
    ("user", "Olur."),
)
CHATS = {
    "a question": (("user", "Merhaba, nasılsın?"),),
    "a system prompt": (("system", "Sen JESSY'sin."), ("user", "Kimsin?")),
    "turns": (("user", "1"), ("assistant", "2"), ("user", "3"), ("assistant", "4"), ("user", "5")),
    "a system prompt and turns": (("system", "Kısa konuş."), *_TURKISH),
    "Turkish, signs and code": _TURKISH,
    "white space": (("user", "  iki  boşluk\n\n"), ("assistant", "\tsekme \n"), ("user", "\n son")),
    "white space, trimmed": (("user", "iki  boşluk"), ("assistant", "sekme"), ("user", "son")),
    "an answer to learn": (("user", "Kimsin?"), ("assistant", "Ben JESSY.")),
}
TRIMMED, ELSEWHERE, REFUSED = "trimmed contents", "system prompt in the first turn", "takes a system prompt"


@cache
def published():
    return json.loads(Path(__file__).with_name("published_chats.json").read_text("utf-8"))


def rendered(template: str, bos: str, eos: str) -> dict[str, str | None]:
    """Return what a Jinja template says to every conversation, None where it refuses one."""
    from jinja2.exceptions import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> None:
        raise TemplateError(message)

    known = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
    known.globals |= {"raise_exception": refuse, "strftime_now": lambda _: "26 Jul 2024"}
    found: dict[str, str | None] = {}
    for name, turns in CHATS.items():
        messages = [{"role": role, "content": content} for role, content in turns]
        asked = {
            "messages": messages,
            "bos_token": bos,
            "eos_token": eos,
            "add_generation_prompt": turns[-1][0] == "user",
        }
        try:
            found[name] = known.from_string(template).render(asked)
        except TemplateError:
            found[name] = None
    return found


def ours(form: ChatFormat, bos: str) -> dict[str, str]:
    """Return what we say to every conversation."""
    return {
        name: bos + form.render([Message(*turn) for turn in turns], add_generation_prompt=turns[-1][0] == "user")
        for name, turns in CHATS.items()
    }


def differences(
    form: ChatFormat, bos: str, theirs: dict[str, str | None], more: dict[str, list[str]]
) -> tuple[str, ...]:
    """Return the names of all that our format does otherwise than the authors' template, whose own texts are `more`.

    Raises AssertionError, with the conversation, for a difference that has no name.
    """
    names: dict[str, None] = {}
    for name, got in ours(form, bos).items():
        for found in _names(name, got, theirs, more):
            names[found] = None
    return tuple(names)


def _names(name: str, got: str, theirs: dict[str, str | None], more: dict[str, list[str]]) -> list[str]:
    want = theirs[name]
    if want is None:
        assert CHATS[name][0][0] == "system", f"the authors' template refuses: {name}"
        return [REFUSED]
    found = []
    if name == "white space" and want != theirs["white space, trimmed"]:
        want, found = theirs["white space, trimmed"] or "", [TRIMMED]
    for label, texts in more.items():
        for text in texts:
            if want != got and text in want:
                want, found = want.replace(text, "", 1), [*found, label]
    lead = CHATS[name][0][1] + "\n\n"
    if want != got and want.count(lead) == got.count(lead) == 1 and want.replace(lead, "") == got.replace(lead, ""):
        return [*found, ELSEWHERE]
    assert want == got, f"{name}: {want!r} is {got!r} here"
    return found
