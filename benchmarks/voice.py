"""How much of what a voice says is understood: ten Turkish sentences spoken, heard, and counted word by word.

    python benchmarks/voice.py                                   # our voice and ears: kokoro, whisper-base
    python benchmarks/voice.py --voice espeak-ng --speaker f3    # another voice
    python benchmarks/voice.py --recordings FOLDER               # recordings with their words beside them: a.wav, a.txt
    python benchmarks/voice.py --url http://127.0.0.1:11435/v1   # both endpoints of `jessy serve`, by the official client

The sentences were written down before anything was measured and are not chosen by what is understood of them. Needs the extras `voice` and
`voice-models`. Seconds are of the machine as it is: close other programs.
"""

from __future__ import annotations

import argparse
import io
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jessyfile.text.turkish import lower
from jessyfile.voice.ears import Ears, HearWishes
from jessyfile.voice.found import EARS, VOICE, ears_of, mouth_of
from jessyfile.voice.sound import FORMS, decoded, encoded

SENTENCES = (
    "Markete gidip süt ve yumurta aldım.",
    "Yarın akşam sinemaya gitmek ister misin?",
    "Çocuklar parkta saklambaç oynuyor.",
    "Bu şehirde kışlar çok soğuk geçer.",
    "Telefonumu evde unuttum, geri dönmem lazım.",
    "Öğretmenimiz bize yeni bir şarkı öğretti.",
    "Hafta sonu dedemin köyüne gideceğiz.",
    "Yemeği ocakta unutunca mutfağı duman kapladı.",
    "İngilizce kursuna haftada üç gün gidiyorum.",
    "Denizin sesi beni her zaman sakinleştirir.",
)


@dataclass(frozen=True, slots=True)
class Trial:
    """A sentence, what was heard of it, and the seconds of its sound, of speaking and of hearing."""

    said: str
    heard: str
    sound: float
    spoke: float
    listened: float


def words(text: str) -> list[str]:
    """Return the words of a text in lower case, Turkish letters as Turkish has them."""
    return re.findall(r"\w+", lower(text))


def distance(wanted: Sequence[str], found: Sequence[str]) -> int:
    """Return how many words are wrong, missing or too many, at least."""
    row = list(range(len(found) + 1))
    for at, want in enumerate(wanted, 1):
        before, row[0] = row[0], at
        for place, have in enumerate(found, 1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (want != have))
    return row[-1]


def spoken(voice: str, speaker: str | None, speed: float, ears: Ears) -> Iterator[Trial]:
    """Speak each sentence and hear it, as MP3, which is what speech travels as."""
    mouth = mouth_of(voice)
    for text in SENTENCES:
        began = time.perf_counter()
        data = encoded([mouth.say(text, speaker, speed)], FORMS["mp3"])
        spoke = time.perf_counter() - began
        yield heard(text, data, ears, spoke)


def heard(text: str, data: bytes, ears: Ears, spoke: float = 0.0) -> Trial:
    """Hear a recording."""
    sound = decoded(data)
    found = ears.hear(sound, HearWishes("tr"))
    return Trial(text, found.text, sound.seconds, spoke, found.seconds)


def recorded(folder: Path, ears: Ears) -> Iterator[Trial]:
    """Hear recordings whose words lie beside them."""
    for file in sorted(folder.glob("*.txt")):
        sound = next(one for one in sorted(folder.glob(f"{file.stem}.*")) if one.suffix != ".txt")
        yield heard(file.read_text("utf-8").strip(), sound.read_bytes(), ears)


def served(url: str, key: str, speaker: str) -> Iterator[Trial]:
    """Speak and hear through a server, by OpenAI's own client."""
    from openai import OpenAI

    client = OpenAI(base_url=url, api_key=key, timeout=600)
    for text in SENTENCES:
        began = time.perf_counter()
        data = client.audio.speech.create(model="tts-1", voice=speaker, input=text).content
        spoke = time.perf_counter() - began
        began = time.perf_counter()
        found = client.audio.transcriptions.create(
            model="whisper-1", file=("answer.mp3", io.BytesIO(data)), language="tr"
        )
        yield Trial(text, found.text, decoded(data).seconds, spoke, time.perf_counter() - began)


def main() -> None:
    """Print each sentence with what was heard, and the rates."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--ears", default=EARS)
    parser.add_argument("--voice", default=VOICE)
    parser.add_argument("--speaker")
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument("--recordings", type=Path)
    parser.add_argument("--url")
    parser.add_argument("--key", default="none")
    options = parser.parse_args()
    if options.url:
        trials = served(options.url, options.key, options.speaker or "alloy")
    elif options.recordings:
        trials = recorded(options.recordings, ears_of(options.ears))
    else:
        trials = spoken(options.voice, options.speaker, options.speed, ears_of(options.ears))
    wrong = total = letters = all_letters = 0
    sound = spoke = listened = 0.0
    print("| said | heard | words wrong |\n|---|---|---|")
    for trial in trials:
        wanted, found = words(trial.said), words(trial.heard)
        errors = distance(wanted, found)
        wrong, total = wrong + errors, total + len(wanted)
        letters += distance("".join(wanted), "".join(found))
        all_letters += len("".join(wanted))
        sound, spoke, listened = sound + trial.sound, spoke + trial.spoke, listened + trial.listened
        print(f"| {trial.said} | {trial.heard} | {errors} of {len(wanted)} |", flush=True)
    print(f"\nword error rate {wrong / total:.1%} ({wrong} of {total}), letters {letters / all_letters:.1%}")
    print(
        f"a second of sound took {spoke / sound:.2f} s to speak and {listened / sound:.2f} s to hear ({sound:.1f} s in all)"
    )


if __name__ == "__main__":
    main()
