"""A command that jessy prints is the one that was typed: with every argument and option, quoted for a shell.

A plan of `--set` and `--skip` once ended in "To run it: jessy apply RECIPE", which did nothing or another thing; a stopped
`eval --suite turkish --quick` was resumed with `jessy eval NAME`, which asked every case of every suite.
"""

import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from jessyfile.cli import jessy
from jessyfile.commands.apply import apply
from jessyfile.commands.common import as_typed
from jessyfile.planning.command_line import Call
from jessyfile.planning.plan import Selection

AWKWARD, THERE = "a b'c=$(x);*", "a file that is 'there'"


def every_command(group: click.Group, context: click.Context) -> Iterator[tuple[str, ...]]:
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        if isinstance(found, click.Group):
            yield from ((name, *rest) for rest in every_command(found, click.Context(found, parent=context)))
        else:
            yield (name,)


COMMANDS = list(every_command(jessy, click.Context(jessy)))


def opened(words: list[str]) -> click.Context:
    """Read a command line as the program does, running nothing."""
    context, found = click.Context(jessy, info_name="jessy"), jessy
    while isinstance(found, click.Group):
        name, *words = words
        inner = found.get_command(context, name)
        assert inner is not None
        if isinstance(inner, click.Group):
            context = click.Context(inner, parent=context, info_name=name)
        found = inner
    return found.make_context(name, words, parent=context)


def value(parameter: click.Parameter) -> str:
    if parameter.name == "allow_host":
        return "host.example:1=KEY"
    if isinstance(parameter.type, click.Choice):
        return str(parameter.type.choices[-1])
    if isinstance(parameter.type, click.Path) and parameter.type.exists:
        return THERE
    number = isinstance(parameter.type, click.types.IntParamType | click.types.FloatParamType)
    return "3" if number else AWKWARD


def everything(command: click.Command) -> list[str]:
    """Return words that give every argument and option a value, twice where it may come twice."""
    words = []
    for one in command.params:
        times = 2 if one.multiple or one.nargs == -1 else 1
        for _ in range(times if not one.expose_value or one.name != "help" else 0):
            flag = isinstance(one, click.Option) and one.is_flag
            words += [
                *([max(one.opts, key=len)] if isinstance(one, click.Option) else []),
                *([] if flag else [value(one)]),
            ]
    return words


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_is_said_again_as_it_was_typed(
    path: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(THERE).touch()
    found: click.Command = jessy
    for name in path:
        assert isinstance(found, click.Group)
        inner = found.get_command(click.Context(found), name)
        assert inner is not None
        found = inner
    for words in ([], everything(found)):
        try:
            with opened([*path, *words]) as typed:
                line = as_typed()
        except click.ClickException:
            assert not words  # a needed argument is missing, and so is what would be said
            continue
        program, *again = shlex.split(line)
        with opened(again) as read:
            assert (program, read.params) == ("jessy", typed.params), line
        assert len(again) == len(path) + len(words), line


def test_a_name_that_begins_with_a_dash_stays_a_name() -> None:
    with opened(["eval", "--quick", "--", "-r.jessy"]):
        assert as_typed() == "jessy eval --quick -- -r.jessy"


@pytest.mark.parametrize("recipe", ["r.jessy", "-r.jessy", "my recipe.jessy"])
def test_the_apply_of_a_plan_takes_the_same_arguments(recipe: str) -> None:
    call = Call(recipe, (f"who={AWKWARD}", "b=2"), "small", ("lora.rank=8", f"system={AWKWARD}"), 9, "h.json")
    chosen = Selection(("data", "train"), ("promote",), ("train",))
    program, name, *words = shlex.split(call.command(chosen, ("host=KEY",)))
    assert (program, name) == ("jessy", "apply")
    with apply.make_context("apply", words) as read:
        given = {
            one: read.params[one]
            for one in ("arg", "variant", "set_", "sample", "only", "skip", "replace", "allow_host")
        }
    assert given == {
        "arg": call.arg, "variant": "small", "set_": call.set_, "sample": 9, "only": chosen.only, "skip": chosen.skip,
        "replace": chosen.replace, "allow_host": ("host=KEY",),
    }  # fmt: skip
