"""Hearing and speaking over HTTP, as OpenAI's own client asks for them."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("av")

import httpx
import openai
from openai import OpenAI
from serve_fakes import Double, Running, get, post, register_model, served
from voice_fakes import DoubleEars, DoubleMouth, tone

from jessyfile.errors import VoiceError
from jessyfile.serve.settings import Limits
from jessyfile.serve.voice_desk import VoiceDesk, usual_voice
from jessyfile.voice.sound import FORMS, decoded, encoded

WAV = encoded([tone(0.5)], FORMS["wav"])


@pytest.fixture(scope="module")
def client(running: Running) -> Iterator[OpenAI]:
    """OpenAI's client."""
    with OpenAI(base_url=f"{running.url}/v1", api_key="none", max_retries=0) as found:
        yield found


@pytest.fixture(autouse=True)
def fresh(ears: DoubleEars, mouth: DoubleMouth) -> None:
    """Let nothing be left of the test before."""
    ears.words, ears.asked = "Naber.|İyi misin?", []
    mouth.said, mouth.at, mouth.fails_at = [], [], ""


def recording(data: bytes = WAV, name: str = "q.wav") -> tuple[str, io.BytesIO]:
    return (name, io.BytesIO(data))


@pytest.mark.parametrize("form", [None, "mp3", "opus", "aac", "flac", "wav", "pcm"])
def test_speech_comes_in_every_form_that_the_client_knows(client: OpenAI, mouth: DoubleMouth, form: str | None) -> None:
    more = {} if form is None else {"response_format": form}
    answer = client.audio.speech.create(model="tts-1", voice="alloy", input="**Selam.** Nasılsın?", **more)
    data = answer.read()
    assert answer.response.headers["content-type"] == FORMS[form or "mp3"].media_type
    seconds = len(data) / 48_000 if form == "pcm" else decoded(data).seconds
    assert seconds == pytest.approx(0.06 + 0.25 + 0.09, abs=0.1)
    assert mouth.said == [("Selam.", "ayla", 1.0), ("Nasılsın?", "ayla", 1.0)]


def test_a_speaker_is_asked_for_by_name_and_may_be_fast(client: OpenAI, mouth: DoubleMouth) -> None:
    client.audio.speech.create(model="double", voice="can", input="Selam.", speed=2.0)
    client.audio.speech.create(model="tts-1-hd", voice={"id": "can"}, input="Selam.")
    assert mouth.said == [("Selam.", "can", 2.0), ("Selam.", "can", 1.0)]


def test_the_first_sentence_is_sent_while_the_second_is_still_to_be_spoken(
    running: Running, mouth: DoubleMouth
) -> None:
    mouth.gate, mouth.waits_at = threading.Event(), "İkinci"
    body = {"model": "tts-1", "voice": "nova", "input": "Birinci cümle budur. İkinci.", "response_format": "pcm"}
    try:
        with httpx.stream("POST", f"{running.url}/v1/audio/speech", timeout=20, json=body) as answer:
            pieces = answer.iter_raw()
            first = len(next(pieces))
            assert mouth.said == [("Birinci cümle budur.", "ayla", 1.0)]
            mouth.gate.set()
            rest = sum(len(piece) for piece in pieces)
    finally:
        mouth.gate = None
    assert (first, rest) == (2 * 4800, 2 * (6000 + 1680))


def test_speech_in_events(running: Running) -> None:
    body = {
        "model": "tts-1",
        "voice": "alloy",
        "input": "Selam. Naber?",
        "response_format": "wav",
        "stream_format": "sse",
    }
    lines = [
        line.removeprefix("data: ") for line in post(f"{running.url}/v1/audio/speech", body).text.split("\n\n") if line
    ]
    told = [json.loads(line) for line in lines]
    assert told[-1] == {"type": "speech.audio.done"} and len(told) == 3
    data = b"".join(base64.b64decode(one["audio"]) for one in told[:-1])
    assert decoded(data).seconds == pytest.approx(0.06 + 0.25 + 0.06, abs=0.02)


def test_a_recording_is_heard_in_every_form_that_the_client_knows(client: OpenAI, ears: DoubleEars) -> None:
    create = client.audio.transcriptions.create
    assert create(model="whisper-1", file=recording()).text == "Naber. İyi misin?"
    assert (
        create(model="double", file=recording(), response_format="text", language="en", prompt="Ayşe")
        == "Naber. İyi misin?\n"
    )
    (seconds, first), (_, second) = ears.asked
    assert seconds == pytest.approx(0.5, abs=0.01)
    assert (first.language, second.language, second.prompt) == ("tr", "en", "Ayşe")
    assert create(model="whisper-1", file=recording(), response_format="srt").startswith("1\n00:00:00,000 --> ")
    assert create(model="whisper-1", file=recording(), response_format="vtt").startswith("WEBVTT\n")
    told = create(
        model="whisper-1", file=recording(), response_format="verbose_json", timestamp_granularities=["word", "segment"]
    )
    assert (told.language, told.duration, len(told.segments or ())) == ("tr", pytest.approx(0.5, abs=0.01), 2)
    assert told.words == [] and told.segments is not None and told.segments[1].text == "İyi misin?"
    assert ears.asked[-1][1].words
    for form in ("mp3", "flac", "opus", "aac"):
        assert create(model="whisper-1", file=recording(encoded([tone(0.5)], FORMS[form]), f"q.{form}")).text


def test_a_transcription_is_streamed_as_it_is_understood(client: OpenAI) -> None:
    events = list(client.audio.transcriptions.create(model="gpt-4o-transcribe", file=recording(), stream=True))
    assert [event.type for event in events] == ["transcript.text.delta"] * 2 + ["transcript.text.done"]
    assert "".join(event.delta for event in events[:2]) == events[2].text == "Naber. İyi misin?"


@pytest.mark.parametrize(
    ("ask", "status", "code"),
    [
        (lambda c: c.audio.speech.create(model="tts-9", voice="alloy", input="a"), 404, "model_not_found"),
        (lambda c: c.audio.speech.create(model="tts-1", voice="ayşe", input="a"), 400, "voice_not_found"),
        (lambda c: c.audio.speech.create(model="tts-1", voice="alloy", input="**"), 400, "empty_input"),
        (lambda c: c.audio.speech.create(model="tts-1", voice="alloy", input="a" * 4097), 400, "invalid_value"),
        (lambda c: c.audio.speech.create(model="tts-1", voice="alloy", input="a", speed=9), 400, "invalid_value"),
        (lambda c: c.audio.speech.create(model="tts-1", voice="alloy", input="a", instructions="fısılda"), 400, "unsupported_parameter"),
        (lambda c: c.audio.transcriptions.create(model="whisper-9", file=recording()), 404, "model_not_found"),
        (lambda c: c.audio.transcriptions.create(model="whisper-1", file=recording(b"no sound")), 400, "invalid_audio"),
        (lambda c: c.audio.transcriptions.create(model="whisper-1", file=recording(b"#EXTM3U\nfile:///etc/passwd")), 400, "invalid_audio"),
        (lambda c: c.audio.transcriptions.create(model="whisper-1", file=recording(), temperature=7), 400, "invalid_value"),
        (lambda c: c.audio.transcriptions.create(model="whisper-1", file=recording(), timestamp_granularities=["word"]), 400, "invalid_request"),
        (lambda c: c.audio.transcriptions.create(model="whisper-1", file=recording(bytes((25 << 20) + 1))), 413, "too_large"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_in_openais_form(client: OpenAI, ask, status: int, code: str) -> None:
    with pytest.raises(openai.APIStatusError) as raised:
        ask(client)
    assert (raised.value.status_code, raised.value.code) == (status, code)


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        ({"content-type": "application/json"}, b"{}", "invalid_form"),
        ({"content-type": "multipart/form-data"}, b"x", "invalid_form"),
        ({"content-type": "multipart/form-data; boundary=b"}, b"--b\r\nbroken", "missing_file"),
        ({"content-type": "multipart/form-data; boundary=b"}, b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n--b--\r\n', "missing_file"),
    ],
)  # fmt: skip
def test_a_form_that_is_none_is_refused(running: Running, headers: dict[str, str], body: bytes, code: str) -> None:
    answer = httpx.post(f"{running.url}/v1/audio/transcriptions", headers=headers, content=body, timeout=20)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def test_what_is_not_installed_says_what_to_install(tmp_path: Path, client: OpenAI) -> None:
    """A client that gets a 5xx tries again by itself; nothing would change."""

    def missing() -> DoubleEars:
        raise VoiceError("hearing and speaking need the library `av`", hint="pip install 'jessy[voice]'")

    register_model(tmp_path)
    voice = VoiceDesk(missing, missing, 4, "tr")  # type: ignore[arg-type]
    with served(tmp_path, lambda _: Double(), voice=voice) as running:
        here = client.with_options(base_url=f"{running.url}/v1")
        for ask in (
            lambda: here.audio.speech.create(model="tts-1", voice="alloy", input="Selam."),
            lambda: here.audio.transcriptions.create(model="whisper-1", file=recording()),
        ):
            with pytest.raises(openai.NotFoundError, match=r"pip install 'jessy\[voice\]'") as raised:
                ask()
            assert raised.value.code == "voice_not_installed"


def test_a_voice_that_breaks_off_leaves_no_file_that_looks_whole(running: Running, mouth: DoubleMouth) -> None:
    mouth.fails_at = "İki"
    body = {"model": "tts-1", "voice": "alloy", "input": "Birinci cümle. İki.", "response_format": "pcm"}
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.post(f"{running.url}/v1/audio/speech", json=body, timeout=20)
    mouth.fails_at = "Birinci"
    assert post(f"{running.url}/v1/audio/speech", body).status_code == 500


def test_those_who_wait_are_bounded(tmp_path: Path) -> None:
    register_model(tmp_path)
    gate = threading.Event()
    mouth = DoubleMouth(gate=gate)
    voice = VoiceDesk(DoubleEars, lambda: mouth, 0, "tr")
    body = {"model": "tts-1", "voice": "alloy", "input": "Selam."}
    with served(tmp_path, lambda _: Double(), limits=Limits(queue=0), voice=voice) as running:
        first = threading.Thread(target=post, args=(f"{running.url}/v1/audio/speech", body))
        first.start()
        time.sleep(0.3)
        answer = post(f"{running.url}/v1/audio/speech", body)
        gate.set()
        first.join()
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")


def test_what_was_heard_and_spoken_is_counted(running: Running, client: OpenAI) -> None:
    client.audio.transcriptions.create(model="whisper-1", file=recording(encoded([tone(3.0)], FORMS["flac"]), "q.flac"))
    assert "jessy_heard_seconds_total" in get(f"{running.url}/metrics").text


def test_the_usual_voice_loads_nothing_before_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    from jessyfile.voice import found

    monkeypatch.setattr(found, "ears_of", lambda name, fetch: pytest.fail("loaded"))
    desk = usual_voice("nowhere", "nowhere", "tr", 1)
    with pytest.raises(VoiceError, match="no voice `nowhere`"):
        desk.load(ears=False, mouth=True)
    desk.close()
