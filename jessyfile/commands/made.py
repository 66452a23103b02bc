"""What a step has made, in a few words, for the line that it leaves and for the table of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jessyfile.errors import StateError
from jessyfile.planning.change_text import counted, size
from jessyfile.results.facts import (
    AnswersFacts,
    DatasetFacts,
    EncodeFacts,
    Facts,
    GgufFacts,
    ImportFacts,
    JudgeFacts,
    ParityFacts,
    PreferencesFacts,
    PreferFacts,
    PromoteFacts,
    RowsFacts,
    TakenFacts,
    ThinkFacts,
    TrainFacts,
)
from jessyfile.results.typed_json import Record, read_as

if TYPE_CHECKING:
    from collections.abc import Mapping

WITHHELD = "withheld"


def made(step: str, facts: Record) -> str:
    """Return what a step has made; nothing where its facts tell nothing, or tell it in another version's words."""
    for kind, told in _TOLD.get(step.partition(".")[0], ()):
        try:
            return told(read_as(kind, facts, step))
        except StateError:
            continue
    return ""


def _rows(facts: RowsFacts) -> str:
    return counted(facts.rows, "row")


def _dataset(facts: DatasetFacts) -> str:
    return f"{counted(facts.train, 'row')} to train on, {facts.valid} held out"


def _encode(facts: EncodeFacts) -> str:
    return f"{counted(facts.rows, 'row')}, {counted(facts.updates, 'update')} to come"


def _train(facts: TrainFacts) -> str:
    loss = facts.best_validation_loss
    return counted(facts.updates, "update") + (f", validation loss {loss:.3f}" if loss is not None else "")


def _judge(facts: JudgeFacts) -> str:
    met = sum(one.passed for one in facts.criteria)
    return f"{met} of {counted(len(facts.criteria), 'criterion', 'criteria')} met" if facts.criteria else ""


def _promote(facts: PromoteFacts) -> str:
    if facts.withheld:
        return f"{WITHHELD}, {facts.withheld.partition(': ')[0]}"  # which ones, the criteria below tell
    return f"{facts.name}:latest is the new model" if facts.name else ""


_TOLD: Mapping[str, tuple[tuple[type[Facts], Callable[[Any], str]], ...]] = {
    "data": ((RowsFacts, _rows),),
    "preferences": ((PreferencesFacts, lambda one: f"{one.train} to train on, {one.valid} held out"),),
    "dataset": ((DatasetFacts, _dataset),),
    "encode": ((EncodeFacts, _encode),),
    "train": ((TrainFacts, _train), (TakenFacts, lambda one: f"taken from {one.taken_from}")),
    "prefer": ((PreferFacts, _train),),
    "gguf": ((GgufFacts, lambda one: f"{size(one.bytes)} {one.type}"),),
    "parity": ((ParityFacts, lambda one: one.summary),),
    "import": ((ImportFacts, lambda one: f"{one.name}:{one.tag}, {one.engine} engine"),),
    "baseline": ((AnswersFacts, lambda one: counted(one.cases, "case")),),
    "previous": (
        (AnswersFacts, lambda one: counted(one.cases, "case") if one.cases else "nothing was promoted before"),
    ),
    "evaluate": ((AnswersFacts, lambda one: counted(one.cases, "case")),),
    "think": ((ThinkFacts, lambda one: f"{one.whole} of {counted(one.cases, 'case')} with all iterations"),),
    "judge": ((JudgeFacts, _judge),),
    "promote": ((PromoteFacts, _promote),),
}
