"""The forms in which a model leaves the project: each a folder that is complete for the program it is for.

modelfile  the served GGUF and the Modelfile for `ollama create`
gguf       the served GGUF, or one of another type made from the merged model
mlx, hf    the merged model for mlx-lm, for transformers
adapter    the LoRA or DoRA alone, for mlx-lm
peft       the same for PEFT
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from jessyfile.errors import DamagedError, ExportError
from jessyfile.export.export_steps import CREATE_FILE, GGUF_FILE, SERVED_FILE
from jessyfile.export.exporter import LISTING, gguf_bytes
from jessyfile.export.lineage import Lineage
from jessyfile.export.model_card import hub_name, model_card
from jessyfile.export.model_folder import Dtype, Library, Report, folder_bytes, write_model_folder
from jessyfile.export.modelfile import OllamaOnly, modelfile_text, repackaged
from jessyfile.export.registry import check_served
from jessyfile.fsops import copy_file, hash_file, require_room, write_text
from jessyfile.models.from_gguf import METADATA_FILE
from jessyfile.models.model_json import read_json
from jessyfile.planning.canonical import readable
from jessyfile.results.facts import BaseFacts, GgufFacts, IndexFacts, PassageFacts
from jessyfile.results.served import Served
from jessyfile.results.typed_json import load_as, read_as
from jessyfile.user_files import fill_folder, refuse_foreign_folder

_CONFIGS_ROOM = 1 << 20


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be exported: the form, the GGUF's type when it is not to be the served file, the type of numbers."""

    form: str
    quantize: str | None = None
    dtype: Dtype = "float32"


@dataclass(frozen=True, slots=True)
class Exported:
    """A finished export: its folder, the files in it with their bytes, and what a reader should know."""

    folder: Path
    files: Mapping[str, int]
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Job:
    """One export under way: fills the staging folder."""

    lineage: Lineage
    order: Order
    place: Path
    report: Report
    notes: list[str]

    def gguf(self, staging: Path) -> Path:
        """Put the GGUF into the folder; return it."""
        from jessyfile.export.gguf_writer import write_gguf

        wanted, facts = self.order.quantize, self.lineage.facts("gguf", GgufFacts)
        if wanted is None or (facts is not None and facts.type == wanted):
            source = served_gguf(self.lineage)
            require_room(self.place, source.stat().st_size)
            target = staging / f"{self._stem()}-{_type_of(source)}.gguf"
            copy_file(source, target)
            return target
        target, merged = staging / f"{self._stem()}-{wanted.upper()}.gguf", self.lineage.folder("merge")
        require_room(self.place, gguf_bytes(merged, wanted))
        write_gguf(merged, target, wanted, self.report)
        return target

    def modelfile(self, staging: Path) -> None:
        """Put the GGUF and a Modelfile that names it into the folder."""
        text, lost = modelfile_text(repackaged(self._served(), self._sent(), self.gguf(staging).name))
        self.notes += [f"the Modelfile leaves {part} out, for its text cannot say it" for part in lost]
        write_text(staging / "Modelfile", text)

    def mlx(self, staging: Path) -> None:
        """Put the merged model for mlx-lm into the folder."""
        self._model(staging, "mlx")

    def hf(self, staging: Path) -> None:
        """Put the merged model for transformers and its model card into the folder."""
        self._model(staging, "pt")
        card = model_card(self.lineage, self._served(), self._sent().license, read_json(staging / "config.json"))
        write_text(staging / "README.md", card)

    def adapter(self, staging: Path) -> None:
        """Put the adapter for mlx-lm into the folder."""
        from jessyfile.export.adapter_folder import write_mlx_adapter

        write_mlx_adapter(*self._adapter(staging))

    def peft(self, staging: Path) -> None:
        """Put the adapter for PEFT into the folder."""
        from jessyfile.export.adapter_folder import write_peft_adapter

        write_peft_adapter(*self._adapter(staging))

    def _adapter(self, staging: Path) -> tuple[Path, Path, str | None, int]:
        """Return the adapter's folder, the one to fill, and what its base is called and how many layers it has."""
        facts, wanted = self.lineage.facts("base", BaseFacts), str(self.lineage.value("base", "from"))
        if facts is not None and facts.adapter is not None:
            raise ExportError(
                f"the adapter was trained on `{wanted}` with another adapter in it, a base that nobody else has",
                hint="export the whole model: `--as hf` or `--as mlx`",
            )
        trained, base = self.lineage.folder(self.lineage.adapter_step), self.lineage.folder("base")
        require_room(self.place, sum(path.stat().st_size for path in trained.iterdir()))
        name = hub_name(wanted, self.lineage.store.root, facts.source if facts is not None else "")
        if (base / METADATA_FILE).is_file():
            another = f"`{name}`" if name else "a folder of the same base"
            self.notes.append(
                f"the adapter was trained on the numbers of a GGUF; {another} has others, and answers a little "
                "differently with it: `--as hf` and `--as mlx` give the whole model"
            )
        elif name is None:
            name = str((self.lineage.store.root / Path(wanted).expanduser()).resolve())
        return trained, staging, name, int(read_json(base / "config.json")["num_hidden_layers"])

    def _model(self, staging: Path, library: Library) -> None:
        folder = self.lineage.folder("merge")
        require_room(self.place, folder_bytes(folder, self.order.dtype) + _CONFIGS_ROOM)
        write_model_folder(
            folder,
            staging,
            dtype=self.order.dtype,
            library=library,
            sampling=self._served().parameters,
            report=self.report,
        )

    def _stem(self) -> str:
        return self.lineage.name.rpartition("/")[2]

    def _sent(self) -> OllamaOnly:
        return load_as(OllamaOnly, self.lineage.folder("modelfile") / CREATE_FILE)

    def _served(self) -> Served:
        if self.lineage.entry is not None:
            return read_as(Served, self.lineage.entry.served, "the registration")
        return load_as(Served, self.lineage.folder("modelfile") / SERVED_FILE)


FORMS: Mapping[str, Callable[[_Job, Path], object]] = {
    "modelfile": _Job.modelfile,
    "gguf": _Job.gguf,
    "mlx": _Job.mlx,
    "hf": _Job.hf,
    "adapter": _Job.adapter,
    "peft": _Job.peft,
}


def export(lineage: Lineage, order: Order, place: Path, report: Report) -> Exported:
    """Fill a folder with a model in one form.

    Args:
        lineage: the model.
        order: the form and its settings.
        place: the folder: new, empty, or one that an export has filled.
        report: told tensors done, tensors in all, and a name.

    Returns:
        What was written.

    Raises:
        ExportError: a result that the form needs is gone.
        DamagedError: a stored file is not as it was written.
        ProjectError: something that jessy did not write stands in the place.
        StorageError: the disk has no room, or refuses.
    """
    refuse_foreign_folder(place, LISTING)
    job = _Job(lineage, order, place, report, [*_left_behind(lineage)])
    with fill_folder(place, LISTING) as staging:
        FORMS[order.form](job, staging)
        files = {path.name: path.stat().st_size for path in sorted(staging.iterdir())}
        write_text(staging / LISTING, readable(_listing(lineage, order)))
    return Exported(place, files, tuple(job.notes))


def _left_behind(lineage: Lineage) -> Iterator[str]:
    """Yield what a model answers with in this project that none of its files holds."""
    shown = lineage.entry.retrieval if lineage.entry is not None else None
    unknown = lineage.entry is None
    rows = lineage.facts("index", IndexFacts) if unknown or (shown and shown.examples) else None
    notes = lineage.facts("passages", PassageFacts) if unknown or (shown and shown.passages) else None
    held = [f"{rows.answered} rows"] if rows is not None else []
    held += [f"{notes.passages} passages of documents"] if notes is not None else []
    if held:
        yield (
            f"RETRIEVE is no part of the files: here {' and '.join(held)} stand before a question or answer it, and "
            "whoever runs the files asks the model without them; `jessy serve` answers programs with them"
        )


def served_gguf(lineage: Lineage) -> Path:
    """Return the file that a model is served from, every byte checked. Raises DamagedError, or ExportError when it is gone."""
    entry = lineage.entry
    if entry is not None and entry.gguf is not None:
        check_served(lineage.store.root, entry, thorough=True)
        return Path(entry.gguf)
    path = lineage.folder("gguf") / GGUF_FILE
    if entry is not None and hash_file(path) != entry.digest:
        raise DamagedError(f"{path} is not the file that {lineage.said} is served from", hint="run `jessy apply` again")
    return path


def _type_of(gguf: Path) -> str:
    """Return the type that a GGUF says of itself, as files are named by it: Q8_0, F16."""
    from gguf.constants import LlamaFileType

    from jessyfile.models.gguf_reader import read_gguf

    number = read_gguf(gguf).metadata.get("general.file_type")
    return str(LlamaFileType(number).name).removeprefix("MOSTLY_").removeprefix("ALL_")


def _listing(lineage: Lineage, order: Order) -> dict[str, object]:
    made = {step: action.object for step, action in lineage.steps.items()}
    return {"format": 1, "model": lineage.said, "form": order.form, "made_of": made}
