"""Tokens that mark something instead of saying it, by their text.

llama.cpp takes the tokens below for control tokens whatever a file says of them: it finds them written out in a text, and stops
at most of them. What is trained must be read in the same way. Source of the list: llama.cpp's vocabulary loader.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jessyfile.models.chat_format import ChatFormat

_ENDS = (
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>",
    "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>",
    "<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>", "<｜end▁of▁sentence｜>", "[e~[",
)  # fmt: skip
_FILLS = (
    "<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>", "<|code_prefix|>",
    "<|prefix|>", "<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>",
    "<|code_suffix|>", "<|suffix|>", "<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>",
    "▁<MID>", "<|code_middle|>", "<|middle|>", "<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]",
    "<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>", "<|file_sep|>",
)  # fmt: skip
_CHANNELS = ("<|channel|>", "<|message|>", "<|start|>", "<|constrain|>")
_BY_TEXT = frozenset((*_ENDS, *_FILLS, *_CHANNELS))


def control_tokens(form: ChatFormat) -> frozenset[str]:
    """Return the texts that are control tokens in any vocabulary that holds them: the format's turn tokens and llama.cpp's."""
    return form.turn_tokens | _BY_TEXT


# and what other vocabularies have for the same: `<|python_tag|>`, `<start_of_image>`, `<unused7>`, `<bos>`, `[/INST]`
_WRITTEN = re.compile(
    "|".join(map(re.escape, sorted(_BY_TEXT, key=len, reverse=True)))
    + r"|<\|[^<>|\s]+\|>|</?(?:bos|pad|unk|mask|s|unused\d+|(?:start|end)_of_\w+)>"
    + r"|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_\w+)\]"
)


def spelled_apart(text: str) -> str:
    """Return a text in which no control token stands, only what looks like one: `<end_of_turn>` as `< end_of_turn>`.

    An engine would take one that a person typed, or that stands in a document, for the end of a turn, and what follows for another's.
    """
    if "<" not in text and "[" not in text:
        return text
    return _WRITTEN.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)
