"""Checks of the export before anything runs: quantizer, template, engine, names and .env file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

from jessyfile.addresses import address_of
from jessyfile.errors import EngineError, ExportError, ModelError, ProjectError, StorageError
from jessyfile.export.dotenv import check_dotenv
from jessyfile.export.ollama_api import OllamaClient, unreachable
from jessyfile.export.quantizer import K_QUANTS, OLLAMA_QUANTS, needs_ollama, needs_tool, quantizer
from jessyfile.models.base_checks import base_sizes, chat_format_name
from jessyfile.models.chat_format import FORMATS, refuse_other_template
from jessyfile.results.facts import GgufFacts
from jessyfile.results.typed_json import read_as

if TYPE_CHECKING:
    from jessyfile.planning.preflight import Finding, Outlook

_PROBE_SECONDS = 3.0
_MODEL = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}"
_NAMESPACE = r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}"
_HOST = r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}"
_OLLAMA_NAME = re.compile(rf"(?:(?:{_HOST}/)?{_NAMESPACE}/)?{_MODEL}")
_ANY_NAME = re.compile(rf"(?:{_MODEL}/){{0,2}}{_MODEL}")
# bytes a number takes in a file of each type, in sixteenths
_SIXTEENTHS = {"f32": 64, "f16": 32, "bf16": 32, "q8_0": 17, "q6_k": 14, "q5_1": 12, "q5_0": 11, "q4_1": 10, "q4_0": 9}
_SIXTEENTHS |= {
    "q5_k_m": 12,
    "q5_k_s": 12,
    "q4_k_m": 10,
    "q4_k_s": 10,
    "q3_k_m": 8,
    "q3_k_l": 9,
    "q3_k_s": 8,
    "q2_k": 7,
}


def gguf_preflight(outlook: Outlook) -> Iterator[Finding]:
    """Yield a quantization that nothing on this machine can make."""
    wanted = outlook.recipe.export.quantize.lower()
    if outlook.machine and wanted in K_QUANTS and wanted not in OLLAMA_QUANTS and quantizer() is None:
        yield outlook.error(needs_tool(wanted), "export.quantize")


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
    """Yield what would stop the candidate's registration: its name, an Ollama that nobody runs, a K-quant left to it."""
    deploy = outlook.recipe.deploy
    yield from _name(outlook)
    if deploy.engine != "embedded":
        try:
            address_of(deploy.ollama)
        except ValueError:
            wrong = EngineError(
                f"`{deploy.ollama}` is no address of an Ollama server", hint="write it as http://127.0.0.1:11434"
            )
            yield outlook.error(wrong, "deploy.ollama")
            return
    if not outlook.machine:
        return
    answers = deploy.engine != "embedded" and (not outlook.network or _answers(deploy.ollama))
    if deploy.engine == "ollama" and not answers:
        yield outlook.error(unreachable(deploy.ollama), "deploy.engine")
    pending = _pending(outlook)
    if pending and not answers:
        yield outlook.error(needs_ollama(pending), "export.quantize")
    elif pending and not outlook.network:
        error = ExportError(
            f"`quantize {pending}` is left to Ollama, for llama-quantize is not here",
            hint="`jessy plan --probe` asks whether it answers; apply refuses to begin when it does not",
        )
        yield outlook.warning(error, "export.quantize")


def _pending(outlook: Outlook) -> str | None:
    """Return the K-quant that Ollama is to make, None when nothing is left to it."""
    kept = outlook.kept.get("gguf")
    if kept is not None:
        pending = read_as(GgufFacts, kept.facts, "the record of `gguf`").pending
        return pending.lower() if pending else None
    wanted = outlook.recipe.export.quantize.lower()
    return wanted if wanted in OLLAMA_QUANTS and quantizer() is None else None


def _name(outlook: Outlook) -> Iterator[Finding]:
    name, engine = outlook.recipe.name, outlook.recipe.deploy.engine
    hint = "write it as `name` or `namespace/name`: letters, digits, `_`, `-`, and a dot in the last part only"
    if _ANY_NAME.fullmatch(name) is None:
        yield outlook.error(EngineError(f"no model can be registered as `{name}`", hint=hint), "name")
    elif engine != "embedded" and _OLLAMA_NAME.fullmatch(name) is None:
        error = EngineError(f"Ollama takes no model of the name `{name}`", hint=hint)
        yield outlook.error(error, "name") if engine == "ollama" else outlook.warning(error, "name")


def _answers(url: str) -> bool:
    try:
        OllamaClient(url).version(_PROBE_SECONDS)
    except EngineError:
        return False
    return True


def gguf_disk(outlook: Outlook) -> int:
    """Return about how many bytes the GGUF takes, with the F16 file that a K-quant is made from."""
    wanted = outlook.recipe.export.quantize.lower()
    kinds = [wanted, "f16"] if wanted in K_QUANTS else [wanted]
    return sum(_file_bytes(outlook, kind) for kind in kinds)


def baseline_disk(outlook: Outlook) -> int:
    """Return about how many bytes the base's own GGUF takes while it answers."""
    wanted = outlook.recipe.export.quantize.lower()
    return _file_bytes(outlook, "q8_0" if wanted in K_QUANTS else wanted)


def _file_bytes(outlook: Outlook, kind: str) -> int:
    return base_sizes(outlook).parameters * _SIXTEENTHS[kind] // 16


def promote_preflight(outlook: Outlook) -> Iterator[Finding]:
    """Yield why the promoted model's name could not be written into the .env file."""
    dotenv = outlook.recipe.deploy.dotenv
    if dotenv is None:
        return
    try:
        check_dotenv(outlook.root, dotenv)
    except (ProjectError, StorageError) as error:
        yield outlook.error(error, "deploy.dotenv")
