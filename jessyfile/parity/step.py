"""The step `parity`: from the adapter to the file, each stage is held against the trained model before anything is registered."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from jessyfile.dataset.formatted import FormattedRow, read_formatted, rows_folder
from jessyfile.errors import EvaluationError, ExportError
from jessyfile.fsops import remove_tree, write_text
from jessyfile.models.chat_format import chat_format
from jessyfile.models.gguf_reader import read_gguf
from jessyfile.models.tokenizer import load_tokenizer
from jessyfile.parity.faults import Mismatch
from jessyfile.parity.limits import SUSPICIOUS, limit_of
from jessyfile.parity.passages import Passage, spread, trained_passages
from jessyfile.parity.proof import proved
from jessyfile.parity.readings import best_of, read_engine, read_folder, read_trained
from jessyfile.parity.served import ANSWERS, first_tokens
from jessyfile.parity.stages import Trained, drowned, stage_faults
from jessyfile.parity.tensors import compare_adapted
from jessyfile.parity.tokens import Prompts
from jessyfile.parity.truth import Truth
from jessyfile.planning.canonical import readable
from jessyfile.results.facts import GgufFacts, ParityFacts, StageFacts
from jessyfile.results.served import Served
from jessyfile.results.typed_json import load_as
from jessyfile.training import encoded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from jessyfile.engines.llamacpp_engine import LlamaCpp
    from jessyfile.language.recipe import Message
    from jessyfile.parity.faults import Stage
    from jessyfile.planning.steps import StepContext

PARITY = "parity.json"
_CONVERSATIONS = 10
_EACH = 5  # of these, how many stand bare before one behind rows
_TEXTS = 12
_ASKED = 6
_ROOM = 8  # tokens of context beside the longest passage
_FLOATS = ("f32", "f16", "bf16")
_WEIGHTS_LEFT = 0.98


def run_parity(context: StepContext) -> ParityFacts:
    """Compare every stage with the trained model: token ids, log-probabilities along held-out answers, survival of the tune.

    Raises ExportError, naming the stage that lost it, when what would be served is not what was trained.
    """
    from jessyfile.export.export_steps import GGUF_FILE

    kind, path = context.facts_of("gguf", GgufFacts).type, context.inputs["gguf"] / GGUF_FILE
    last: Stage = "gguf" if kind in _FLOATS else "quantized"
    truth = Truth(context.inputs["base"], context.adapter)
    weights = compare_adapted(read_gguf(path), truth).survival
    known = proved(context.recipe, context.root, path)
    if known is not None and weights is not None and weights >= _WEIGHTS_LEFT:
        return _told(context, replace(known, texts=_again(context, path, (last, kind))))
    passages = _passages(context)
    context.progress.update(0, text="reading the base and the trained model")
    base, trained = read_trained(context.inputs["base"], context.adapter, passages)
    subject = Trained(passages, trained, base)
    merged = subject.facts("merged", "f32", best_of(read_folder(context.inputs["merge"], passages)))
    _refuse([*stage_faults(merged, "merged")])
    found, faults, texts = _asked(context, subject, path, (last, kind), weights)
    stages = [merged]
    if last == "quantized" and (faults or found.divergence > SUSPICIOUS * limit_of(kind).divergence):
        before, own = _unquantized(context, subject)
        _refuse(own)
        stages.append(before)
    _refuse(faults)
    facts = ParityFacts(
        positions=found.positions,
        agreement=found.agreement,
        divergence=found.divergence,
        largest=found.largest,
        type=kind,
        survival=found.survival,
        gain=found.gain,
        texts=texts,
        stages=(*stages, found),
        notes=_notes(found),
    )
    return _told(context, facts)


def _told(context: StepContext, facts: ParityFacts) -> ParityFacts:
    write_text(context.output / PARITY, readable(facts))
    return facts


def _again(context: StepContext, path: Path, what: tuple[Stage, str]) -> int:
    """Hold the engine's tokens against the model's where the answers are proved; return how many prompts it read alike."""
    with _asking(context, path, what, ()) as (engine, faults, texts):
        _refuse(faults)
        _tell_first(context, engine)
    return texts


def _passages(context: StepContext) -> list[Passage]:
    """Return held-out conversations as training encodes them; of those trained on when none is held out."""
    for split in ("valid", "train"):
        found = trained_passages(_encoded(context, split), _CONVERSATIONS)
        if found:
            return found
    raise EvaluationError("parity has no answer to compare", hint="the dataset is empty")


def _encoded(context: StepContext, split: str) -> encoded.Encoded:
    """Return the rows of a split as the step `encode` left them; without it, those few that are asked."""
    if "encode" in context.inputs:
        return encoded.load(context.inputs["encode"] / f"{split}.safetensors")
    from jessyfile.training.encode import MaskProof, encoder_of

    recipe = context.recipe
    encoder = encoder_of(recipe, context.inputs["base"], recipe.train.max_length)
    rows = read_formatted(context.inputs["dataset"] / f"{split}.jsonl")
    chosen = _some_behind_rows(context, [rows[at] for at in spread(len(rows), _CONVERSATIONS)])
    return encoded.pack(encoder.encode(chosen, MaskProof()), (), encoder.end)


def _some_behind_rows(context: StepContext, rows: Sequence[FormattedRow]) -> list[FormattedRow]:
    """Return conversations of which some stand behind the nearest rows, as when the model serves: long ones among many short ones."""
    if "index" not in context.inputs or context.recipe.retrieve is None:
        return list(rows)
    from jessyfile.retrieval.examples import Examples
    from jessyfile.retrieval.training_rows import Given

    examples = Examples.load(context.inputs["index"]).trained()
    given = Given(examples, context.recipe.retrieve.examples, context.recipe.dataset.seed, {}, 0.0)
    return [given.as_served(row) if at % _EACH == 0 else row for at, row in enumerate(rows)]


def _asked(
    context: StepContext, subject: Trained, path: Path, what: tuple[Stage, str], weights: float | None
) -> tuple[StageFacts, list[Mismatch], int]:
    """Ask the embedded engine; return the stage's figures, its faults, and how many prompts it read alike."""
    stage, kind = what
    with _asking(context, path, what, subject.passages) as (engine, faults, texts):
        found = subject.facts(stage, kind, read_engine(engine.next_logprobs, subject.passages), weights)
        _tell_first(context, engine)
    return found, [*faults, *stage_faults(found, stage)], texts


@contextlib.contextmanager
def _asking(
    context: StepContext, path: Path, what: tuple[Stage, str], passages: Sequence[Passage]
) -> Iterator[tuple[LlamaCpp, list[Mismatch], int]]:
    """Hold the embedded engine with a file; yield it, what it reads in other tokens, and how many prompts were read."""
    from jessyfile.engines.llamacpp_engine import LlamaCpp
    from jessyfile.engines.serving import described, loaded

    stage, kind = what
    served = _served(context)
    model = described(context.recipe.name, path, served, max_tokens=1)
    texts = prompts(rows_folder(context.inputs), served)
    tokenizer = load_tokenizer(context.inputs["merge"])
    longest = max([*(len(passage.ids) for passage in passages), *(len(tokenizer.encode(text)) for text in texts)])
    engine = LlamaCpp(parallel=1)
    context.progress.update(0, text=f"asking the {stage} model ({kind})")
    with loaded(engine, replace(model, settings=replace(model.settings, num_ctx=longest + _ROOM))):
        form = chat_format(served.chat_format)
        faults = [
            *Prompts(engine, tokenizer, stage).token_faults(texts),
            *Prompts(engine, tokenizer, stage).turn_faults(form),
            *Prompts(engine, tokenizer, "served").prompt_faults(texts[:2]),
        ]
        yield engine, faults, len(texts)


def _served(context: StepContext) -> Served:
    from jessyfile.export.export_steps import SERVED_FILE

    return load_as(Served, context.inputs["modelfile"] / SERVED_FILE)


def _tell_first(context: StepContext, engine: LlamaCpp) -> None:
    """Write which tokens the engine says first, for who imports the file into another one."""
    told = first_tokens(engine, _asked_first(rows_folder(context.inputs)), _served(context))
    write_text(context.output / ANSWERS, readable(told))


def _unquantized(context: StepContext, subject: Trained) -> tuple[StageFacts, list[Mismatch]]:
    """Return the figures and faults of the same model before it was quantized, to know which stage lost what."""
    from jessyfile.export.export_steps import GGUF_FILE
    from jessyfile.export.gguf_writer import write_gguf

    path = context.work / GGUF_FILE
    write_gguf(context.inputs["merge"], path, "f16", lambda *_: None)
    try:
        return _asked(context, subject, path, ("gguf", "f16"), None)[:2]
    finally:
        remove_tree(path)


def _rows(dataset: Path, count: int) -> list[FormattedRow]:
    rows = read_formatted(dataset / "valid.jsonl") or read_formatted(dataset / "train.jsonl")
    return [rows[at] for at in spread(len(rows), count)]


def _asked_first(dataset: Path) -> list[Sequence[Message]]:
    return [row.messages[:-1] for row in _rows(dataset, _ASKED)]


def prompts(dataset: Path, served: Served) -> Sequence[str]:
    """Return held-out conversations as whole texts, as they are trained and as they are asked with the system prompt."""
    form, chosen = chat_format(served.chat_format), _rows(dataset, _TEXTS)
    trained = [form.render(row.messages, add_generation_prompt=False) for row in chosen]
    asked = [form.render([*served.messages, *row.messages[:-1]], served.system) for row in chosen]
    return [text for pair in zip(asked, trained, strict=True) for text in pair]


def _notes(found: StageFacts) -> tuple[str, ...]:
    said = []
    if found.weights is not None and found.weights < _WEIGHTS_LEFT:
        lost = f"{found.weights:.0%} of the adapter's change is in the file's numbers"
        said.append(f"{lost}: {found.type} rounds small ones away")
    if drowned(found):
        said.append(f"training changed less than {found.type} rounds: whether it is kept, only the file's numbers tell")
    return tuple(said)


def _refuse(faults: Sequence[Mismatch]) -> None:
    if faults:
        first = faults[0]
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise ExportError(f"stage {first.stage}: {first.message}{more}", hint=first.hint or None)
