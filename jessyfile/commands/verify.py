"""`jessy verify`: is a GGUF the model of a folder?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jessyfile.errors import Exit, ProjectError
from jessyfile.text.printable import json_text, printable

if TYPE_CHECKING:
    from jessyfile.parity.faults import Mismatch
    from jessyfile.parity.verify import Verification

_PATH = click.Path(path_type=Path)
_CODE = "E702"
_FOLDERS = (
    ("config.json", "--against takes a model's folder, with config.json and safetensors"),
    ("adapter_config.json", "--adapter takes an adapter's folder, as jessy, mlx-lm or PEFT writes it"),
)


@click.command()
@click.argument("gguf", type=_PATH, metavar="FILE.gguf")
@click.option("--against", type=_PATH, required=True, metavar="FOLDER", help="The model folder that it is said to be.")
@click.option("--adapter", type=_PATH, metavar="FOLDER", help="The adapter that is said to be merged into it.")
@click.option("--modelfile", type=_PATH, metavar="FILE", help="The Modelfile that is said to serve it.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
def verify(gguf: Path, against: Path, adapter: Path | None, modelfile: Path | None, as_json: bool) -> int:
    """Prove that a GGUF is the model of a folder, or name what differs: tensor, key, token, template. Exit 1 when it is not."""
    from jessyfile.parity.verify import Claim
    from jessyfile.parity.verify import verify as compare

    _require(gguf, modelfile, folders=(against, adapter))
    note = (lambda _: None) if as_json or not sys.stderr.isatty() else (lambda text: print(text, file=sys.stderr))
    found = compare(Claim(gguf, against, adapter, modelfile), note)
    if as_json:
        click.echo(json_text(_as_json(found), indent=1))
    elif found.verified:
        click.echo(printable(f"{gguf.name} is the model of {against.name}: {_summary(found)}"))
    else:
        for fault in found.faults:
            _say(fault)
    return Exit.DONE if found.verified else Exit.FAILED


def _require(*files: Path | None, folders: tuple[Path | None, ...]) -> None:
    for path in files:
        if path is not None and not path.is_file():
            raise ProjectError(f"there is no file `{path}`", hint="look at the path")
    for path, (holds, hint) in zip(folders, _FOLDERS, strict=True):
        if path is not None and not path.is_dir():
            raise ProjectError(f"there is no folder `{path}`", hint=hint)
        if path is not None and not (path / holds).is_file():
            raise ProjectError(f"`{path}` has no {holds}", hint=hint)


def _say(fault: Mismatch) -> None:
    print(f"error[{_CODE}]: {printable(f'{fault.kind}, stage {fault.stage}: {fault.message}')}", file=sys.stderr)
    if fault.hint:
        print(f"  = help: {printable(fault.hint)}", file=sys.stderr)


def _summary(found: Verification) -> str:
    said = f"{found.tensors} tensors"
    if found.answers is not None:
        apart = f"{found.answers.divergence:.1g} nats apart on average"
        said += f", {found.answers.agreement:.0%} of next tokens agree ({apart})"
        if found.answers.survival is not None:
            said += f", {found.answers.survival:.0%} of what was learned is left"
    return said


def _as_json(found: Verification) -> object:
    from jessyfile.planning.canonical import normal

    figures = {
        "tensors": found.tensors,
        "worst_tensor": found.worst and found.worst.name,
        "worst_error": found.worst and found.worst.error,
        "adapter_in_weights": found.weights,
        "answers": None if found.answers is None else normal(found.answers),
    }
    faults = [{"kind": one.kind, "stage": one.stage, "message": one.message, "hint": one.hint} for one in found.faults]
    return {"verified": found.verified, "faults": faults, "figures": figures}
