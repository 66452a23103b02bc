"""The labels of encoded rows: what is given, what is learned, and which tokens name the level."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import tiny_model

from jessyfile.dataset.formatted import FormattedRow, read_formatted, write_formatted
from jessyfile.dataset.marker import level_span, render
from jessyfile.errors import StorageError
from jessyfile.language.recipe import Message
from jessyfile.models.chat_format import format_of
from jessyfile.models.tokenizer import load_tokenizer
from jessyfile.training.encode import Encoder, MaskProof
from jessyfile.training.encoded import common_prefix, pack, with_prefix

MARKER = "[{level} {iterations}]"


def row(*turns: str, kind: Any = "chat", levels: tuple[tuple[str, int] | None, ...] = (("low", 1),)) -> FormattedRow:
    roles: tuple[Any, Any] = ("user", "assistant")
    messages = tuple(Message(roles[i % 2], text) for i, text in enumerate(turns))
    return FormattedRow(messages, kind, "any", "text", "low", 1, "tr", (), "0", levels)


def encoder(folder: Path, marker: str | None = MARKER, limit: int = 256) -> Encoder:
    tokenizer = load_tokenizer(tiny_model(folder))
    return Encoder(tokenizer, format_of(tokenizer.pieces()), None, limit, marker)


def named(encoder: Encoder, given: FormattedRow) -> str:
    """Return the text of the tokens that name a level."""
    [found] = encoder.encode([given], MaskProof())
    assert len(found.level) == len(found.tokens)
    assert all(trained for level, trained in zip(found.level, found.trained, strict=True) if level)
    return encoder.tokenizer.decode([t for t, level in zip(found.tokens, found.level, strict=True) if level])


def test_the_level_of_every_answer_is_found_and_of_nothing_else(tmp_path: Path) -> None:
    one = encoder(tmp_path)
    assert named(one, row("[high 9] ne demek", "[low 1]\nselam [high 8]")) == "low"
    two = row("a", "[low 1]\nb", "c", "[medium 4]\nd", levels=(("low", 1), ("medium", 4)))
    assert named(one, two).strip() == "lowmedium"  # a token may hold the space too
    assert named(one, row("a", "b", "c", "[medium 4]\nd", levels=(None, ("medium", 4)))).strip() == "medium"
    assert named(one, row("a", "[high 7]", kind="marker", levels=(("high", 7),))) == "high"


def test_a_replayed_answer_that_begins_as_a_marker_does_names_no_level(tmp_path: Path) -> None:
    """The level was looked for in the text, so that a general row about markers weighed as one of ours."""
    assert not named(encoder(tmp_path), row("a", "[low 1]\nb", levels=(None,)))


def test_a_judgement_is_trained_as_the_model_is_asked_when_it_serves(tmp_path: Path) -> None:
    """Without the system prompt that other rows stand behind: served so, a model judges otherwise than it learned."""
    one = replace(encoder(tmp_path), system="Kısa konuş.")
    asked, said = "Does the note say it?", "Yes"
    [found] = one.encode([row(asked, said, kind="judgement", levels=(None,))], proof := MaskProof())
    bare = one.chat_format.render(
        [Message("user", asked), Message("assistant", said)], None, add_generation_prompt=False
    )
    assert list(found.tokens) == one.tokenizer.encode(bare, bos=True)
    assert one.tokenizer.decode([t for t, kept in zip(found.tokens, found.trained, strict=True) if kept]).startswith(
        said
    )
    assert not any(found.level)
    assert (proof.rows, proof.chats, proof.ends_trained) == (1, 1, 1)


def test_without_a_marker_no_token_names_a_level(tmp_path: Path) -> None:
    assert not named(encoder(tmp_path, None), row("a", "b"))


def test_a_row_that_is_cut_keeps_labels_of_its_length(tmp_path: Path) -> None:
    [found] = encoder(tmp_path, limit=30).encode([row("a", "[low 1]\nuzun uzun uzun bir cevap bu")], MaskProof())
    assert len(found.tokens) == len(found.trained) == len(found.level) == 30


@pytest.mark.parametrize(
    "marker",
    [MARKER, "({iterations}:{level})", "<{level}> {iterations}", "{level} {iterations}", "  {iterations} {level}"],
)
@given(level=st.from_regex(r"[a-z][a-z0-9_-]{0,20}", fullmatch=True), iterations=st.integers(1, 99), rest=st.text())
def test_the_level_is_where_it_was_rendered(marker: str, level: str, iterations: int, rest: str) -> None:
    text = f"{render(marker, level, iterations)}\n{rest}".strip()
    assert text[slice(*level_span(marker, level, iterations))] == level


def test_a_row_is_read_as_it_was_written(tmp_path: Path) -> None:
    rows = [row("a", "[low 1]\nb", "c", "[medium 4]\nd", levels=(None, ("medium", 4))), row("a", "b", kind="marker")]
    assert write_formatted(tmp_path / "rows.jsonl", rows) == 2
    assert read_formatted(tmp_path / "rows.jsonl") == rows
    (tmp_path / "rows.jsonl").write_bytes((tmp_path / "rows.jsonl").read_bytes() + b'{"messages"')
    with pytest.raises(StorageError, match="line 3 of"):
        read_formatted(tmp_path / "rows.jsonl")


def test_an_answer_that_is_not_learned_only_stands_there(tmp_path: Path) -> None:
    """An earlier answer of weight 0, kept for what is said after it, was trained as if it were good."""
    from dataclasses import replace

    one = encoder(tmp_path, None)
    whole = row("a", "kötü", "c", "iyi", levels=(None, None))
    [found], [all_of_it] = (
        one.encode([given], MaskProof()) for given in (replace(whole, learned=(False, True)), whole)
    )
    assert found.tokens == all_of_it.tokens
    learned = one.tokenizer.decode([t for t, yes in zip(found.tokens, found.trained, strict=True) if yes])
    assert "iyi" in learned
    assert "kötü" not in learned


def with_neighbours(*places: int) -> FormattedRow:
    """A row behind neighbours of which each says its place among the nearest."""
    said = [text for place in places for text in (f"soru {place}", f"[low {place}]\ncevap {place} uzun uzun")]
    given = row(*said, "selam", "[low 1]\nson söz", levels=(*(("low", place) for place in places), ("low", 1)))
    learned = (False,) * len(places) + (True,)
    return replace(given, learned=learned, neighbours=tuple((f"id{place}", place) for place in places))


def test_of_neighbours_nothing_is_trained_and_their_levels_neither(tmp_path: Path) -> None:
    one, given = encoder(tmp_path), with_neighbours(2, 1)
    [found] = one.encode([given], MaskProof())
    trained = [token for token, flag in zip(found.tokens, found.trained, strict=True) if flag]
    assert one.tokenizer.decode(trained).startswith("[low 1]\nson söz")
    assert named(one, given).strip() == "low"


def test_the_farthest_neighbours_go_first_where_the_limit_leaves_no_room(tmp_path: Path) -> None:
    """A prompt longer than the limit lost its end, which is the answer: no token was left to train."""
    given, proof = with_neighbours(2, 3, 1), MaskProof()
    whole = len(encoder(tmp_path).encode([given], MaskProof())[0].tokens)
    one = encoder(tmp_path, limit=whole - 1)
    [found] = one.encode([given], proof)
    text = one.tokenizer.decode(list(found.tokens))
    assert "soru 3" not in text
    assert text.index("soru 2") < text.index("soru 1") < text.index("selam")
    assert (proof.facts().neighbours, proof.facts().neighbours_dropped, proof.facts().rows_cut) == (2, 1, 0)
    assert found.trained[-2:] == (True, False) or found.trained[-1]
    bare = encoder(tmp_path, limit=30)
    proof = MaskProof()
    bare.encode([given], proof)
    assert (proof.facts().neighbours, proof.facts().neighbours_dropped) == (0, 3)


def test_rows_that_begin_with_different_neighbours_share_the_system_prompt_alone(tmp_path: Path) -> None:
    one = replace(encoder(tmp_path), system="kısa konuş")
    rows = one.encode([with_neighbours(2, 1), with_neighbours(1, 2), with_neighbours()], MaskProof())
    prefix = common_prefix(rows)
    assert one.tokenizer.decode(list(prefix)).rstrip().endswith("kısa konuş")
    packed = pack(rows, prefix, one.end)
    again = with_prefix(packed)
    assert [again.row(i)[0].tolist() for i in range(3)] == [list(found.tokens) for found in rows]
    assert [again.row(i)[1].tolist() for i in range(3)] == [list(found.trained) for found in rows]
