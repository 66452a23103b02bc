"""A question that is heard, answered and spoken, where its sound goes, and what is told of it."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jessyfile.commands.say import say
from jessyfile.errors import ProjectError, VoiceError

if TYPE_CHECKING:
    from jessyfile.commands.conversation import Conversation
    from jessyfile.thinking.thought import Event, OnEvent, Thought, Wishes
    from jessyfile.voice.ears import Ears, HeardSpeech
    from jessyfile.voice.mouth import Mouth
    from jessyfile.voice.sound import Sound
    from jessyfile.voice.speaking import Spoken

STANDARD = "-"
_LARGEST = 1 << 28  # bytes of a recording


@dataclass(slots=True)
class VoiceCall:
    """A question that is heard, answered and spoken."""

    ears: Ears
    mouth: Mouth
    conversation: Conversation
    language: str
    speaker: str | None
    speed: float
    quiet: bool

    def make(self, sound: Sound, target: SoundTarget) -> CallTold:
        """Hear, ask and speak. Raises VoiceError where nothing was said."""
        from jessyfile.commands.conversation import refuse_prompt
        from jessyfile.voice.ears import HearWishes
        from jessyfile.voice.mouth import voice_of
        from jessyfile.voice.speaking import Speaking

        if self.mouth.voices:
            voice_of(self.mouth, self.speaker)  # before anybody is asked
        started = time.perf_counter()
        heard = self.ears.hear(sound, HearWishes(self.language))
        if not heard.text:
            raise VoiceError("nobody says anything in the recording", hint="speak nearer, or record it again")
        if not self.quiet:
            say(f"> {heard.text}", err=target.piped)
        speaking = Speaking(self.mouth, target.take, self.speaker, self.speed)
        try:
            thought = _answered(
                self.conversation, refuse_prompt(heard.text), speaking.feed, shown=not self.quiet, target=target
            )
            spoken = speaking.finish(thought.text)
        finally:
            speaking.close()
        return CallTold(started, heard, thought, spoken)


def _answered(
    conversation: Conversation, prompt: str, feed: Callable[[str], None], *, shown: bool, target: SoundTarget
) -> Thought:
    """Ask; what is sure to stay of the answer is fed to what speaks, and shown where a person looks."""
    from jessyfile.commands.answer_shown import show_answer
    from jessyfile.thinking.thought import Piece

    def asked(on_event: OnEvent | None) -> Thought:
        def event(happened: Event) -> bool:
            if isinstance(happened, Piece) and happened.final:
                feed(happened.text)
            return bool(on_event(happened)) if on_event is not None else False

        return conversation.ask(prompt, event)

    if shown and not target.piped:
        thought = show_answer(asked)
        click.echo("")
        return thought
    thought = asked(None)
    if shown:
        say(thought.text, err=True)
    return thought


@dataclass(frozen=True, slots=True)
class CallTold:
    """What came of a question. `started` is the clock's time at which the recording was there and every model was loaded."""

    started: float
    heard: HeardSpeech
    thought: Thought
    spoken: Spoken

    @property
    def first(self) -> float | None:
        """Seconds from the question's end to the first sound of the answer."""
        return None if self.spoken.first is None else self.spoken.first - self.started

    def lines(self, out: str) -> Iterator[str]:
        """Yield what a person is told."""
        from jessyfile.commands.answer_told import summary

        heard, spoken = self.heard, self.spoken
        yield summary(self.thought)
        first = "nothing to say" if self.first is None else f"first sound after {self.first:.1f} s"
        parts = [
            first,
            f"heard {heard.sound_seconds:.1f} s in {heard.seconds:.1f} s",
            f"answered in {self.thought.seconds:.1f} s",
            f"spoke {spoken.sound_seconds:.1f} s in {spoken.seconds:.1f} s",
        ]
        yield " · ".join([*parts, *([] if out == STANDARD else [out])])

    def as_json(self, out: str) -> dict[str, object]:
        """Return what a program is told."""
        from jessyfile.commands.answer_told import answer_as_json

        return {
            "format": 1,
            "first_sound_seconds": None if self.first is None else round(self.first, 3),
            "heard": heard_as_json(self.heard),
            "answer": answer_as_json(self.heard.text, self.thought),
            "spoken": spoken_as_json(self.spoken, self.started, out),
        }


def heard_as_json(heard: HeardSpeech) -> dict[str, object]:
    """Return what was heard in the format of `--json`."""
    found = asdict(heard)
    for key in ("seconds", "sound_seconds"):
        found[key] = round(found[key], 3)
    return found


def spoken_as_json(spoken: Spoken, started: float, out: str) -> dict[str, object]:
    """Return what was spoken since `started`, the clock's time, in the format of `--json`."""
    return {
        "file": out,
        "sentences": spoken.sentences,
        "seconds": round(spoken.seconds, 3),
        "sound_seconds": round(spoken.sound_seconds, 3),
        "first_sound_seconds": None if spoken.first is None else round(spoken.first - started, 3),
    }


def spoken_line(spoken: Spoken, started: float, out: str) -> str:
    """Return what is told of a text that was spoken since `started`, the clock's time."""
    first = (spoken.first or started) - started
    line = f"first sound after {first:.1f} s · spoke {spoken.sound_seconds:.1f} s in {spoken.seconds:.1f} s"
    return line if out == STANDARD else f"{line} · {out}"


@contextlib.contextmanager
def ready(name: str, tag: str, max_tokens: int, wishes: Wishes) -> Iterator[Conversation]:
    """Hold a registered model loaded during the block, as `jessy chat` asks it.

    Args:
        name: the model's name.
        tag: its tag.
        max_tokens: the longest answer.
        wishes: what is wished of the thinking.

    Yields:
        The conversation.

    Raises:
        EngineError: there is no such model, or it cannot be loaded.
    """
    from jessyfile.commands.conversation import Conversation
    from jessyfile.commands.history import here
    from jessyfile.engines.promoted import find
    from jessyfile.engines.serving import engine_of, loaded, served_model
    from jessyfile.thinking.route import Deadline
    from jessyfile.thinking.thinker import thinker_of

    root = here()
    found, deadline = find(root, name, tag), Deadline()
    engine = engine_of(found.entry, deadline)
    model = served_model(found.entry, max_tokens)
    with loaded(engine, model), contextlib.closing(thinker_of(root, found, engine, model, deadline)) as thinker:
        yield Conversation(thinker, wishes)


@dataclass(slots=True)
class SoundTarget:
    """Where the sound goes: a file, which is there when all of it is, or the standard output, sentence by sentence."""

    out: str
    sounds: list[Sound] = field(default_factory=list)
    put: Callable[[Sound], None] | None = None

    @property
    def piped(self) -> bool:
        """Whether the standard output is taken by the sound."""
        return self.out == STANDARD

    def take(self, sound: Sound) -> None:
        """Take the next sound, in the thread that speaks."""
        if self.put is None:
            self.sounds.append(sound)
        else:
            self.put(sound)


@contextlib.contextmanager
def written(out: str) -> Iterator[SoundTarget]:
    """Yield a target whose file is written when the block ends well. Raises VoiceError, or ProjectError where a stranger's file stands."""
    from jessyfile.user_files import require_own, write_own
    from jessyfile.voice.sound import FORMS, SoundWriter, encoded, form_of, is_ours

    target = SoundTarget(out)
    if not target.piped:
        form, path = form_of(out), Path(out)
        require_own(path, is_ours)
        yield target
        write_own(path, encoded(target.sounds, form), is_ours)
        return
    if sys.stdout.isatty():
        raise click.UsageError("the standard output is a terminal; `--out -` is for a pipe, as in … | aplay")
    writer = SoundWriter(FORMS["wav"])

    def put(sound: Sound) -> None:
        sys.stdout.buffer.write(writer.add(sound))
        sys.stdout.buffer.flush()

    target.put = put
    yield target
    sys.stdout.buffer.write(writer.end())
    sys.stdout.buffer.flush()


def recorded(file: str) -> Sound:
    """Return the sound of a file, or of the standard input. Raises VoiceError."""
    from jessyfile.user_files import read_plain
    from jessyfile.voice.sound import decoded

    try:
        data = sys.stdin.buffer.read(_LARGEST + 1) if file == STANDARD else read_plain(Path(file), _LARGEST + 1)
    except FileNotFoundError:
        raise ProjectError(f"there is no file `{file}`", hint="name a recording, or - for the standard input") from None
    if len(data) > _LARGEST:
        raise VoiceError(f"the recording has more than {_LARGEST >> 20} MiB", hint="cut it into pieces")
    return decoded(data)
