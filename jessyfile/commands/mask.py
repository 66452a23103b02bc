"""`jessy data show --mask`: rows as the last apply encoded them, and preferences, each token by what it trains and weighs."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jessyfile.errors import ProjectError
from jessyfile.text.printable import json_text, printable

if TYPE_CHECKING:
    from jessyfile.language.recipe import Prefer, Recipe
    from jessyfile.models.tokenizer import Tokenizer
    from jessyfile.training.batches import LossWeights
    from jessyfile.training.encoded import Encoded
    from jessyfile.training.mask_view import MaskedRun

_COLOURS = {"prefix": "bright_black", "given": None, "trained": "green", "level": "yellow", "end": "magenta"}


def show_mask(recipe: Path, count: int, *, as_json: bool) -> None:
    """Print rows of the recipe's last encoding. Raises ProjectError when it was never encoded."""
    from jessyfile.commands.common import load
    from jessyfile.models.tokenizer import load_tokenizer
    from jessyfile.planning.command_line import shell_line
    from jessyfile.planning.state import load_state
    from jessyfile.planning.store import Store
    from jessyfile.project import find_root
    from jessyfile.training import encoded
    from jessyfile.training.batches import LossWeights

    loaded, root = load(recipe, (), None, ()), find_root(recipe)
    steps, store = load_state(root, loaded.name).steps, Store(root)
    if not {"base", "encode"} <= steps.keys():
        taken = f"LORA takes the adapter in `{loaded.lora.trained}`, so that no row is encoded to be trained"
        first = f"run `{shell_line('apply', str(recipe), '--only', 'encode')}` first"
        raise ProjectError(
            f"the rows of {loaded.name} were never encoded", hint=taken if loaded.lora.trained else first
        )
    rows = encoded.load(store.verified(steps["encode"].object) / "train.safetensors")
    tokenizer = load_tokenizer(store.verified(steps["base"].object))
    weights = LossWeights(loaded.train.end_weight, loaded.train.level_weight)
    show = _as_json if as_json else _as_text
    for row in range(min(count, len(rows))):
        click.echo(show(rows, row, weights, tokenizer))
    if not as_json:
        click.echo(f"{min(count, len(rows))} of {len(rows)} rows, as run {steps['encode'].run} encoded them")
    if loaded.prefer is not None and "preferences" in steps:
        compared = store.verified(steps["preferences"].object) / "train.jsonl"
        names, answers = _compared(loaded, loaded.prefer, store.verified(steps["base"].object), compared, count)
        for row, name in enumerate(names):
            click.echo(show(answers, row, LossWeights(), tokenizer, name))
        if not as_json:
            said = "tokens in `trained` are compared, a good one's in `level` and `end` are learned beside"
            click.echo(f"{len(names)} answers of preferences: {said}")


def _compared(recipe: Recipe, prefer: Prefer, base: Path, file: Path, count: int) -> tuple[list[str], Encoded]:
    """Return the answers of the first preferences by their places, and their tokens as `prefer` compares them."""
    from jessyfile.dataset.preferences import read_compared
    from jessyfile.training import encoded
    from jessyfile.training.preference_encode import encoded_answer, preference_encoder

    encoder = preference_encoder(recipe, prefer, base)
    told = [(row, *answer) for row in read_compared(file, prefer.method)[:count] for answer in row.answers]
    rows = [encoded_answer(encoder, *one) for one in told]
    names = [f"{row.place} {'good' if good else 'bad'}" for row, _, good in told]
    return names, encoded.pack(rows, encoded.common_prefix(rows), encoder.end)


def _as_json(rows: Encoded, row: int, weights: LossWeights, tokenizer: Tokenizer, name: str = "") -> str:
    from jessyfile.training.mask_view import masked_tokens

    tokens = [asdict(one) | {"text": tokenizer.decode([one.id])} for one in masked_tokens(rows, row, weights)]
    return json_text({"row": name or row + 1, "tokens": tokens})


def _as_text(rows: Encoded, row: int, weights: LossWeights, tokenizer: Tokenizer, name: str = "") -> str:
    from jessyfile.training.mask_view import masked_runs, masked_tokens

    tokens = masked_tokens(rows, row, weights)
    runs = list(masked_runs(tokens, tokenizer))
    trained, weight = sum(one.weight > 0 for one in tokens), sum(one.weight for one in tokens)
    head = f"{name or f'row {row + 1}'}  {len(tokens)} tokens, {trained} trained, weight {weight:g}"
    if _coloured():
        return f"{head}\n" + "".join(map(_painted, runs)) + "\n"
    return "\n".join([head, *map(_spelled, runs), ""])


def _coloured() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _painted(run: MaskedRun) -> str:
    weight = f"×{run.weight:g}" if run.weight not in (0, 1) else ""
    return click.style(printable(run.text) + weight, fg=_COLOURS[run.part], bold=bool(weight))


def _spelled(run: MaskedRun) -> str:
    """Return a run in a line: what it is, how much each of its tokens counts, and its text in quotes."""
    weight = f"×{run.weight:g}" if run.weight else ""
    return printable(f"  {run.part:<8}{weight:<4} {json.dumps(run.text, ensure_ascii=False)}")
