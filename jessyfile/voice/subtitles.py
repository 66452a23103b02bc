"""What was heard as subtitles: SubRip and WebVTT."""

from __future__ import annotations

from jessyfile.voice.ears import HeardSpeech


def srt(heard: HeardSpeech) -> str:
    """Return SubRip."""
    parts = [
        f"{number}\n{_time(part.start, ',')} --> {_time(part.end, ',')}\n{part.text}\n"
        for number, part in enumerate(heard.parts, 1)
    ]
    return "\n".join(parts)


def vtt(heard: HeardSpeech) -> str:
    """Return WebVTT."""
    parts = [f"{_time(part.start, '.')} --> {_time(part.end, '.')}\n{part.text}\n" for part in heard.parts]
    return "\n".join(["WEBVTT\n", *parts])


def _time(seconds: float, comma: str) -> str:
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{comma}{thousandths:03}"
