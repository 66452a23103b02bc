"""Where the words of a forgotten signal still stand: in the rows of earlier runs, which the store keeps until it is cleaned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jessyfile.fsops import files_under, read_bytes
from jessyfile.project import jessy_folder
from jessyfile.text.printable import json_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from jessyfile.feedback.signal import Signal

_TEXTS = (".jsonl", ".json", ".html", ".txt", ".log", ".md")
_MOST = 256 << 20  # bytes of a file that is looked into
_TELLING = 12  # characters from which on a text is no everyday word


def still_said(root: Path, signals: Sequence[Signal]) -> list[Path]:
    """Return the files under `.jessy` that hold a question, an answer or a correction of signals, word for word.

    Not covered: what a model learned from them, copies elsewhere, and blocks of the disk that were given back.
    """
    said = {
        text for one in signals for text in (one.question, one.answer, one.chosen) if text and len(text) >= _TELLING
    }
    needles = [json_text(text)[1:-1].encode("utf-8") for text in said]
    folder = jessy_folder(root)
    if not needles or not folder.is_dir():
        return []
    own = folder / "feedback"  # what others said in the same words
    files = (path for path in files_under(folder) if path.suffix in _TEXTS and not path.is_symlink())
    files = (path for path in files if not path.is_relative_to(own))
    return [path for path in files if path.stat().st_size <= _MOST and _holds(path, needles)]


def _holds(path: Path, needles: Sequence[bytes]) -> bool:
    data = read_bytes(path)
    return any(needle in data for needle in needles)
