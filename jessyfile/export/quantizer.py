"""K-quants, which `gguf` cannot write: by `llama-quantize` where it is installed, else left to Ollama."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from jessyfile.errors import ExportError, Interrupted

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.planning.steps import Stop

K_QUANTS = ("q2_k", "q3_k_s", "q3_k_m", "q3_k_l", "q4_k_s", "q4_k_m", "q5_k_s", "q5_k_m", "q6_k")
OLLAMA_QUANTS = ("q4_k_s", "q4_k_m")
_SECONDS = 3600
_POLL = 0.2


def quantizer() -> str | None:
    """Return where `llama-quantize` lies, None when it is not installed."""
    return shutil.which("llama-quantize")


def needs_tool(wanted: str) -> ExportError:
    """Return the error for a K-quant that Ollama does not make and llama-quantize is not there for."""
    hint = "install llama.cpp, or choose q4_k_m or q8_0"
    return ExportError(f"`quantize {wanted}` needs llama-quantize, which is not here", hint=hint)


def needs_ollama(wanted: str) -> ExportError:
    """Return the error for a K-quant that is left to an Ollama that is not there."""
    return ExportError(
        f"`quantize {wanted}` needs llama-quantize or Ollama, and neither is here",
        hint="install llama-quantize, start Ollama, or choose q8_0 or q4_0",
    )


def quantize_file(tool: str, source: Path, target: Path, kind: str, stop: Stop) -> None:
    """Make a K-quant of an F16 GGUF with llama-quantize.

    Args:
        tool: the path of llama-quantize.
        source: the F16 GGUF.
        target: the file to write.
        kind: the quantization, such as `q4_k_m`.
        stop: asked while the tool runs; a stop ends the tool.

    Raises:
        ExportError: the tool failed; the message holds its last line.
        Interrupted: a stop was requested.
    """
    code, said = _run([tool, str(source), str(target), kind.upper()], stop)
    if code != 0 or not target.is_file():
        last = (said.decode("utf-8", "replace").strip().splitlines() or ["no message"])[-1]
        raise ExportError(f"llama-quantize failed: {last[:200]}", hint="update llama.cpp, or choose q8_0")


def _run(command: list[str], stop: Stop) -> tuple[int, bytes]:
    """Run the tool to its end, or until asked to stop; return its exit code and what it said on standard error."""
    deadline = time.monotonic() + _SECONDS
    try:
        # a session of its own: Ctrl-C in the terminal is jessy's to hear, which then stops the tool
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
        )
    except OSError as error:
        raise ExportError(f"llama-quantize cannot be started: {error}") from error
    with child:
        try:
            while time.monotonic() < deadline:
                if stop.requested():
                    raise Interrupted("stopped while quantizing")
                with contextlib.suppress(subprocess.TimeoutExpired):
                    _, said = child.communicate(timeout=_POLL)
                    return child.returncode, said
            raise ExportError(f"llama-quantize did not finish within {_SECONDS} s")
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
