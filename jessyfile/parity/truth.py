"""What a GGUF is said to hold: a model folder's tensors, with an adapter in them as it was trained when there is one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jessyfile.models.adapters.folder import read_adapter
from jessyfile.models.architectures import by_model_type
from jessyfile.models.folder_checks import outline
from jessyfile.models.folder_config import EMBEDDING, HEAD, text_config, with_weights
from jessyfile.models.weights import Weights

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from jessyfile.models.adapters.changes import TensorChange


class Truth:
    """The tensors by the names that MLX gives them, in float32, a run of rows at a time.

    `base` leaves the adapter out; without an adapter both are the same.
    """

    def __init__(self, folder: Path, adapter: Path | None = None) -> None:
        self.folder, self.adapter = folder, adapter
        self._weights = Weights(folder)
        config, self._stored = with_weights(text_config(self._weights.config), self._weights)
        self.architecture = by_model_type(config["model_type"])
        shapes = {name: self._weights.shape(own) for name, own in self._stored.items()}
        form = outline(config, shapes)
        self.changes: Mapping[str, Sequence[TensorChange]] = (
            {} if adapter is None else read_adapter(adapter, form).changes
        )
        untied = {"tie_word_embeddings": False} if form.tied and HEAD in self.changes else {}
        self.config: Mapping[str, Any] = {**config, **untied}

    @property
    def names(self) -> list[str]:
        """Return the names of all tensors, sorted."""
        return sorted({*self._stored, *self.changes})

    def shape(self, name: str) -> tuple[int, ...]:
        """Return a tensor's shape."""
        return self._weights.shape(self._own(name))

    def read(self, name: str) -> np.ndarray[Any, Any]:
        """Return a whole tensor."""
        found = self._weights.read(self._own(name)).copy()
        for change in self.changes.get(name, ()):
            change.apply(found)
        return found

    def base(self, name: str) -> np.ndarray[Any, Any]:
        """Return a whole tensor without the adapter."""
        return self._weights.read(self._own(name))

    def chunks(self, name: str) -> Iterator[tuple[int, np.ndarray[Any, Any]]]:
        """Yield runs of rows with the first one's number; a tensor that the adapter changes comes whole."""
        if self.changes.get(name):
            yield 0, self.read(name)
        else:
            yield from self._weights.chunks(self._own(name))

    def _own(self, name: str) -> str:
        return self._stored[EMBEDDING if name == HEAD and HEAD not in self._stored else name]
