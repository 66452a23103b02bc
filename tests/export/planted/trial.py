"""Try `jessy verify` on a set of scenes: first all verdicts, then the key."""

import io
from collections.abc import Iterable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from re import IGNORECASE, search
from shutil import rmtree

from jessyfile import cli
from planted.scene import scenes


@dataclass(frozen=True)
class Verdict:
    """What the command said of a scene. A bug of its own is no verdict."""

    code: int
    said: str

    @property
    def passed(self) -> bool:
        """Return whether the two are one model."""
        return self.code == 0

    @property
    def refused(self) -> bool:
        """Return whether they are said to differ."""
        return self.code == 1 and "E000" not in self.said


@dataclass(frozen=True)
class Outcome:
    """A scene unsealed: what it is, and whether the verdict is right and, for a fault, names it."""

    name: str
    what: str
    fault: bool
    right: bool
    named: bool
    said: str


def verdict(arguments: Iterable[str], place: Path) -> Verdict:
    """Run the command in this process; the place of the files is left out of what it said."""
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        code = cli.main(["verify", *arguments])
    return Verdict(code, said.getvalue().replace(str(place), ""))


def tried(made: object, place: Path) -> Mapping[str, Verdict]:
    """Return the verdicts on a set, by the scenes' sealed names; each scene's files are gone when it is judged."""
    found = {}
    for sealed, name in scenes(made).items():
        found[sealed] = verdict(getattr(made, name)().put(place / sealed), place)
        rmtree(place / sealed)
    return found


def unsealed(made: object, verdicts: Mapping[str, Verdict]) -> list[Outcome]:
    """Open the key and return what came of every scene."""
    from planted.key import KEY

    found = []
    for sealed, name in scenes(made).items():
        truth, one = KEY[name], verdicts[sealed]
        named = truth.fault and one.refused and search(truth.names, one.said, IGNORECASE) is not None
        right = one.refused if truth.fault else one.passed
        found.append(Outcome(name, truth.what, truth.fault, right, named, one.said))
    return sorted(found, key=lambda one: one.name)


def rates(outcomes: Iterable[Outcome]) -> str:
    """Return both rates in words."""
    faults, harmless = ([one for one in outcomes if one.fault is fault] for fault in (True, False))
    caught, named, passed = (
        sum(one.right for one in faults),
        sum(one.named for one in faults),
        sum(one.right for one in harmless),
    )
    return f"faults caught {caught} of {len(faults)}, named {named}; harmless passed {passed} of {len(harmless)}"
