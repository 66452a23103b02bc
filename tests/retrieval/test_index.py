"""What an index finds: rows as people type them, and nothing that is not there."""

from __future__ import annotations

import random
import string
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jessyfile.errors import DamagedError
from jessyfile.retrieval.index import FILE, Index
from jessyfile.retrieval.pieces import consonants_of, counted, folded

ROWS = [
    "günaydın, nasılsın bugün",
    "İYİYİM sen nasılsın",
    "rustta ownership ne demek",
    "çok üşüdüm ya",
    "ışık nerede",
    "🙂",
]


def nearest(question: str, rows: list[str] = ROWS) -> str:
    scores = Index.build(rows).scores(question)
    return rows[int(scores.argmax())] if scores.any() else ""


@pytest.mark.parametrize(
    ("question", "row"),
    [
        ("gunaydin nasilsin bugun", 0),
        ("GÜNAYDIN NASILSIN BUGÜN", 0),
        ("günyadın nasılsn bugün", 0),
        ("iyiyim sen nasılsın", 1),
        ("IYIYIM SEN NASILSIN", 1),
        ("rust'ta ownership nedir", 2),
        ("owenrship rustta", 2),
        ("cok usudum", 3),
        ("IŞIK NEREDE?!", 4),
        ("isik nerde", 4),
        ("🙂", 5),
    ],
)
def test_a_row_is_found_as_people_type_it(question: str, row: int) -> None:
    """Capital İ and ı, letters without their marks, slips of the finger, lost suffixes and punctuation."""
    assert nearest(question) == ROWS[row]


def test_the_same_words_score_one_and_foreign_ones_nothing() -> None:
    scores = Index.build(ROWS).scores("ışık   NEREDE")
    assert scores[4] == pytest.approx(1, abs=1e-6)
    assert Index.build(ROWS).scores("xyzw 123").tolist() == [0.0] * len(ROWS)


@pytest.mark.parametrize("question", ["", "   ", "?!", "\n"])
def test_a_question_of_nothing_finds_nothing(question: str) -> None:
    assert not Index.build(["selam", "merhaba"]).scores(question).any()


def test_a_letter_drawn_out_is_no_cry() -> None:
    """`saaaaat kaç` was nearer to a row of one long letter than to its own."""
    rows = ["aaaaaaaaa", "saat kaç", "maaş yattı", "param bitti", "1000000"]
    assert nearest("saaaaaaat kaç", rows) == "saat kaç"
    assert nearest("paraaaaaam bittiiii", rows) == "param bitti"
    assert nearest("AAAAAA", rows) == "aaaaaaaaa"
    assert folded("Maaaaaş 1000000 www.x") == "maas 1000000 ww x"


def test_an_index_of_nothing_answers() -> None:
    assert Index.build([]).scores("selam").shape == (0,)
    assert Index.build(["", "  "]).scores("selam").tolist() == [0.0, 0.0]


def test_pieces_stay_inside_words() -> None:
    assert set(counted(["ab cd"]).keys.tolist()) == set(counted(["cd ab"]).keys.tolist())
    assert folded("Ağaç — DALI!") == "agac dali"


def test_texts_are_counted_apart_from_their_neighbours() -> None:
    """Texts are read in parts of some thousands: where a part ends must show in no piece."""
    rng = random.Random(5)
    texts = ["".join(rng.choices(string.ascii_lowercase + "  ", k=rng.randrange(9))) for _ in range(4100)]
    together = counted(texts)
    for place in (0, 7, 4094, 4095, 4096, 4099):
        alone, here = counted([texts[place]]), together.owners == place
        assert together.keys[here].tolist() == alone.keys.tolist()
        assert together.counts[here].tolist() == alone.counts.tolist()


@given(st.lists(st.text(max_size=30), max_size=12), st.text(max_size=30))
def test_any_text_scores_between_nothing_and_one(rows: list[str], question: str) -> None:
    scores = Index.build(rows).scores(question)
    assert scores.shape == (len(rows),)
    assert ((scores >= 0) & (scores <= 1)).all()
    for place, row in enumerate(rows):
        if folded(row) and folded(row) == folded(question):
            assert scores[place] == pytest.approx(1, abs=1e-5)


def test_the_cosine_is_the_one_of_the_definition() -> None:
    """The sparse sums against the same weights written out."""
    rows, question = ROWS[:5], "nasılsın ışık nasılsın"
    texts = [counted([text]) for text in (*rows, question)]
    known = sorted({int(key) for text in texts for key in text.keys})
    held = {key: sum(key in text.keys for text in texts[:-1]) for key in known}
    weights = np.zeros((len(texts), len(known)))
    for at, text in enumerate(texts):
        for key, count in zip(text.keys.tolist(), text.counts.tolist(), strict=True):
            weights[at, known.index(key)] = (1 + np.log(count)) * (1 + np.log((1 + len(rows)) / (1 + held[key])))
    unit = weights / np.linalg.norm(weights, axis=1, keepdims=True)
    assert Index.build(rows).scores(question) == pytest.approx(unit[:-1] @ unit[-1], abs=1e-6)


def test_vowels_left_out_are_no_other_word() -> None:
    """`nslsn` shares no three letters with `nasılsın`."""
    rows = ["nasılsın", "nasıl yapılır", "linux nedir", "saat kaç", "istanbul"]
    plain, both = (Index.build(rows, consonants=wished) for wished in (False, True))
    for question, row in (("nslsn", 0), ("LNX nedir", 2), ("st kc", 3), ("istnbl", 4)):
        assert both.scores(question).argmax() == row
    assert not plain.scores("nslsn").any()
    assert (both.keys < 0).any() and not (plain.keys < 0).any()  # what was made without them is asked without them
    assert consonants_of("Saaat 1000, EVET allah!") == "st 1000 evt alh"


def test_a_piece_of_consonants_counts_three_quarters() -> None:
    rows = ["kedi", "ev"]
    found = Index.build(rows, consonants=True)
    letters, consonants = 1 + np.log(3 / 2), 0.75 * (1 + np.log(3 / 2))
    length = np.sqrt(4 * letters**2 + 2 * consonants**2)  # «ke ked edi di », « kd kd »
    asked = np.sqrt(2 * (1 + np.log(3)) ** 2 + 2 * consonants**2)  # of its own pieces those of letters are unknown
    assert found.scores("kd")[0] == pytest.approx(2 * consonants**2 / length / asked, abs=1e-6)


def test_equal_rows_are_equal_bytes_and_come_back(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Index.build(ROWS).save(tmp_path / name)
    assert (tmp_path / "a" / FILE).read_bytes() == (tmp_path / "b" / FILE).read_bytes()
    again = Index.load(tmp_path / "a", len(ROWS))
    assert again.scores("isik nerde").tolist() == Index.build(ROWS).scores("isik nerde").tolist()


def damaged(data: bytes, how: str) -> bytes:
    return {"cut": data[:-9], "empty": b"", "noise": b"\x00" * len(data), "head": b"\xff" * 8 + data[8:]}[how]


@pytest.mark.parametrize("how", ["cut", "empty", "noise", "head"])
def test_a_damaged_file_is_named(how: str, tmp_path: Path) -> None:
    Index.build(ROWS).save(tmp_path)
    (tmp_path / FILE).write_bytes(damaged((tmp_path / FILE).read_bytes(), how))
    with pytest.raises(DamagedError, match="not as it was written"):
        Index.load(tmp_path, len(ROWS))


def test_an_index_that_reads_outside_its_rows_is_refused(tmp_path: Path) -> None:
    """A sound file of other rows: its owners lie outside."""
    Index.build(ROWS).save(tmp_path)
    with pytest.raises(DamagedError):
        Index.load(tmp_path, 2)
    with pytest.raises(DamagedError):
        Index.load(tmp_path / "nowhere", 2)
