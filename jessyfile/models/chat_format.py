"""How a conversation becomes the text that a model reads: one description per format, three renderings that agree.

A `ChatFormat` is data. From it come the prompt text (`render`, `render_parts`), the Jinja template that travels with
the weights and the Go TEMPLATE of a Modelfile, so that training and serving cannot drift apart. Contents are stripped
of white space at both ends, as Google's own Gemma template does; a Go template cannot strip, so whoever fills one must
hand it stripped text.

The texts never begin with the BOS token: the tokenizer and every engine add it once (`Tokenizer.encode(text,
bos=True)`).

Not covered: tools, images, thinking switches, and dates that some official templates write into the system turn.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jessyfile.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from jessyfile.language.recipe import Message


_MARK = re.compile(r"<[^<>\s]+>|\[/?[A-Z_]+\]")


@dataclass(frozen=True, slots=True)
class ChatFormat:
    """The texts around turns.

    `system_turn` is None where the system prompt opens the first user turn, with an empty line between.

    `reply_lead` belongs to the answer (the model writes it), `end_of_turn` ends it and is trained; `after_reply` is
    not.
    """

    name: str
    user: tuple[str, str]
    reply_open: str
    end_of_turn: str
    after_reply: str
    system_turn: tuple[str, str] | None = None
    reply_lead: str = ""

    @property
    def turn_tokens(self) -> frozenset[str]:
        """Return the tokens that mark turns; a vocabulary that has them must find them in a text."""
        texts = (*self.user, self.reply_open, self.end_of_turn, *(self.system_turn or ()))
        return frozenset(_MARK.findall("".join(texts)))

    @property
    def stops(self) -> tuple[str, ...]:
        """Return the texts at which an engine stops generating."""
        return (self.end_of_turn,)

    def render(self, messages: Sequence[Message], system: str | None = None, add_generation_prompt: bool = True) -> str:
        """Return the conversation as text, without BOS; with the opening of an answer at its end unless told
        otherwise.
        """
        text = "".join(piece for piece, _ in self.render_parts(messages, system))
        return text + self.reply_open if add_generation_prompt else text

    def render_parts(self, messages: Sequence[Message], system: str | None = None) -> list[tuple[str, bool]]:
        """Return the conversation in pieces with whether each is trained: an answer with its end-of-turn token is,
        nothing else.

        A leading message of the role system counts as the system prompt when none is given. Raises ModelError for
        another role.
        """
        lead, turns = _split_system(messages, system)
        parts: list[tuple[str, bool]] = []
        if lead and self.system_turn is not None:
            parts.append((self.system_turn[0] + lead + self.system_turn[1], False))
            lead = ""
        for turn in turns:
            parts.extend(self._turn(turn, lead))
            lead = "" if turn.role == "user" else lead
        return _joined(parts)

    def _turn(self, turn: Message, lead: str) -> list[tuple[str, bool]]:
        content = turn.content.strip()
        if turn.role == "user":
            opening = f"{lead}\n\n" if lead else ""
            return [(self.user[0] + opening + content + self.user[1], False)]
        if turn.role == "assistant":
            return [
                (self.reply_open, False),
                (self.reply_lead + content + self.end_of_turn, True),
                (self.after_reply, False),
            ]
        raise ModelError(f"a turn has the role {turn.role!r}, which is neither user nor assistant")

    def jinja(self, *, bos: bool = True) -> str:
        """Return the template that travels with the weights; it writes `bos_token` itself, as such templates do, unless
        the model wants none.
        """
        return ("{{ bos_token }}" if bos else "") + _jinja(self)

    def go_template(self) -> str:
        """Return the TEMPLATE of a Modelfile; Ollama adds BOS itself."""
        return _go(self)


def _split_system(messages: Sequence[Message], system: str | None) -> tuple[str, Sequence[Message]]:
    if messages and messages[0].role == "system":
        first, *rest = messages
        return (system if system is not None else first.content).strip(), rest
    return (system or "").strip(), messages


def _joined(parts: Iterable[tuple[str, bool]]) -> list[tuple[str, bool]]:
    found: list[tuple[str, bool]] = []
    for text, trained in parts:
        if found and found[-1][1] == trained:
            found[-1] = (found[-1][0] + text, trained)
        elif text:
            found.append((text, trained))
    return found


def _literal(text: str) -> str:
    """Return a text as a Jinja string; written out, a newline after a block would be eaten by some settings."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


def _jinja(form: ChatFormat) -> str:
    system_turn, lead = "", "(ns.system + '\\n\\n' if ns.system else '') + "
    if form.system_turn is not None:
        opened, closed = map(_literal, form.system_turn)
        system_turn, lead = "{%- if ns.system %}{{ " + f"{opened} + ns.system + {closed}" + " }}{% endif -%}", ""
    opened, closed = _literal(form.reply_open + form.reply_lead), _literal(form.end_of_turn + form.after_reply)
    user = f"{_literal(form.user[0])} + {lead}message['content'] | trim + {_literal(form.user[1])}"
    reply = f"{opened} + message['content'] | trim + {closed}"
    return (
        "{%- set ns = namespace(system='') -%}"
        "{%- if messages and messages[0]['role'] == 'system' -%}"
        "{%- set ns.system = messages[0]['content'] | trim -%}{%- endif -%}"
        f"{system_turn}"
        "{%- for message in messages -%}"
        "{%- if message['role'] == 'user' %}{{ " + user + " }}{% set ns.system = '' -%}"
        "{%- elif message['role'] == 'assistant' %}{{ " + reply + " }}{% endif -%}"
        "{%- endfor -%}"
        "{%- if add_generation_prompt %}{{ " + _literal(form.reply_open) + " }}{% endif -%}"
    )


def _go(form: ChatFormat) -> str:
    if form.system_turn is None:
        opening = "{{- $sys := .System }}"
        lead = '{{ if $sys }}{{ $sys }}\n\n{{ $sys = "" }}{{ end }}'
    else:
        opening = "{{- if .System }}" + form.system_turn[0] + "{{ .System }}" + form.system_turn[1] + "{{ end }}"
        lead = ""
    user = form.user[0] + lead + "{{ .Content }}" + form.user[1]
    reply = form.reply_open + form.reply_lead + "{{ .Content }}" + form.end_of_turn + form.after_reply
    body = '{{- if eq .Role "user" }}' + user + '{{ else if eq .Role "assistant" }}' + reply + "{{ end }}"
    return opening + "{{- range .Messages }}" + body + "{{ end }}" + form.reply_open


GEMMA = ChatFormat(
    name="gemma",
    user=("<start_of_turn>user\n", "<end_of_turn>\n"),
    reply_open="<start_of_turn>model\n",
    end_of_turn="<end_of_turn>",
    after_reply="\n",
)
CHATML = ChatFormat(
    name="chatml",
    user=("<|im_start|>user\n", "<|im_end|>\n"),
    reply_open="<|im_start|>assistant\n",
    end_of_turn="<|im_end|>",
    after_reply="\n",
    system_turn=("<|im_start|>system\n", "<|im_end|>\n"),
)
LLAMA3 = ChatFormat(
    name="llama3",
    user=("<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>"),
    reply_open="<|start_header_id|>assistant<|end_header_id|>\n\n",
    end_of_turn="<|eot_id|>",
    after_reply="",
    system_turn=("<|start_header_id|>system<|end_header_id|>\n\n", "<|eot_id|>"),
)
MISTRAL = ChatFormat(
    name="mistral",
    user=("[INST] ", "[/INST]"),
    reply_open="",
    end_of_turn="</s>",
    after_reply="",
    reply_lead=" ",
)
MISTRAL_TEKKEN = replace(MISTRAL, name="mistral-tekken", user=("[INST]", "[/INST]"), reply_lead="")
MISTRAL_V7 = replace(MISTRAL_TEKKEN, name="mistral-v7", system_turn=("[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"))
# of the line breaks that Phi-3's own template has behind turn tokens none reaches the model: its tokens take blanks with them
PHI3 = ChatFormat(
    name="phi3",
    user=("<|user|>", "<|end|>"),
    reply_open="<|assistant|>",
    end_of_turn="<|end|>",
    after_reply="",
    system_turn=("<|system|>", "<|end|>"),
)
PHI4 = ChatFormat(
    name="phi4",
    user=("<|im_start|>user<|im_sep|>", "<|im_end|>"),
    reply_open="<|im_start|>assistant<|im_sep|>",
    end_of_turn="<|im_end|>",
    after_reply="",
    system_turn=("<|im_start|>system<|im_sep|>", "<|im_end|>"),
)
_BYTE, _BLANK = "<0x0A>", "Ġ"  # a byte as SentencePiece spells it, a blank as byte-level vocabularies do
_SIGNS = (
    (("<start_of_turn>",), GEMMA),
    (("<|im_start|>", "<|im_sep|>"), PHI4),
    (("<|im_start|>",), CHATML),
    (("<|start_header_id|>",), LLAMA3),
    (("[INST]", _BYTE), MISTRAL),
    (("[INST]", "[SYSTEM_PROMPT]", _BLANK), MISTRAL_V7),
    (("[INST]", _BLANK), MISTRAL_TEKKEN),
    (("[INST]",), MISTRAL),
    (("<|user|>", "<|end|>"), PHI3),
)
FORMATS: Mapping[str, ChatFormat] = {form.name: form for _, form in _SIGNS}


def chat_format(name: str) -> ChatFormat:
    """Return a format by its name. Raises ModelError for an unknown one."""
    try:
        return FORMATS[name]
    except KeyError:
        raise ModelError(f"no chat format is called {name!r}", hint=f"known are {', '.join(FORMATS)}") from None


def refuse_other_template(template: str | None, form: ChatFormat) -> None:
    """Raise ModelError for a TEMPLATE that is not the one of the format trained: nothing but Ollama would use it."""
    if template is not None and template.strip() != form.go_template().strip():
        raise ModelError(
            f"TEMPLATE is not the format that is trained ({form.name}): "
            "the model would be asked in a way that it never learned",
            hint="delete TEMPLATE: jessy writes the one of the format it trains; "
            "use SYSTEM and MESSAGE for texts of your own",
        )


def format_of(vocabulary: Iterable[str], family: str = "") -> ChatFormat:
    """Choose a base's format: a Gemma's own, else the one whose turn tokens the vocabulary holds; ChatML, spelled in
    ordinary tokens, for a base that holds none.
    """
    if family.startswith("gemma"):
        return GEMMA
    known = set(vocabulary)
    return next((form for signs, form in _SIGNS if known.issuperset(signs)), CHATML)
