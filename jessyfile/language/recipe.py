"""The tree that a recipe becomes: frozen, typed, with defaults filled in, named as the user writes it.

Everything after the language reads this and nothing else. An *address* names one value: `lora.rank`,
`dataset.category.turkish.topic.slang.count`, `parameter.temperature`, `eval.criterion.latency.low.value`.
`Recipe.values` gives the
values under a pattern of addresses, `Recipe.source` the place where one was written.
Units: durations in seconds, percentages as shares (10% is 0.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

LevelName = str
Rank = Literal["must", "should", "may"]
Comparison = Literal["<", "<=", ">", ">=", "="]
Beside = Literal["baseline", "start", "previous"]
MODELS: tuple[Beside, ...] = ("baseline", "start", "previous")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value was written; line and column count from 1, the column in characters."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One `PARAMETER key value`; `stop` may come several times."""

    key: str
    value: float | int | bool | str


@dataclass(frozen=True, slots=True)
class Message:
    """One `MESSAGE role "text"`."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Level:
    """One `LEVEL name low-high iterations within seconds`."""

    name: LevelName
    iterations: tuple[int, int]
    within: float | None


@dataclass(frozen=True, slots=True)
class Complexity:
    """How much a question deserves; `marker` holds `{level}` and `{iterations}`, or is None for no marker."""

    levels: tuple[Level, ...]
    marker: str | None


@dataclass(frozen=True, slots=True)
class Personality:
    """How many persona rows every training batch holds, and rules the suites check."""

    per_batch: int
    always: tuple[str, ...]
    never: tuple[str, ...]
    often: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Topic:
    """One `TOPIC name count`, with the settings it does not inherit filled in from its category."""

    name: str
    count: int
    language: str | None
    level: LevelName | None


@dataclass(frozen=True, slots=True)
class Category:
    """One `CATEGORY name count "title"`. A category without topics has an empty tuple; `learn` is the share of its rows that is
    trained, the others are only found by RETRIEVE. `refine` names the categories whose rows it asks again, behind weaker drafts.
    """

    name: str
    count: int
    title: str
    language: str | None
    level: LevelName | None
    topics: tuple[Topic, ...]
    learn: float = 1.0
    refine: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Augment:
    """Shares (0 to 1) of rows whose user text is rewritten."""

    asciify: float = 0.0
    slang: float = 0.0
    typos: float = 0.0


@dataclass(frozen=True, slots=True)
class Teacher:
    """An OpenAI-compatible address that writes missing rows."""

    url: str
    model: str
    key_env: str | None
    max_requests: int
    concurrency: int
    temperature: float
    timeout: float
    min_accepted: float


@dataclass(frozen=True, slots=True)
class Replay:
    """General instruction rows mixed in against forgetting: `share` of the training rows, from `file`."""

    name: str
    share: float
    file: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """What to learn from. `seeds` is the folder of hand-written rows (None: the project's data/seeds, else the
    shipped ones).

    `markers` is the number of marker-only rows (a question and its level), `similarity` the share from which two
    rows count as one, `allow` the filters that rows need not pass, `feedback` the category that accepted corrections join (None: none).
    Paths here, in `Replay`, `Suite`, `base` and `adapter` count from the project's root; a base or adapter that is a path begins
    with `./`.
    """

    seed: int
    validation: float
    seeds: str | None
    markers: int
    similarity: float
    categories: tuple[Category, ...]
    augment: Augment
    teacher: Teacher | None
    replay: Replay | None
    allow: tuple[str, ...] = ()
    feedback: str | None = None


BARE = 0.2  # of the training rows that RETRIEVE puts nothing before, unless it says so


@dataclass(frozen=True, slots=True)
class Retrieve:
    """What stands before a question.

    examples   how many of the nearest rows (0: none)
    answer     from which nearness a row's answer is given as it stands (None: never)
    documents  a pattern of files as counted from the project's root (None: no documents)
    top        how many of their passages
    quote      from which likelihood a passage is quoted that says the answer (None: the model answers)
    questions  the file of questions to them that are trained (None: none)
    serve      a file of rows that the finished model finds and that are neither trained nor measured (None: none)
    bare       the share of the training rows with nothing before them (None: BARE of them)
    """

    examples: int
    answer: float | None
    documents: str | None = None
    top: int = 4
    quote: float | None = None
    questions: str | None = None
    serve: str | None = None
    bare: float | None = None

    @property
    def alone(self) -> float:
        """The share of the training rows with nothing before them."""
        return BARE if self.bare is None else self.bare


@dataclass(frozen=True, slots=True)
class Lora:
    """Low-rank adapters (Hu et al. 2021), DoRA (Liu et al. 2024) among them; the update is scaled by alpha / rank, or by
    alpha / √rank (rsLoRA, Kalajdzievski 2023). `trained` is the folder of an adapter that is taken in place of a training.
    """

    rank: int
    alpha: float
    dropout: float
    targets: tuple[str, ...]
    layers: int | None
    kind: Literal["lora", "dora"] = "lora"
    rslora: bool = False
    trained: str | None = None

    @property
    def scale(self) -> float:
        """The factor before the low-rank product."""
        return self.alpha / (self.rank**0.5 if self.rslora else self.rank)


@dataclass(frozen=True, slots=True)
class Train:
    """How to learn. `early_stop` is a number of validations without improvement, or None."""

    epochs: int
    batch_size: int
    grad_accumulation: int
    learning_rate: float
    warmup_steps: int
    schedule: Literal["cosine", "linear", "constant"]
    weight_decay: float
    max_grad_norm: float
    max_length: int
    seed: int
    early_stop: int | None
    pack: Literal["no", "length", "rows"]
    keep: Literal["best", "last"]
    include_system: bool
    end_weight: float
    level_weight: float
    on_memory: Literal["stop", "shrink_batch", "shrink_rank"]
    retries: int
    checkpoint_every: int
    validate_every: int
    grad_checkpointing: bool = False
    tracker: Literal["none", "tensorboard"] = "none"


@dataclass(frozen=True, slots=True)
class Prefer:
    """Which of two answers is better, learned after `train`: from pairs (dpo) or from judged answers (kto).

    `files` count from the project's root; `references` is the split of the suites' reference answers that are pairs too;
    `feedback` says whether accepted judgements are learned as well.
    """

    method: Literal["dpo", "kto"]
    files: tuple[str, ...]
    references: Literal["development"] | None
    validation: float
    limit: int | None
    beta: float
    sft_weight: float
    epochs: int
    batch_size: int
    learning_rate: float
    warmup_steps: int
    schedule: Literal["cosine", "linear", "constant"]
    max_length: int
    seed: int
    desirable_weight: float
    undesirable_weight: float
    feedback: bool = False


@dataclass(frozen=True, slots=True)
class Export:
    """What file the tuned model becomes."""

    format: Literal["gguf"]
    quantize: str
    imatrix: bool


@dataclass(frozen=True, slots=True)
class Deploy:
    """Where the promoted model goes. `engine` is auto, ollama or embedded."""

    engine: Literal["auto", "ollama", "embedded"]
    ollama: str
    dotenv: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Route:
    """One line of ROUTE: the questions of `name`, a level or a category, go to `model`; `at` is the Ollama server that has it, None for a
    model that the project has registered."""

    name: str
    model: str
    at: str | None = None


@dataclass(frozen=True, slots=True)
class Criterion:
    """One `MUST metric > 90% at 95%`. `value` is a share, seconds or a plain number by metric, or names the model that is compared with."""

    rank: Rank
    metric: str
    comparison: Comparison
    value: float | Beside
    confidence: float | None


@dataclass(frozen=True, slots=True)
class Suite:
    """One `SUITE name "cases.jsonl"`, or a shipped suite by its name."""

    name: str
    file: str
    limit: int | None


@dataclass(frozen=True, slots=True)
class Judge:
    """An optional language model that scores answers, reported apart."""

    url: str
    model: str
    key_env: str | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Suites, the split of their reference answers that is measured (None: none), criteria and the length limit of an answer in
    tokens.
    """

    suites: tuple[Suite, ...]
    contrast: Literal["final", "development"] | None
    criteria: tuple[Criterion, ...]
    judge: Judge | None
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Watch:
    """Debounce in seconds, retrains allowed per `per` seconds (None: no limit)."""

    debounce: float
    max_retrains: int | None
    per: float


@dataclass(frozen=True)
class Recipe:
    """A whole recipe. `base` is what FROM names, `precision` what BASE says of it.

    `document` is its JSON form, valid against grammar/recipe.schema.json, defaults included.
    """

    name: str
    base: str
    system: str | None
    template: str | None
    adapter: str | None
    precision: Literal["auto", "float32", "float16", "bfloat16", "q8", "q4"]
    requires: str | None
    licenses: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    messages: tuple[Message, ...]
    complexity: Complexity
    personality: Personality
    dataset: Dataset
    retrieve: Retrieve | None
    lora: Lora
    train: Train
    prefer: Prefer | None
    export: Export
    deploy: Deploy
    routes: tuple[Route, ...]
    evaluation: Evaluation
    watch: Watch
    path: Path
    document: Mapping[str, Any]
    sources: Mapping[str, Source]
    read_files: tuple[Path, ...]

    @property
    def routed_categories(self) -> tuple[str, ...]:
        """The categories whose questions ROUTE sends elsewhere."""
        levels = {level.name for level in self.complexity.levels}
        return tuple(route.name for route in self.routes if route.name not in levels)

    def values(self, patterns: Iterable[str]) -> dict[str, Any]:
        """Return {address: value} of every leaf whose address matches one of the patterns (`lora.*`, `system`).

        A pattern's `*` at the end stands for the value itself and everything below; in the middle for one part of
        the address.
        """
        wanted: dict[str, list[tuple[str, ...]]] = {}
        for pattern in patterns:
            wanted.setdefault(pattern.partition(".")[0], []).append(tuple(pattern.split(".")))
        anywhere = wanted.get("*", [])
        return {
            ".".join(address): value
            for address, value in leaves(self.document)
            if any(matches(address, pattern) for pattern in (*wanted.get(address[0], ()), *anywhere))
        }

    def source(self, address: str) -> Source | None:
        """Return where the value, or the nearest thing around it, was written; None when it is a default."""
        parts = address.split(".")
        while parts:
            found = self.sources.get(".".join(parts))
            if found:
                return found
            parts.pop()
        return None


def leaves(document: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield (address, value) of every value of a document that is no mapping; a list is one value."""
    for name, value in document.items():
        if isinstance(value, dict):
            yield from leaves(value, (*above, name))
        else:
            yield (*above, name), value


def matches(address: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Return whether an address is one of those that a pattern stands for."""
    address = tuple(".".join(address).split("."))  # a metric's name has dots of its own
    if pattern[-1] == "*":
        pattern = pattern[:-1]
        address = address[: len(pattern)]
    return len(address) == len(pattern) and all(p in ("*", a) for a, p in zip(address, pattern, strict=True))
