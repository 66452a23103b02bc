"""The step `train` where LORA names an adapter that is trained already: checked against recipe and base, and taken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile import fsops
from jessyfile.errors import ModelError, TrainingError
from jessyfile.language.recipe import Recipe
from jessyfile.models.adapters.changes import AdapterTensor, adapter_tensors
from jessyfile.models.adapters.folder import read_adapter
from jessyfile.models.base_checks import known_profile
from jessyfile.models.folder_checks import Outline, check_folder
from jessyfile.models.model_json import read_json
from jessyfile.planning.preflight import Finding
from jessyfile.planning.steps import StepContext
from jessyfile.results.facts import TakenFacts
from jessyfile.training import adapter

if TYPE_CHECKING:
    from jessyfile.planning.preflight import Outlook

_HELP = "make LORA say what the adapter was trained with, or leave `trained` out to train one"


def taken_preflight(outlook: Outlook) -> Iterator[Finding]:
    """Yield why the adapter cannot be taken, or that nothing will be trained."""
    kept, profile = outlook.kept.get("base"), known_profile(outlook)
    try:
        # of a base in the store the shape alone is known, not its layers by name
        base = check_folder(kept.folder) if kept is not None and outlook.machine else profile
        _checked(outlook.recipe, outlook.root, base.outline if base is not None else None)
    except (ModelError, TrainingError) as error:
        yield outlook.error(error, "lora.trained")
        return
    said = f"the adapter in `{outlook.recipe.lora.trained}` is taken as it is: nothing is trained"
    yield Finding("note", "", outlook.step, f"{said}, and of TRAIN only how the rows of the proof are read counts")


def run_taken(context: StepContext) -> TakenFacts:
    """Write the adapter in float32, as a training of these settings writes it. Raises ModelError and TrainingError."""
    recipe = context.recipe
    tensors = _checked(recipe, context.root, check_folder(context.inputs["base"]).outline)
    arrays = {name: tensor.read() for name, tensor in sorted(tensors.items())}
    adapter.write(context.output, arrays, recipe.lora, _modules(tensors))
    return TakenFacts(
        taken_from=str(recipe.lora.trained),
        digest=fsops.hash_file(_folder(recipe, context.root) / adapter.ADAPTER_FILE),
        parameters=sum(array.size for array in arrays.values()),
        rank=recipe.lora.rank,
    )


def _checked(recipe: Recipe, root: Path, base: Outline | None) -> Mapping[str, AdapterTensor]:
    """Return the adapter's tensors. Raises ModelError for one of another base, TrainingError for one of other settings."""
    folder, lora = _folder(recipe, root), recipe.lora
    if not (folder / adapter.ADAPTER_FILE).is_file():
        raise TrainingError(f"`{lora.trained}` holds no {adapter.ADAPTER_FILE}", hint=f"looked in {folder}")
    read_adapter(folder, base)
    config, tensors = read_json(folder / adapter.CONFIG_FILE), adapter_tensors(folder / adapter.ADAPTER_FILE)
    for name, wanted in adapter.settings(lora).items():
        own = config.get(name)
        if own != wanted:
            message = f"the adapter in `{lora.trained}` has {name} {_said(own)}, and LORA asks for {_said(wanted)}"
            raise TrainingError(message, hint=_HELP)
    _refuse_other_numbers(recipe, config.get("keys"), tensors)
    return tensors


def _refuse_other_numbers(recipe: Recipe, keys: object, tensors: Mapping[str, AdapterTensor]) -> None:
    """Raise TrainingError where the numbers are not those that their configuration tells of."""
    lora = recipe.lora
    other = next((n for n, one in tensors.items() if n.endswith(".lora_a") and one.shape[1] != lora.rank), None)
    if other is not None:
        message = f"`{other}` in `{lora.trained}` has rank {tensors[other].shape[1]}, and LORA asks for {lora.rank}"
        raise TrainingError(message, hint=_HELP)
    missing = sorted(set(_modules(tensors)) ^ (set(map(str, keys)) if isinstance(keys, list) else set()))
    if missing:
        raise TrainingError(
            f"the adapter in `{lora.trained}` and its {adapter.CONFIG_FILE} do not name the same layers: {missing[0]}",
            hint="the files are of two trainings; put those of one together",
        )


def _modules(tensors: Mapping[str, AdapterTensor]) -> list[str]:
    return sorted({name.rpartition(".")[0] for name in tensors})


def _folder(recipe: Recipe, root: Path) -> Path:
    return root / str(recipe.lora.trained)


def _said(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
