"""The four contrasts, computed by hand: what an answer is worth, who wins a pair, and what is said of two models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from evaluation_fakes import make_case

from jessyfile.dataset.example import Turn
from jessyfile.errors import EvaluationError
from jessyfile.evaluation.answer_likelihood import (
    AnswerLayout,
    AnswerLikelihood,
    CaseLikelihood,
    TokenLogprobs,
    likelihoods,
    texts,
)
from jessyfile.evaluation.contrast import contrasts, worths
from jessyfile.evaluation.criteria import hold_contrast
from jessyfile.evaluation.metrics import Measurement, ModelScores
from jessyfile.evaluation.references import References
from jessyfile.evaluation.served_likelihood import ServedCase, ServedReader
from jessyfile.evaluation.statistics import mean_interval
from jessyfile.language.build import default_complexity
from jessyfile.language.recipe import Complexity, Criterion
from jessyfile.models.chat_format import chat_format
from jessyfile.models.tokenizer import Tokenizer, load_tokenizer
from jessyfile.results.quality import Contrast, Estimate
from jessyfile.training.encoded import Encoded

if TYPE_CHECKING:
    from numpy.typing import NDArray


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    from tiny import tiny_model

    return load_tokenizer(tiny_model(tmp_path_factory.mktemp("tiny") / "model"))


LEVELS = default_complexity()
CASE = make_case("turkish-003", prompt="ne yesek", turns=(Turn("user", "selam"), Turn("assistant", "selam", "low", 1)))
REFERENCES = References("turkish-003", "final", ("makarna", "pilav se"), {"off": ("kanka",), "wrong": ("ba", "low")})


class Table:
    """A model that finds every token of an answer as probable as a table says, by the answer's text and by whether the question
    stands before it."""

    def __init__(self, tokenizer: Tokenizer, table: dict[str, tuple[float, float]]) -> None:
        self.tokenizer, self.table, self.seen = tokenizer, table, list[str]()

    def logprobs(self, splits: Sequence[Encoded]) -> list[list[NDArray[np.float32]]]:
        return [[self._row(split, row) for row in range(len(split))] for split in splits]

    def _row(self, split: Encoded, row: int) -> NDArray[np.float32]:
        tokens, counted = split.row(row)
        whole = [*split.prefix.tolist(), *tokens.tolist()]
        before = self.tokenizer.decode(whole[: len(whole) - int(counted.sum())])
        answer = self.tokenizer.decode(tokens[counted].tolist())
        self.seen.append(f"{before}|{answer}")
        asked, alone = self.table[answer.strip()]
        mean = asked if "ne yesek" in before else alone
        slope = np.arange(int(counted.sum())) - (int(counted.sum()) - 1) / 2  # tokens differ, their mean does not
        return (mean + slope / 10).astype(np.float32)


TABLE = {
    "makarna": (-1.0, -4.0),
    "pilav se": (-2.0, -2.5),
    "kanka": (-0.1, -0.2),
    "ba": (-3.0, -5.0),
    "low": (-9.0, -9.5),
}


def layout(tokenizer: Tokenizer, complexity: Complexity = LEVELS) -> AnswerLayout:
    return AnswerLayout(tokenizer, chat_format("gemma"), "Kısa konuş.", complexity)


def read(table: Table, tokenizer: Tokenizer) -> CaseLikelihood:
    (found,) = likelihoods(table, layout(tokenizer), [(CASE, REFERENCES)])  # type: ignore[arg-type]
    return found


def test_a_worth_is_what_the_question_adds_to_a_token_on_average(tokenizer: Tokenizer) -> None:
    """`kanka` is the likeliest answer of all, behind any question: of these it wins against none but the worst."""
    found = read(Table(tokenizer, TABLE), tokenizer)
    assert [one.kind for one in found.answers] == ["good", "good", "off", "wrong", "wrong"]
    assert [one.asked.mean for one in found.answers] == [-1.0, -2.0, -0.1, -3.0, -9.0]
    (worth,) = worths([found], [found])
    assert {kind: [round(one, 4) for one in some] for kind, some in worth.kinds.items()} == {
        "good": [3.0, 0.5], "off": [0.1], "wrong": [2.0, 0.5],
    }  # fmt: skip
    # against wrong: 3.0 beats both, 0.5 loses to 2.0 and ties with 0.5
    assert worth.share("wrong") == (2 + 0.5) / 4
    assert worth.share("off") == 1.0
    assert worth.share("cold") is None


def test_a_tune_that_only_learned_to_speak_gains_in_voice_and_not_in_fits() -> None:
    """It finds every sentence of the persona two nats likelier, behind any question and behind none. By its own likelihood of an
    answer its voice would have cancelled out; by the base's, an answer to another question in the same voice would have gained."""

    def said(*answers: tuple[str, float, float]) -> tuple[CaseLikelihood, ...]:
        told = [
            (kind, TokenLogprobs(asked, (asked,)), TokenLogprobs(alone, (alone,))) for kind, asked, alone in answers
        ]
        return (CaseLikelihood("a", tuple(AnswerLikelihood(kind, 1, one, other) for kind, one, other in told)),)

    base = said(("good", -3.0, -3.5), ("off", -3.2, -3.6), ("voice", -2.0, -3.0))
    tuned = said(("good", -1.0, -1.5), ("off", -0.9, -1.6), ("voice", -2.0, -3.0))
    found = {
        one.metric: (one.before.value, one.after.value) for one in contrasts(base, tuned, []).figures if one.before
    }
    assert found == {"fits": (1.0, 0.0), "voice": (0.0, 1.0)}


def test_both_times_the_answer_stands_as_in_training_behind_its_levels_marker(tokenizer: Tokenizer) -> None:
    table = Table(tokenizer, TABLE)
    read(table, tokenizer)
    asked = (
        "<bos><start_of_turn>user\nKısa konuş.\n\nselam<end_of_turn>\n<start_of_turn>model\n[low 1]\nselam<end_of_turn>\n"
        "<start_of_turn>user\nne yesek<end_of_turn>\n<start_of_turn>model\n[low 1]\n|makarna"
    )
    alone = "<bos><start_of_turn>user\nKısa konuş.\n\n<end_of_turn>\n<start_of_turn>model\n[low 1]\n|makarna"
    assert [one for one in table.seen if one.endswith("|makarna")] == [asked, alone]


@pytest.mark.parametrize(
    ("level", "marker", "expected"),
    [("medium", "[{level} {iterations}]", "[medium 4]\n"), ("high", "[{level} {iterations}]", "[high 7]\n"),
     ("low", None, ""), ("expert", "[{level} {iterations}]", "")],
)  # fmt: skip
def test_the_marker_is_that_of_the_cases_own_level(
    tokenizer: Tokenizer, level: str, marker: str | None, expected: str
) -> None:
    made = layout(tokenizer, Complexity(LEVELS.levels, marker))
    split = made.alone(make_case(level=level), ["makarna"])
    tokens, counted = split.row(0)
    before = tokenizer.decode([*split.prefix.tolist(), *tokens[~counted].tolist()])
    assert before.endswith("<start_of_turn>model\n" + expected)
    assert made.longest(CASE, ["makarna", "ba"]) == len(split_ids(made.asked(CASE, ["makarna", "ba"]), 0))


def split_ids(split: Encoded, row: int) -> list[int]:
    return [*split.prefix.tolist(), *split.row(row)[0].tolist()]


def test_an_answer_without_a_token_is_an_error_of_its_case(tokenizer: Tokenizer) -> None:
    silent = SimpleNamespace(encode_parts=lambda parts: ([1, 2], [0, 0]))
    with pytest.raises(EvaluationError, match="`turkish-003` has no token"):
        AnswerLayout(silent, chat_format("gemma"), None, LEVELS).alone(CASE, ["x"])  # type: ignore[arg-type]


def valued(case: str, **kinds: Sequence[float]) -> CaseLikelihood:
    """Return a case whose answers are worth these numbers, by kind; their own likelihood differs and cancels out."""
    numbers = [(kind, one) for kind, some in kinds.items() for one in some]
    return CaseLikelihood(
        case,
        tuple(
            AnswerLikelihood(kind, 1, TokenLogprobs(one - number, (one - number,)), TokenLogprobs(-number, (-number,)))
            for number, (kind, one) in enumerate(numbers)
        ),
    )


BEFORE = (
    valued("a", good=[1, 2, 3], off=[2.5], voice=[9]),
    valued("b", good=[1, 1, 1], off=[1, 2]),
    valued("c", good=[5, 4], cold=[4.5, 3]),
)
AFTER = (
    valued("a", good=[1, 2, 3], off=[0.5], voice=[1.5]),
    valued("b", good=[1, 3, 1], off=[1, 2]),
    valued("c", good=[5, 4], cold=[5.5, 6]),
)


def test_the_figures_are_means_over_cases_of_shares_of_pairs() -> None:
    """Pairs are not pooled: a case with many answers would count more than one with few."""
    found = {one.metric: one for one in contrasts(BEFORE, AFTER, []).figures}
    assert list(found) == ["fits", "voice", "kind"]
    fits = found["fits"]
    old, new = [1 / 3, (3 * 0.5 + 0) / 6], [1.0, (2 * 0.5 + 1 + 1) / 6]
    assert fits.before is not None
    assert fits.change is not None
    assert (fits.cases, fits.pairs) == (2, 3 + 6)
    assert fits.before.value == pytest.approx(sum(old) / 2, abs=1e-4)
    assert fits.after.value == pytest.approx(sum(new) / 2, abs=1e-4)
    assert fits.change.value == pytest.approx(sum(new) / 2 - sum(old) / 2, abs=1e-4)
    differences = [after - before for after, before in zip(new, old, strict=True)]
    assert (fits.change.low, fits.change.high) == pytest.approx(mean_interval(differences), abs=1e-4)
    assert (found["voice"].after.value, found["kind"].after.value) == (round(2 / 3, 4), 0.0)
    assert found["kind"].before == Estimate(0.75, 0.75, 0.75)


def test_a_model_that_finds_all_answers_equal_is_at_chance() -> None:
    flat = [valued(case, good=[2, 2, 2], off=[2, 2], wrong=[2]) for case in "abc"]
    assert {one.after.value for one in contrasts(flat, flat, []).figures} == {0.5}
    assert all(one.change == Estimate(0, 0, 0) for one in contrasts(flat, flat, []).figures)


class File:
    """A served file: finds every token as probable as the next, those with a k less so; tells nothing of some; remembers."""

    def __init__(self, tokenizer: Tokenizer, shift: float = 0.0, mute: str = "none") -> None:
        self.tokenizer, self.shift, self.mute, self.asked = tokenizer, shift, mute, list[tuple[str, str]]()

    def token_logprob(self, prompt: Sequence[int], token: int) -> float | None:
        before, said = self.tokenizer.decode(list(prompt)), self.tokenizer.decode([token])
        self.asked.append((before, said))
        return None if self.mute in said else -1.0 - self.shift * ("k" in said)


def token_ids(tokenizer: Tokenizer, answers: Sequence[str]) -> list[list[int]]:
    return [tokenizer.encode(answer) for answer in answers]


def test_a_served_file_is_asked_for_the_tokens_that_the_trained_model_was_read_at(tokenizer: Tokenizer) -> None:
    """Of `seba` the file tells -1 twice, of `kök` -1.5 twice; what it does not tell of counts on neither side."""
    made, chosen = layout(tokenizer), References("turkish-003", "final", ("seba", "x", "y"), {"off": ("kök", "z")})
    assert [len(row) for row in token_ids(tokenizer, ("seba", "kök"))] == [2, 3]

    def said(*answers: tuple[str, float, int]) -> CaseLikelihood:
        told = [(kind, count, TokenLogprobs(mean, (mean,) * count)) for kind, mean, count in answers]
        return CaseLikelihood("turkish-003", tuple(AnswerLikelihood(kind, n, one, one) for kind, n, one in told))

    base = said(("good", -3.0, 2), ("good", -1.0, 1), ("good", -1.0, 1), ("off", -9.0, 3), ("off", -1.0, 1))
    tuned = said(("good", -1.0, 2), ("good", -1.0, 1), ("good", -1.0, 1), ("off", -1.0, 3), ("off", -1.0, 1))
    own = {"good": -3.0, "off": -3.2}
    tuned = CaseLikelihood(
        "turkish-003",
        tuple(replace(one, alone=TokenLogprobs(own[one.kind], (own[one.kind],) * one.tokens)) for one in tuned.answers),
    )
    file = File(tokenizer, shift=0.5)
    asked = ServedReader(file, made, {"turkish-003": base}, {"turkish-003": tuned})
    # served: good -1 + 3 = 2, off (-1.5 + 3.2 + -1.0 + 3.2 + -1.5 + 3.2) / 3 = 1.87; trained: good 2, off 2.2
    assert asked.read(CASE, chosen) == ServedCase("turkish-003", (("off", 1.0, 0.0),))
    assert len(file.asked) == 2 + 3
    assert all("x" not in said and "z" not in said and "[low 1]\n" in before for before, said in file.asked)
    mute = ServedReader(File(tokenizer, mute="k"), made, {"turkish-003": base}, {"turkish-003": tuned})
    assert mute.read(CASE, chosen).pairs == (("off", 0.0, 0.0),)  # of `ö` alone: 2.2
    silent = ServedReader(File(tokenizer, mute=""), made, {"turkish-003": base}, {"turkish-003": tuned})
    assert silent.read(CASE, chosen).pairs == ()
    spoken = replace(chosen, bad={"voice": chosen.bad["off"]})
    voiced = replace(base, answers=tuple(replace(one, kind=one.kind.replace("off", "voice")) for one in base.answers))
    # against a voice the base tells the own likelihood: off -1.33 + 9 beats good -1 + 3
    assert replace(asked, base={"turkish-003": voiced}).read(CASE, spoken).pairs == (("voice", 0.0, 0.0),)


def test_the_served_file_stands_beside_with_its_agreement() -> None:
    served = [ServedCase("a", (("off", 1.0, 1.0), ("voice", 0.0, 1.0))), ServedCase("b", (("off", 0.0, 0.0),))]
    found = contrasts(BEFORE, AFTER, served, "A note.")
    fits = found.figures[0]
    assert fits.served is not None
    assert (fits.served.value, fits.served_cases) == (0.5, 2)
    assert found.figures[2].served is None
    assert found.note.startswith("A note. Asked for single tokens of 2 cases")
    assert "in 67% of 3 pairs" in found.note


def test_the_order_of_the_answers_is_that_of_their_values() -> None:
    assert texts(REFERENCES) == [
        ("good", "makarna"), ("good", "pilav se"), ("off", "kanka"), ("wrong", "ba"), ("wrong", "low"),
    ]  # fmt: skip


def figure(after: float, before: float, change: tuple[float, float]) -> Contrast:
    middle = after - before
    return Contrast(
        "fits", 40, 400, Estimate(after, after - 0.05, after + 0.05), Estimate(before, 0, 1), Estimate(middle, *change)
    )


@pytest.mark.parametrize(
    ("comparison", "value", "confidence", "found", "passed", "note"),
    [
        (">", 0.6, None, figure(0.62, 0.5, (0.01, 0.2)), True, ""),
        (">", 0.6, 0.95, figure(0.62, 0.5, (0.01, 0.2)), False, ""),
        (">=", 0.57, 0.95, figure(0.62, 0.5, (0.01, 0.2)), True, ""),
        (">", "baseline", None, figure(0.62, 0.5, (0.01, 0.2)), True, ""),
        (">", "baseline", None, figure(0.62, 0.5, (-0.01, 0.2)), False, "the difference may be chance: -1.0 to +20.0"),
        (">=", "baseline", None, figure(0.62, 0.5, (-0.01, 0.2)), True, ""),
        (">=", "baseline", None, figure(0.48, 0.5, (-0.1, 0.2)), False, ""),
        (">", "baseline", None, None, False, "no case that was answered has reference answers"),
        (">", "baseline", None, Contrast("fits", 1, 1, Estimate(1, 1, 1)), False, "the base model was not measured"),
    ],
)
def test_a_criterion_holds_what_was_measured_against_a_share_or_the_base(
    comparison: str, value: float | str, confidence: float | None, found: Contrast | None, passed: bool, note: str
) -> None:
    judged = hold_contrast(Criterion("should", "fits", comparison, value, confidence), found)  # type: ignore[arg-type]
    assert judged.outcome.passed is passed
    assert note in judged.outcome.note
    assert note or not judged.outcome.note


def test_answers_say_nothing_of_a_contrast() -> None:
    """`jessy eval` asks for every score of the lock file; a claim about reference answers among them was a KeyError."""
    assert ModelScores(()).measure("fits") == Measurement("fits", "share", None, 0)
