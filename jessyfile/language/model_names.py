"""What a base model may be called when it is no path: an Ollama-style name, or a repository of the hub."""

from __future__ import annotations

import re
from typing import Literal

HUB = re.compile(r"hf:(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?", re.ASCII)
NAME = re.compile(r"(?:[\w.-]+(?::\d+)?/)?(?:[\w.-]+/)?(?P<model>[\w.-]+)(?::(?P<tag>[\w.-]+))?", re.ASCII)
_PRETRAINED, _INSTRUCT = {"pt", "base", "pretrained"}, {"it", "instruct", "chat", "thinking"}
# families whose repositories carry the pretrained model where their name says nothing, and those that carry the other
_PLAIN = re.compile(r"(gemma|llama|qwen(?!-?3)|smollm(?!3)|mistral|tinyllama)", re.IGNORECASE)
_TALKING = re.compile(r"(qwen-?3|smollm3|phi)", re.IGNORECASE)
_HUB_PAGE = re.compile(r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/([\w.-]+/[\w.-]+)", re.ASCII)


def is_path(text: str) -> bool:
    """Return whether FROM names a file or folder and not a model by its name."""
    marked = text.startswith(("./", "../", "/", "~")) or ".." in text.split("/")
    return marked or (text.lower().endswith(".gguf") and not text.startswith("hf:"))


def is_name(text: str) -> bool:
    """Return whether a text can be the name of a model."""
    return bool((HUB if text.startswith("hf:") else NAME).fullmatch(text))


def tuning_of(base: str) -> Literal["pretrained", "instruct", ""]:
    """Return whether a base was taught to chat, as far as its name tells: nothing for a path that does not say so."""
    hub = HUB.fullmatch(base)
    name = (hub["repo"] if hub else base).rstrip("/").rpartition("/")[2]
    words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]
    if len(words) > 1 and _PRETRAINED & set(words):
        return "pretrained"
    if _INSTRUCT & set(words):
        return "instruct"
    if is_path(base) or not (plain := _PLAIN.match(name) or _TALKING.match(name)):
        return ""
    return "pretrained" if hub and plain.re is _PLAIN else "instruct"  # Ollama's own names mean the instruct model


def what_was_meant(text: str) -> str:
    """Return how to write a base model whose name is none."""
    page = _HUB_PAGE.match(text)
    if page:
        return f"write `FROM hf:{page[1]}`"
    before, sign, comment = text.partition("#")
    if sign and is_name(before.strip()):
        return f"a comment stands outside the quotes: `FROM {before.strip()}  # {comment.strip()}`"
    return "write a name like `gemma3:270m` or `hf:organization/name`, or a path like `./folder` or `./model.gguf`"
