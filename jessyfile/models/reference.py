"""What a FROM value names: a folder, a GGUF, a repository of the hub, or an Ollama-style name."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jessyfile.errors import ModelError
from jessyfile.language.model_names import HUB, NAME, is_path, what_was_meant
from jessyfile.models.plain_file import refuse_other_kinds, unreadable

Kind = Literal["folder", "gguf", "hub", "name"]


@dataclass(frozen=True, slots=True)
class Reference:
    """A FROM value, understood. `path` is set for folder and gguf, `repo` and `revision` for hub."""

    text: str
    kind: Kind
    path: Path | None = None
    repo: str | None = None
    revision: str | None = None


def parse_reference(text: str, folder: Path) -> Reference:
    """Understand a FROM value; paths are relative to `folder`.

    Raises ModelError when it is nothing that jessy can read.

    Nothing is opened: whether a path is a folder or a file is the only thing asked of the disk.
    """
    hub = HUB.fullmatch(text)
    if hub is not None:
        return Reference(text, "hub", repo=hub["repo"], revision=hub["revision"])
    if text.startswith("hf:"):
        raise ModelError(
            f"FROM `{text}` is no hub repository",
            hint="write it as hf:organization/name, or hf:organization/name@revision",
        )
    path = _place(text, folder)
    if is_path(text) or os.path.exists(path):
        return _local(text, path)
    if NAME.fullmatch(text) is None:
        raise ModelError(f"FROM `{text}` is no model name", hint=what_was_meant(text))
    return Reference(text, "name")


def _place(text: str, folder: Path) -> Path:
    try:
        return (folder / Path(text).expanduser()).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links; a home of nobody; a NUL
        raise ModelError(f"FROM `{text}` leads nowhere: {error}", hint="name the model's folder or file") from error


def _local(text: str, path: Path) -> Reference:
    if os.path.isdir(path):
        return Reference(text, "folder", path=path)
    try:
        refuse_other_kinds(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelError(f"FROM `{text}` does not exist", hint=f"looked for {path}") from error
    except OSError as error:
        raise unreadable(path, error) from error
    return Reference(text, "gguf", path=path)
