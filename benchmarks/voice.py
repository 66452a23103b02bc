"""How much of what a voice says is understood: ten Turkish sentences spoken, heard, and counted word by word.

    python benchmarks/voice.py                                   # our voice and ears: kokoro, whisper-base
    python benchmarks/voice.py --voice espeak-ng --speaker f3    # another voice
    python benchmarks/voice.py --mbrola tr2                      # diphones that were recorded from a person (Debian: mbrola, mbrola-tr2)
    python benchmarks/voice.py --recordings FOLDER               # recordings of anybody's
    python benchmarks/voice.py --url http://127.0.0.1:11435/v1   # the endpoints of `jessy serve`, by the official client; with any above

The words of a recording lie beside it (a.wav, a.txt), or in one table for the folder: Common Voice's `….tsv` (columns `path` and `sentence`,
the files perhaps in `clips/`) or LJSpeech's `metadata.csv` (`name|words`, the files perhaps in `wavs/`). `--sentences FILE` takes other
sentences, one a line, and `--save FOLDER` keeps what was spoken as a folder of recordings.

The sentences were written down before anything was measured and are not chosen by what is understood of them. Needs the extras `voice` and
`voice-models`. Seconds are of the machine as it is: close other programs.
"""

from __future__ import annotations

import argparse
import csv
import io
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jessyfile.text.turkish import lower
from jessyfile.voice.ears import HearWishes
from jessyfile.voice.found import EARS, VOICE, ears_of, mouth_of
from jessyfile.voice.sound import FORMS, decoded, encoded

SOUNDS = (".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".aac", ".webm", ".aiff")
# what espeak-ng 1.51 leaves untranslated for MBROLA's Turkish voices, which then leave the sound out: the e of `gel`, and two of l
MBROLA_CALLS = {"&": "e", "L/": "l", "l/": "l"}

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


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence and the file in which it is spoken, with the seconds that speaking took."""

    text: str
    data: bytes
    spoke: float = 0.0


def spoken(sentences: Iterable[str], voice: str, speaker: str | None, speed: float, language: str) -> Iterator[Said]:
    """Speak each sentence, as MP3, which is what speech travels as."""
    mouth = mouth_of(voice, language)
    for text in sentences:
        began = time.perf_counter()
        data = encoded([mouth.say(text, speaker, speed)], FORMS["mp3"])
        yield Said(text, data, time.perf_counter() - began)


def of_mbrola(sentences: Iterable[str], voice: str) -> Iterator[Said]:
    """Speak each sentence by the program mbrola and one of its Turkish voices, `tr1` or `tr2`, with espeak-ng's phonemes."""
    database = next(
        (str(file) for file in (Path("/usr/share/mbrola", voice, voice), Path(voice)) if file.is_file()), voice
    )
    for text in sentences:
        began = time.perf_counter()
        told = subprocess.run(
            ["espeak-ng", "-v", f"mb-{Path(voice).name}", "-q", "--pho", "--stdin"],
            input=text.encode(), capture_output=True, check=True,
        )  # fmt: skip
        phonemes = mbrolas_phonemes(told.stdout.decode("latin-1"))
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder, "said.wav")
            program = ["mbrola", "-e", database, "-", str(made)]
            subprocess.run(program, input=phonemes.encode("latin-1"), capture_output=True, check=True)
            yield Said(text, made.read_bytes(), time.perf_counter() - began)


def mbrolas_phonemes(told: str) -> str:
    """Return espeak-ng's list of phonemes with those put right that MBROLA's Turkish voices do not have."""
    lines = [line.partition("\t") for line in told.splitlines()]
    return "".join(f"{MBROLA_CALLS.get(name.strip(), name)}{tab}{rest}\n" for name, tab, rest in lines)


def of_the_server(sentences: Iterable[str], client: Any, speaker: str) -> Iterator[Said]:  # noqa: ANN401 (OpenAI's)
    """Have each sentence spoken by a server."""
    for text in sentences:
        began = time.perf_counter()
        data = client.audio.speech.create(model="tts-1", voice=speaker, input=text).content
        yield Said(text, data, time.perf_counter() - began)


def recorded(folder: Path) -> Iterator[Said]:
    """Return the recordings of a folder with their words. Raises SystemExit for a folder that has none."""
    found = [
        (sound, text) for sound, text in (*_beside(folder), *_in_tables(folder)) if sound is not None and words(text)
    ]
    if not found:
        raise SystemExit(f"{folder} has no recordings with their words: a.wav and a.txt, a .tsv, or metadata.csv")
    for sound, text in found:
        yield Said(text, sound.read_bytes())


def _beside(folder: Path) -> Iterator[tuple[Path | None, str]]:
    for file in sorted(folder.glob("*.txt")):
        yield _sound(folder, file.stem), file.read_text("utf-8").strip()


def _in_tables(folder: Path) -> Iterator[tuple[Path | None, str]]:
    for file in sorted(folder.glob("*.tsv")):
        with file.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
                yield _sound(folder, row.get("path") or ""), row.get("sentence") or ""
    if (table := folder / "metadata.csv").is_file():
        for line in table.read_text("utf-8").splitlines():
            name, _, text = line.partition("|")
            yield _sound(folder, name), text.rpartition("|")[2]


def _sound(folder: Path, name: str) -> Path | None:
    """Return the file of a recording; `name` may lack its ending. A table cannot name files outside its folder."""
    for place in (folder, folder / "clips", folder / "wavs"):
        for file in (place / Path(name).name, *(place / f"{Path(name).name}{ending}" for ending in SOUNDS)):
            if file.suffix.lower() in SOUNDS and file.is_file():
                return file
    return None


Hears = Callable[[bytes], tuple[str, float]]  # a file -> its words, the seconds that hearing took


def here(ears: str) -> Hears:
    """Hear in this process."""
    model = ears_of(ears)

    def hear(data: bytes) -> tuple[str, float]:
        found = model.hear(decoded(data), HearWishes("tr"))
        return found.text, found.seconds

    return hear


def at_the_server(client: Any) -> Hears:  # noqa: ANN401 (OpenAI's)
    """Hear through a server."""

    def hear(data: bytes) -> tuple[str, float]:
        began = time.perf_counter()
        file = ("question.mp3", io.BytesIO(data))  # its first bytes tell what it is
        found = client.audio.transcriptions.create(model="whisper-1", file=file, language="tr")
        return found.text, time.perf_counter() - began

    return hear


def saved(all_said: Iterable[Said], folder: Path) -> Iterator[Said]:
    """Keep what is spoken as recordings with their words beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    for at, said in enumerate(all_said):
        (folder / f"{at:03}{'.wav' if said.data[:4] == b'RIFF' else '.mp3'}").write_bytes(said.data)
        (folder / f"{at:03}.txt").write_text(said.text + "\n", "utf-8")
        yield said


def trials(all_said: Iterable[Said], hear: Hears) -> Iterator[Trial]:
    """Hear what was spoken or recorded."""
    for said in all_said:
        text, listened = hear(said.data)
        yield Trial(said.text, text, decoded(said.data).seconds, said.spoke, listened)


def main() -> None:
    """Speak or read, hear, and print each sentence with what was heard."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--ears", default=EARS)
    parser.add_argument("--voice", default=VOICE)
    parser.add_argument("--speaker")
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument("--language", default="tr", help="of the voice")
    parser.add_argument("--mbrola", metavar="VOICE")
    parser.add_argument("--recordings", type=Path)
    parser.add_argument("--sentences", type=Path)
    parser.add_argument("--save", type=Path)
    parser.add_argument("--url")
    parser.add_argument("--key", default="none")
    options = parser.parse_args()
    sentences = options.sentences.read_text("utf-8").splitlines() if options.sentences else SENTENCES
    client = _client(options.url, options.key) if options.url else None
    if options.recordings:
        all_said = recorded(options.recordings)
    elif options.mbrola:
        all_said = of_mbrola(sentences, options.mbrola)
    elif client:
        all_said = of_the_server(sentences, client, options.speaker or "alloy")
    else:
        all_said = spoken(sentences, options.voice, options.speaker, options.speed, options.language)
    if options.save:
        all_said = saved(all_said, options.save)
    told(trials(all_said, at_the_server(client) if client else here(options.ears)))


def _client(url: str, key: str) -> Any:  # noqa: ANN401 (OpenAI's)
    from openai import OpenAI

    return OpenAI(base_url=url, api_key=key, timeout=600)


def told(found: Iterable[Trial]) -> None:
    """Print what was heard, and the rates."""
    wrong = total = letters = all_letters = 0
    sound = spoke = listened = 0.0
    print("| said | heard | words wrong |\n|---|---|---|")
    for trial in found:
        wanted, heard = words(trial.said), words(trial.heard)
        errors = distance(wanted, heard)
        wrong, total = wrong + errors, total + len(wanted)
        letters += distance("".join(wanted), "".join(heard))
        all_letters += len("".join(wanted))
        sound, spoke, listened = sound + trial.sound, spoke + trial.spoke, listened + trial.listened
        print(f"| {trial.said} | {trial.heard} | {errors} of {len(wanted)} |", flush=True)
    print(f"\nword error rate {wrong / total:.1%} ({wrong} of {total}), letters {letters / all_letters:.1%}")
    print(
        f"a second of sound took {spoke / sound:.2f} s to speak and {listened / sound:.2f} s to hear ({sound:.1f} s in all)"
    )


if __name__ == "__main__":
    main()
