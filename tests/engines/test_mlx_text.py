"""Text from MLX's tokens: no half character and no half stop text is ever shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from jessyfile.engines.mlx_engine import _Text

STOP = "<end>"


@dataclass
class Bytes:
    """A tokenizer of single bytes: the hardest case for characters of several bytes."""

    def decode(self, ids: Sequence[int], *, skip_special: bool = False) -> str:
        return bytes(ids).decode("utf-8", "replace")


@given(st.text(max_size=40), st.booleans(), st.text(max_size=10))
def test_what_is_shown_is_the_text_up_to_the_stop(before: str, stops: bool, after: str) -> None:
    whole = before + (STOP if stops else "") + after
    text = _Text(Bytes(), (STOP,))  # type: ignore[arg-type]
    shown = ""
    for byte in whole.encode():
        shown += text.add(byte)
        assert STOP not in shown
        if text.stopped:
            break
    else:
        shown += text.rest()
    assert shown == whole.split(STOP)[0]
    assert text.stopped == (STOP in whole)
