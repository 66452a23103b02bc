"""`jessy voice`: ask a promoted model aloud, hear a recording, speak a text."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from typing import TypeVar

import click

from jessyfile.commands.common import TAGS, sending_options, tagged
from jessyfile.commands.say import say
from jessyfile.commands.voice_call import (
    VoiceCall,
    heard_as_json,
    ready,
    recorded,
    spoken_as_json,
    spoken_line,
    written,
)
from jessyfile.errors import VoiceError
from jessyfile.text.printable import json_text

F = TypeVar("F", bound=Callable[..., object])
_EARS, _VOICE, _LANGUAGE = (
    "whisper-base",
    "kokoro",
    "tr",
)  # as voice.found has them, which is not imported for a line of help
_LONGEST_TEXT = 1 << 20


@click.group(no_args_is_help=True)
def voice() -> None:
    """Ask a promoted model aloud; hear a recording; speak a text. Needs the extra `voice`."""


def _hearing(command: F) -> F:
    return click.option(
        "--ears", default=_EARS, show_default=True, metavar="NAME", help="The model that hears, or its folder."
    )(command)


def _speaking(command: F) -> F:
    for add in (
        click.option(
            "--speed", type=click.FloatRange(0.25, 4), default=1.0, show_default=True, help="How fast it speaks."
        ),
        click.option("--speaker", metavar="NAME", help="Whose voice, where the voice has several."),
        click.option(
            "--voice",
            default=_VOICE,
            show_default=True,
            metavar="NAME",
            help="What speaks: kokoro, espeak-ng, a voice of Piper (….onnx), a folder of Kokoro's.",
        ),
    ):
        command = add(command)
    return command


_language = click.option(
    "--language", default=_LANGUAGE, show_default=True, metavar="CODE", help="What is spoken, as in tr or en."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print what happened as JSON (format 1).")
_out = click.option(
    "--out",
    required=True,
    metavar="FILE",
    help="The sound file, by its ending: wav, mp3, flac, ogg, opus, aac, pcm; - is WAV on the standard output.",
)


@voice.command()
@click.argument("file")
@_hearing
@click.option(
    "--language", default=_LANGUAGE, show_default=True, metavar="CODE", help="What is spoken; auto finds it out."
)
@click.option("--prompt", "about", default="", metavar="TEXT", help="Words that are likely to come, such as names.")
@click.option("--subtitles", type=click.Choice(["srt", "vtt"]), help="Print subtitles instead of the words alone.")
@_json
def hear(file: str, ears: str, language: str, about: str, subtitles: str | None, as_json: bool) -> None:
    """Print what is said in a sound FILE, or in the standard input (-)."""
    from jessyfile.voice import subtitles as forms
    from jessyfile.voice.ears import HearWishes
    from jessyfile.voice.found import ears_of

    sound = recorded(file)
    heard = ears_of(ears).hear(sound, HearWishes(language, about, words=as_json))
    if as_json:
        click.echo(json_text({"format": 1, "heard": heard_as_json(heard)}, indent=1))
    elif subtitles:
        click.echo((forms.srt if subtitles == "srt" else forms.vtt)(heard), nl=False)
    else:
        say(heard.text or "nothing was said")


@voice.command("say")
@click.argument("text", required=False)
@_speaking
@_language
@_out
@_json
def say_(
    text: str | None, voice: str, speaker: str | None, speed: float, language: str, out: str, as_json: bool
) -> None:
    """Speak TEXT, or what comes on the standard input, into a sound file: sentence by sentence, without its markup."""
    from jessyfile.voice.found import mouth_of
    from jessyfile.voice.speaking import Speaking

    words = text if text is not None else _typed()
    with written(out) as target:
        speaking = Speaking(mouth_of(voice, language), target.take, speaker, speed)
        started = time.perf_counter()
        spoken = speaking.finish(words)
        if not spoken.sentences:
            raise VoiceError("there is nothing to say", hint="give a text with words in it")
    if as_json:
        click.echo(json_text({"format": 1, "spoken": spoken_as_json(spoken, started, out)}, indent=1), err=target.piped)
    else:
        say(spoken_line(spoken, started, out), err=target.piped)


@voice.command()
@click.argument("name")
@click.argument("question")
@click.option("--tag", type=click.Choice(TAGS), help="Which registered model of that name; NAME:TAG says the same.")
@_hearing
@_speaking
@_language
@_out
@click.option("--max-tokens", type=click.IntRange(1, 100_000), default=1024, show_default=True, help="Longest answer.")
@click.option("--level", help="Take this level instead of the one that the marker says.")
@click.option("--iterations", type=click.IntRange(1, 9), help="Spend so many instead of what the marker says.")
@click.option("--max-seconds", type=click.FloatRange(0, min_open=True), help="End the thinking after so many seconds.")
@_json
@sending_options
def ask(
    name: str,
    question: str,
    tag: str | None,
    ears: str,
    voice: str,
    speaker: str | None,
    speed: float,
    language: str,
    out: str,
    max_tokens: int,
    level: str | None,
    iterations: int | None,
    max_seconds: float | None,
    as_json: bool,
    allow_host: tuple[str, ...],
) -> None:
    """Hear a QUESTION in a sound file (- is the standard input), ask a promoted model as `jessy chat` does, and speak its answer.

    The first sentence is spoken while the next ones are still written. NAME may carry a tag: jessy:candidate is what the last apply made.
    """
    from jessyfile.thinking.thought import Wishes
    from jessyfile.voice.found import ears_of, mouth_of

    del allow_host  # it stands in the environment, where a ROUTE is asked
    name, tag = tagged(name, tag)
    with contextlib.ExitStack() as held:
        target = held.enter_context(written(out))
        sound = recorded(question)
        conversation = held.enter_context(ready(name, tag, max_tokens, Wishes(level, iterations, max_seconds)))
        call = VoiceCall(ears_of(ears), mouth_of(voice, language), conversation, language, speaker, speed, as_json)
        told = call.make(sound, target)
    if as_json:
        click.echo(json_text(told.as_json(out), indent=1), err=target.piped)
    else:
        for line in told.lines(out):
            say(line, err=target.piped)


def _typed() -> str:
    if sys.stdin.isatty():
        raise click.UsageError("give a TEXT, or pipe one in")
    return sys.stdin.buffer.read(_LONGEST_TEXT).decode("utf-8", "replace")
