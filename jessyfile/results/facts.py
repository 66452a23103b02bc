"""What each step says of its result, in small values that the plan, the status and the report show.

Facts are written as JSON with the step's result and read back here, by the class of the step; they are no part of any
hash. A class may gain a field with a default at any time; any other change of one raises its step's `version`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from jessyfile.results.outcome import Outcome, Unit, spell
from jessyfile.results.quality import Estimate

EngineName = Literal["ollama", "embedded"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What every step's facts are; a step may say nothing."""


@dataclass(frozen=True, slots=True)
class CommonFacts:
    """What planning reads in any step's facts: its amount of work in its own unit, its own measure of memory, and why
    its result lacks a part (it counts for now, and the next apply makes it anew).
    """

    work_units: float | None = None
    peak_bytes: int | None = None
    incomplete: str = ""


@dataclass(frozen=True, slots=True)
class BaseFacts(Facts):
    """`base`: the model that was found and what it is; `ollama` is the name under which the local Ollama serves it, if it
    does.
    """

    source: str
    kind: Literal["gguf", "folder"]
    digest: str
    chat_format: str
    model_type: str
    parameters: int
    bytes: int
    adapter: str | None = None
    ollama: str | None = None


@dataclass(frozen=True, slots=True)
class DroppedRows:
    """How many rows a filter dropped, and a few of them."""

    dropped: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TeacherFacts:
    """What a teacher did: requests, rows written and accepted, and why the others were not."""

    requests: int
    written: int
    accepted: int
    reasons: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RowsFacts(Facts):
    """`data.<category>`: its rows; `topics` counts them by topic and source."""

    rows: int
    topics: Mapping[str, Mapping[str, int]]
    dropped: Mapping[str, DroppedRows]
    teacher: TeacherFacts | None = None


@dataclass(frozen=True, slots=True)
class NeighbourFacts(Facts):
    """`neighbours`: what stands before the training rows, from how many examples: how many rows stand bare, have their own row among their
    neighbours, have it left out, or have others alone (a row of several turns, a marker row, or one whose own was not found).

    `retyped` counts questions that are typed otherwise than they were written, `kept` those that are not, since they would have come near
    a suite's case or a row held out.
    """

    examples: int
    bare: int
    own: int
    left_out: int
    others: int
    retyped: int
    kept: int


@dataclass(frozen=True, slots=True)
class DatasetFacts(Facts):
    """`dataset`: rows by split, kind, topic, level and language; `balance` is 1.0 for even topics."""

    rows: int
    train: int
    valid: int
    markers: int
    replay: int
    leaks: int
    balance: float
    topics: Mapping[str, int]
    levels: Mapping[str, int]
    languages: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class IndexFacts(Facts):
    """`index`: its rows, those held out among them, those with an answer to be shown, and its digest; the nearest training rows
    voted rightly for the level of `voted_right` of `held_out` rows.
    """

    rows: int
    answered: int
    digest: str
    voted_right: int
    held_out: int


@dataclass(frozen=True, slots=True)
class PassageFacts(Facts):
    """`passages`: the documents that say something, their passages, the digest of their index, and how many files were passed over."""

    documents: int
    passages: int
    digest: str
    passed_over: int


@dataclass(frozen=True, slots=True)
class QuestionFacts(Facts):
    """`questions`: how many questions to documents there are, their training rows behind their passage or, where none answers, behind
    others, those whose passage is left out, those that stand bare, and how many questions are held out. Where passages are quoted, the rows
    that say Yes and No instead.
    """

    questions: int
    behind: int
    left_out: int
    bare: int
    held_out: int
    says: int = 0
    does_not: int = 0


def compared_by(method: Literal["dpo", "kto"]) -> str:
    """Return what a method of PREFER compares, in words."""
    return "pairs" if method == "dpo" else "judged answers"


@dataclass(frozen=True, slots=True)
class PreferencesFacts(Facts):
    """`preferences`: its pairs (dpo) or judged answers (kto) by split, by source and by level ("" for those that say none).

    `good` and `bad` count answers, `good_length` and `bad_length` are their median lengths in characters; `duplicates` were
    left out.
    """

    method: Literal["dpo", "kto"]
    train: int
    valid: int
    good: int
    bad: int
    good_length: int
    bad_length: int
    duplicates: int
    sources: Mapping[str, int]
    levels: Mapping[str, int]

    @property
    def length_ratio(self) -> float:
        """How many times as long the median good answer is as the median bad one."""
        return self.good_length / max(1, self.bad_length)


@dataclass(frozen=True, slots=True)
class MaskCount:
    """Tokens of one category, and those of them that are trained."""

    tokens: int
    trained: int


@dataclass(frozen=True, slots=True)
class MaskFacts(Facts):
    """What the mask of one split trains, and the tokens of its longest row before any was cut; of the rows' neighbours, those that
    were given and those for which there was no room."""

    rows: int
    rows_cut: int
    rows_without_trained_tokens: int
    chat_rows: int
    ends_trained: int
    tokens: int
    trained_tokens: int
    categories: Mapping[str, MaskCount]
    neighbours: int = field(default=0, kw_only=True)
    neighbours_dropped: int = field(default=0, kw_only=True)
    longest: int = field(default=0, kw_only=True)


@dataclass(frozen=True, slots=True)
class EncodeFacts(MaskFacts):
    """`encode`: the mask of the training rows, the tokens that all rows begin with, and the updates to come."""

    shared_prefix: int
    updates: int


@dataclass(frozen=True, slots=True)
class Mask:
    """`mask.json`: what is trained of the rows to train on and of those to validate with."""

    train: MaskFacts
    valid: MaskFacts


@dataclass(frozen=True, slots=True)
class LossPoint:
    """The loss after an update."""

    update: int
    loss: float


@dataclass(frozen=True, slots=True)
class Curve:
    """`curve.json`: the training loss of every update, and the validations."""

    curve: tuple[LossPoint, ...]
    validations: tuple[LossPoint, ...]


@dataclass(frozen=True, slots=True)
class TrainFacts(Facts):
    """`train`: how long, how much and how well; `rungs` says what memory made it give up.

    `precision` is how the base was held (empty in older results), `rounded` whether that rounded its weights, `kind` what was
    trained. Utilizations are shares of the training's time without `compile_seconds`, in which a GPU's kernels were compiled; None where they
    are not known. `processes` says how many trained together.
    """

    training_seconds: float
    updates: int
    work_units: float
    trained_tokens: int
    final_loss: float
    best_validation_loss: float | None
    best_update: int
    parameters: int
    rank: int
    peak_bytes: int
    rungs: tuple[str, ...]
    blas: str
    precision: str = ""
    rounded: bool = False
    processes: int = 1
    kind: str = "LoRA"
    gpu_utilization: float | None = None
    cpu_utilization: float | None = None
    compile_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class TakenFacts(Facts):
    """`train` where an adapter was taken that is trained already: the folder that the recipe names and the digest of its numbers' file.
    How long it was trained, and with which loss, nobody here has seen.
    """

    taken_from: str
    digest: str
    parameters: int
    rank: int


@dataclass(frozen=True, slots=True)
class PreferFacts(TrainFacts):
    """`prefer`: as `train`, over `compared` pairs or judged answers, `held_out` of which were not trained.

    `margin` is the mean reward margin over those (over the last update's, where none are held out): by how many nats, times beta, a
    wanted answer has gained on an unwanted one. The rest are shares of pairs, answers to one question, in which the wanted answer is
    the likelier one, before and after; None without such pairs.
    """

    method: Literal["dpo", "kto"] = "dpo"
    compared: int = 0
    held_out: int = 0
    margin: float = 0.0
    trained_before: Estimate | None = None
    trained_after: Estimate | None = None
    held_out_before: Estimate | None = None
    held_out_after: Estimate | None = None

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yield what a page says of it: a name and a value."""
        what = f"{self.compared} {compared_by(self.method)}"
        yield "trained onward", f"{self.method} on {what}, {self.updates} updates, {self.held_out} held out"
        yield "kept update", f"{self.best_update} of {self.updates}"
        yield "reward margin", f"{self.margin:.3f}"
        yield from self._shares()

    def _shares(self) -> Iterator[tuple[str, str]]:
        for what, before, after in (
            ("held-out pairs", self.held_out_before, self.held_out_after),
            ("trained pairs", self.trained_before, self.trained_after),
        ):
            if before is not None and after is not None:
                spelled = (f"{one.value:.0%} ({one.low:.0%} to {one.high:.0%})" for one in (before, after))
                yield what, " before, ".join(spelled) + " after"

    @property
    def summary(self) -> str:
        """Return in words in which share of pairs the wanted answer is the likelier one, before and after."""
        told = "; ".join(f"{share} of {what}" for what, share in self._shares())
        return f"the wanted answer is the likelier one in {told}" if told else "no question has two answers to compare"


@dataclass(frozen=True, slots=True)
class MergeFacts(Facts):
    """`merge`: how many tensors changed, and how much against their size."""

    changed: int
    relative_change: float


@dataclass(frozen=True, slots=True)
class GgufFacts(Facts):
    """`gguf`: the file that was written, its type and the worst error of a tensor; `weighed_rows` is how many training rows
    its importance matrix has seen.
    """

    type: str
    tensors: int
    bytes: int
    worst_nmse: float
    digest: str
    weighed_rows: int = 0


@dataclass(frozen=True, slots=True)
class ModelfileFacts(Facts):
    """`modelfile`: the chat format, and what the text could not carry."""

    chat_format: str
    not_in_text: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StageFacts:
    """One stage from the adapter to the model that answers, against the trained model: the share of next tokens that agree,
    the mean divergence in nats, the largest difference of a log-probability; and how much of the tune is left (`survival`
    with its interval, `noise` beside it, the share of the `gain` in held-out loss, `weights` of the adapter's change by the
    numbers in the file), each None where it cannot be told.
    """

    stage: str
    type: str
    positions: int
    agreement: float
    divergence: float
    largest: float
    survival: float | None = None
    low: float | None = None
    high: float | None = None
    noise: float | None = None
    gain: float | None = None
    weights: float | None = None


@dataclass(frozen=True, slots=True)
class ParityFacts(Facts):
    """`parity`: the figures of the last stage, and those of all; `texts` counts whole prompts whose token ids were equal,
    `notes` says what is no fault and should be known. Older results have the first four alone.
    """

    positions: int
    agreement: float
    divergence: float
    largest: float
    type: str = ""
    survival: float | None = None
    gain: float | None = None
    texts: int = 0
    stages: tuple[StageFacts, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """Return the last stage in a line, such as `q4_k_m keeps 97 % of what was learned; 98 % of next tokens agree`."""
        agree = f"{self.agreement:.0%} of next tokens agree"
        drowned = bool(self.stages) and (self.stages[-1].noise or 0) > 1
        return (
            agree
            if self.survival is None or drowned
            else f"{self.type} keeps {self.survival:.0%} of what was learned; {agree}"
        )


@dataclass(frozen=True, slots=True)
class ImportFacts(Facts):
    """`import`: what is registered as NAME:candidate, and with which engine; `model` names all that is served, the
    system prompt and the parameters as well as the file.
    """

    engine: EngineName
    name: str
    tag: str
    digest: str
    model: str = ""


@dataclass(frozen=True, slots=True)
class AnswersFacts(Facts):
    """`evaluate` and `baseline`: who answered how many cases, and what loading and the first token took (None where every answer
    was kept from before). `parallel` were made at a time, but `alone` of them one at a time; `digest` is the model's.
    `retrieved` says whether the nearest rows stood before the questions; None for a recipe without RETRIEVE.
    """

    engine: str
    model: str
    cases: int
    tokens: int
    load_seconds: float | None
    cold_first_token_seconds: float | None
    parallel: int
    work_units: int
    digest: str = ""
    alone: int = 0
    retrieved: bool | None = None

    @property
    def cold_seconds(self) -> float | None:
        """From an engine without a model to the first token, in seconds."""
        return cold_seconds(self.load_seconds, self.cold_first_token_seconds)


@dataclass(frozen=True, slots=True)
class ThinkFacts(Facts):
    """`think`: who thought about how many cases, and over how many of them all iterations were spent that the marker says."""

    engine: str
    model: str
    cases: int
    whole: int
    load_seconds: float
    work_units: int
    digest: str = ""


def cold_seconds(load: float | None, first_token: float | None) -> float | None:
    """Return what loading and the first token took together; None where one was not measured."""
    return None if load is None or first_token is None else round(load + first_token, 4)


@dataclass(frozen=True, slots=True)
class LikelihoodFacts(Facts):
    """`likelihood.base` and `likelihood.tuned`: of how many cases, reference answers and their tokens the probability was read."""

    cases: int
    answers: int
    tokens: int


@dataclass(frozen=True, slots=True)
class ContrastFacts(Facts):
    """`contrast`: the candidate's value of every metric, over how many cases, and how many the served file was asked."""

    metrics: Mapping[str, float]
    cases: int
    served_cases: int


@dataclass(frozen=True, slots=True)
class Opinion:
    """Which answers another language model prefers, asked in both orders: over `n` cases the candidate's (`better`), the base's
    (`worse`), or the one that stood first or last both times (`swayed`); `p` is the sign test's.

    `agreement` is the share of `references` pairs, a good and a bad reference answer, of which it prefers the good one. `problem` is the last
    reason why something is missing, `incomplete` that asking again may bring it.
    """

    model: str
    n: int = 0
    better: int = 0
    worse: int = 0
    swayed: int = 0
    p: float = 1.0
    agreement: Estimate | None = None
    references: int = 0
    problem: str = ""
    incomplete: bool = False


@dataclass(frozen=True, slots=True)
class JudgeFacts(Facts):
    """`judge`: every criterion's outcome, and every metric's value. A model of RETRIEVE was asked in a second way, `other_way`, which no
    criterion is measured by: `other` holds every share asked so. `beside` holds the metrics of the models that stand beside the candidate by
    column, `base`, `start` or `previous`.
    """

    criteria: tuple[Outcome, ...]
    metrics: Mapping[str, float]
    opinion: Opinion | None = None
    incomplete: str = ""
    other_way: Literal["", "bare", "retrieved"] = ""
    other: Mapping[str, float] = field(default_factory=dict)
    beside: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def compared(self, metric: str, unit: Unit) -> list[str]:
        """Return a metric of every column beside the candidate's, and of the other way to ask it: `start: 12%`, `bare: 60%`."""
        columns: dict[str, Mapping[str, float]] = dict(self.beside)
        if self.other_way:
            columns[self.other_way] = self.other
        return [f"{name}: {spell(values[metric], unit)}" for name, values in columns.items() if metric in values]

    def spelled(self) -> dict[str, str]:
        """Return what was measured for every criterion, in words, by its claim."""
        return {one.claim: one.measured for one in self.criteria}

    @property
    def failed(self) -> tuple[str, ...]:
        """The metrics of the MUST criteria that did not pass."""
        return tuple(one.criterion.metric for one in self.criteria if one.criterion.rank == "must" and not one.passed)


@dataclass(frozen=True, slots=True)
class PromoteFacts(Facts):
    """`promote`: whether NAME:latest is the candidate, and if not, why."""

    promoted: bool
    reason: str = ""
    name: str = ""
    engine: EngineName = "embedded"
    digest: str = ""
    model: str = ""

    @property
    def withheld(self) -> str | None:
        """Why the candidate was not promoted; None when it was."""
        return None if self.promoted else self.reason or "a MUST failed"
