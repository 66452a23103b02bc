"""One scene: what `jessy verify` is given, under names that say nothing."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from planted.document import Document
from planted.models import Model, Tune, exported


@dataclass(frozen=True)
class Scene:
    """The folder that the file is said to be, a tune beside it or in it, the file, and a Modelfile."""

    folder: Model
    file: Document
    tune: Tune | None = None
    modelfile: str | None = None

    def right(self) -> Document:
        """Return the file that jessy writes of the same model."""
        return exported(self.folder if self.tune is None else self.tune.on(self.folder))

    def put(self, place: Path) -> list[str]:
        """Write the files and return the command's arguments."""
        place.mkdir(parents=True)
        asked = [str(self.file.write(place / "model.gguf")), "--against", str(self.folder.write(place / "model"))]
        if self.tune is not None:
            asked += ["--adapter", str(self.tune.write(place / "adapter"))]
        if self.modelfile is not None:
            (place / "Modelfile").write_text(self.modelfile, "utf-8")
            asked += ["--modelfile", str(place / "Modelfile")]
        return asked


def sealed(name: str) -> str:
    """Return the name of a scene's folder."""
    return hashlib.sha256(f"planted {name}".encode()).hexdigest()[:10]


def scenes(made: object) -> dict[str, str]:
    """Return the names of a set's scenes by their sealed ones, in the order of these: no neighbour tells what a scene is."""
    return dict(sorted((sealed(name), name) for name in vars(made) if name[0] in "abr" and name[1:].isdigit()))


def modelfile(template: str, stops: Iterable[str]) -> str:
    """Return a plain Modelfile."""
    lines = ["FROM ./model.gguf", f'TEMPLATE """{template}"""', *(f'PARAMETER stop """{stop}"""' for stop in stops)]
    return "\n".join(lines) + "\n"
