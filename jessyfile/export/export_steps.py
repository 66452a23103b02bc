"""The steps from an adapter to a promoted model: merge, gguf, modelfile, import, promote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jessyfile.addresses import OLLAMA
from jessyfile.errors import Interrupted
from jessyfile.fsops import hash_file, write_text
from jessyfile.models.model_json import read_json
from jessyfile.planning.canonical import readable
from jessyfile.results.facts import (
    GgufFacts,
    ImportFacts,
    IndexFacts,
    JudgeFacts,
    MergeFacts,
    ModelfileFacts,
    PassageFacts,
    PromoteFacts,
)
from jessyfile.results.served import Retrieval, Served, ServedPassages
from jessyfile.results.typed_json import load_as

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jessyfile.language.recipe import Recipe
    from jessyfile.planning.steps import StepContext

GGUF_FILE, MODELFILE, CREATE_FILE, SERVED_FILE = "model.gguf", "Modelfile", "create.json", "served.json"


def run_merge(context: StepContext) -> MergeFacts:
    """Fill the output with the merged model folder, what changed in float32. Raises ExportError."""
    from jessyfile.export.merge import merge

    merged = merge(context.inputs["base"], context.adapter, context.output, _reporter(context))
    return MergeFacts(merged.changed, round(merged.relative_change, 6))


def run_gguf(context: StepContext) -> GgufFacts:
    """Fill the output with model.gguf, written and checked: of the merged model, else of the one that training starts from.

    Raises ExportError.
    """
    from jessyfile.export.gguf_writer import write_gguf
    from jessyfile.export.imatrix import matrix_of

    wanted, target, report = context.recipe.export.quantize, context.output / GGUF_FILE, _reporter(context)
    model = "merge" if "merge" in context.inputs else "base"
    matrix = matrix_of(context, model, report)
    written = write_gguf(context.inputs[model], target, wanted, report, matrix)
    return GgufFacts(
        type=wanted,
        tensors=written.tensors,
        bytes=written.bytes,
        worst_nmse=float(f"{written.worst_nmse:.3g}"),
        digest=hash_file(target),
        weighed_rows=matrix.rows if matrix is not None else 0,
    )


def run_modelfile(context: StepContext) -> ModelfileFacts:
    """Fill the output with Modelfile (for people), create.json (for Ollama) and served.json (for the engines).

    Raises ExportError.
    """
    from jessyfile.export.modelfile import create_request, modelfile_text, packaging, served
    from jessyfile.models.chat_format import chat_format, refuse_other_template

    form = chat_format(str(read_json(context.inputs["base"] / "source.json")["chat_format"]))
    refuse_other_template(context.recipe.template, form)
    pack = packaging(context.recipe, form)
    text, lost = modelfile_text(pack)
    write_text(context.output / MODELFILE, text)
    _write_json(context.output / CREATE_FILE, create_request(pack, "candidate"))
    _write_json(context.output / SERVED_FILE, served(context.recipe, form))
    return ModelfileFacts(form.name, lost)


def run_import(context: StepContext) -> ImportFacts:
    """Register NAME:candidate with Ollama or the embedded engine. Raises EngineError or ExportError."""
    from jessyfile.export import move_names as register
    from jessyfile.export.registry import CANDIDATE, lookup, model_id

    gguf, folder, facts = (
        context.inputs["gguf"] / GGUF_FILE,
        context.inputs["modelfile"],
        context.facts_of("gguf", GgufFacts),
    )
    served, recipe = load_as(Served, folder / SERVED_FILE), context.recipe
    engine, told = register.choose_engine(recipe.deploy)
    if engine == "ollama":
        _warn_of_old(context, str(told))
        body = read_json(folder / CREATE_FILE)
        url = context.recipe.deploy.ollama
        report = _reporter(context)
        retrieval, note = retrieval_of(context, "index"), context.progress.note
        stop = context.stop
        register.register_ollama(
            context.root, url, gguf, body, served, report, stop, retrieval, note, recipe.routes, _within(recipe)
        )
    else:
        name = context.recipe.name
        if told is not None and context.recipe.deploy.ollama != OLLAMA:
            context.progress.note(f"{told}: the embedded engine serves")
        retrieval = retrieval_of(context, "index")
        register.register_embedded(
            context.root, name, gguf, facts.digest, served, retrieval, recipe.routes, _within(recipe)
        )
    entry = lookup(context.root, context.recipe.name, CANDIDATE)
    model = model_id(entry) if entry is not None else ""
    found = ImportFacts(engine, context.recipe.name, CANDIDATE, facts.digest, model)
    _write_json(context.output / "import.json", found)
    return found


def _within(recipe: Recipe) -> dict[str, float]:
    """Return the seconds that thinking at a level may take, for those levels that have any."""
    return {level.name: level.within for level in recipe.complexity.levels if level.within is not None}


def retrieval_of(context: StepContext, index: str) -> Retrieval | None:
    """Return what a model is shown before a question, out of the index of a step; None for a recipe without RETRIEVE."""
    wanted = context.recipe.retrieve
    if wanted is None:
        return None
    place = found = ""
    if wanted.examples:
        place, found = _place(context, index), context.facts_of(index, IndexFacts).digest
    passages = None
    if "passages" in context.inputs:
        digest = context.facts_of("passages", PassageFacts).digest
        passages = ServedPassages(_place(context, "passages"), digest, wanted.top, wanted.quote)
    return Retrieval(place, found, wanted.examples, wanted.answer, passages)


def _place(context: StepContext, step: str) -> str:
    """Return where an input lies, as counted from the root."""
    return context.inputs[step].resolve().relative_to(context.root.resolve()).as_posix()


def run_promote(context: StepContext) -> PromoteFacts:
    """Move NAME:latest to the candidate when the verdict allows it, and the .env key with it. Raises EngineError.

    A failed MUST leaves everything where it was and says so in the facts; so does a rollback of this very model, unless
    the step was asked for with `--replace`.
    """
    from jessyfile.export.dotenv import check_dotenv, update_dotenv
    from jessyfile.export.move_names import promote
    from jessyfile.export.registry import kept_back

    failed, name = context.facts_of("judge", JudgeFacts).failed, context.recipe.name
    imported, dotenv = context.facts_of("import", ImportFacts), context.recipe.deploy.dotenv
    reason = f"{len(failed)} MUST failed: {', '.join(failed)}" if failed else ""
    if not failed and not context.replaced:
        reason = kept_back(context.root, name, imported) or ""
    found = PromoteFacts(not reason, reason, name, imported.engine, imported.digest, imported.model)
    if not reason:
        if dotenv is not None:
            check_dotenv(context.root, dotenv)  # a name that cannot be written down is not moved either
        promote(context.root, name, context.progress.note)
        if dotenv is not None:
            update_dotenv(context.root, dotenv, f"{name}:latest")
    _write_json(context.output / "promote.json", found)
    return found


def _warn_of_old(context: StepContext, version: str) -> None:
    from jessyfile.export.ollama_api import is_vulnerable

    if is_vulnerable(version):
        context.progress.note(
            f"Ollama {version} has a known vulnerability (CVE-2026-7482); update it to 0.17.1 or newer"
        )


def _reporter(context: StepContext) -> Callable[[int, int, str], None]:
    def report(done: int, total: int, text: str) -> None:
        if context.stop.requested():
            raise Interrupted("stopped before the model was written")
        context.progress.update(done, total or None, text=text)

    return report


def _write_json(path: Path, value: object) -> None:
    write_text(path, readable(value))
