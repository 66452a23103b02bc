"""What a migration is, and carrying a file's JSON through all that it needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from jessyfile.migrations.old_project import OldProject
from jessyfile.planning.formats import FORMATS, Kind

Body = dict[str, Any]  # a JSON object of a format that today's dataclasses do not describe


@dataclass(frozen=True, slots=True)
class Migration:
    """One step from a format to the next. `forward` returns the new JSON; it takes whatever has the old number."""

    kind: Kind
    old: int
    new: int
    says: str
    forward: Callable[[Body, OldProject], Body]


def carried(
    kind: Kind, body: Body, project: OldProject, migrations: Sequence[Migration]
) -> tuple[Body, tuple[Migration, ...]]:
    """Return a file's JSON in the newest format that the migrations lead to, and those that it went through.

    Args:
        kind: what the file is.
        body: its JSON, which stays as it is.
        project: the project that it lies in.
        migrations: every migration there is.

    Returns:
        The new JSON with its number set, and the migrations in order; none when there was nothing to do.
    """
    form, gone_through = FORMATS[kind], []
    while step := next((one for one in migrations if (one.kind, one.old) == (kind, form.of(body))), None):
        body = {**step.forward(body, project), form.key: step.new}
        gone_through.append(step)
    return body, tuple(gone_through)
