"""What a file is that was taken for a model's, by its first bytes: a web page, a pointer, an archive, another kind of weights."""

from __future__ import annotations

import re

HEAD = 512
_PAGE = re.compile(rb"\s*<(?:!doctype|html|head|\?xml)", re.IGNORECASE)
_TAKE = "take the model's own file: a GGUF, or the folder with config.json and model.safetensors"
_SIGNS = (
    (
        b"version https://git-lfs.github.com/spec/",
        "a Git LFS pointer to the file",
        "run `git lfs pull` where it was cloned",
    ),
    (b"PK\x03\x04", "a ZIP archive, as PyTorch saves weights", _TAKE),
    (b"\x1f\x8b", "compressed with gzip", "unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it first"),
    (b"\x80\x02", "a pickle of PyTorch, which runs code when it is loaded", _TAKE),
    (b"\x80\x04", "a pickle, which runs code when it is loaded", _TAKE),
    (b"\x89HDF", "an HDF5 file of Keras", _TAKE),
    *(
        (sign, "a GGML file from before GGUF", "take a GGUF of the model")
        for sign in (b"tjgg", b"lmgg", b"fmgg", b"algg")
    ),
)


def what_it_is(head: bytes) -> tuple[str, str] | None:
    """Return in words what a file with these first bytes is, and what to do; None when they say nothing."""
    if _PAGE.match(head):
        return "a web page", "the address leads to a page, such as one to log in; download the file itself"
    if head[257:262] == b"ustar":
        return "a tar archive", "unpack it first"
    if head and not head.strip(b"\0"):
        return "filled with zeros", "the download has not finished; fetch it again"
    if head[8:10] == b'{"' and head[:4] != b"GGUF":
        return "a safetensors file", "name the folder that it lies in, with its config.json, in FROM"
    return next(((what, hint) for sign, what, hint in _SIGNS if head.startswith(sign)), None)
