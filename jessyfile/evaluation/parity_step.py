"""The step `parity`: the exported file and the merged weights are asked the same questions before anything is registered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jessyfile.dataset.formatted import read_formatted
from jessyfile.errors import EvaluationError
from jessyfile.fsops import write_text
from jessyfile.planning.canonical import readable
from jessyfile.results.facts import GgufFacts
from jessyfile.results.served import Served
from jessyfile.results.typed_json import load_as

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.engines.engine import ServedModel
    from jessyfile.planning.steps import StepContext
    from jessyfile.results.facts import ParityFacts

PARITY = "parity.json"
_PROMPTS = 6


def run_parity(context: StepContext) -> ParityFacts:
    """Compare greedy next tokens of merged model (MLX) and GGUF (embedded llama.cpp) on held-out questions.

    A type that jessy does not write itself is compared as it lies in the folder, before another program quantizes it, and
    by the limit of the type that it lies there in. Raises ExportError when they are not one model.
    """
    from jessyfile.engines.llamacpp_engine import LlamaCpp
    from jessyfile.engines.serving import described, loaded
    from jessyfile.export.export_steps import GGUF_FILE, SERVED_FILE
    from jessyfile.export.parity import compare

    served = load_as(Served, context.inputs["modelfile"] / SERVED_FILE)
    model = described(context.recipe.name, context.inputs["gguf"] / GGUF_FILE, served, max_tokens=1)
    engine = LlamaCpp(parallel=1)
    with loaded(engine, model):
        parity = compare(context.inputs["merge"], engine.next_logprobs, _prompts(context.inputs["dataset"], model))
    parity.require(context.facts_of("gguf", GgufFacts).type)
    facts = parity.facts()
    write_text(context.output / PARITY, readable(facts))
    return facts


def _prompts(dataset: Path, model: ServedModel) -> list[str]:
    """Return rendered first questions of the held-out rows, spread over them; of the training rows if none are held out."""
    from jessyfile.models.chat_format import chat_format

    rows = read_formatted(dataset / "valid.jsonl") or read_formatted(dataset / "train.jsonl")
    if not rows:
        raise EvaluationError("parity has no question to ask", hint="the dataset is empty")
    form = chat_format(model.chat_format)
    return [form.render(rows[i].messages[:1], model.system) for i in _spread(len(rows))]


def _spread(count: int) -> Sequence[int]:
    return sorted({i * count // _PROMPTS for i in range(_PROMPTS)})
