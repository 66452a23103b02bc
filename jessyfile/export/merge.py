"""Merge the trained adapter into its base, always in full precision.

Merging into a 4-bit base keeps only a tenth of a gentle fine-tune. Therefore the merge is made in float32. What it
does not change keeps the base's own type; a quantized base is dequantized.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from jessyfile.errors import ExportError, ModelError
from jessyfile.models.adapters.merge import MergeResult, merge_folder

if TYPE_CHECKING:
    from pathlib import Path

Report = Callable[[int, int, str], None]


def merge(base: Path, adapter: Path, output: Path, report: Report) -> MergeResult:
    """Write the merged model's folder.

    Args:
        base: the base model's folder.
        adapter: the folder of the LoRA adapter.
        output: the folder to fill.
        report: told tensors done, tensors in all, and a name.

    Returns:
        What was changed and by how much.

    Raises:
        ExportError: the adapter does not fit the base, or the merged weights are not finite.
    """
    try:
        merged = merge_folder(base, adapter, output, report)
    except ModelError as error:
        raise ExportError(f"the adapter cannot be merged: {error.message}", hint=error.hint) from error
    if not math.isfinite(merged.relative_change):
        raise ExportError("the merged weights are not finite", hint="train again with a lower learning rate")
    return merged
