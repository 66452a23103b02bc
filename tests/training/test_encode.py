"""The labels of encoded rows: what is given, what is learned, and which tokens name the level."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import tiny_model

from jessyfile.dataset.marker import level_span, render
from jessyfile.models.chat_format import format_of
from jessyfile.models.tokenizer import load_tokenizer
from jessyfile.training.encode import Encoder, MaskProof

MARKER = "[{level} {iterations}]"


def row(*turns: str, kind: str = "chat") -> dict[str, Any]:
    messages = [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(turns)]
    return {"messages": messages, "kind": kind, "category": "any", "language": "tr", "tags": []}


def encoder(folder: Path, marker: str | None = MARKER, limit: int = 256) -> Encoder:
    tokenizer = load_tokenizer(tiny_model(folder))
    return Encoder(tokenizer, format_of(tokenizer.pieces()), None, limit, marker)


def named(encoder: Encoder, given: dict[str, Any]) -> str:
    """Return the text of the tokens that name a level."""
    [found] = encoder.encode([given], MaskProof())
    assert len(found.level) == len(found.tokens)
    assert all(trained for level, trained in zip(found.level, found.trained, strict=True) if level)
    return encoder.tokenizer.decode([t for t, level in zip(found.tokens, found.level, strict=True) if level])


def test_the_level_of_every_answer_is_found_and_of_nothing_else(tmp_path: Path) -> None:
    one = encoder(tmp_path)
    assert named(one, row("[high 9] ne demek", "[low 1]\nselam [high 8]")) == "low"
    assert (
        named(one, row("a", "[low 1]\nb", "c", "[medium 4]\nd")).strip() == "lowmedium"
    )  # a token may hold the space too
    assert named(one, row("a", "[high 7]", kind="marker")) == "high"


def test_without_a_marker_or_with_another_no_token_names_a_level(tmp_path: Path) -> None:
    assert not named(encoder(tmp_path, None), row("a", "[low 1]\nb"))
    assert not named(encoder(tmp_path, "({level}, {iterations})"), row("a", "[low 1]\nb"))


def test_a_row_that_is_cut_keeps_labels_of_its_length(tmp_path: Path) -> None:
    [found] = encoder(tmp_path, limit=30).encode([row("a", "[low 1]\nuzun uzun uzun bir cevap bu")], MaskProof())
    assert len(found.tokens) == len(found.trained) == len(found.level) == 30


@pytest.mark.parametrize("marker", [MARKER, "({iterations}:{level})", "<{level}> {iterations}", "{level} {iterations}"])
@given(level=st.from_regex(r"[a-z][a-z0-9_-]{0,20}", fullmatch=True), iterations=st.integers(1, 99), rest=st.text())
def test_the_level_is_where_it_was_rendered(marker: str, level: str, iterations: int, rest: str) -> None:
    text = f"{render(marker, level, iterations)}\n{rest}"
    span = level_span(marker, text)
    assert span is not None
    assert text[slice(*span)] == level


def test_a_text_that_only_holds_a_marker_later_has_no_level() -> None:
    assert level_span(MARKER, "selam [low 1]") is None
