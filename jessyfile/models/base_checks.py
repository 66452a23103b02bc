"""Checks of FROM and ADAPTER before anything runs: whether the base is here, can be trained, exported and served."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from jessyfile.errors import ModelError, TrainingError
from jessyfile.language.suggest import similar
from jessyfile.models.base_inputs import adapter_reference
from jessyfile.models.chat_format import CHATML, chat_format
from jessyfile.models.folder_config import HEAD, text_config
from jessyfile.models.model_json import read_json
from jessyfile.models.origin import base_place
from jessyfile.models.reference import parse_reference
from jessyfile.models.resolve import aliases, folder_digest, how_to_get, places_of, published_shape
from jessyfile.models.shape import Shape, shape_of
from jessyfile.planning.change_text import size
from jessyfile.planning.preflight import Finding
from jessyfile.results.typed_json import read_as

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.models.adapters.changes import Adapter
    from jessyfile.models.folder_checks import Profile, Sizes
    from jessyfile.models.resolve import Nearby
    from jessyfile.planning.preflight import Kept, Outlook

_FLOAT32, _BF16 = 4, 2
_TERMS = re.compile(r"(?i)licen[cs]e|notice|terms|copying")


def base_preflight(outlook: Outlook) -> Iterator[Finding]:
    """Yield what is wrong with FROM and ADAPTER. For a base that is not on this disk, say where it would be fetched
    from."""
    if not outlook.machine:
        yield from _unlisted(outlook)
        return
    try:
        profile = outlook.once(base_profile)
        if profile is None:
            yield from _absent(outlook)
        if "base" not in outlook.kept and (why := outlook.once(base_place).passed_over) is not None:
            yield outlook.warning(ModelError(f"Ollama's own file is passed over: {why}"), "from")
    except ModelError as error:
        profile = None
        yield outlook.error(error, "from")
    try:
        adapter = _adapter(outlook, profile)
    except ModelError as error:
        yield outlook.error(error, "adapter")
        return
    if adapter is not None:
        yield Finding("note", "", outlook.step, _start_said(outlook))


def _unlisted(outlook: Outlook) -> Iterator[Finding]:
    """Say that a base has nearly the name of another one, or that of a hub's repository, where the recipe alone may be read: an Ollama
    may have it all the same."""
    name = outlook.recipe.base
    try:
        reference = parse_reference(name, outlook.root)
    except ModelError:
        return  # a plan says it, which may look
    source, near = outlook.recipe.source("from"), similar(name, aliases())
    if reference.path is not None or reference.repo is not None or name in aliases() or source is None:
        return
    if near or "/" in name:
        told = f"`{name}` is no base that jessy knows a place of; only an Ollama can have it"
        meant = f"did you mean `{near}`?" if near else how_to_get(name, ())
        yield Finding("note", "", outlook.step, told, meant, str(source))


def _start_said(outlook: Outlook) -> str:
    """Say from which model training starts: the adapter with its digest, and the terms that lie beside it."""
    folder = adapter_reference(outlook.recipe, outlook.root)
    assert folder is not None  # noqa: S101 (there is an adapter)
    terms = sorted(path.name for path in folder.iterdir() if _TERMS.search(path.name))
    held = f"; its terms lie beside it ({', '.join(terms)})" if terms else "; no licence lies beside it"
    digest = folder_digest(folder).removeprefix("sha256:")[:12]
    return f"training starts from {outlook.recipe.base} with the adapter in {outlook.recipe.adapter} ({digest}){held}"


def _adapter(outlook: Outlook, profile: Profile | None) -> Adapter | None:
    folder = adapter_reference(outlook.recipe, outlook.root)
    if folder is None:
        return None
    from jessyfile.models.adapters.folder import read_adapter

    return read_adapter(folder, profile.outline if profile is not None else None)


def tuned_profile(outlook: Outlook) -> Profile | None:
    """Return what is known of the base with ADAPTER in it, as the step `base` leaves it.

    Raises ModelError for a base that cannot be used; an adapter that cannot be is left out, for `base_preflight` tells it.
    """
    profile = outlook.once(base_profile)
    if profile is None or "base" in outlook.kept:
        return profile
    try:
        adapter = _adapter(outlook, profile)
    except ModelError:
        return profile
    if adapter is None:
        return profile
    untied = profile.outline.tied and HEAD in adapter.changes
    shape = replace(profile.shape, quantized=False, tied=profile.shape.tied and not untied)
    parameters = profile.sizes.parameters + untied * shape.vocabulary * shape.hidden
    return replace(profile, shape=shape, sizes=replace(profile.sizes, parameters=parameters))


def base_profile(outlook: Outlook) -> Profile | None:
    """Return what is known of the base, from its files or from the kept result; None when it is not on this disk.

    Raises ModelError for a base that cannot be used.
    """
    kept = outlook.kept.get("base")
    if kept is not None:
        return _kept(kept)
    place = outlook.once(base_place)
    return None if place.path is None else _checked(place.path)


def _kept(kept: Kept) -> Profile:
    """Return what is known of the base in the store, which was checked when it was brought in."""
    from jessyfile.models.config_checks import check_config
    from jessyfile.models.folder_checks import Profile, Sizes, outline, tokenizer_vocabulary
    from jessyfile.results.facts import BaseFacts

    config = text_config(read_json(kept.folder / "config.json"))
    check_config(config, f"`{kept.folder}`")
    facts = read_as(BaseFacts, kept.facts, "the record of `base`")
    form, bytes_ = chat_format(facts.chat_format), facts.bytes
    # only the format for bases without tokens can lack its own
    ends = form is not CHATML or form.end_of_turn in tokenizer_vocabulary(kept.folder, int(config["vocab_size"]))
    return Profile(outline(config, {}), form, ends, Sizes(facts.parameters, bytes_), shape_of(config))


def _checked(path: Path) -> Profile:
    from jessyfile.models.folder_checks import Profile, Sizes, check_folder, outline

    if path.is_dir():
        return check_folder(path)
    from jessyfile.models.architectures import by_gguf
    from jessyfile.models.from_gguf import checked_gguf, gguf_format
    from jessyfile.models.gguf_config import config_of

    file = checked_gguf(path)
    architecture = by_gguf(file.text("general.architecture"))
    named = ((architecture.mlx_name(name), tensor.shape) for name, tensor in file.tensors.items())
    tensors = {name: shape for name, shape in named if name is not None}
    form = gguf_format(file)
    parameters = sum(map(math.prod, tensors.values()))
    ends = form.end_of_turn in file.strings("tokenizer.ggml.tokens")
    config, sizes = config_of(file, architecture), Sizes(parameters, _FLOAT32 * parameters)
    return Profile(outline(config, tensors), form, ends, sizes, shape_of(config))


def _absent(outlook: Outlook) -> Iterator[Finding]:
    """Say where a base that is not on this disk would come from, or that it cannot."""
    recipe = outlook.recipe
    reference, place = parse_reference(recipe.base, outlook.root), outlook.once(base_place)
    if place.package is not None:
        return
    tried = f" ({'; '.join(place.tried)})" if place.tried else ""
    if place.hub is None:
        hint = how_to_get(reference.text, places_of(reference))
        yield outlook.error(ModelError(f"no base model for `{recipe.base}`{tried}", hint=hint), "from")
        return
    yield outlook.warning(_download(outlook, place, tried), "from")


def _download(outlook: Outlook, place: Nearby, tried: str) -> ModelError:
    """Return what fetching the base would mean. Raises ModelError when the hub was asked and it cannot be used."""
    from jessyfile.models.folder_checks import check_offered
    from jessyfile.models.hub import offered

    hub = place.hub or {}
    repo, bytes_, gated = str(hub["hub"]), int(hub.get("bytes", 0)), bool(hub.get("gated"))
    if outlook.network:
        told = offered(repo, hub.get("revision"))
        check_offered(told, f"`hf:{repo}`")
        bytes_, gated = told.bytes, told.gated
    much = f", about {size(bytes_)}" if bytes_ else ", of unknown size"
    terms = "; its owner may ask you to accept terms first: log in with `hf auth login`" if gated else ""
    return ModelError(
        f"`{outlook.recipe.base}` is not on this machine{tried}: apply will fetch hf:{repo}{much}",
        hint=f"nothing to do, or fetch it before with `hf download {repo}`{terms}",
    )


def base_disk(outlook: Outlook) -> int:
    """Return about how many bytes the step `base` will write, an adapter's merge included."""
    return base_sizes(outlook).brought + (merge_disk(outlook) if outlook.recipe.adapter is not None else 0)


def merge_disk(outlook: Outlook) -> int:
    """Return about how many bytes the merged model takes; what an adapter changed is stored in float32."""
    return _FLOAT32 * base_sizes(outlook).parameters


def end_in_text(outlook: Outlook, profile: Profile) -> Finding:
    """A base without the format's tokens reads them as ordinary ones, and learns to end at a common sign."""
    form, weight = profile.format, outlook.recipe.train.end_weight
    end = form.end_of_turn
    error = TrainingError(
        f"the base's vocabulary has no token `{end}`: the format {form.name} is spelled in ordinary tokens"
        + (f", and end_weight {weight:g} would count every `{end[-1]}` of the answers" if weight != 1 else ""),
        hint="take the instruct variant of the base, which has the tokens"
        + ("; or set end_weight to 1" if weight != 1 else ""),
    )
    return outlook.error(error, "train.end_weight") if weight != 1 else outlook.warning(error, "from")


def known_profile(outlook: Outlook) -> Profile | None:
    """Return the profile of the base with ADAPTER in it; None when there is none, or `base_preflight` has told why."""
    if not outlook.machine:
        return None
    try:
        return outlook.once(tuned_profile)
    except ModelError:
        return None


def known_shape(outlook: Outlook) -> Shape | None:
    """Return the base's sizes, also of a name of the alias table that is not on this disk; None when they are not known."""
    profile = known_profile(outlook)
    if profile is not None:
        return profile.shape
    if not outlook.machine:
        return None
    try:
        return published_shape(outlook.recipe.base, outlook.once(base_place).hub)
    except ModelError:  # `base_preflight` has told why
        return None


def chat_format_name(outlook: Outlook) -> str | None:
    """Return the name of the format that will be trained, None when the base is not known yet."""
    profile = known_profile(outlook)
    if profile is not None:
        return profile.format.name
    return "gemma" if outlook.recipe.base.startswith("gemma") else None


def base_sizes(outlook: Outlook) -> Sizes:
    """Return how large a base is, or about will be; zeros when nothing is known of it."""
    from jessyfile.models.folder_checks import Sizes

    profile = known_profile(outlook)
    if profile is not None:
        return profile.sizes
    try:
        place = outlook.once(base_place)
    except ModelError:
        return Sizes(0, 0)
    bytes_ = int((place.package or place.hub or {}).get("bytes", 0))
    return Sizes(bytes_ // (_FLOAT32 if place.package else _BF16), bytes_)
