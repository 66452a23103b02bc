"""Tokens that mark something instead of saying it, by their text.

llama.cpp takes the tokens below for control tokens whatever a file says of them: it finds them written out in a text, and stops
at most of them. What is trained must be read in the same way. Source of the list: llama.cpp's vocabulary loader.
"""

from __future__ import annotations

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
