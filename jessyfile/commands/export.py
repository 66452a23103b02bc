"""`jessy export`: a model as files for other programs."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from jessyfile.commands.common import as_typed, load, setting_options, tagged
from jessyfile.commands.recipe_file import missing_recipe
from jessyfile.commands.say import say
from jessyfile.text.printable import json_text, printable

if TYPE_CHECKING:
    from jessyfile.export.forms import Exported, Order
    from jessyfile.export.lineage import Lineage
    from jessyfile.export.model_folder import Dtype

_FORMS = ("modelfile", "gguf", "mlx", "hf", "adapter", "peft")


@click.command()
@click.argument("what", required=False, metavar="NAME|RECIPE")
@click.option(
    "--as",
    "form",
    type=click.Choice(_FORMS),
    default="modelfile",
    show_default=True,
    help="For Ollama (a GGUF and its Modelfile), llama.cpp, mlx-lm, transformers; the adapter for mlx-lm, for PEFT.",
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

    order = _order(form, quantize, dtype)
    lineage = _lineage(what, arg, variant, set_)
    place = output if output is not None else Path(f"{lineage.name.rpartition('/')[2]}-{form}")
    with stopping(as_typed) as stop, working(form, stop, quiet=as_json) as report:
        made = write(lineage, order, place, report)
    for note in made.notes:
        say(f"note: {note}", err=True)
    if as_json:
        click.echo(json_text(_as_json(lineage, order, made), indent=1))
        return
    say("\n".join(_lines(lineage, order, made)))
    click.echo(printable(f"next: {_next(lineage, order, made)}"))  # never folded: it is pasted


def _order(form: str, quantize: str | None, dtype: str | None) -> Order:
    """Return what was asked for. Raises UsageError for an option that the form does not read."""
    from jessyfile.export.forms import Order

    if quantize is not None and form not in ("gguf", "modelfile"):
        raise click.UsageError(f"--quantize is for a GGUF, and `--as {form}` writes none")
    if dtype is not None and form not in ("mlx", "hf"):
        raise click.UsageError(f"--dtype is for the numbers of a whole model's folder, mlx or hf, and not for `{form}`")
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
    return lines


def _next(lineage: Lineage, order: Order, made: Exported) -> str:
    """Return the command that uses what was written."""
    name, folder = lineage.name.rpartition("/")[2], str(made.folder)
    gguf = next((file for file in made.files if file.endswith(".gguf")), "")
    words = {
        "modelfile": ["ollama", "create", lineage.name, "-f", str(made.folder / "Modelfile")],
        "gguf": ["llama-cli", "-m", str(made.folder / gguf)],
        "mlx": ["mlx_lm.generate", "--model", folder, "--prompt", "merhaba"],
        "hf": ["hf", "upload", f"YOU/{name}", folder],
        "adapter": ["mlx_lm.generate", "--model", "BASE", "--adapter-path", folder, "--prompt", "merhaba"],
        "peft": ["hf", "upload", f"YOU/{name}", folder],
    }
    return shlex.join(words[order.form])
