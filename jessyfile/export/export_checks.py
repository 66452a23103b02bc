"""Checks of the export before anything runs: quantization, template, engine, names and .env file."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

from jessyfile.addresses import address_of, is_loopback
from jessyfile.errors import EngineError, ExportError, ModelError, ProjectError, StorageError
from jessyfile.export.dotenv import check_dotenv
from jessyfile.export.ggml import library
from jessyfile.export.ollama_api import PATIENT_SECONDS, OllamaClient
from jessyfile.export.registry import LATEST, lookup
from jessyfile.export.tensor_types import FILE_TYPES, forecast_bytes
from jessyfile.models.base_checks import base_sizes, chat_format_name, known_shape
from jessyfile.models.chat_format import FORMATS, refuse_other_template
from jessyfile.models.ollama_store import store_folder
from jessyfile.planning.change_text import size
from jessyfile.planning.preflight import Finding

if TYPE_CHECKING:
    from jessyfile.language.recipe import Route
    from jessyfile.planning.preflight import Outlook

_MODEL = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}"
_NAMESPACE = r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}"
_HOST = r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}"
_OLLAMA_NAME = re.compile(rf"(?:(?:{_HOST}/)?{_NAMESPACE}/)?{_MODEL}")
_ANY_NAME = re.compile(rf"(?:{_MODEL}/){{0,2}}{_MODEL}")


def gguf_preflight(outlook: Outlook) -> Iterator[Finding]:
    """Yield a library of the embedded engine that cannot write weights."""
    if outlook.machine:
        try:
            library()
        except ExportError as error:
            yield outlook.error(error)


def modelfile_preflight(outlook: Outlook) -> Iterator[Finding]:
    """Yield a TEMPLATE that is not the format trained."""
    template = outlook.recipe.template
    name = chat_format_name(outlook)
    known = [FORMATS[name]] if name is not None else list(FORMATS.values())
    faults = []
    for form in known:
        try:
            refuse_other_template(template, form)
        except ModelError as error:
            faults.append(error)
    if faults and len(faults) == len(known):
        yield outlook.error(faults[0], "template")


def parity_preflight(outlook: Outlook) -> Iterator[Finding]:
    """Yield an embedded engine that is not installed: it answers the proof, and the suites where no Ollama is."""
    if outlook.machine and find_spec("xllamacpp") is None:
        error = EngineError("the embedded engine, xllamacpp, is not installed", hint="pip install xllamacpp")
        yield outlook.error(error)


def import_preflight(outlook: Outlook) -> Iterator[Finding]:
    """Yield what would stop the candidate's registration: its name, or an Ollama that nobody runs."""
    deploy = outlook.recipe.deploy
    yield from _name(outlook)
    if deploy.engine != "embedded":
        try:
            address_of(deploy.ollama)
        except ValueError:
            said = "it is what OLLAMA_HOST says; " if outlook.recipe.source("deploy.ollama") is None else ""
            hint = f"{said}write it as http://127.0.0.1:11434"
            wrong = EngineError(f"`{deploy.ollama}` is no address of an Ollama server", hint=hint)
            yield outlook.error(wrong, "deploy.ollama")
            return
        yield from _bare_clients(outlook)
    if deploy.engine == "ollama" and outlook.network:
        try:
            OllamaClient(deploy.ollama).version(PATIENT_SECONDS)
        except EngineError as error:
            yield outlook.error(error, "deploy.engine")
    yield from _store_full(outlook)


def routes_preflight(outlook: Outlook) -> Iterator[Finding]:
    """Yield a ROUTE whose address is none, and as notes what will be sent to other machines and which models are not there yet."""
    from jessyfile.planning.consent import route_sends

    for one in outlook.recipe.routes:
        try:
            known = _is_known(outlook, one)
        except (ValueError, EngineError) as error:
            told = (
                f"ROUTE {one.name} names `{one.at or one.model}`, which is no {'address' if one.at else 'model name'}"
            )
            yield outlook.error(EngineError(f"{told}: {error}"), f"route.to.{one.name}.{'at' if one.at else 'model'}")
            return
        if not known:
            told = f"ROUTE {one.name}: this project has no model `{one.model}` yet"
            yield Finding("note", "", "import", f"{told}; until then {outlook.recipe.name} itself answers")
    for sending in route_sends(outlook.recipe.routes):
        if outlook.machine:
            yield Finding("note", "", "import", f"whoever asks the model needs `--allow-host`: it sends {sending.said}")


def _is_known(outlook: Outlook, route: Route) -> bool:
    """Return whether the model of a route can be asked, as far as this project tells. Raises ValueError, EngineError."""
    if route.at is not None:
        return bool(address_of(route.at))
    name, _, tag = route.model.partition(":")
    return name == outlook.recipe.name or lookup(outlook.root, name, tag or LATEST) is not None


def _store_full(outlook: Outlook) -> Iterator[Finding]:
    """Yield a store of this machine's Ollama that has no room: it keeps the file as it was sent and once more as it serves it."""
    deploy = outlook.recipe.deploy
    store = store_folder() if outlook.machine and deploy.engine == "ollama" and is_loopback(deploy.ollama) else None
    if store is None:
        return
    try:
        needed, free = 2 * gguf_disk(outlook), shutil.disk_usage(store).free
    except OSError:  # the store of another user, which may not be looked into
        return
    if needed > free:
        left = f"the disk of its store `{store}` has {size(free)} left"
        message = f"Ollama takes about {size(needed)} for the model, and {left}"
        yield outlook.warning(
            StorageError(message, hint="`ollama list` shows what is there, `ollama rm NAME` frees it")
        )


def _bare_clients(outlook: Outlook) -> Iterator[Finding]:
    """Yield that a model of RETRIEVE goes where others than jessy ask it, without what it is shown here, and that an Ollama quotes nothing."""
    if outlook.recipe.retrieve is not None:
        where = "Ollama" if outlook.recipe.deploy.engine == "ollama" else "Ollama where one answers"
        error = EngineError(
            f"DEPLOY goes to {where}, whose clients send bare questions: nothing of RETRIEVE stands before them, "
            "and the criteria are measured so",
            hint="write `engine embedded` in DEPLOY to be measured with it, as `jessy chat` asks",
        )
        yield outlook.warning(error, "retrieve")
        if outlook.recipe.retrieve.quote is not None:
            message = "an Ollama does not say how likely a passage says the answer: `jessy chat` could quote none there"
            error = EngineError(message, hint="write `engine embedded` in DEPLOY, or leave `quote above` out")
            stops = outlook.recipe.deploy.engine == "ollama"
            yield outlook.error(error, "retrieve.quote") if stops else outlook.warning(error, "retrieve.quote")


def _name(outlook: Outlook) -> Iterator[Finding]:
    name, engine = outlook.recipe.name, outlook.recipe.deploy.engine
    if (fault := name_fault(name, engine)) is not None:
        stops = engine != "auto" or name_fault(name, "embedded") is not None
        yield outlook.error(fault, "name") if stops else outlook.warning(fault, "name")


def name_fault(name: str, engine: str) -> EngineError | None:
    """Return why no model can be registered under a name with this engine, None when one can."""
    hint = "write it as `name` or `namespace/name`: letters, digits, `_`, `-`, and a dot in the last part only"
    if _ANY_NAME.fullmatch(name) is None:
        return EngineError(f"no model can be registered as `{name}`", hint=hint)
    if engine != "embedded" and _OLLAMA_NAME.fullmatch(name) is None:
        return EngineError(f"Ollama takes no model of the name `{name}`", hint=hint)
    return None


def gguf_disk(outlook: Outlook) -> int:
    """Return about how many bytes a GGUF of the recipe's type takes, the candidate's or the base's own."""
    wanted, shape = outlook.recipe.export.quantize, known_shape(outlook)
    if shape is not None:
        return forecast_bytes(shape, wanted)
    return FILE_TYPES[wanted][0].nbytes(base_sizes(outlook).parameters)


def promote_preflight(outlook: Outlook) -> Iterator[Finding]:
    """Yield why the promoted model's name could not be written into the .env file."""
    dotenv = outlook.recipe.deploy.dotenv
    if dotenv is None:
        return
    try:
        check_dotenv(outlook.root, dotenv)
    except (ProjectError, StorageError) as error:
        yield outlook.error(error, "deploy.dotenv")
