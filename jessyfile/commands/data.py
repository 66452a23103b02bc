"""`jessy data`: make a recipe's rows and look at them, check files, show rows, count them."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from jessyfile.commands.common import as_typed, load, recipe_options, sending_options
from jessyfile.commands.own_rows import allow_option, read_rows, reading_options, tell
from jessyfile.commands.say import near, say
from jessyfile.commands.unknown_command import is_recipe, unknown_command
from jessyfile.errors import DatasetError, Interrupted, ProjectError
from jessyfile.text.fit import terminal_width
from jessyfile.text.printable import printable

if TYPE_CHECKING:
    from jessyfile.dataset.card import Card
    from jessyfile.dataset.formatted import FormattedRow
    from jessyfile.dataset.preferences import AnyPreference
    from jessyfile.dataset.rows import Row
    from jessyfile.language.recipe import Recipe
    from jessyfile.planning.steps import Stop
    from jessyfile.results.facts import PreferencesFacts

MAKE = "make"
_STEPS = ("dataset", "passages", "index", "neighbours", "questions", "preferences")  # behind those of the categories


class RecipeOrCommand(click.Group):
    """A group whose first word may be a recipe: `jessy data recipe.jessy` is `jessy data make recipe.jessy`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Take the first word as a recipe when it is no command's name and can be one."""
        if args[0] in self.commands:
            return super().resolve_command(ctx, args)
        if is_recipe(args[0]) or ctx.resilient_parsing:
            return super().resolve_command(ctx, [MAKE, *args])
        raise unknown_command(args[0], self.commands, ctx)


@click.group(cls=RecipeOrCommand, no_args_is_help=True)
def data() -> None:
    """Make, look at and check training rows. `jessy data RECIPE` makes the recipe's rows."""


@data.command(MAKE)
@recipe_options
@sending_options
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="A new or empty folder for the rows, or one that jessy filled; .jessy/data/NAME unless said otherwise.",
)
def make(
    recipe: Path,
    arg: tuple[str, ...],
    variant: str | None,
    set_: tuple[str, ...],
    allow_host: tuple[str, ...],  # noqa: ARG001 (its callback puts it into the environment)
    output: Path | None,
) -> None:
    """Make a recipe's rows, print their report card, and say where they lie. Trains nothing."""
    from jessyfile.commands.signals import stopping
    from jessyfile.dataset.card_text import card_text
    from jessyfile.planning.consent import require, teacher_sends
    from jessyfile.project import data_folder, find_root

    loaded = load(recipe, arg, variant, set_)
    root = find_root(recipe)
    folder = output if output is not None else data_folder(root, loaded.name)
    require(teacher_sends(loaded))
    with stopping(as_typed) as stop:
        card, compared = _made(loaded, root, folder, stop)
    say(card_text(card, terminal_width()).rstrip("\n"))
    if compared is not None:
        from jessyfile.dataset.preference_card import preference_text

        click.echo(f"\n{printable(preference_text(compared))}", nl=False)
    click.echo(f"\nrows: {printable(str(folder))}/train.jsonl, valid.jsonl   card: {printable(str(folder))}/card.html")


def _made(recipe: Recipe, root: Path, folder: Path, stop: Stop) -> tuple[Card, PreferencesFacts | None]:
    """Run the data steps into a folder that is filled when everything is there; return the card, and what is told of the
    preferences, if the recipe has any."""
    from jessyfile.dataset.card import DatasetCard
    from jessyfile.dataset.data_steps import CARD
    from jessyfile.dataset.formatted import rows_folder
    from jessyfile.fsops import remove_tree
    from jessyfile.pipeline import compile_steps
    from jessyfile.planning.canonical import normal
    from jessyfile.planning.steps import StepContext
    from jessyfile.results.facts import PreferencesFacts
    from jessyfile.results.typed_json import Record, load_as, read_as
    from jessyfile.user_files import fill_folder

    facts: dict[str, Record] = {}
    parts: dict[str, Path] = {}
    with fill_folder(folder, CARD) as staging:
        for step in (one for one in compile_steps(recipe) if one.name.startswith("data.") or one.name in _STEPS):
            part = staging / step.name
            part.mkdir()
            inputs = {name: parts[name] for name in step.inputs}
            context = StepContext(recipe, root, part, staging, inputs, facts, _Quiet(), stop, step.name)
            facts[step.name] = normal(step.run(context))
            parts[step.name] = part
            if stop.requested():
                raise Interrupted("stopped before all rows were made; nothing was written")
        _bring_up(rows_folder(parts))
        if "preferences" in parts:
            _bring_up(parts["preferences"], "preferences.")
        for part in parts.values():
            remove_tree(part)
        told = facts.get("preferences")
        compared = read_as(PreferencesFacts, told, "the record of `preferences`") if told else None
        return load_as(DatasetCard, staging / CARD), compared


def _bring_up(part: Path, prefix: str = "") -> None:
    """Move a step's files into the folder around its own."""
    for file in part.iterdir():
        file.rename(part.parent / f"{prefix}{file.name}")


class _Quiet:
    """Progress that nobody watches."""

    def update(self, done: float, total: float | None = None, *, text: str = "") -> None:
        """Hear and forget."""

    def note(self, text: str) -> None:
        """Hear and forget."""


@data.command("import")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="The folder of seeds; the project's data/seeds unless given.",
)
@click.option("--language", help="The language of the rows, an ISO 639 code; that of their text unless given.")
@reading_options
def import_command(
    files: tuple[Path, ...],
    into: Path | None,
    language: str | None,
    query: str | None,
    response: str | None,
    encoding: str | None,
    allow: tuple[str, ...],
) -> None:
    """Write the rows of other tools as seeds, a category a file, and say what a recipe must ask for. Never writes over a file.

    JSON lines, one JSON array, CSV, TSV or Parquet; messages, ShareGPT, Alpaca, or two fields such as `query` and `response`.
    """
    from jessyfile.commands.own_rows import category_lines, seeds_written

    folder = into if into is not None else _project_seeds()
    found = [(file, read_rows(file, query, response, language, encoding, allow)) for file in files]
    for file, one in found:
        tell(one, file)
    for path in seeds_written(folder, [one for _, one in found]):
        say(f"wrote {near(path)}")
    click.echo("\nIn the recipe's DATASET:\n")
    if allow:
        click.echo(f"  allow {' '.join(allow)}")
    for _, one in found:
        click.echo(category_lines(one), nl=False)


def _project_seeds() -> Path:
    from jessyfile.dataset.places import SEEDS
    from jessyfile.project import find_root

    return find_root(Path.cwd() / "recipe") / SEEDS


@data.command("lint")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--against", multiple=True, type=click.Path(path_type=Path), help="A suite whose cases no row may give away."
)
@allow_option
def lint_command(path: Path, against: tuple[Path, ...], allow: tuple[str, ...]) -> None:
    """Find every fault in a file of rows or preferences or a suite of cases, or in every file below a folder."""
    from jessyfile.dataset.lint import files_below, lint, lint_preferences
    from jessyfile.evaluation.cases import read_cases
    from jessyfile.project import find_root
    from jessyfile.text.answer_language import everyday_words
    from jessyfile.text.row_forms import TAKEN_IN

    if not path.exists():
        raise ProjectError(f"`{path}` is not there")
    below, against = files_below(path), against or _suites_near(path)
    count, faults = lint(below.rows, against, everyday_words(find_root(path)), allow)
    compared, wrong = lint_preferences(below.preferences, against)
    count, faults = count + compared, faults + wrong
    for suite in below.suites:
        cases, wrong = read_cases(suite, str(suite))
        count, faults = count + len(cases) + len({fault.line for fault in wrong}), faults + wrong
    by_line: dict[tuple[str, int], dict[str, None]] = {}
    for fault in faults:
        by_line.setdefault((fault.file, fault.line), {})[fault.message] = None
    for (file, line), messages in by_line.items():
        say(f"{file}:{line}: {'; '.join(messages)}")
    if faults:
        said = tuple(f"is in the {form} form: " for form in TAKEN_IN)
        foreign = next((file for (file, _), told in by_line.items() if any(one.startswith(said) for one in told)), None)
        hint = _imported(foreign) if foreign is not None else None
        raise DatasetError(
            f"{_counted(len(faults), 'fault')} in {len(by_line)} of {_counted(count, 'line')}", hint=hint
        )
    if not count:
        raise DatasetError(f"`{path}` holds no rows")
    click.echo(f"{_counted(count, 'row')}, no faults")


def _imported(file: str) -> str:
    """Return how a file of another tool's rows is taken in."""
    quoted = shlex.quote(file)
    return (
        f"`jessy init FOLDER --from {quoted}` begins a project with such rows, `jessy data import {quoted}` adds them"
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _suites_near(path: Path) -> tuple[Path, ...]:
    """Return the suites of the project that holds the path: `data/eval/*.jsonl`."""
    from jessyfile.project import find_root

    folder = find_root(path.resolve() / "x") / "data" / "eval"
    return tuple(sorted(folder.glob("*.jsonl")))


def _filters(command: Any) -> Any:  # noqa: ANN401 (click's decorators)
    for name in ("tag", "language", "level", "topic", "category"):
        command = click.option(f"--{name}", metavar="NAME", help=f"Only rows of this {name}.")(command)
    return click.argument("path", required=False, type=click.Path(path_type=Path))(command)


@data.command("show")
@_filters
@click.option("-n", "--count", type=click.IntRange(min=1), default=10, show_default=True, help="How many rows.")
@click.option(
    "--mask",
    type=click.Path(path_type=Path),
    metavar="RECIPE",
    help="Show instead what each token of this recipe's encoded rows trains and weighs.",
)
@click.option("--json", "as_json", is_flag=True, help="With --mask: one JSON object a row.")
def show(path: Path | None, count: int, mask: Path | None, as_json: bool, **wanted: str | None) -> None:
    """Print rows as a conversation: `jessy data show --topic slang`; or token by token: `--mask recipe.jessy`."""
    if mask is not None:
        from jessyfile.commands.mask import show_mask

        if path is not None or any(wanted.values()):
            raise ProjectError("--mask shows the rows of its recipe", hint="leave the path and the filters out")
        show_mask(mask, count, as_json=as_json)
        return
    if as_json:
        raise ProjectError("--json goes with --mask", hint="rows in a file are JSON lines already")
    rows = _chosen(path, wanted)
    for row in rows[:count]:
        say(_conversation(row))
    click.echo(f"{min(count, len(rows))} of {len(rows)} rows")


def _conversation(row: Row | FormattedRow | AnyPreference) -> str:
    from jessyfile.dataset.formatted import FormattedRow
    from jessyfile.dataset.rows import Row

    if isinstance(row, FormattedRow):
        return _as_trained(row)
    if not isinstance(row, Row):
        return _compared(row)
    example = row.example
    thought = f"{example.level} {example.iterations_needed}"
    lines = [f"{row.place}  {thought}  {example.language}  {' '.join(example.tags)}".rstrip()]
    lines += [f"  {'you' if turn.role == 'user' else 'jessy'}: {turn.content}" for turn in example.turns]
    lines.append(f"  you: {example.query}")
    lines += [f"   or: {text}" for text in example.paraphrases]
    lines += [f"  jessy: {example.response}"] if example.response is not None else []
    return "\n".join(lines) + "\n"


def _as_trained(row: FormattedRow) -> str:
    """Return a row of a dataset whole, as training reads it: the neighbours before it, and which answers are not learned."""
    lines = [f"{row.id}  {row.level or '-'} {row.iterations or ''}  {row.language}  {' '.join(row.tags)}".rstrip()]
    pairs = zip(row.messages[::2], row.messages[1::2], row.learned or (True,) * len(row.levels), strict=True)
    for number, (asked, answer, learned) in enumerate(pairs):
        before = number < len(row.neighbours)
        lines += [f"  neighbour {row.neighbours[number][1]}  {row.neighbours[number][0]}"] if before else []
        said = answer.content.replace("\n", " ", 1)
        lines += [
            f"{'  ' * (1 + before)}you: {asked.content}",
            f"{'  ' * (1 + before)}jessy{'' if learned else ' (not learned)'}: {said}",
        ]
    return "\n".join(lines) + "\n"


def _compared(row: AnyPreference) -> str:
    thought = "" if row.level is None else f"{row.level} {row.iterations}  "
    lines = [f"{row.place}  {thought}{row.source}"]
    lines += [f"  {'you' if turn.role == 'user' else 'jessy'}: {turn.content}" for turn in row.messages]
    lines += [f"  {'good' if good else 'bad'}: {answer}" for answer, good in row.answers]
    return "\n".join(lines) + "\n"


@data.command("stats")
@_filters
def stats(path: Path | None, **wanted: str | None) -> None:
    """Count rows: topics by level, languages, lengths, how even and how alike they are."""
    from jessyfile.dataset.card import Card, describe
    from jessyfile.dataset.card_text import card_text
    from jessyfile.dataset.formatted import FormattedRow
    from jessyfile.dataset.preference_card import preference_text
    from jessyfile.dataset.preference_set import PreferenceSet, counted
    from jessyfile.dataset.preferences import Preference
    from jessyfile.dataset.rows import Row

    chosen = _chosen(path, wanted)
    rows = [row for row in chosen if isinstance(row, Row)]
    if any(isinstance(row, FormattedRow) for row in chosen):
        raise DatasetError(
            f"`{path}` holds the rows of a dataset", hint="its card.html, which lies beside, counts them"
        )
    compared = tuple(row for row in chosen if not isinstance(row, Row | FormattedRow))
    if rows:
        marked = sum(row.example.is_marker for row in rows)
        say(card_text(Card(len(rows) - marked, marked, describe(rows)), terminal_width()).rstrip("\n"))
    if compared:
        method: Literal["dpo", "kto"] = "dpo" if all(isinstance(row, Preference) for row in compared) else "kto"
        click.echo(printable(preference_text(counted(method, PreferenceSet(compared), 0))), nl=False)


def _chosen(path: Path | None, wanted: dict[str, str | None]) -> list[Row | FormattedRow | AnyPreference]:
    """Return the rows of a file, a folder, or the project's seeds (else the shipped ones) that fit the filters."""
    rows = [row for row in _read(path or _seeds()) if _fits(row, wanted)]
    if not rows:
        raise DatasetError("no row fits", hint="`jessy data stats` counts the topics that are there")
    return rows


def _seeds() -> Path:
    from jessyfile.dataset.places import SEEDS
    from jessyfile.resources import resource

    own = Path(SEEDS)
    return own if own.is_dir() else resource("data", "seeds")


def _read(path: Path) -> list[Row | FormattedRow | AnyPreference]:
    from jessyfile.dataset.formats import read_examples
    from jessyfile.dataset.formatted import is_formatted, read_formatted
    from jessyfile.dataset.lint import files_below
    from jessyfile.dataset.preferences import read_file
    from jessyfile.language.build import default_complexity
    from jessyfile.text.json_lines import Fault, raise_faults

    below = files_below(path)
    made = {file: read_formatted(file) for file in below.rows if is_formatted(file)}
    found = {file: read_examples(file, str(file)) for file in below.rows if file not in made}
    told = [one for file in below.preferences for one in read_file(file, str(file), default_complexity())]
    wrong = [one for one in told if isinstance(one, Fault)]
    raise_faults([*(fault for _, faults in found.values() for fault in faults), *wrong], "the rows are malformed")
    compared = [one.row for one in told if not isinstance(one, Fault)]
    return [*(row for file in below.rows for row in (made[file] if file in made else found[file][0])), *compared]


def _fits(row: Row | FormattedRow | AnyPreference, wanted: dict[str, str | None]) -> bool:
    from jessyfile.dataset.formatted import FormattedRow
    from jessyfile.dataset.rows import Row

    if not isinstance(row, Row | FormattedRow):
        return all(value is None or (name == "level" and value == row.level) for name, value in wanted.items())
    example = row.example if isinstance(row, Row) else row
    has = {
        "category": example.category,
        "topic": example.topic,
        "level": example.level,
        "language": example.language,
    }
    plain = all(value is None or has[name] == value for name, value in wanted.items() if name != "tag")
    return plain and (wanted["tag"] is None or wanted["tag"] in example.tags)
