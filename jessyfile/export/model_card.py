"""README.md of a Hugging Face folder: what the model is, what it was measured to be worth, and what it is poor at.

Every figure comes from the stored results that the model was made of; what is not there any more is said to be
missing. Left out are places on this machine, servers and keys: a card is published.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jessyfile.dataset.card import DatasetCard
from jessyfile.dataset.card_tables import CardTable, summary_lines, topic_table
from jessyfile.dataset.data_steps import CARD
from jessyfile.dataset.formatted import COMPOSED
from jessyfile.dataset.preference_card import preference_lines
from jessyfile.errors import JessyError, ModelError
from jessyfile.language.model_names import is_path
from jessyfile.models.chat_format import chat_format
from jessyfile.models.licences import licence_word
from jessyfile.models.reference import parse_reference
from jessyfile.models.resolve import places_of
from jessyfile.models.rope import served_context
from jessyfile.planning.change_text import duration, size
from jessyfile.resources import resource
from jessyfile.results.facts import (
    BaseFacts,
    JudgeFacts,
    MergeFacts,
    ParityFacts,
    PreferencesFacts,
    PreferFacts,
    TakenFacts,
    TrainFacts,
)
from jessyfile.results.typed_json import load_as
from jessyfile.text.answer_language import ANY, language_name, languages
from jessyfile.text.lines import lines
from jessyfile.text.printable import printable

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.export.lineage import Lineage
    from jessyfile.results.outcome import Outcome
    from jessyfile.results.served import Served

_LEFT_OUT = ("from", "adapter", "system", "license", "deploy.", "eval.judge.", "eval.criterion.", "dataset.teacher.")
_FEW = 30
_TOGETHER = {"mixed": "Turkish and English in one text", "any": "no language (labels, numbers or code)"}


@dataclass(frozen=True, slots=True)
class _Base:
    """The base model as the card tells of it."""

    name: str
    hub: str | None
    licence_word: str
    adapter: bool
    source: str

    @property
    def told(self) -> str:
        """Return where the base came from."""
        merged = ", with an adapter merged into it before the training" if self.adapter else ""
        return f"The base is `{self.hub or self.name}`{merged}; it was taken from {self.source}."

    @property
    def licence(self) -> str:
        """Return what is known of the base's licence."""
        if self.licence_word == "other":
            return "Its licence is not known here; a tuned model is under the terms of its base."
        return f"Its licence is `{self.licence_word}`, under whose terms this model stands too."


@dataclass(frozen=True, slots=True)
class _Data:
    """The training data as the card tells of it."""

    purpose: str
    figures: Sequence[tuple[str, str]]
    topics: CardTable
    languages: Sequence[str]


def model_card(lineage: Lineage, served: Served, licenses: Sequence[str], config: Mapping[str, Any]) -> str:
    """Return the text of README.md.

    Args:
        lineage: the model.
        served: how it is served.
        licenses: the recipe's licence texts.
        config: the config.json of the exported folder.

    Returns:
        Markdown, with the front matter that the hub reads.
    """
    base, data, judged = _base(lineage, config), _data(lineage), lineage.facts("judge", JudgeFacts)
    return _render(
        front=_front(lineage, base, data),
        name=lineage.name,
        base=base,
        data=data,
        parameters=_parameters(lineage),
        dtype=config["dtype"],
        served=served,
        messages=_messages(served),
        end_of_turn=chat_format(served.chat_format).end_of_turn,
        marker=_marker(served),
        levels=", ".join(level.name for level in served.complexity.levels),
        judged=judged if judged is not None and judged.criteria else None,
        verdict=_verdict(judged),
        poor=list(_poor(judged)),
        parity=lineage.facts("parity", ParityFacts),
        training=list(_training(lineage)),
        licenses=licenses,
        limits=list(_limits(lineage, config, data)),
        recipe="\n".join(_values(lineage)),
    )


def _base(lineage: Lineage, config: Mapping[str, Any]) -> _Base:
    facts = lineage.facts("base", BaseFacts)
    wanted = str(lineage.value("base", "from") or "a base that is not known any more")
    hub = hub_name(wanted, lineage.store.root, facts.source if facts is not None else "")
    word = licence_word(hub or "")
    if str(config["model_type"]).startswith("gemma"):  # whose terms hold for whatever was made of one
        word = "gemma"
    name = wanted.rstrip("/").rpartition("/")[2] if is_path(wanted) else wanted.removeprefix("hf:")
    source = "a local file" if facts is None or is_path(facts.source) else facts.source
    return _Base(name, hub, word, facts is not None and facts.adapter is not None, source)


def hub_name(base: str, root: Path, source: str = "") -> str | None:
    """Return the repository of the hub that FROM names, its publisher's own for a name of the alias table; None for a
    file or a folder.

    `source` says where the base was found: what a package carries may be another model than the hub's of that name.
    """
    try:
        reference = parse_reference(base, root)
    except ModelError:  # a path that is not there any more
        return None
    if reference.path is not None:
        return None
    places = places_of(reference)
    carried = [str(place["of"]) for place in places if "of" in place and place["package"] in source]
    hubs = [str(place["hub"]) for place in places if "hub" in place]
    return next(iter([*carried, *hubs[-1:]]), None)


def _data(lineage: Lineage) -> _Data | None:
    try:
        made = next(step for step in COMPOSED if step in lineage.steps)
        card = load_as(DatasetCard, lineage.folder(made) / CARD)
    except (JessyError, FileNotFoundError, StopIteration):
        return None
    figures = card.figures
    named = ", ".join(f"{_TOGETHER.get(one) or language_name(one)} {count}" for one, count in figures.languages.items())
    categories = dict.fromkeys(topic.partition("/")[0].replace("_", " ") for topic in figures.topics)
    compared = lineage.facts("preferences", PreferencesFacts)
    preferences = [(f"preferences, {name}", value) for name, value in preference_lines(compared)] if compared else []
    told = [*summary_lines(card), ("languages", named), *preferences]
    return _Data(", ".join(categories), told, topic_table(card), [*figures.languages])


def _front(lineage: Lineage, base: _Base, data: _Data | None) -> str:
    import yaml

    codes = sorted({one for code in (data.languages if data else ()) for one in languages(code)} - {ANY})
    front: dict[str, object] = {
        "license": base.licence_word,
        **({"license_name": "see-base-model"} if base.licence_word == "other" else {}),
        **({"base_model": base.hub, "base_model_relation": "finetune"} if base.hub else {}),
        **({"language": codes} if codes else {}),
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["jessy", "lora", "conversational"],
        "model_name": lineage.name,
    }
    return str(yaml.safe_dump(front, sort_keys=False, allow_unicode=True))


def _parameters(lineage: Lineage) -> str:
    facts = lineage.facts("base", BaseFacts)
    return f"{facts.parameters:,}" if facts is not None else "a number that is not known any more of"


def _messages(served: Served) -> str:
    system = [{"role": "system", "content": served.system}] if served.system else []
    return ", ".join(json.dumps(one, ensure_ascii=False) for one in [*system, {"role": "user", "content": "Merhaba!"}])


def _marker(served: Served) -> str:
    levels, marker = served.complexity.levels, served.complexity.marker
    if not levels or marker is None:
        return ""
    level = levels[0]
    marker = marker.replace("{level}", level.name)
    return marker.replace("{iterations}", str(level.iterations[0])).strip()


def _verdict(judged: JudgeFacts | None) -> str:
    if judged is None:
        return ""
    if judged.failed:
        return f"It failed what its recipe demands: {', '.join(judged.failed)}."
    return "It passed every MUST of its recipe."


def _poor(judged: JudgeFacts | None) -> Iterator[str]:
    """Yield what a reader should not rely on: criteria that failed, bounds within the interval, too few cases."""
    for one in judged.criteria if judged is not None else ():
        if not one.passed:
            yield f"`{one.claim}` was not reached: {one.measured}."
        elif one.unit == "share" and one.n < _FEW:
            yield f"`{one.claim}` rests on {one.n} cases."
        elif _within(one):
            yield f"`{one.claim}` is not certain: the interval reaches over the bound, {one.measured}."


def _within(one: Outcome) -> bool:
    bound, low, high = one.bound, one.low, one.high
    if isinstance(bound, str) or bound is None or low is None:
        return False
    return low <= bound <= (high if high is not None else bound)


def _training(lineage: Lineage) -> Iterator[tuple[str, str]]:
    if lineage.value("train", "lora.trained"):
        yield from _taken(lineage)
        return
    facts, merged = lineage.facts("train", TrainFacts), lineage.facts("merge", MergeFacts)
    if facts is None:
        yield "training", "its record is not in the project any more"
        return
    rate, batch = lineage.value("train", "train.learning_rate"), lineage.value("train", "train.batch_size")
    kind = "DoRA" if lineage.value("train", "lora.kind") == "dora" else "LoRA"
    yield "adapter", f"{kind} of rank {facts.rank}, {facts.parameters:,} numbers"
    yield "updates", f"{facts.updates:,} of {batch} rows each, learning rate {rate:g}" if rate else f"{facts.updates:,}"
    yield "tokens trained", f"{facts.trained_tokens:,}"
    loss = f", best in validation {facts.best_validation_loss:.3f}" if facts.best_validation_loss is not None else ""
    yield "loss", f"{facts.final_loss:.3f} at the end{loss}"
    yield "base held in", f"{facts.precision or 'float32'}{', rounded' if facts.rounded else ''}"
    if merged is not None:
        yield "change", f"{merged.changed} tensors, by {merged.relative_change:.2%} of their size"
    yield "took", f"{duration(facts.training_seconds)}, {size(facts.peak_bytes)} of memory ({facts.blas})"
    for rung in facts.rungs:
        yield "gave up", rung
    yield from _preferred(lineage)


def _taken(lineage: Lineage) -> Iterator[tuple[str, str]]:
    facts = lineage.facts("train", TakenFacts)
    if facts is not None:
        yield (
            "adapter",
            f"taken from {facts.taken_from}, rank {facts.rank}, {facts.parameters:,} numbers, SHA-256 {facts.digest}",
        )
        unknown = "its updates, loss and seconds are not known here, nor whether its rows were those of this card"
        yield "training", f"done elsewhere: {unknown}"
    yield from _preferred(lineage)


def _preferred(lineage: Lineage) -> Iterator[tuple[str, str]]:
    preferred = lineage.facts("prefer", PreferFacts) if lineage.adapter_step == "prefer" else None
    if preferred is not None:
        yield from preferred.lines()


def _limits(lineage: Lineage, config: Mapping[str, Any], data: _Data | None) -> Iterator[str]:
    rows = lineage.value("encode", "train.max_length")
    seen = f"Trained on rows of at most {rows} tokens; its" if rows else "Its"
    yield f"{seen} context, the base's own, is {served_context(config):,} tokens."
    if data is not None:
        names = [_TOGETHER.get(one) or language_name(one) for one in data.languages]
        yield f"Tuned on {', '.join(names)}; other languages are as good or bad as in the base, or worse."
    yield "A tune of this size changes how a model speaks more than what it knows: it can be wrong with confidence."
    yield "Tools, images and thinking switches of the base's own chat template are not part of what was trained."
    yield "Nothing here was tested for safety; whatever the base may say that it should not, this model may say too."


def _values(lineage: Lineage) -> Iterator[str]:
    """Yield the values that the results were made from, a line each, as `jessy show --flat` prints them; what the table of
    the evaluation says already is left out.
    """
    found = {name: value for action in lineage.steps.values() for name, value in action.parameters.items()}
    for name in sorted(found):
        empty = found[name] is None or found[name] == []
        if not (empty or name.startswith(_LEFT_OUT) or is_path(str(found[name]))):
            yield f"{name} = {json.dumps(found[name], ensure_ascii=False)}"


def _render(**values: object) -> str:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, autoescape=False
    )
    environment.filters |= {"fenced": _fenced, "cell": _cell}
    source = resource("templates", "model_card.md.j2").read_text(encoding="utf-8")
    return environment.from_string(source).render(**values)


def _fenced(text: str) -> str:
    """Return a text as a block of code that nothing in it ends."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{printable(text)}\n{fence}"


def _cell(text: object) -> str:
    return " ".join(lines(printable(text))).replace("|", "\\|").replace("<", "&lt;")
