"""Which marker stood before an answer, so that a client which sends the answer back need not know of markers.

A model that was taught markers saw them before every earlier answer of a conversation, and `jessy chat` keeps them there. Clients of HTTP
send back what they were shown. Kept is a hash of each answer with its marker's two words, never a text.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

from jessyfile.dataset.marker import marked
from jessyfile.engines.adaptive import read_marker
from jessyfile.language.recipe import Message

if TYPE_CHECKING:
    from jessyfile.language.recipe import Complexity

_MOST = 4096


class Markers:
    """The markers of the last 4,096 answers, for several threads."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, tuple[str, int]] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, text: str, level: str | None, iterations: int | None) -> None:
        """Note the marker of an answer that was shown; one without a marker leaves nothing to note."""
        if level is None or iterations is None:
            return
        with self._lock:
            self._known[_hash(text)] = (level, iterations)
            if len(self._known) > _MOST:
                self._known.popitem(last=False)

    def restore(self, messages: Sequence[Message], complexity: Complexity) -> list[Message]:
        """Return a conversation with the markers before its answers; one that is not known gets that of the least level."""
        if complexity.marker is None or not complexity.levels:
            return list(messages)
        return [self._marked(one, complexity) if one.role == "assistant" else one for one in messages]

    def _marked(self, turn: Message, complexity: Complexity) -> Message:
        if read_marker(turn.content, complexity).level is not None:
            return turn
        least = complexity.levels[0]
        with self._lock:
            level, iterations = self._known.get(_hash(turn.content), (least.name, least.iterations[0]))
        return Message("assistant", marked(complexity.marker, level, iterations, turn.content))


def _hash(text: str) -> bytes:
    return blake2b(text.strip().encode("utf-8", "surrogatepass"), digest_size=16).digest()
