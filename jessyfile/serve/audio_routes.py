"""OpenAI's interface to hearing and speaking: /v1/audio/transcriptions and /v1/audio/speech."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import UNSET
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from jessyfile.serve.answering import body, gone_from
from jessyfile.serve.asked import SpeechCall, TranscriptionCall, VoiceName
from jessyfile.serve.bodies import converted, decoded, read_body
from jessyfile.serve.faults import RefusedError, bad_request, no_model, unsupported
from jessyfile.serve.notes import Notes
from jessyfile.serve.openai_form import error_body, event
from jessyfile.serve.openai_routes import json_response
from jessyfile.serve.service import service_of
from jessyfile.serve.told import (
    HeardSeconds,
    SpeechEvent,
    TranscribedSegment,
    TranscribedWord,
    TranscriptEvent,
    Transcription,
    VerboseTranscription,
)
from jessyfile.text.printable import whole

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from jessyfile.serve.service import Service
    from jessyfile.voice.ears import HeardPart, HeardSpeech, HearWishes
    from jessyfile.voice.sound import Sound

_SSE = "text/event-stream"
_EARS_CALLED = ("whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "gpt-transcribe")
_MOUTH_CALLED = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts")
_VOICES_CALLED = (
    "alloy", "ash", "ballad", "coral", "echo", "fable", "onyx", "nova", "sage", "shimmer", "verse", "marin", "cedar",
)  # fmt: skip
_FIELDS = 20
_PAUSE = 0.25  # seconds between two sentences


async def transcriptions(request: Request) -> Response:
    """Hear a recording."""
    service = service_of(request)
    name = await service.voice.ears_name()
    file, call = await _form(request, service)
    _check_model(call.model, name, _EARS_CALLED)
    from jessyfile.voice.ears import HearWishes

    words = "word" in call.timestamp_granularities
    if words and call.response_format != "verbose_json":
        raise bad_request(
            "words have their seconds in the response_format verbose_json alone", param="timestamp_granularities"
        )
    wishes = HearWishes(call.language or service.voice.language, whole(call.prompt), words, call.temperature)
    if call.stream:
        return await _begun(request, _transcript(service, file, wishes), _SSE)
    gone = asyncio.ensure_future(gone_from(request.receive))
    try:
        heard = await service.voice.hear(file, wishes, lambda _: gone.done())
    finally:
        gone.cancel()
    service.metrics.count("jessy_heard_seconds_total", round(heard.sound_seconds))
    return _written(heard, call)


async def _form(request: Request, service: Service) -> tuple[bytes, TranscriptionCall]:
    """Return the recording of a form, and its fields. Raises RefusedError."""
    limits = replace(service.limits, body=service.limits.recording, body_seconds=service.limits.recording_seconds)
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise bad_request("a recording is sent as a form of the type multipart/form-data", "invalid_form")
    found = await read_body(request, limits)

    async def sent() -> AsyncGenerator[bytes]:
        yield found

    parser = MultiPartParser(request.headers, sent(), max_files=1, max_fields=_FIELDS)
    parser.spool_max_size = limits.body  # what was read into memory is not written to a disk
    try:
        form = await parser.parse()
    except (MultiPartException, UnicodeDecodeError, LookupError) as error:
        raise bad_request(f"the form cannot be read: {str(error)[:200]}", "invalid_form") from None
    try:
        return await _read(form)
    finally:
        await form.close()


async def _read(form: FormData) -> tuple[bytes, TranscriptionCall]:
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise bad_request("the form holds no file in its field `file`", "missing_file", "file")
    fields: dict[str, object] = {key: value for key, value in form.items() if isinstance(value, str)}
    many = [one for key in ("timestamp_granularities[]", "timestamp_granularities") for one in form.getlist(key)]
    return await file.read(), converted({**fields, "timestamp_granularities[]": many}, TranscriptionCall)


def _check_model(called: str, name: str, usual: Sequence[str]) -> None:
    """Raise RefusedError for a model that is neither the server's own nor one that means it."""
    own = Path(name).name  # where a file lies is nobody's business
    if called not in (own, *usual):
        raise no_model(called, [own, usual[0]])


def _written(heard: HeardSpeech, call: TranscriptionCall) -> Response:
    from jessyfile.voice import subtitles

    match call.response_format:
        case "text":
            return PlainTextResponse(f"{heard.text}\n")
        case "srt":
            return PlainTextResponse(subtitles.srt(heard))
        case "vtt":
            return PlainTextResponse(subtitles.vtt(heard))
        case "verbose_json":
            return json_response(_verbose(heard, call.timestamp_granularities))
    return json_response(Transcription(text=heard.text, usage=HeardSeconds(seconds=heard.sound_seconds)))


def _verbose(heard: HeardSpeech, wanted: Sequence[str]) -> VerboseTranscription:
    segments = [
        TranscribedSegment(
            id=number, seek=0, start=part.start, end=part.end, text=part.text, tokens=list(part.tokens),
            temperature=part.temperature, avg_logprob=part.logprob, compression_ratio=part.repeats,
            no_speech_prob=part.silent,
        )
        for number, part in enumerate(heard.parts)
    ]  # fmt: skip
    words = [
        TranscribedWord(word=word.text, start=word.start, end=word.end) for part in heard.parts for word in part.words
    ]
    return VerboseTranscription(
        language=heard.language,
        duration=heard.sound_seconds,
        text=heard.text,
        usage=HeardSeconds(seconds=heard.sound_seconds),
        segments=segments if "segment" in wanted or not wanted else UNSET,
        words=words if "word" in wanted else UNSET,
    )


async def _transcript(service: Service, file: bytes, wishes: HearWishes) -> AsyncGenerator[bytes]:
    """Yield what is heard as it is understood; a client that leaves ends it."""
    loop, parts, left = asyncio.get_running_loop(), asyncio.Queue[str | None](), asyncio.Event()

    def understood(part: HeardPart) -> bool:
        loop.call_soon_threadsafe(parts.put_nowait, part.text)
        return left.is_set()

    hearing = asyncio.ensure_future(service.voice.hear(file, wishes, understood))
    hearing.add_done_callback(lambda _: parts.put_nowait(None))
    before = ""
    try:
        while (text := await parts.get()) is not None:
            yield event(TranscriptEvent(type="transcript.text.delta", delta=f"{before}{text}"))
            before = " "
        heard = await hearing
        service.metrics.count("jessy_heard_seconds_total", round(heard.sound_seconds))
        yield event(TranscriptEvent(type="transcript.text.done", text=heard.text))
    finally:
        left.set()


async def speech(request: Request) -> Response:
    """Speak a text: the first sentence is sent while the next ones are made."""
    service = service_of(request)
    call = decoded(await read_body(request, service.limits), SpeechCall)
    if call.instructions:
        raise unsupported("instructions", "these voices speak in one manner")
    name, speakers = await service.voice.mouth_name()
    _check_model(call.model, name, _MOUTH_CALLED)
    speaker = _speaker(call, speakers)
    from jessyfile.voice.sentences import sentences
    from jessyfile.voice.sound import FORMS

    said = sentences(whole(call.input))
    if not said:
        raise bad_request("there is nothing to say in it", "empty_input", "input")
    sound = _sound(service, call, said, speaker)
    if call.stream_format == "sse":
        return await _begun(request, _in_events(sound), _SSE)
    return await _begun(request, sound, FORMS[call.response_format].media_type)


def _speaker(call: SpeechCall, speakers: Sequence[str]) -> str | None:
    wished = call.voice.id if isinstance(call.voice, VoiceName) else call.voice
    if wished in speakers:
        return wished
    if wished in _VOICES_CALLED:
        return speakers[0] if speakers else None
    there = ", ".join((*speakers, _VOICES_CALLED[0]))
    raise bad_request(f"there is no voice `{wished}`; there are: {there}", "voice_not_found", "voice")


async def _sound(service: Service, call: SpeechCall, said: Sequence[str], speaker: str | None) -> AsyncGenerator[bytes]:
    """Yield a file's bytes, those of each sentence as soon as it is spoken."""
    from jessyfile.voice.sound import FORMS, SoundWriter, silence

    writer = SoundWriter(FORMS[call.response_format])
    seconds = 0.0
    try:
        for number, sentence in enumerate(said):
            sound: Sound = await service.voice.say(sentence, speaker, call.speed)
            seconds += sound.seconds
            ready = writer.add(silence(_PAUSE / call.speed, sound.rate)) if number else b""
            if ready := ready + writer.add(sound):
                yield ready
        if ready := writer.end():
            yield ready
    finally:
        service.metrics.count("jessy_spoken_seconds_total", round(seconds))


async def _in_events(sound: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    async for data in sound:
        yield event(SpeechEvent(type="speech.audio.delta", audio=base64.b64encode(data).decode()))
    yield event(SpeechEvent(type="speech.audio.done"))


async def _begun(request: Request, pieces: AsyncGenerator[bytes], media_type: str) -> Response:
    """Return a response whose first piece is there: what goes wrong before it has a status of its own."""
    return StreamedSound(await anext(pieces, b""), pieces, Notes.of(request), media_type)


class StreamedSound(Response):
    """Bytes that are sent as they come. Where they break off, events say so; a file is left without its end, so that no client takes it for
    whole.
    """

    def __init__(self, first: bytes, pieces: AsyncGenerator[bytes], notes: Notes, media_type: str) -> None:
        """Take what is sent.

        Args:
            first: the first piece.
            pieces: those behind it; closed when nobody reads them any more.
            notes: what the log and the metrics say of the request.
            media_type: what they are.
        """
        super().__init__(media_type=media_type, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._first, self._pieces, self._notes = first, pieces, notes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        del scope
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        gone = asyncio.ensure_future(gone_from(receive))
        try:
            await send(body(self._first))
            async for piece in self._pieces:
                if gone.done():
                    self._notes.left = True
                    return
                await send(body(piece))
            await send(body(b"", more=False))
        except RefusedError as fault:
            self._notes.fault = fault
            if self.media_type == _SSE:
                await send(body(event(error_body(fault)), more=False))
        finally:
            gone.cancel()
            await self._pieces.aclose()


ROUTES = (
    Route("/v1/audio/transcriptions", transcriptions, methods=["POST"]),
    Route("/v1/audio/speech", speech, methods=["POST"]),
)
