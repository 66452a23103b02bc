"""Masks lie on the right tokens, and a prompt's tokens are the beginning of its training row's."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import tiny_model

from jessyfile.errors import ModelError
from jessyfile.models.chat_format import format_of
from jessyfile.models.tokenizer import load_tokenizer

TEXT = st.text(alphabet="selambaknoıİğşç 😀🤽1.,!?\n", max_size=40)


@dataclass(frozen=True)
class Turn:
    role: str
    content: str


@pytest.fixture(scope="module", params=["gemma3_text", "qwen3"])
def tokenizer(request, tmp_path_factory):
    return load_tokenizer(tiny_model(tmp_path_factory.mktemp("model"), request.param))


@given(question=TEXT, answer=TEXT)
def test_the_mask_covers_the_answer_and_its_end_and_nothing_else(tokenizer, question, answer):
    form = format_of(tokenizer.pieces())
    turns = [Turn("user", question), Turn("assistant", answer), Turn("user", "se"), Turn("assistant", "la")]
    ids, mask = tokenizer.encode_parts(form.render_parts(turns))
    assert len(ids) == len(mask)
    runs = "".join(
        form.end_of_turn if i == tokenizer.id_of(form.end_of_turn) else "x" for i, m in zip(ids, mask, strict=True) if m
    )
    assert runs.count(form.end_of_turn) == 2
    trained = tokenizer.decode([i for i, m in zip(ids, mask, strict=True) if m])
    assert trained == f"{answer.strip()}{form.end_of_turn}la{form.end_of_turn}"


@given(question=TEXT, answer=TEXT)
def test_a_prompts_tokens_begin_its_rows_tokens(tokenizer, question, answer):
    """Otherwise the first trained token follows a context that no engine ever sends."""
    form = format_of(tokenizer.pieces())
    turns = [Turn("user", question), Turn("assistant", answer)]
    ids, mask = tokenizer.encode_parts(form.render_parts(turns))
    prompt = tokenizer.encode(form.render(turns[:1]), bos=True)
    assert ids[: len(prompt)] == prompt
    assert not any(mask[: len(prompt)])
    assert mask[len(prompt)]


def test_bos_is_added_once_and_only_where_the_model_wants_it(tmp_path):
    gemma, qwen = (load_tokenizer(tiny_model(tmp_path / one, one)) for one in ("gemma3_text", "qwen3"))
    assert gemma.encode("se", bos=True) == [gemma.id_of("<bos>"), *gemma.encode("se")]
    assert qwen.encode("se", bos=True) == qwen.encode("se")


def test_a_folder_without_a_tokenizer_is_refused_in_one_line(tmp_path):
    with pytest.raises(ModelError, match=r"no tokenizer\.json"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match="is not a tokenizer"):
        load_tokenizer(tmp_path)
