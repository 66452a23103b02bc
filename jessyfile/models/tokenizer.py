"""Text to token ids and back, with the `tokenizers` library alone: no transformers, no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jessyfile.errors import ModelError
from jessyfile.models.model_json import read_json
from jessyfile.text.printable import brief

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from tokenizers import Tokenizer as Backend


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """A folder's tokenizer. Special tokens written out in a text (`<start_of_turn>`) become their ids, as in llama.cpp.

    `bos` is the id that begins a text, None where the model has none or does not want one.
    """

    backend: Backend
    bos: int | None
    eos: int | None

    @property
    def size(self) -> int:
        """Return the number of tokens, added ones included."""
        return int(self.backend.get_vocab_size(with_added_tokens=True))

    def id_of(self, token: str) -> int | None:
        """Return one token's id, None when the vocabulary lacks it."""
        found: int | None = self.backend.token_to_id(token)
        return found

    def encode(self, text: str, *, bos: bool = False) -> list[int]:
        """Return a text's token ids, behind the BOS token when asked and when the model has one."""
        ids: list[int] = self.backend.encode(text, add_special_tokens=False).ids
        return [self.bos, *ids] if bos and self.bos is not None else ids

    def encode_parts(self, parts: Iterable[tuple[str, int]], *, bos: bool = True) -> tuple[list[int], list[int]]:
        """Return ids of the joined pieces and, for each id, the label of the piece it lies in, such as trained or not.

        The text is tokenized as one, exactly as an engine sees it; a token that reaches into several pieces has the
        highest of their labels.
        """
        pieces = list(parts)
        encoding = self.backend.encode("".join(text for text, _ in pieces), add_special_tokens=False)
        labels = [label for text, label in pieces for _ in text]
        found = [max(labels[start:end], default=0) for start, end in encoding.offsets]
        if bos and self.bos is not None:
            return [self.bos, *encoding.ids], [0, *found]
        return list(encoding.ids), found

    def decode(self, ids: Sequence[int], *, skip_special: bool = False) -> str:
        """Return the text of token ids; special tokens are written out unless skipped."""
        return str(self.backend.decode(list(ids), skip_special_tokens=skip_special))

    def pieces(self) -> set[str]:
        """Return every token's text."""
        return set(self.backend.get_vocab(with_added_tokens=True))


def require_tokenizer(folder: Path) -> Path:
    """Return where a folder's tokenizer.json lies. Raises ModelError when it is absent."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise ModelError(f"`{folder}` has no tokenizer.json", hint="use a model folder that has one, or a GGUF")
    return path


def load_tokenizer(folder: Path) -> Tokenizer:
    """Read `tokenizer.json` and, for BOS and EOS, `tokenizer_config.json`. Raises ModelError."""
    from tokenizers import Tokenizer as Backend

    path = require_tokenizer(folder)
    try:
        backend = Backend.from_file(str(path))
    except Exception as error:
        raise ModelError(f"`{path}` is not a tokenizer: {brief(str(error))}", hint="fetch the folder again") from error
    backend.no_truncation()
    backend.no_padding()
    config = read_json(folder / "tokenizer_config.json")
    bos, eos = (_special(backend, config.get(key)) for key in ("bos_token", "eos_token"))
    return Tokenizer(backend, bos if _wants_bos(backend, config, bos) else None, eos)


def _special(backend: Backend, token: object) -> int | None:
    text = token.get("content") if isinstance(token, dict) else token
    return backend.token_to_id(text) if isinstance(text, str) else None


def _wants_bos(backend: Backend, config: dict[str, Any], bos: int | None) -> bool:
    wish = config.get("add_bos_token")
    if isinstance(wish, bool):
        return wish
    return bos is not None and list(backend.encode("a").ids[:1]) == [bos]
