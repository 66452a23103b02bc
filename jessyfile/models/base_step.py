"""The step `base`: find the base model, check it, and bring it to a model folder. Where ADAPTER names what training starts from, that is the
step `from`, and `base` merges the adapter into it.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from jessyfile.errors import Interrupted
from jessyfile.fsops import remove_tree, write_bytes
from jessyfile.models.adapters.merge import MergeResult, merge_folder
from jessyfile.models.base_inputs import adapter_reference
from jessyfile.models.chat_format import ChatFormat, refuse_other_template
from jessyfile.models.from_folder import bring_folder
from jessyfile.models.model_json import read_json
from jessyfile.models.reference import parse_reference
from jessyfile.models.resolve import Located, folder_digest, locate
from jessyfile.models.tokenizer_build import dumps
from jessyfile.planning.canonical import normal
from jessyfile.results.facts import BaseFacts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jessyfile.planning.steps import StepContext

SOURCE_FILE = "source.json"


def run_base(context: StepContext) -> BaseFacts:
    """Fill the output with config.json, model*.safetensors, tokenizer.json, tokenizer_config.json and source.json.

    A GGUF is dequantized to float32; a folder's files are copied as they are, and of one that also reads images its text
    model. Raises ModelError when there is no such model, or it is damaged or of an unknown kind.
    """
    reference = parse_reference(context.recipe.base, context.root)
    context.progress.update(0, text=f"looking for {context.recipe.base}")
    found = locate(reference, context.work, context.stop)
    target = context.output
    form = _from_gguf(found, target, context) if found.is_gguf else bring_folder(found.path, target, _reporter(context))
    refuse_other_template(context.recipe.template, form)
    parameters, bytes_ = _sizes(target)
    facts = BaseFacts(
        source=found.source,
        kind="gguf" if found.is_gguf else "folder",
        digest=found.digest,
        chat_format=form.name,
        model_type=read_json(target / "config.json")["model_type"],
        parameters=parameters,
        bytes=bytes_,
        ollama=found.ollama,
    )
    return _told(context, facts)


def run_adapted_base(context: StepContext) -> BaseFacts:
    """Fill the output with the base that the step `from` has brought and the adapter that ADAPTER names, merged. Raises ModelError."""
    adapter = adapter_reference(context.recipe, context.root)
    assert adapter is not None  # noqa: S101 (there is no such step without ADAPTER)
    context.progress.note(_said(merge_folder(context.inputs["from"], adapter, context.output, _reporter(context))))
    parameters, bytes_ = _sizes(context.output)
    came = replace(context.facts_of("from", BaseFacts), parameters=parameters, bytes=bytes_, ollama=None)
    return _told(context, replace(came, adapter=folder_digest(adapter)))


def _told(context: StepContext, facts: BaseFacts) -> BaseFacts:
    """Write `source.json` and return the facts that it tells."""
    # who serves it on this machine is no part of what it is
    told = {name: value for name, value in normal(facts).items() if name != "ollama" and value is not None}
    write_bytes(context.output / SOURCE_FILE, dumps({"from": context.recipe.base, **told}) + b"\n")
    return facts


def _sizes(folder: Path) -> tuple[int, int]:
    """Return how many numbers a model folder holds, and in how many bytes."""
    from jessyfile.models.load import weight_files
    from jessyfile.models.safetensors_check import check_safetensors

    tensors = [tensor for path in weight_files(folder) for tensor in check_safetensors(path).values()]
    return sum(math.prod(tensor.shape) for tensor in tensors), sum(tensor.nbytes for tensor in tensors)


def _said(merged: MergeResult) -> str:
    if not merged.relative_change:
        return "ADAPTER changes nothing: it is as it was before its training"
    many = "one tensor" if merged.changed == 1 else f"{merged.changed} tensors"
    return f"ADAPTER changes {many}, by {merged.relative_change:.2%} of the size"


def _reporter(context: StepContext) -> Callable[[int, int, str], None]:
    def report(done: int, total: int, text: str) -> None:
        if context.stop.requested():
            raise Interrupted("stopped while bringing the base model in")
        context.progress.update(done, total, text=text)

    return report


def _from_gguf(found: Located, target: Path, context: StepContext) -> ChatFormat:
    from jessyfile.models.from_gguf import convert_gguf

    form = convert_gguf(found.path, target, _reporter(context))
    if found.path.is_relative_to(context.work):
        remove_tree(found.path)
    return form
