"""Settings that change nothing where they stand: each with the reason, by one table.

A setting is looked at only where it was written. What depends on the base or on this machine is said by the preflight of `train`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from jessyfile.language.diagnostics import Diagnostic, mistake
from jessyfile.language.draft import Draft, Unknown

_UNWEIGHED = ("f32", "f16", "bf16", "q8_0")
_LEAST_RANK = 4  # `on_memory shrink_rank` goes no lower


def many(count: int, what: str) -> str:
    """Return a count with its noun."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def asked_rows(draft: Draft) -> int:
    """Return how many rows the recipe asks for before the split."""
    asked = sum(c["count"] for c in draft.get("dataset", "category").values())
    return int(asked + draft.get("dataset", "markers"))


def rows(draft: Draft) -> int:
    """Return how many of its rows the recipe trains and validates with."""
    found_alone: int = sum(round(c["count"] * (1 - c["learn"])) for c in draft.get("dataset", "category").values())
    return asked_rows(draft) - found_alone


def training_rows(draft: Draft) -> int:
    """Return how many rows are left to train on, those that REPLAY mixes in among them."""
    total, replay = rows(draft), draft.get("dataset", "replay")
    own = total - round(total * float(draft.get("dataset", "validation")))
    return own + round(own * replay["share"] / (1 - replay["share"])) if replay else own


def uncounted(draft: Draft) -> bool:
    """Return whether how many rows are trained is known only once they are made: those of questions to documents depend on what is found."""
    retrieve = draft.get("retrieve")
    return retrieve is not None and retrieve["documents"] is not None and retrieve["questions"] is not None


def updates(draft: Draft) -> int:
    """Return how many optimizer updates the recipe makes; accumulation runs across epochs."""
    return math.ceil(_batches(draft) / int(draft.get("train", "grad_accumulation")))


def _batches(draft: Draft) -> int:
    train = draft.get("train")
    return int(train["epochs"]) * math.ceil(training_rows(draft) / int(train["batch_size"]))


@dataclass(frozen=True, slots=True)
class Idle:
    """When a setting changes nothing: `why` returns the whole message then, and None where it has an effect."""

    address: tuple[str, str]
    why: Callable[[Draft, Any], str | None]
    helps: str
    code: str = "J213"


def _no_validation(draft: Draft) -> bool:
    share = float(draft.get("dataset", "validation"))
    return share == 0 if uncounted(draft) else round(rows(draft) * share) == 0


def _early_stop(draft: Draft, patience: int | None) -> str | None:
    if patience is None or _no_validation(draft) or uncounted(draft):
        return None
    train = draft.get("train")
    made = train["epochs"] if not train["validate_every"] else updates(draft) // train["validate_every"]
    return f"early_stop {patience} never stops: there are {many(made, 'validation')}" if patience >= made else None


def _blind_stop(draft: Draft, patience: int | None) -> str | None:
    blind = patience is not None and _no_validation(draft)
    return f"early_stop {patience} never stops: no row is held out to validate with" if blind else None


def _keep(draft: Draft, keep: str) -> str | None:
    blind = keep == "best" and _no_validation(draft)
    return "keep best keeps the last adapter: no row is held out to tell the best by" if blind else None


def _validate_every(draft: Draft, every: int) -> str | None:
    if every and _no_validation(draft):
        return f"validate_every {every} validates never: no row is held out"
    made = updates(draft)
    short = every > made and not uncounted(draft)
    return f"validate_every {every} is not reached before the end: {_made(made)}" if short else None


def _checkpoint_every(draft: Draft, every: int) -> str | None:
    made = updates(draft)
    short = every >= made and not uncounted(draft)
    return f"checkpoint_every {every} keeps nothing before the end: {_made(made)}" if short else None


def _made(count: int) -> str:
    return f"this recipe makes {many(count, 'optimizer update')}"


def _level_weight(draft: Draft, weight: float) -> str | None:
    if weight == 1 or draft.get("complexity", "marker") is not None:
        return None
    return f"level_weight {weight:g} has nothing to count: `marker none` leaves answers without their level"


def _end_weight(draft: Draft, weight: float) -> str | None:
    answers = sum(c["count"] for c in draft.get("dataset", "category").values())
    return f"end_weight {weight:g} has nothing to count: no row has an answer" if weight != 1 and not answers else None


def _batch_size(draft: Draft, size: int) -> str | None:
    found = training_rows(draft)
    more = size > found and not uncounted(draft)
    return f"batch_size {size} is more than the {many(found, 'row')} that are trained on" if more else None


def _grad_accumulation(draft: Draft, gathered: int) -> str | None:
    made = _batches(draft)
    idle = gathered > made and not uncounted(draft)
    return (
        f"grad_accumulation {gathered} is more than all batches together, of which there are {made}" if idle else None
    )


def _pack(draft: Draft, pack: bool) -> str | None:
    alone = draft.get("train", "batch_size") == 1
    return f"pack {'yes' if pack else 'no'} groups nothing: every batch is one row" if alone else None


def _include_system(draft: Draft, wanted: bool) -> str | None:
    missing = draft.get("system") is None
    return f"include_system {'yes' if wanted else 'no'} has no text: the recipe has no SYSTEM" if missing else None


def _on_memory(draft: Draft, may: str) -> str | None:
    rank = draft.get("lora", "rank")
    idle = may == "shrink_rank" and rank // 2 < _LEAST_RANK
    return f"on_memory shrink_rank cannot shrink: half of rank {rank} is less than {_LEAST_RANK}" if idle else None


def _rslora(draft: Draft, wanted: bool) -> str | None:
    return "rslora yes scales as before: the root of rank 1 is 1" if wanted and draft.get("lora", "rank") == 1 else None


def _imatrix(draft: Draft, wanted: bool) -> str | None:
    quantize = draft.get("export", "quantize")
    idle = quantize in _UNWEIGHED
    return f"imatrix {'yes' if wanted else 'no'} weighs nothing: {quantize} has no use for it" if idle else None


def _answer(draft: Draft, above: float | None) -> str | None:
    retrieve = draft.get("retrieve")
    alone = above is not None and retrieve["examples"] is None and retrieve["documents"] is not None
    return "answer above has no row to give: no `examples` are retrieved" if alone else None


def _quote(draft: Draft, above: float | None) -> str | None:
    retrieve = draft.get("retrieve")
    alone = above is not None and retrieve["documents"] is None and retrieve["examples"] is not None
    return "quote above has no passage to quote: no `documents` are retrieved" if alone else None


def _questions(draft: Draft, file: str | None) -> str | None:
    retrieve = draft.get("retrieve")
    if file is None or retrieve["documents"] is not None or not retrieve["examples"]:
        return None
    return "questions are trained with passages, and no `documents` are retrieved"


def _bare(draft: Draft, share: float | None) -> str | None:
    retrieve = draft.get("retrieve")
    asked = uncounted(draft) and retrieve["quote"] is None
    idle = share is not None and retrieve["examples"] is None and retrieve["documents"] is not None and not asked
    return "bare is a share of rows that are trained behind others, and none are" if idle else None


_HOLD_OUT = "hold rows out with `validation 10%` in DATASET, or delete it"
TABLE = (
    Idle(("train", "early_stop"), _early_stop, "lower it, or validate more often with validate_every", "J210"),
    Idle(("train", "early_stop"), _blind_stop, _HOLD_OUT),
    Idle(("train", "keep"), _keep, _HOLD_OUT),
    Idle(("train", "validate_every"), _validate_every, "lower it; 0 is once an epoch"),
    Idle(("train", "checkpoint_every"), _checkpoint_every, "lower it: a stopped training would begin again"),
    Idle(("train", "level_weight"), _level_weight, "delete it, or give COMPLEXITY a marker", "J212"),
    Idle(("train", "end_weight"), _end_weight, "delete it, or ask for rows with answers"),
    Idle(("train", "batch_size"), _batch_size, "lower it: several updates an epoch learn more than one"),
    Idle(("train", "grad_accumulation"), _grad_accumulation, "lower it: one update hardly learns"),
    Idle(("train", "pack"), _pack, "delete it, or raise batch_size"),
    Idle(("train", "include_system"), _include_system, "delete it, or write SYSTEM"),
    Idle(("train", "on_memory"), _on_memory, "write shrink_batch, which is what happens"),
    Idle(("retrieve", "answer"), _answer, "delete it, or write `examples 3 from seeds`"),
    Idle(("retrieve", "quote"), _quote, 'delete it, or write `documents "notes/**/*.md" top 4`'),
    Idle(("retrieve", "bare"), _bare, "delete it, or write `examples 3 from seeds`"),
    Idle(("retrieve", "questions"), _questions, "delete it, or write `documents`"),
    Idle(("lora", "rslora"), _rslora, "delete it, or raise rank"),
    Idle(("export", "imatrix"), _imatrix, "delete it, or choose a K-quant such as q6_k"),
)


def settings_have_effect(draft: Draft) -> Iterator[Diagnostic]:
    """What is written changes something."""
    for idle in TABLE:
        if idle.address not in draft.merged.settings:
            continue
        try:
            said = idle.why(draft, draft.get(*idle.address))
        except Unknown:
            continue
        if said is not None:
            yield mistake(idle.code, said, draft.at(*idle.address), "changes nothing", helps=idle.helps)
