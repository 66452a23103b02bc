"""A server with a model's double: it takes a fixed time for an answer, which it gives in pieces, and knows what it was asked."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from jessyfile.engines.engine import GenerationSettings, Reply, Retrieved, Shown
from jessyfile.export.registry import Registration, register
from jessyfile.language.build import default_complexity
from jessyfile.language.recipe import Message
from jessyfile.serve.desk import Speaker
from jessyfile.serve.house import ServedName
from jessyfile.serve.served import ServedFacts
from jessyfile.serve.server import Server, address_of, listening
from jessyfile.serve.service import Service
from jessyfile.serve.settings import Access, Limits
from jessyfile.thinking.thought import AnswerDraft, DraftBegan, DraftEnded, Event, Piece, Thought, Wishes

USUAL = default_complexity()
FACTS = ServedFacts(
    name="tiny",
    tag="latest",
    id="id-1",
    digest="d1" * 32,
    since="2026-11-01T10:00:00+00:00",
    engine="embedded",
    complexity=USUAL,
    settings=GenerationSettings(temperature=0.5, num_ctx=2048),
    chat_format="gemma",
    system="Kısa konuş.",
    listed=(("temperature", 0.5), ("stop", ("<end>",))),
    size=1000,
    parameters=270_000_000,
    family="gemma3",
    quantization="Q4_K_M",
    context=32768,
)


@dataclass
class Double:
    """Answers `{prompt} diyorsun.` in words, `seconds` a draft; as many drafts as are wished for, one where nothing is."""

    facts: ServedFacts = FACTS
    parallel: int = 4
    seconds: float = 0.0
    answer_to: Callable[[str], str] = lambda prompt: f"{prompt} diyorsun."
    asked: list[tuple[list[Message], Wishes]] = field(default_factory=list)
    cut: int = 0
    unloaded: int = 0
    gate: threading.Event | None = None

    def answer(self, messages: Sequence[Message], wishes: Wishes, on_event: Callable[[Event], Any]) -> Thought:
        """Answer in pieces."""
        self.asked.append((list(messages), wishes))
        started = time.perf_counter()
        if self.gate is not None:
            while not self.gate.wait(0.01):
                if on_event(DraftBegan(1, None)):
                    break
        number = wishes.iterations or 1
        text = self.answer_to(messages[-1].content)
        drafts: list[AnswerDraft] = []
        stopped = False
        for at in range(1, number + 1):
            stopped = self._draft(at, number, text if at == number else f"taslak {at}", on_event)
            reply = Reply(text, 7, len(text.split()), self.seconds, 0.01, "cut" if stopped else "stop", self._found())
            drafts.append(AnswerDraft(text if at == number else f"taslak {at}", reply, "cut" if stopped else "stop"))
            on_event(DraftEnded(at, number, drafts[-1]))
            if stopped:
                self.cut += 1
                break
        if number > 1 and not stopped:
            on_event(Piece(number, text, True))
        return Thought(
            text=drafts[-1].text, level=wishes.level or "low", iterations=len(drafts), asked=number, marked_level="low", vote=None,
            drafts=tuple(drafts), chosen=len(drafts) - 1, ended="cut" if stopped else "full", seconds=time.perf_counter() - started,
            first_token_seconds=0.01, speaker=self.facts.called, digest=self.facts.digest, marker=USUAL.marker,
        )  # fmt: skip

    def _draft(self, at: int, of: int, text: str, on_event: Callable[[Event], Any]) -> bool:
        on_event(DraftBegan(at, of))
        words = text.split(" ")
        for count in range(1, len(words) + 1):
            time.sleep(self.seconds / len(words))
            if on_event(Piece(at, " ".join(words[:count]), of == 1)):
                return True
        return False

    def _found(self) -> Retrieved:
        return Retrieved((Shown("row-1", 0.84),), False, None)

    def unload(self) -> None:
        """Count."""
        self.unloaded += 1


def register_model(root: Path, digest: str = "d1" * 32, tag: str = "latest", name: str = "tiny") -> None:
    """Register a model whose file nobody looks at."""
    (root / ".jessy").mkdir(exist_ok=True)
    register(root, name, tag, Registration("embedded", digest, gguf="m.gguf"))


@contextmanager
def served(
    root: Path,
    make: Callable[[Registration], Speaker],
    wanted: Sequence[ServedName] = (),
    limits: Limits | None = None,
    access: Access | None = None,
    **more: Any,
) -> Iterator[Running]:
    """Serve during the block, in a thread, on a free port."""
    from jessyfile.serve.assembly import assembled

    service = assembled(root, wanted, make, limits or Limits(), access or Access(), **more)
    service.house.open()
    service.house.watch(0.05)
    listener = listening("127.0.0.1", 0)
    server = Server(service)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    url = address_of(listener)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.005)
        yield Running(url, service, server)
    finally:
        server.stop()
        thread.join(service.limits.grace + 10)
        service.close()
        assert not thread.is_alive()


@dataclass
class Running:
    """A server that runs: its address, and what it is made of."""

    url: str
    service: Service
    server: Server

    @property
    def port(self) -> int:
        """Its port."""
        return int(self.url.rpartition(":")[2])

    def raw(self, data: bytes, seconds: float = 5.0) -> bytes:
        """Send bytes as they are, and return what comes until the server closes the connection or says nothing for so long."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            found = b""
            try:
                connection.sendall(data)
                while piece := connection.recv(1 << 16):
                    found += piece
            except OSError:  # silence, or a connection that was dropped
                pass
            return found


def call(method: str, url: str, **more: Any) -> httpx.Response:
    """Send a request; reading the authorities of TLS would take longer than the rest."""
    nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with httpx.Client(verify=nobody, trust_env=False, timeout=20) as client:
        return client.request(method, url, **more)


def get(url: str, **more: Any) -> httpx.Response:
    """Get an address."""
    return call("GET", url, **more)


def post(url: str, body: Any, **more: Any) -> httpx.Response:
    """Send a JSON body."""
    return call("POST", url, json=body, **more)


def asks(text: str = "selam", **more: Any) -> dict[str, Any]:
    """Return the body of a chat completion."""
    return {"model": "tiny", "messages": [{"role": "user", "content": text}], **more}


def events(text: str) -> list[dict[str, Any]]:
    """Return the events of a stream that ends as it must."""
    lines = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def of_entry(**changes: Any) -> Callable[[Registration], Double]:
    """Return what makes a double of a registration, with these changes."""
    return lambda entry: Double(replace(FACTS, id=entry.digest, digest=entry.digest, tag=entry.tag), **changes)


def wait_for(happened: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait until something has happened."""
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.01)
