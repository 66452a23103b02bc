"""What every route needs, and the way that both interfaces' questions go."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jessyfile.serve.answering import Answering, Style, answered
from jessyfile.serve.metrics import ServeMetrics
from jessyfile.serve.notes import Notes
from jessyfile.serve.settings import Access, Limits
from jessyfile.serve.tasks import task_answer
from jessyfile.serve.voice_desk import VoiceDesk, usual_voice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from jessyfile.serve.desk import Desk
    from jessyfile.serve.house import House
    from jessyfile.serve.question import ServedQuestion


@dataclass(slots=True)
class Service:
    """The models with what was told about them. `stopping` is set once the server was told to stop."""

    house: House
    limits: Limits = field(default_factory=Limits)
    access: Access = field(default_factory=Access)
    metrics: ServeMetrics = field(default_factory=ServeMetrics)
    log_words: bool = False
    stopping: bool = False
    voice: VoiceDesk = field(default_factory=usual_voice)

    def cut(self) -> None:
        """End everything that is under way at its next word."""
        self.house.cut()
        self.voice.cut()

    def close(self) -> None:
        """Take no more questions, and let every model go."""
        self.voice.close()
        self.house.close()

    async def ask(self, request: Request, desk: Desk, question: ServedQuestion, style: Style, stream: bool) -> Response:
        """Ask a desk on behalf of a request.

        Args:
            request: the request; when its client leaves, the question is taken back.
            desk: the model's desk.
            question: what is asked.
            style: how the answer is written.
            stream: whether its words are sent as they come.

        Returns:
            The response.

        Raises:
            RefusedError: the line is full, or the answer failed before its first word.
        """
        answering = Answering(desk, question, self.limits.answer, request.receive, streamed=stream)
        return await answered(answering, style, Notes.of(request), stream)


def task_of(request: Request, turns: Sequence[tuple[str, str]]) -> str | None:
    """Return the answer where the question is one of Open WebUI's tasks, and note it."""
    asked = turns[-1][1] if turns and turns[-1][0] == "user" else ""
    answer = task_answer(asked)
    if answer is not None:
        Notes.of(request).task = True
    return answer


def service_of(request: Request) -> Service:
    """Return the service that a request came to."""
    found = request.scope["jessy.service"]
    if not isinstance(found, Service):  # pragma: no cover (the outermost layer puts it there)
        raise TypeError("the request came to no service")
    return found
