"""The format number of every kind of file in `.jessy`: a file of another number is refused untouched, a newer one until
jessy is upgraded, an older one until `jessy upgrade` has rewritten it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from jessyfile.errors import StateError

Kind = Literal["state", "record", "registration", "run"]


@dataclass(frozen=True, slots=True)
class Format:
    """The number that this jessy writes, the key that it stands under, and the number of files that have none."""

    key: str
    newest: int
    unnumbered: int | None = None

    def of(self, body: object) -> int | None:
        """Return the number of a file's JSON value, None when it has none."""
        found = body.get(self.key, self.unnumbered) if isinstance(body, Mapping) else None
        return found if isinstance(found, int) and not isinstance(found, bool) else None


FORMATS: Mapping[Kind, Format] = {
    "state": Format("version", 3),
    "record": Format("format", 3),
    "registration": Format("version", 2),
    "run": Format("format", 3, unnumbered=1),
}


def require_format(kind: Kind, body: object, where: str) -> None:
    """Raise StateError, naming the fix, when a file was written by a newer or an older jessy."""
    refuse_newer(kind, body, where)
    found, newest = FORMATS[kind].of(body), FORMATS[kind].newest
    if found is not None and found < newest:
        raise StateError(
            f"`{where}` was written by an older jessy (format {found}, this one writes {newest})",
            hint="run `jessy upgrade`; nothing was changed",
        )


def refuse_newer(kind: Kind, body: object, where: str) -> None:
    """Raise StateError when a file was written by a newer jessy."""
    found, newest = FORMATS[kind].of(body), FORMATS[kind].newest
    if found is not None and found > newest:
        raise StateError(
            f"`{where}` was written by a newer jessy (format {found}, this one knows {newest})",
            hint="upgrade jessy; nothing was changed",
        )
