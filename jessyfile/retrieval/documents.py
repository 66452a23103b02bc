"""The project's own documents: which files a recipe's pattern names, what they say, and what is wrong with them. Light: a plan reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from jessyfile.dataset.marker import control_token
from jessyfile.errors import DatasetError
from jessyfile.fsops import files_under, open_finite
from jessyfile.language.reading import GLOB
from jessyfile.retrieval.passages import DocumentPassage, passages
from jessyfile.text.turkish import nfc

KINDS = (".md", ".markdown", ".txt")
LARGEST = 4 << 20  # bytes of a document
_LEAVE_OUT = "or write a pattern that leaves it out"


@dataclass(frozen=True, slots=True)
class Documents:
    """What a pattern's files say: how many say something, their passages, a sentence for each that is passed over, and what is wrong."""

    files: int
    passages: tuple[DocumentPassage, ...]
    passed_over: tuple[str, ...]
    faults: tuple[DatasetError, ...]


def read_documents(pattern: str, root: Path) -> Documents:
    """Return the passages of every document that a pattern names, by file."""
    found: list[DocumentPassage] = []
    inside, outside = _sorted_out(pattern, root)
    over = [f"`{path.relative_to(root).as_posix()}` is a link that leads out of the project" for path in outside]
    faults, files = list[DatasetError](), 0
    for path in inside:
        name = path.relative_to(root).as_posix()
        try:
            said = passages(name, _text(path, name))
        except DatasetError as error:
            faults.append(error)
            continue
        over += [] if said else [f"`{name}` is empty"]
        files += bool(said)
        found += said
    if not found and not faults:
        kinds = ", ".join(KINDS)
        hint = f"write a note there ({kinds}), or name the folder where they lie; hidden folders are not looked into"
        faults.append(DatasetError(f"no document with a text is named by `{pattern}`", hint=hint))
    return Documents(files, tuple(found), tuple(over), tuple(faults))


def document_files(pattern: str, root: Path) -> tuple[Path, ...]:
    """Return the documents that a pattern names, by name and each once; links that lead out of the project are not among them."""
    return tuple(_sorted_out(pattern, root)[0])


def _sorted_out(pattern: str, root: Path) -> tuple[list[Path], list[Path]]:
    """Return what a pattern names inside of the project, by name and each file once, and the links that lead out of it."""
    project = root.resolve()
    real = {path: path.resolve() for path in _named(pattern, root)}
    once = {place: path for path, place in reversed(real.items()) if place.is_relative_to(project)}
    return sorted(once.values()), [path for path, place in real.items() if not place.is_relative_to(project)]


def _named(pattern: str, root: Path) -> list[Path]:
    """Return every file that a pattern names, by name. Where the pattern says no ending itself, those of a document's kind alone."""
    parts = nfc(pattern).split("/")
    fixed = next((at for at, part in enumerate(parts) if GLOB & set(part)), len(parts))
    base = root.joinpath(*pattern.split("/")[:fixed])
    if not base.is_dir():
        return [base] if fixed == len(parts) and base.exists() else []
    wanted = parts[fixed:] or ["**"]
    ending = PurePosixPath(wanted[-1]).suffix.lower()
    kinds = (ending,) if ending and not GLOB & set(ending) else KINDS
    under = (path for path in files_under(base, hidden=False) if path.suffix.lower() in kinds and not path.is_dir())
    return [path for path in under if _matches(nfc(path.relative_to(base).as_posix()).split("/"), wanted)]


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Return whether the parts of a path fit those of a pattern, in which `**` stands for any of them."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_matches(parts[skipped:], pattern[1:]) for skipped in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


def _text(path: Path, name: str) -> str:
    """Return a document's text in NFC. Raises DatasetError that names the file, and the line where one is to blame."""
    try:
        with open(path, "rb", opener=open_finite) as handle:
            data = handle.read(LARGEST + 1)
    except OSError as error:
        raise DatasetError(
            f"`{name}` cannot be read: {error.strerror or error}", hint=f"make it readable, {_LEAVE_OUT}"
        ) from error
    if len(data) > LARGEST:
        raise DatasetError(f"`{name}` has more than {LARGEST >> 20} MiB", hint=f"cut it into several, {_LEAVE_OUT}")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DatasetError(f"`{name}` is UTF-16", hint=f"save it as UTF-8, {_LEAVE_OUT}")
    if b"\0" in data:
        raise DatasetError(f"`{name}` is not a text", hint=f"save what it says as Markdown or UTF-8 text, {_LEAVE_OUT}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DatasetError(f"`{name}:{line}` is not UTF-8", hint=f"save it as UTF-8, {_LEAVE_OUT}") from error
    if token := control_token(text):
        line = text.count("\n", 0, text.index(token)) + 1
        message = f"`{name}:{line}` holds `{token}`, which a model reads as the end of what it is shown"
        raise DatasetError(message, hint=f"write it otherwise, {_LEAVE_OUT}")
    return nfc(text)
