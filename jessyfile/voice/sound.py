"""Sound as samples, read from a file of any usual kind and written as one.

What is read may come from anybody. FFmpeg opens playlists that name other files and addresses, so a file's kind is told here, by its
first bytes, and FFmpeg is only asked for that one; and what a small file unpacks to is bounded.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jessyfile.errors import VoiceError
from jessyfile.voice.extra import library

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HEARD_RATE = 16_000  # Whisper's
LONGEST = 1800.0  # seconds of sound that are heard
MADE_BY = "spoken by jessy"
_LOUDEST = 32767.0
_SIGNS: Sequence[tuple[int, bytes, str]] = (
    (0, b"RIFF", "wav"),
    (0, b"RF64", "w64"),
    (0, b"fLaC", "flac"),
    (0, b"OggS", "ogg"),
    (4, b"ftyp", "mov"),
    (0, b"\x1aE\xdf\xa3", "matroska"),
    (0, b"ID3", "mp3"),
    (0, b"FORM", "aiff"),
)
_SYNC, _ADTS, _LAYER = 0xFF, 0xF6, 0xE0


@dataclass(frozen=True, slots=True)
class Sound:
    """One channel of samples between -1 and 1, so many a second."""

    samples: NDArray[np.float32]
    rate: int

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.samples) / self.rate


def silence(seconds: float, rate: int) -> Sound:
    """Return a pause."""
    import numpy as np

    return Sound(np.zeros(int(seconds * rate), dtype=np.float32), rate)


def kind_of(data: bytes) -> str | None:
    """Return which kind of sound file these bytes begin, in FFmpeg's words; None for none that is read."""
    for at, sign, kind in _SIGNS:
        if data[at : at + len(sign)] == sign:
            return kind
    if len(data) > 1 and data[0] == _SYNC:
        return "aac" if data[1] & _ADTS == 0xF0 else "mp3" if data[1] & _LAYER == _LAYER else None
    return None


def decoded(data: bytes, longest: float = LONGEST) -> Sound:
    """Return the sound of a file as Whisper hears it: one channel, 16,000 samples a second.

    Args:
        data: the file's bytes: WAV, MP3, FLAC, Ogg, Opus, AAC, M4A, WebM or AIFF.
        longest: how many seconds are heard.

    Raises:
        VoiceError: it is no such file, holds no sound, or lasts longer.
    """
    av = library("av")
    kind = kind_of(data)
    if kind is None:
        raise VoiceError(
            "this is no sound file that jessy knows", hint="give WAV, MP3, FLAC, Ogg, Opus, AAC, M4A, WebM or AIFF"
        )
    try:
        with av.open(io.BytesIO(data), mode="r", format=kind, metadata_errors="ignore") as container:
            pieces = list(_pieces(av, container, longest))
    except (av.error.FFmpegError, ValueError, EOFError) as error:
        raise VoiceError(f"the sound file cannot be read: {str(error)[:200]}", hint="record it again") from error
    return _joined(pieces)


def _pieces(av: Any, container: Any, longest: float) -> Iterator[NDArray[np.int16]]:  # noqa: ANN401 (a library of an extra)
    if not container.streams.audio:
        raise VoiceError("the file holds no sound", hint="give a recording")
    resampler = av.audio.resampler.AudioResampler(format="s16", layout="mono", rate=HEARD_RATE)
    room = longest * HEARD_RATE
    for frame in _frames(av, container):
        for piece in resampler.resample(frame):
            samples = piece.to_ndarray().reshape(-1)
            room -= len(samples)
            if room < 0:
                raise VoiceError(f"the sound is longer than {longest:.0f} seconds", hint="cut it into pieces")
            yield samples


def _frames(av: Any, container: Any) -> Iterator[Any]:  # noqa: ANN401 (a library of an extra)
    """Yield what can be decoded, then None, which empties the resampler; a damaged frame in the middle is left out."""
    frames = iter(container.decode(audio=0))
    while True:
        try:
            frame = next(frames)
        except StopIteration:
            break
        except av.error.InvalidDataError:
            continue
        frame.pts = None  # what a recorder's clock said does not matter
        yield frame
    yield None


def _joined(pieces: Sequence[NDArray[np.int16]]) -> Sound:
    import numpy as np

    samples = np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.int16)
    if not len(samples):
        raise VoiceError("the file holds no sound", hint="give a recording")
    return Sound(samples.astype(np.float32) / (_LOUDEST + 1), HEARD_RATE)


@dataclass(frozen=True, slots=True)
class SoundForm:
    """A kind of file that sound is written as: FFmpeg's container and codec, and the media type. `container` is empty for bare samples."""

    name: str
    container: str
    codec: str
    media_type: str


FORMS: dict[str, SoundForm] = {
    one.name: one
    for one in (
        SoundForm("wav", "wav", "pcm_s16le", "audio/wav"),
        SoundForm("mp3", "mp3", "libmp3lame", "audio/mpeg"),
        SoundForm("flac", "flac", "flac", "audio/flac"),
        SoundForm("opus", "ogg", "libopus", "audio/ogg"),
        SoundForm("aac", "adts", "aac", "audio/aac"),
        SoundForm("pcm", "", "", "audio/pcm"),
    )
}
WRITTEN_RATE = 24_000  # of every file, as OpenAI's speech has it
_ENDINGS = {".ogg": "opus", ".oga": "opus"}


def form_of(name: str) -> SoundForm:
    """Return the form that a file's ending names. Raises VoiceError for one that is none."""
    ending = name[name.rfind(".") :].lower() if "." in name else ""
    form = FORMS.get(_ENDINGS.get(ending, ending.removeprefix(".")))
    if form is None:
        raise VoiceError(f"`{name}` ends like no sound file", hint=f"end it in .{', .'.join(FORMS)} or .ogg")
    return form


class _Pipe(io.RawIOBase):
    """What FFmpeg writes into where nothing can be written again: the bytes since they were last taken."""

    def __init__(self) -> None:
        super().__init__()
        self.held = bytearray()

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: Any, /) -> int:  # noqa: ANN401 (any buffer)
        """Keep the bytes."""
        self.held += bytes(data)
        return len(data)


class SoundWriter:
    """Writes sound as a file, piece by piece; the pieces may have any rate. With `whole` the file's head says how long it is, and all of
    it comes at the end.
    """

    def __init__(self, form: SoundForm, *, whole: bool = False) -> None:
        """Begin a file. Raises VoiceError where the extra is missing."""
        self._av = library("av")
        self._pipe: _Pipe | io.BytesIO = io.BytesIO() if whole else _Pipe()
        self._form = form
        self._container = self._stream = None
        if form.container:
            # Ogg would gather a second of sound before it writes any
            options = {"page_duration": "100000"} if form.container == "ogg" else {}
            self._container = self._av.open(self._pipe, "w", format=form.container, options=options)
            self._container.metadata["comment"] = MADE_BY
            self._stream = self._container.add_stream(form.codec, rate=WRITTEN_RATE, layout="mono")
        self._resamplers: dict[int, Callable[[Any], list[Any]]] = {}

    def add(self, sound: Sound) -> bytes:
        """Write the next piece; return the bytes that are ready."""
        import numpy as np

        samples = (np.clip(sound.samples, -1, 1) * _LOUDEST).astype(np.int16).reshape(1, -1)
        if not samples.size:
            return b""
        frame = self._av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = sound.rate
        if sound.rate not in self._resamplers:
            resampler = self._av.audio.resampler.AudioResampler(format="s16", layout="mono", rate=WRITTEN_RATE)
            self._resamplers = {sound.rate: resampler.resample}
        for piece in self._resamplers[sound.rate](frame):
            self._put(piece)
        return self._taken()

    def end(self) -> bytes:
        """Write what is held back; return the last bytes, or all with `whole`."""
        for resample in self._resamplers.values():
            for piece in resample(None):
                self._put(piece)
        if self._container is not None and self._stream is not None:
            self._container.mux(self._stream.encode(None))
            self._container.close()
        return self._pipe.getvalue() if isinstance(self._pipe, io.BytesIO) else self._taken()

    def _put(self, frame: Any) -> None:  # noqa: ANN401 (a library of an extra)
        frame.pts = None
        if self._container is None or self._stream is None:
            self._pipe.write(frame.to_ndarray().astype("<i2").tobytes())
        else:
            self._container.mux(self._stream.encode(frame))

    def _taken(self) -> bytes:
        if isinstance(self._pipe, io.BytesIO):
            return b""
        found = bytes(self._pipe.held)
        self._pipe.held.clear()
        return found


def encoded(sounds: Iterable[Sound], form: SoundForm) -> bytes:
    """Return sounds, one after the other, as one file."""
    writer = SoundWriter(form, whole=True)
    for sound in sounds:
        writer.add(sound)
    return writer.end()


def is_ours(data: bytes) -> bool:
    """Return whether a file was spoken by jessy, by the comment in its head; AAC has none."""
    return MADE_BY.encode() in data[:4096]
