"""An export that is driven from code: what `jessy apply` does behind the training, step by step, without a project."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jessyfile.errors import ExportError
from jessyfile.export.export_steps import GGUF_FILE
from jessyfile.fsops import (
    copy_file,
    hash_file,
    link_or_copy,
    make_folder,
    remove_tree,
    require_room,
    temporary_folder,
    write_text,
)
from jessyfile.models.base_step import SOURCE_FILE, run_base
from jessyfile.planning.run import Silent
from jessyfile.planning.steps import StepContext
from jessyfile.planning.store import Store
from jessyfile.project import find_root, jessy_folder, possible_path
from jessyfile.temporaries import left_beside
from jessyfile.user_files import fill_folder, put_file, refuse_foreign_folder

if TYPE_CHECKING:
    from jessyfile.export.parcel import Parcel
    from jessyfile.planning.steps import Progress
    from jessyfile.results.facts import EngineName

Place = str | os.PathLike[str]
LISTING = "jessy-export.json"
_HERE = "http://127.0.0.1:11434"


class ModelExporter:
    """Brings a trained adapter to a served model, each step read back and checked as `jessy apply` checks it.

    Each method writes beside what it is given, or into `folder`, and returns the path of what it wrote. Nothing that
    jessy did not write itself is replaced.
    """

    def __init__(
        self,
        folder: Place | None = None,
        *,
        engine: Literal["auto", "ollama", "embedded"] = "auto",
        ollama: str = _HERE,
        progress: Progress | None = None,
    ) -> None:
        """Take where to write and who will serve; nothing is read or asked yet.

        Args:
            folder: Where the merged model and the GGUF are written; beside their inputs unless given.
            engine: Who serves what is imported, as DEPLOY's `engine`: `"auto"` is Ollama when it answers, else the embedded engine.
            ollama: The address of Ollama; another machine's takes the consent that a recipe's takes (`JESSY_ALLOW_HOSTS`).
            progress: Told how far a step is, and what is worth knowing of its result.
        """
        self._folder = possible_path(folder) if folder is not None else None
        self._engine, self._ollama, self._progress = engine, ollama, progress or Silent()

    def merge_lora_weights(self, base_model: Place, adapter: Place) -> str:
        """Merge an adapter into its base in float32 and return the folder, `ADAPTER-merged`, which mlx-lm and transformers load.

        Args:
            base_model: The base as FROM names it: `"gemma:2b"`, `"hf:org/name"`, a folder or a GGUF.
            adapter: The adapter's folder, of `MLXFineTuner.save_adapter`, mlx-lm or PEFT: LoRA, rsLoRA or DoRA.

        Raises:
            ModelError: The base is not there or damaged.
            ExportError: The adapter is not there, or does not belong to this base.
            ProjectError: Something stands in the folder's place that jessy did not write.
        """
        from jessyfile.export.merge import merge
        from jessyfile.export.model_folder import folder_bytes, write_model_folder
        from jessyfile.models.from_gguf import METADATA_FILE

        trained = possible_path(adapter)
        if not trained.is_dir():
            raise ExportError(f"`{trained}` is no adapter's folder", hint="name what save_adapter has written")
        place = self._place(trained, f"{trained.resolve().name}-merged")
        refuse_foreign_folder(place, LISTING)
        with self._work(place) as work:
            base = self._base(os.fspath(base_model), work)
            merged = make_folder(work / "merged")
            told = merge(base, trained, merged, self._report)
            self._progress.note(
                f"the adapter changes {told.changed} tensors, by {told.relative_change:.2%} of their size"
            )
            require_room(place, folder_bytes(merged, "float32"))
            with fill_folder(place, LISTING) as staging:
                write_model_folder(merged, staging, dtype="float32", library="mlx", sampling={}, report=self._report)
                for name in (SOURCE_FILE, METADATA_FILE):  # with them a GGUF keeps the keys of the base's own
                    if (merged / name).is_file():
                        link_or_copy(merged / name, staging / name)
                write_text(staging / LISTING, '{"format": 1}')
        return str(place)

    def convert_to_gguf(self, model_path: Place, quantize: str = "q8_0") -> str:
        """Write a model's folder as GGUF, read it back, and return the file, `MODEL-TYPE.gguf`.

        Args:
            model_path: A folder in MLX's or Hugging Face's form: of `merge_lora_weights`, or any whose architecture jessy knows.
            quantize: The type of the weights, as EXPORT's `quantize`.

        Raises:
            ModelError: The folder is no model's, or damaged.
            ExportError: The type is unknown, or what was written differs from the folder.
            ProjectError: Something stands in the file's place that jessy did not write.
        """
        from jessyfile.export.gguf_writer import write_gguf
        from jessyfile.models.from_folder import bring_folder

        model = possible_path(model_path)
        if not model.is_dir():
            raise ExportError(f"`{model}` is no model's folder", hint="name what merge_lora_weights has returned")
        wanted = quantize.lower()
        path = self._place(model, f"{model.resolve().name}-{wanted.upper()}.gguf")
        with put_file(path, LISTING) as target, self._work(path) as work:
            bring_folder(model, work, self._report, link_or_copy)
            if (model / SOURCE_FILE).is_file():
                link_or_copy(model / SOURCE_FILE, work / SOURCE_FILE)
            require_room(path, gguf_bytes(work, wanted))
            written = write_gguf(work, target, wanted, self._report)
            self._progress.note(f"{written.tensors} tensors read back; the worst error is {written.worst_nmse:.2g}")
        return str(path)

    def create_modelfile(self, gguf_path: Place, system_prompt: str | None = None) -> str:
        """Write a Modelfile beside a GGUF and return its path; `ollama create NAME -f` takes it as it lies.

        Args:
            gguf_path: The GGUF; its vocabulary says which chat format the model was trained in.
            system_prompt: The SYSTEM text; None for none.

        Raises:
            ModelError: The GGUF is not there or damaged.
            ExportError: A Modelfile's text cannot say this system prompt; a recipe's SYSTEM is sent as JSON and can.
            ProjectError: A Modelfile stands there that jessy did not write.
        """
        from jessyfile.export.modelfile import modelfile_text, packaging
        from jessyfile.export.parcel import parcel_of, plain_recipe

        parcel = parcel_of(possible_path(gguf_path), "model", self._progress.note)
        recipe = plain_recipe(parcel.gguf.stem, system_prompt)
        text, lost = modelfile_text(replace(packaging(recipe, parcel.form), gguf=parcel.gguf.name))
        if lost:
            raise ExportError(
                f"a Modelfile's text cannot say this {lost[0]}",
                hint="leave out three quotes in a row, and characters that are not printed",
            )
        path = parcel.gguf.parent / "Modelfile"
        with put_file(path, LISTING) as target:
            write_text(target, text)
        return str(path)

    def import_to_ollama(self, modelfile_or_gguf: Place, name: str) -> EngineName:
        """Register a model as `name` and return who serves it; what had the name before is kept as NAME:previous.

        Where no Ollama answers the embedded engine serves it, so that `jessy chat NAME` works on every machine; `engine="ollama"`
        insists. It is registered in the project around the working folder, whose store gets a copy of the GGUF for the embedded
        engine; where there is no project yet, Ollama alone keeps the model, and the embedded engine begins one.

        Args:
            modelfile_or_gguf: A Modelfile, whose FROM names a GGUF, or a GGUF.
            name: The model's name, without a tag.

        Raises:
            ExportError: The Modelfile names no GGUF, or has another chat format than the GGUF.
            EngineError: No Ollama answers although it must, it refuses, or the name is none that it takes.
            ConsentError: Ollama runs on another machine, and nobody allowed to send the model there.
        """
        from jessyfile.export.export_checks import name_fault
        from jessyfile.export.move_names import choose_engine
        from jessyfile.export.parcel import parcel_of
        from jessyfile.planning.consent import Outgoing, require

        if (fault := name_fault(name, self._engine)) is not None:
            raise fault
        if self._engine != "embedded":
            sending = Outgoing("ModelExporter", self._ollama, "the model and its system prompt")
            require([] if sending.stays_here else [sending])
        parcel = parcel_of(possible_path(modelfile_or_gguf), name, self._progress.note)
        deploy = replace(parcel.recipe.deploy, engine=self._engine, ollama=self._ollama)
        engine, _ = choose_engine(deploy)
        root = find_root(Path.cwd() / "recipe")
        if engine == "ollama" and not jessy_folder(root).is_dir():
            self._create(parcel)
        else:
            self._register(parcel, engine, root)
        self._progress.note(f"{name} is served by {'Ollama' if engine == 'ollama' else 'the embedded engine'}")
        return engine

    def _create(self, parcel: Parcel) -> None:
        """Create the model in Ollama, which alone keeps it."""
        from jessyfile.export.modelfile import create_request, packaging
        from jessyfile.export.ollama_api import OllamaClient

        client = OllamaClient(self._ollama)
        digest = client.push_blob(parcel.gguf, self._report)
        body = create_request(packaging(parcel.recipe, parcel.form), "latest")
        client.create({**body, "files": {"model.gguf": digest}}, self._report)

    def _register(self, parcel: Parcel, engine: EngineName, root: Path) -> None:
        """Register the model with an engine and the project, and promote it."""
        from jessyfile.export.modelfile import create_request, packaging, served
        from jessyfile.export.move_names import promote, register_embedded, register_ollama
        from jessyfile.planning.mutex import project_lock

        name, told = parcel.recipe.name, served(parcel.recipe, parcel.form)
        with project_lock(root, "jessyfile.ModelExporter"):
            if engine == "ollama":
                body = create_request(packaging(parcel.recipe, parcel.form), "candidate")
                register_ollama(root, self._ollama, parcel.gguf, body, told, self._report)
            else:
                gguf = _stored(parcel.gguf, root)
                register_embedded(root, name, gguf, hash_file(gguf), told)
            promote(root, name)

    def _base(self, text: str, work: Path) -> Path:
        """Return the folder of the base, found and brought into MLX's form as the step `base` does it."""
        from jessyfile.language.build import training_recipe

        output, root = make_folder(work / "base"), Path.cwd()
        recipe = training_recipe(text, {}, {})
        run_base(
            StepContext(recipe, root, output, make_folder(work / "work"), {}, {}, self._progress, Silent(), "base")
        )
        return output

    def _place(self, beside: Path, name: str) -> Path:
        return (self._folder if self._folder is not None else beside.resolve().parent) / name

    @contextmanager
    def _work(self, place: Path) -> Iterator[Path]:
        """Yield a folder for what is made on the way, on the disk of the result; what a killed call left goes first."""
        beside = place.with_name(f"{place.name}.work")
        with temporary_folder(beside) as work:
            for left in left_beside(beside):
                remove_tree(left)
            yield work

    @property
    def _report(self) -> Callable[[int, int, str], None]:
        return lambda done, total, text: self._progress.update(done, total or None, text=text)


def _stored(gguf: Path, root: Path) -> Path:
    """Copy a file into the project's store, where `jessy gc` keeps it as long as it is registered; the caller holds the lock."""
    require_room(root, gguf.stat().st_size)
    store = Store(root)
    with store.staged() as output:
        copy_file(gguf, output / GGUF_FILE)
        return store.place(store.commit(output)) / GGUF_FILE


def gguf_bytes(folder: Path, kind: str) -> int:
    """Return about how many bytes a model's folder takes as a GGUF; 0 for a type that nothing writes."""
    from jessyfile.export.tensor_types import FILE_TYPES, forecast_bytes
    from jessyfile.models.model_json import read_json
    from jessyfile.models.shape import shape_of

    if kind not in FILE_TYPES:
        return 0
    return (
        forecast_bytes(shape_of(read_json(folder / "config.json")), kind) + (folder / "tokenizer.json").stat().st_size
    )
