"""What a base model may be called when it is no path: an Ollama-style name, or a repository of the hub."""

from __future__ import annotations

import re

HUB = re.compile(r"hf:(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?", re.ASCII)
NAME = re.compile(r"(?:[\w.-]+(?::\d+)?/)?(?:[\w.-]+/)?(?P<model>[\w.-]+)(?::(?P<tag>[\w.-]+))?", re.ASCII)
_HUB_PAGE = re.compile(r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/([\w.-]+/[\w.-]+)", re.ASCII)


def is_path(text: str) -> bool:
    """Return whether FROM names a file or folder and not a model by its name."""
    marked = text.startswith(("./", "../", "/", "~")) or ".." in text.split("/")
    return marked or (text.lower().endswith(".gguf") and not text.startswith("hf:"))


def is_name(text: str) -> bool:
    """Return whether a text can be the name of a model."""
    return bool((HUB if text.startswith("hf:") else NAME).fullmatch(text))


def what_was_meant(text: str) -> str:
    """Return how to write a base model whose name is none."""
    page = _HUB_PAGE.match(text)
    if page:
        return f"write `FROM hf:{page[1]}`"
    before, sign, comment = text.partition("#")
    if sign and is_name(before.strip()):
        return f"a comment stands outside the quotes: `FROM {before.strip()}  # {comment.strip()}`"
    return "write a name like `gemma3:270m` or `hf:organization/name`, or a path like `./folder` or `./model.gguf`"
