"""General instruction rows mixed into training against forgetting (`REPLAY general 20% "rows.jsonl"`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.dataset.collect import unlike
from jessyfile.dataset.example import TrainingExample, Turn
from jessyfile.dataset.filters import Tally, apply_checks, row_checks
from jessyfile.dataset.formats import conversation_messages, learned_answers
from jessyfile.dataset.formatted import FormattedRow, formatted
from jessyfile.dataset.leaks import refuse_leaks
from jessyfile.dataset.places import replay_file
from jessyfile.dataset.rows import Row
from jessyfile.dataset.select import turn
from jessyfile.errors import DatasetError
from jessyfile.text.json_lines import Fault, raise_faults, read_jsonl

if TYPE_CHECKING:
    from jessyfile.dataset.settings import DataRecipe
    from jessyfile.language.recipe import Replay

_OWN_ALONE = ("schema", "level")  # what these hold a row to is the form of jessy's own rows


def replay_rows(
    recipe: DataRecipe, root: Path, trained: int, present: Sequence[Row], tally: Tally
) -> list[FormattedRow]:
    """Return the rows to mix in so that they are the asked share of all training rows.

    A replayed row passes the filters as any other. It says nothing of levels: its `level` and `iterations` are None and
    it has no marker line.

    Args:
        recipe: the recipe's data settings.
        root: the project's root folder.
        trained: how many other rows are trained.
        present: the dataset's other rows, which none may resemble.
        tally: counts what the filters drop.

    Returns:
        The rows, ready for training.

    Raises:
        DatasetError: the file is missing or malformed, too few rows pass, or a chosen one gives an evaluation case away.
    """
    replay = recipe.dataset.replay
    if replay is None:
        return []
    path = replay_file(recipe, root)
    if not path.is_file():
        raise DatasetError(
            f"REPLAY names `{replay.file}`, which is not there", hint="paths are relative to the project's root"
        )
    read, learned = _read(path, replay.name)
    wanted = round(trained * replay.share / (1 - replay.share))
    chosen = _sound(
        recipe, sorted(read, key=lambda row: turn(recipe.dataset.seed, "replay", row.place)), present, wanted, tally
    )
    if len(chosen) < wanted:
        raise _too_few(replay, wanted, len(read), len(chosen), tally)
    refuse_leaks(recipe, root, chosen)
    return [_replayed(row, learned[row.place]) for row in chosen]


def _sound(recipe: DataRecipe, rows: Sequence[Row], present: Sequence[Row], wanted: int, tally: Tally) -> list[Row]:
    """Return the first `wanted` rows that pass the filters and resemble no other, or as many as there are."""
    asked = row_checks(recipe.complexity, recipe.dataset.allow)
    checks = {name: check for name, check in asked.items() if name not in _OWN_ALONE}
    passed, taken = apply_checks(rows, checks, tally), wanted
    while True:
        counted = Tally()
        kept = unlike(passed[:taken], present, recipe.dataset.similarity, counted)
        if len(kept) >= wanted or taken >= len(passed):
            tally.merge(counted)
            return kept[:wanted]
        taken += wanted


def _too_few(replay: Replay, wanted: int, held: int, sound: int, tally: Tally) -> DatasetError:
    of_these = f", of which {sound} can be used" if sound < held else ""
    return DatasetError(
        f"REPLAY {replay.name} {replay.share:.0%} takes {wanted} rows and `{replay.file}` holds {held}{of_these}"
        + "".join(f"\n  {note}" for note in tally.notes()),
        hint="add rows, or lower the share",
    )


def _read(path: Path, name: str) -> tuple[list[Row], dict[str, tuple[bool, ...]]]:
    """Return a file's rows and, by their places, which of their answers are learned."""
    rows, learned, faults = [], {}, []
    for item in read_jsonl(path, path.name):
        if isinstance(item, Fault):
            faults.append(item)
            continue
        place = f"{path.name}:{item.number}"
        try:
            rows.append(Row(_example(conversation_messages(item.value), name), place))
            learned[place] = learned_answers(item.value)
        except ValueError as error:
            faults.append(Fault(path.name, item.number, str(error)))
    raise_faults(faults, f"the rows of REPLAY {name} are malformed", hint="mend these lines, or take them out")
    return rows, learned


def _example(messages: Sequence[Mapping[str, str]], name: str) -> TrainingExample:
    *earlier, asked, answer = messages
    return TrainingExample(
        query=asked["content"],
        response=answer["content"],
        complexity="high",  # what is general may be as long as the longest
        iterations_needed=1,
        category="replay",
        language="en",
        topic=name,
        turns=(Turn(said["role"], said["content"]) for said in earlier),  # type: ignore[arg-type]
        tags=("replay",),
        source="replay",
    )


def _replayed(row: Row, learned: tuple[bool, ...]) -> FormattedRow:
    plain = formatted(row, None)
    return replace(
        plain, level=None, iterations=None, id=row.place, levels=(None,) * len(plain.levels), learned=learned
    )
