"""K-quants, which `gguf` cannot write: by `llama-quantize` where it is installed, else left to Ollama."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from jessyfile.errors import ExportError

if TYPE_CHECKING:
    from pathlib import Path

K_QUANTS = ("q2_k", "q3_k_s", "q3_k_m", "q3_k_l", "q4_k_s", "q4_k_m", "q5_k_s", "q5_k_m", "q6_k")
OLLAMA_QUANTS = ("q4_k_s", "q4_k_m")
_SECONDS = 3600


def quantizer() -> str | None:
    """Return where `llama-quantize` lies, None when it is not installed."""
    return shutil.which("llama-quantize")


def quantize_file(tool: str, source: Path, target: Path, kind: str) -> None:
    """Make a K-quant of an F16 GGUF. Raises ExportError with the tool's last line when it fails."""
    try:
        done = subprocess.run(
            [tool, str(source), str(target), kind.upper()], capture_output=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ExportError(f"llama-quantize did not finish: {error}") from error
    if done.returncode != 0 or not target.is_file():
        last = (done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no message"])[-1]
        raise ExportError(f"llama-quantize failed: {last[:200]}", hint="update llama.cpp, or choose q8_0")
