"""General instruction rows mixed into training against forgetting (`REPLAY general 20% "rows.jsonl"`)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.dataset.formats import conversation_messages
from jessyfile.dataset.formatted import FormattedRow
from jessyfile.dataset.places import replay_file
from jessyfile.dataset.select import turn
from jessyfile.errors import DatasetError
from jessyfile.language.recipe import Message
from jessyfile.text.json_lines import Fault, raise_faults, read_jsonl

if TYPE_CHECKING:
    from jessyfile.dataset.settings import DataRecipe


def replay_rows(recipe: DataRecipe, root: Path, trained: int) -> list[FormattedRow]:
    """Return the rows to mix in so that they are the asked share of all training rows; `trained` is the number of
    the others.

    A replayed row says nothing of levels: its `level` and `iterations` are None and it has no marker line.
    """
    replay = recipe.dataset.replay
    if replay is None:
        return []
    path = replay_file(recipe, root)
    if not path.is_file():
        raise DatasetError(
            f"REPLAY names `{replay.file}`, which is not there", hint="paths are relative to the project's root"
        )
    rows, faults = _read(path)
    raise_faults(faults, f"the rows of REPLAY {replay.name} are malformed")
    wanted = round(trained * replay.share / (1 - replay.share))
    if len(rows) < wanted:
        raise DatasetError(
            f"REPLAY {replay.name} {replay.share:.0%} takes {wanted} rows and `{replay.file}` holds {len(rows)}",
            hint="add rows, or lower the share",
        )
    order = sorted(rows, key=lambda item: turn(recipe.dataset.seed, "replay", item[0]))
    return [_replayed(messages, replay.name, key) for key, messages in order[:wanted]]


def _read(path: Path) -> tuple[list[tuple[str, list[dict[str, str]]]], list[Fault]]:
    rows, faults = [], []
    for item in read_jsonl(path, path.name):
        if isinstance(item, Fault):
            faults.append(item)
            continue
        try:
            messages = conversation_messages(item.value)
        except ValueError as error:
            faults.append(Fault(path.name, item.number, str(error)))
            continue
        rows.append((f"{path.name}:{item.number}", messages))
    return rows, faults


def _replayed(messages: list[dict[str, str]], name: str, key: str) -> FormattedRow:
    return FormattedRow(
        messages=tuple(Message(**message) for message in messages),  # type: ignore[arg-type]
        kind="chat",
        category="replay",
        topic=name,
        level=None,
        iterations=None,
        language="en",
        tags=("replay",),
        id=key,
        levels=(None,) * sum(message["role"] == "assistant" for message in messages),
    )
