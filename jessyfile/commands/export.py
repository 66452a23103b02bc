"""`jessy export`: a model as files for other programs."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from jessyfile.commands.common import load, setting_options, tagged
from jessyfile.commands.recipe_file import missing_recipe
from jessyfile.text.printable import json_text, printable

if TYPE_CHECKING:
    from jessyfile.export.forms import Exported, Order
    from jessyfile.export.lineage import Lineage
    from jessyfile.export.model_folder import Dtype

_FORMS = ("modelfile", "gguf", "mlx", "hf")


@click.command()
@click.argument("what", required=False, metavar="NAME|RECIPE")
@click.option(
    "--as",
    "form",
    type=click.Choice(_FORMS),
    default="modelfile",
    show_default=True,
    help="For Ollama (a GGUF and its Modelfile), llama.cpp, mlx-lm, transformers and the hub.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="A new or empty folder, or one that an export filled; ./NAME-FORM unless said otherwise.",
)
@click.option("--quantize", metavar="TYPE", help="Make a GGUF of this type instead of taking the served file.")
@click.option(
    "--dtype",
    type=click.Choice(("float32", "bfloat16", "float16")),
    help="The numbers of mlx and hf; float32, which loses nothing, unless said otherwise.",
)
@setting_options
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON (format 1).")
def export(
    what: str | None,
    form: str,
    output: Path | None,
    quantize: str | None,
    dtype: str | None,
    arg: tuple[str, ...],
    variant: str | None,
    set_: tuple[str, ...],
    as_json: bool,
) -> None:
    """Write a model as files for another program.

    NAME is a promoted model; it may carry a tag: jessy:candidate is what the last apply made, promoted or not. RECIPE is what the
    last apply of a recipe made.
    """
    from jessyfile.commands.signals import stopping
    from jessyfile.commands.terminal import working
    from jessyfile.export.forms import export as write
    from jessyfile.planning.command_line import Call, shell_line

    order = _order(form, quantize, dtype)
    lineage = _lineage(what, arg, variant, set_)
    place = output if output is not None else Path(f"{lineage.name.rpartition('/')[2]}-{form}")
    words = [*Call(what or "", arg, variant, set_).words(), "--as", form, "-o", str(place)]
    words += [
        word for option, value in (("--quantize", quantize), ("--dtype", dtype)) if value for word in (option, value)
    ]
    with stopping(lambda: shell_line("export", *words)) as stop, working(form, stop, quiet=as_json) as report:
        made = write(lineage, order, place, report)
    for note in made.notes:
        click.echo(printable(f"note: {note}"), err=True)
    if as_json:
        click.echo(json_text(_as_json(lineage, order, made), indent=1))
        return
    click.echo(printable("\n".join(_lines(lineage, order, made))))


def _order(form: str, quantize: str | None, dtype: str | None) -> Order:
    """Return what was asked for. Raises UsageError for an option that the form does not read."""
    from jessyfile.export.forms import Order

    if quantize is not None and form not in ("gguf", "modelfile"):
        raise click.UsageError(f"--quantize is for a GGUF, and `--as {form}` writes none; there --dtype chooses")
    if dtype is not None and form in ("gguf", "modelfile"):
        raise click.UsageError(f"--dtype is for a model's folder; with `--as {form}` --quantize chooses")
    return Order(form, quantize.lower() if quantize is not None else None, cast("Dtype", dtype or "float32"))


def _lineage(what: str | None, arg: tuple[str, ...], variant: str | None, set_: tuple[str, ...]) -> Lineage:
    """Return what NAME or RECIPE stands for: a path that is there, or ends as recipes do, is a recipe."""
    from jessyfile.commands.history import here
    from jessyfile.export.lineage import of_model, of_recipe
    from jessyfile.project import find_root

    if what is None:
        raise missing_recipe(click.get_current_context(), "NAME or RECIPE")
    if what.endswith(".jessy") or Path(what).is_file():
        return of_recipe(find_root(Path(what)), load(Path(what), arg, variant, set_).name)
    if arg or variant or set_:
        raise click.UsageError("--arg, --variant and --set belong to a recipe, and a name stands alone")
    return of_model(here(), *tagged(what, None))


def _as_json(lineage: Lineage, order: Order, made: Exported) -> dict[str, object]:
    return {
        "format": 1,
        "model": lineage.said,
        "form": order.form,
        "folder": str(made.folder),
        "files": [{"name": name, "bytes": count} for name, count in made.files.items()],
        "notes": list(made.notes),
        "next": _next(lineage, order, made),
    }


def _lines(lineage: Lineage, order: Order, made: Exported) -> list[str]:
    from jessyfile.planning.change_text import size

    lines = [f"{lineage.said} as {order.form}, {size(sum(made.files.values()))}: {made.folder}"]
    lines += [f"  {name:<32} {size(count)}" for name, count in made.files.items()]
    return [*lines, f"next: {_next(lineage, order, made)}"]


def _next(lineage: Lineage, order: Order, made: Exported) -> str:
    """Return the command that uses what was written."""
    folder = made.folder if made.folder.is_absolute() else Path(".") / made.folder
    if order.form == "modelfile":
        return shlex.join(["ollama", "create", lineage.name, "-f", str(folder / "Modelfile")])
    if order.form == "gguf":
        gguf = next(name for name in made.files if name.endswith(".gguf"))
        return shlex.join(["llama-cli", "-m", str(folder / gguf)])
    if order.form == "hf":
        return shlex.join(["hf", "upload", "YOU/" + lineage.name.rpartition("/")[2], str(folder)])
    return shlex.join(["mlx_lm.generate", "--model", str(folder), "--prompt", "merhaba"])
