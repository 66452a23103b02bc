"""The step `prefer`: it goes on from the adapter that `train` left, measures itself, resumes exactly, and survives short memory."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from prefer_world import arrays_of, pairs, prefer_step
from test_recovery import PLACES, failing
from training_fakes import StopAfter

from jessyfile.dataset.preferences import judged
from jessyfile.errors import ConvergenceError, InsufficientMemoryError, Interrupted, StateError, TrainingError
from jessyfile.language.recipe import Message, Prefer
from jessyfile.models.chat_format import format_of
from jessyfile.models.load import load_model
from jessyfile.models.tokenizer import load_tokenizer
from jessyfile.results.facts import PreferFacts
from jessyfile.text.json_lines import write_jsonl
from jessyfile.training import prefer_step as step
from jessyfile.training import preference_levels
from jessyfile.training.checkpoint import Cursor
from jessyfile.training.convergence import Divergence
from jessyfile.training.decoder import Decoder
from jessyfile.training.encode import Encoder
from jessyfile.training.encoded import Encoded
from jessyfile.training.metrics import read_metrics
from jessyfile.training.prefer_step import run_prefer, settings_of
from jessyfile.training.preference_encode import encode_preferences
from jessyfile.training.reference import DIGEST_FILE, REFERENCE_FILE
from jessyfile.training.trainer import Trainer

BOTH = ("dpo", "kto")


def placed(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "pairs.jsonl").write_text("", "utf-8")
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return placed(tmp_path)


def learned(root: Path, *given: Any, **named: Any) -> tuple[dict[str, np.ndarray], PreferFacts, Any]:
    made = prefer_step(root, *given, **named)
    facts = run_prefer(made)
    return dict(arrays_of(made.output)), facts, made


# from the adapter onward ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", BOTH)
def test_it_begins_where_train_ended_and_prefers_what_is_wanted(method: str, root: Path) -> None:
    """At the first update no answer is likelier than by the reference: the loss is that of nothing learned, without any dropout."""
    adapter, facts, made = learned(root, method, 6, held_out=0, prefer={"sft_weight": 0.0})
    [first, *_, last] = read_metrics(made.work / "metrics.prefer.jsonl")
    assert first.loss == pytest.approx({"dpo": np.log(2), "kto": 0.5}[method], abs=1e-5)
    assert first.margin == pytest.approx(0, abs=1e-5)
    assert last.loss < 0.5 * first.loss
    assert last.margin is not None
    assert last.margin > 0.5
    assert "margin" in last.live()
    assert facts.trained_after.value > facts.trained_before.value
    assert facts.trained_before.low < facts.trained_before.value < facts.trained_before.high
    assert (facts.method, facts.compared, facts.held_out, facts.held_out_after) == (
        method,
        8 if method == "dpo" else 16,
        0,
        None,
    )
    before = arrays_of(root / "trained")
    assert adapter.keys() == before.keys()
    assert any(np.abs(adapter[key] - before[key]).max() > 1e-3 for key in adapter)
    config = [json.loads((folder / "adapter_config.json").read_text()) for folder in (made.output, root / "trained")]
    assert [one["rank"] for one in config] == [4, 4]
    assert [one["scale"] for one in config] == [2.0, 2.0]


@pytest.mark.parametrize("method", BOTH)
def test_the_adapter_with_the_lowest_held_out_loss_is_kept_that_of_train_among_them(method: str, root: Path) -> None:
    """A rate that ruins every held-out pair leaves the adapter as `train` left it, and says so."""
    adapter, facts, made = learned(root, method, 3, prefer={"learning_rate": 1e-2, "sft_weight": 0.0})
    curve = json.loads((made.output / "curve.json").read_text())["validations"]
    assert [one["update"] for one in curve] == [0, *(facts.updates * epoch // 3 for epoch in (1, 2, 3))]
    best = min(curve, key=lambda one: one["loss"])
    assert (facts.best_update, facts.best_validation_loss) == (best["update"], best["loss"])
    assert facts.margin == best["margin"]
    before = arrays_of(root / "trained")
    untouched = all(np.array_equal(adapter[key], before[key]) for key in adapter)
    assert untouched == any("as `train` left it" in note for note in made.progress.notes) == (method == "dpo")


def test_what_prefer_does_not_say_is_train_s_and_nothing_decays(root: Path) -> None:
    recipe = prefer_step(
        root, train={"weight_decay": 0.3, "max_grad_norm": 0.7, "on_memory": "shrink_rank", "end_weight": 4}
    ).recipe
    train = settings_of(recipe)
    assert (train.learning_rate, train.batch_size, train.epochs, train.max_length) == (5e-3, 3, 2, 128)
    assert (train.weight_decay, train.max_grad_norm, train.on_memory, train.end_weight) == (0, 0.7, "shrink_batch", 1)


def test_an_adapter_of_another_lora_is_refused(root: Path) -> None:
    with pytest.raises(StateError, match="not one of this recipe's LORA"):
        run_prefer(prefer_step(root, lora={"targets": ("q_proj",)}))


# what is judged ---------------------------------------------------------------------------------------------------------


def encoder_of(root: Path, limit: int = 128) -> Encoder:
    tokenizer = load_tokenizer(root / "base")
    form = format_of(tokenizer.pieces())
    return Encoder(tokenizer, form, "Kısa konuş.", limit, "[{level} {iterations}]", "apart")


def settings(method: str = "dpo") -> Prefer:
    return Prefer(method, (), None, 0.1, None, 0.1, 1.0, 1, 8, 5e-5, 0, "cosine", 128, 42, 1.0, 2.0)  # type: ignore[arg-type]


def test_the_last_answer_is_judged_with_its_end_and_its_marker_is_learned_before_a_wanted_one_alone(root: Path) -> None:
    """A rejected answer of the right level would teach a wrong one, and an earlier answer is nobody's choice. Without a marker that
    is learned, levels that `train` had taught were lost."""
    prefer_step(root)
    encoder = encoder_of(root)
    [held, _] = encode_preferences(encoder, settings(), [pairs(), []])
    tokenizer = encoder.tokenizer
    told = [(pair, answer) for pair in pairs() for answer, _ in pair.answers]
    for number, (row, answer) in enumerate(told):
        tokens, trained = held.rows.row(number)
        apart = held.rows.level[held.rows.offsets[number] : held.rows.offsets[number + 1]]
        assert tokenizer.decode(tokens[trained & ~apart].tolist()) == answer + encoder.chat_format.end_of_turn
        line = tokenizer.decode(tokens[apart].tolist()).strip()
        assert line == (f"[{row.level} 2]" if row.level and answer == row.chosen else "")
        given = tokenizer.decode(tokens[~trained].tolist())
        assert (f"[{row.level} 2]" in given) == (row.level is not None and answer == row.rejected)
    assert held.signs.tolist() == [1, -1] * 8
    assert held.pairs.tolist() == [[at, at + 1] for at in range(0, 16, 2)]


@pytest.mark.parametrize("method", BOTH)
def test_a_row_without_a_level_stands_behind_the_marker_that_the_adapter_finds_likeliest(
    method: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answers were compared without the marker that comes before every answer in use. The third pair names no level."""
    whole, read = step.encode_preferences, list[Any]()
    monkeypatch.setattr(step, "encode_preferences", lambda *given: read.append(given[2]) or whole(*given))
    _, _, made = learned(root, method)
    [told] = [note for note in made.progress.notes if "name no level" in note]
    ours = {(row.level, row.iterations) for split in read[1] for row in split if row.place == "pairs.jsonl:3"}
    assert len(ours) == 1
    assert told.startswith(f"{1 if method == 'dpo' else 2} preferences name no level")
    assert all(row.level and row.iterations for split in read[1] for row in split)
    encoder, _ = step._read(made)
    model = load_model(root / "base")[0]
    step._put_on(model, step.lora_of(made.recipe, root / "trained"), root / "trained", 1)
    model.eval()

    def line(level: str, number: int) -> float:
        asked = encoder.chat_format.render_parts((Message("user", "bu ne"),), encoder.system)
        before = "".join(text for text, _ in asked) + encoder.chat_format.reply_open
        whole = f"{before}{encoder.chat_format.reply_lead}[{level} {number}]\n"
        given, ids = (encoder.tokenizer.encode(text, bos=True) for text in (before, whole))
        scores = model(mx.array(ids)[None, :-1])[0]
        picked = mx.take_along_axis(scores - mx.logsumexp(scores, -1, keepdims=True), mx.array(ids[1:])[:, None], 1)
        return float(picked[len(given) - 1 :].sum())

    bands = {"low": range(1, 3), "medium": range(3, 6), "high": range(6, 10)}
    likeliest = max(((level, number) for level in bands for number in bands[level]), key=lambda one: line(*one))
    assert ours == {likeliest}
    monkeypatch.setattr(preference_levels, "_likeliest", None)  # kept, and not read again
    run_prefer(prefer_step(root, method))


def test_every_number_of_a_level_is_a_candidate(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`[medium 3]`, the most frequent marker of the shipped rows, was none: only the middle of each band was read."""

    def preferring(_: Any, __: Any, splits: list[Encoded]) -> list[np.ndarray]:
        said = [encoder.tokenizer.decode(splits[0].row(number)[0].tolist()) for number in range(len(splits[0]))]
        return [np.array(["medium 3]" in text for text in said], np.float64)]

    made = prefer_step(root)
    encoder, splits = step._read(made)
    monkeypatch.setattr(preference_levels, "logprobs", preferring)
    found = preference_levels.with_levels(made, None, encoder, splits)
    both = [pair for were, now in zip(splits, found, strict=True) for pair in zip(were, now, strict=True)]
    assert [(now.level, now.iterations) for were, now in both if were.level is None] == [("medium", 3)]


def test_judged_answers_are_held_against_an_answer_to_another_question(root: Path) -> None:
    prefer_step(root)
    encoder = encoder_of(root)
    rows = [one for pair in pairs(3) for one in judged(pair)]
    [held] = encode_preferences(encoder, settings("kto"), [rows])
    assert (held.unit, held.weights.tolist()) == (1, [1, 2] * 3)
    assert held.pairs.tolist() == [[0, 1], [2, 3], [4, 5]]
    texts = [encoder.tokenizer.decode(held.others.row(number)[0].tolist()) for number in range(6)]
    for number, row in enumerate(rows):
        assert row.messages[-1].content in texts[number]
        own = {one.completion for one in rows if one.messages == row.messages}
        assert not any(answer in texts[number] for answer in own)


def test_an_answer_that_would_be_cut_is_named_by_its_place(root: Path) -> None:
    """Ten thousand characters were cut at max_length, and the end that both answers then lack cannot be judged."""
    prefer_step(root)
    long = replace(pairs()[1], rejected="uzun " * 2000)
    with pytest.raises(
        TrainingError, match=r"pairs.jsonl:2: with `rejected` the conversation is longer than max_length, 128"
    ) as caught:
        encode_preferences(encoder_of(root), settings(), [[pairs()[0], long]])
    assert "raise max_length in PREFER" in caught.value.hint


# stop, resume, the reference --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "questions"), [("kto", 0), ("dpo", 4), ("kto", 6)])
def test_a_stopped_training_goes_on_to_the_same_bytes(method: str, questions: int, root: Path) -> None:
    """Stopped while the reference is read, and after some updates."""
    whole, part = placed(root / "whole"), placed(root / "part")
    _, facts, first = learned(whole, method)
    with pytest.raises(Interrupted):
        run_prefer(prefer_step(part, method, stop=StopAfter(questions)))
    splits = 2 if method == "dpo" else 4  # of which each asks once
    assert (part / ".jessy" / "work" / "prefer" / REFERENCE_FILE).exists() == (questions >= splits)
    _, again, last = learned(part, method)
    for name in ("adapters.safetensors", "curve.json"):
        assert (first.output / name).read_bytes() == (last.output / name).read_bytes()
    assert again.held_out_after == facts.held_out_after


def test_the_reference_is_read_once_and_again_when_it_is_damaged(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    whole = step.with_reference.__globals__["logprobs"]
    monkeypatch.setitem(step.with_reference.__globals__, "logprobs", lambda *given: read.append(1) or whole(*given))
    work = root / ".jessy" / "work" / "prefer"
    learned(root)
    first = (work / REFERENCE_FILE).read_bytes()
    for damage in (lambda: None, lambda: os.truncate(work / REFERENCE_FILE, 40), (work / DIGEST_FILE).unlink):
        damage()
        run_prefer(prefer_step(root))
        assert (work / REFERENCE_FILE).read_bytes() == first
    assert len(read) == 3


def same_but_for_rounding(found: np.ndarray, wanted: np.ndarray) -> None:
    """Hold two trainings against each other whose sums were made in another order.

    Adam divides a gradient by its own size, so where one is nearly nought its rounding decides which way the weight goes: one weight of 384 did, on
    another processor's BLAS. Nearly all keep to the tolerance of each, and the whole to a thousandth of its length.
    """
    near = np.isclose(found, wanted, rtol=1e-3, atol=2e-5)
    assert near.mean() > 0.99, f"{(~near).sum()} of {near.size} differ"
    assert np.linalg.norm(found - wanted) <= 1e-3 * np.linalg.norm(wanted) + 1e-6


# memory and loss --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "place",
    [pytest.param(one, marks=() if one in ("gradient", "validation") else pytest.mark.stress) for one in PLACES],
)
def test_memory_that_ends_once_anywhere_costs_a_rung_and_nothing_else(
    place: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _, _ = learned(placed(root / "whole"), "kto", 1)
    # the reference is read first, by several calls of the first two
    failing(monkeypatch, place, MemoryError(), lambda call: call == (9 if place in ("forward", "loss") else 2))
    adapter, facts, made = learned(root, "kto", 1, train={"on_memory": "shrink_rank"})
    assert [rung.split(": ")[1][:17] for rung in facts.rungs] == ["2 rows at a time "]
    assert facts.rank == 4
    assert any("the result stays the same" in line for line in made.progress.notes)
    for key, value in whole.items():
        same_but_for_rounding(adapter[key], value)


def test_memory_that_never_suffices_ends_in_advice_and_never_in_another_rank(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, "gradient", MemoryError(), lambda call: call > 1)
    with pytest.raises(InsufficientMemoryError, match="do not fit") as caught:
        learned(root, train={"on_memory": "shrink_rank"})
    assert caught.value.hint.startswith("lower batch_size in PREFER")
    assert [path.name for path in (root / ".jessy" / "work" / "prefer").glob("rank-*")] == ["rank-4"]


@pytest.mark.parametrize(("method", "what"), [("dpo", "pair 3 of the 6"), ("kto", "judged answer 6 of the 12")])
def test_a_pair_without_a_finite_loss_is_named(
    method: str, what: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its line in the step's own rows: the third pair's rejected answer holds a token whose state is infinite."""
    made = prefer_step(root, method)
    encode, reference, whole = step.encode_preferences, step.with_reference, Decoder.embedded
    said = encode(*(given := step._read(made))[:1], step.preferences_of(made.recipe), given[1])[0].rows.tokens.tolist()
    unused = max(set(range(len(load_tokenizer(root / "base").pieces()))) - set(said))

    def encoded(*given: Any) -> Any:
        splits = encode(*given)
        splits[0].rows.tokens[int(splits[0].rows.offsets[5])] = unused
        return splits

    def embedded(self: Decoder, ids: np.ndarray) -> np.ndarray:
        found = np.array(whole(self, ids))
        found[ids == unused] = np.inf
        return found

    def read(*given: Any) -> Any:
        found = reference(*given)
        monkeypatch.setattr(Decoder, "embedded", embedded)
        return found

    monkeypatch.setattr(step, "encode_preferences", encoded)
    monkeypatch.setattr(step, "with_reference", read)
    with pytest.raises(ConvergenceError, match=rf"{what} trained ones has no finite loss") as caught:
        run_prefer(made)
    assert "train.jsonl" in caught.value.hint


def test_a_rate_that_explodes_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Trainer._apply

    def apply(self: Trainer, *given: Any) -> None:
        real(self, *given)
        if self.cursor.update >= 1:
            bad = [(key, array * mx.inf) for key, array in step.adapter.parameters(self.model).items()]
            self.model.load_weights(bad, strict=False)

    monkeypatch.setattr(Trainer, "_apply", apply)
    with pytest.raises(ConvergenceError, match="also at 1/4 of the rate") as caught:
        learned(root)
    assert "learning_rate 0.005 is too high" in caught.value.hint


def test_a_loss_that_runs_away_steps_back_to_half_the_rate(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pair's loss has no upper bound: far above its best it is not waited for until it is infinite."""
    asked: list[float] = []

    def seen(_: Divergence, __: Cursor, loss: float) -> bool:
        asked.append(loss)
        return len(asked) == 4

    monkeypatch.setattr(Divergence, "seen", seen)
    _, facts, _ = learned(root)
    assert [rung.partition("; ")[2] for rung in facts.rungs] == ["back to 3 at 0.5 of the rate"]


def test_damaged_rows_and_a_recipe_without_preferences_are_errors(root: Path) -> None:
    made = prefer_step(root)
    write_jsonl(root / "preferences" / "train.jsonl", [{"nonsense": 1}])
    with pytest.raises(StateError):
        run_prefer(made)
    with pytest.raises(TrainingError, match="no PREFER"):
        settings_of(replace(made.recipe, prefer=None))
