"""Which weights FROM means: where they are found, their digest, and whether they were ever taught to chat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from jessyfile.errors import ModelError, StateError
from jessyfile.language.model_names import tuning_of
from jessyfile.models.reference import parse_reference
from jessyfile.models.resolve import Nearby, Place, nearby
from jessyfile.planning.change_text import size
from jessyfile.planning.preflight import Finding
from jessyfile.results.typed_json import read_as

if TYPE_CHECKING:
    from jessyfile.planning.preflight import Outlook
    from jessyfile.results.facts import BaseFacts

_SHOWN = 19  # letters of a digest
_TUNINGS = {"pretrained": "pretrained: this base has never seen a chat turn", "instruct": "instruct", "": ""}


def base_about(outlook: Outlook) -> Iterator[Finding]:
    """Yield which weights are or will be the base, and a warning when the name now leads to others than before."""
    base = outlook.recipe.base
    try:
        before, place = _before(outlook), outlook.once(base_place)
    except ModelError:  # `base_preflight` tells why
        return
    kept = before if "base" in outlook.kept else None
    source, digest = (kept.source, kept.digest) if kept else (place.source, place.digest)
    parts = (f"base {base}", _TUNINGS[tuning_of(base)], source, short(digest or ""))
    yield Finding("note", "", "base", " · ".join(part for part in parts if part))
    if kept is None and place.hub is not None and place.path is None:
        yield Finding("note", "", "base", f"+ download {place.source}: {_fetched(place.hub)}")
    if before and place.digest and place.digest != before.digest:
        yield outlook.warning(_moved(base, place, before, kept=kept is not None), "from")


def base_place(outlook: Outlook) -> Nearby:
    """Return where the base would be found now. Raises ModelError when FROM leads nowhere."""
    before = _before(outlook)
    reference = parse_reference(outlook.recipe.base, outlook.root)
    return nearby(reference, ask=outlook.network, known=before.digest if before else None)


def short(digest: str) -> str:
    """Return the beginning of a digest, long enough to tell two apart."""
    return digest[:_SHOWN]


def _fetched(hub: Place) -> str:
    """Say how much is to be fetched, and whether terms must be accepted first, as far as the table of names tells."""
    much = f"about {size(int(hub['bytes']))}" if "bytes" in hub else "of a size that `jessy plan --probe` asks for"
    gates = "gated: accept its terms first" if hub.get("gated") else "not gated" if "bytes" in hub else ""
    return ", ".join(part for part in (much, gates) if part)


def _before(outlook: Outlook) -> BaseFacts | None:
    """Return what is known of the base that is kept, else of the one that was last made of the same FROM."""
    kept, last = outlook.kept.get("base"), outlook.last.get("base")
    same = last is not None and last.parameters.get("from") == outlook.recipe.base
    facts = kept.facts if kept is not None else last.facts if last is not None and same else None
    if facts is None:
        return None
    from jessyfile.results.facts import BaseFacts

    try:
        return read_as(BaseFacts, facts, "the record of `base`")
    except StateError:  # one of another version
        return None


def _moved(base: str, place: Nearby, before: BaseFacts, *, kept: bool) -> ModelError:
    found = f"`{base}` is another model now: found is {place.source}, {short(place.digest or '')}"
    was = f"{'in use' if kept else 'last time it was'} {before.source}, {short(before.digest)}"
    hint = (
        "nothing to do, or `--replace base` takes the one that is found now" if kept else "everything is trained again"
    )
    return ModelError(f"{found}; {was}", hint=hint)
