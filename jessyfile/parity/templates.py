"""How a model is asked: the Jinja template in a GGUF, and the TEMPLATE, stops and FROM of a Modelfile, against the trained format.

Templates are compared by what they write, conversation by conversation, not by their letters.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from jessyfile.errors import ModelfileError
from jessyfile.export.gguf_metadata import FORMAT_KEY
from jessyfile.fsops import hash_file
from jessyfile.importing.modelfile_reader import Command, decode_modelfile, read_modelfile
from jessyfile.language.recipe import Message
from jessyfile.models.model_json import read_json
from jessyfile.parity.faults import Mismatch
from jessyfile.parity.go_template import rendered_template
from jessyfile.text.printable import brief

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.models.chat_format import ChatFormat
    from jessyfile.models.gguf_reader import GgufFile
    from jessyfile.models.tokenizer import Tokenizer

TEMPLATE_KEY = "tokenizer.chat_template"
_SECONDS = 20
_CAPABLE = ("tools", "<think>", "enable_thinking")
_HINT = "write the template of the format that was trained, as `jessy export` does"
Chat = tuple[tuple[Message, ...], str | None]
CHATS: tuple[Chat, ...] = (
    ((Message("user", "Merhaba, nasılsın?"),), None),
    ((Message("user", "İğne ipliğe ne dedi?"),), "Kısa konuş. Şakayı sev."),
    (
        (
            Message("user", "Rust'ta ownership nedir?"),
            Message("assistant", "Bence her değerin tek bir sahibi olması."),
            Message("user", "I see. And a borrow?"),
        ),
        None,
    ),
    (
        (
            Message("user", "kod:\n\n```py\nprint('ığüşöç')\n```"),
            Message("assistant", "Olur."),
            Message("user", "peki"),
        ),
        "You are JESSY.\nAnswer in the language you are asked in.",
    ),
)


def template_faults(
    file: GgufFile, folder: Path, form: ChatFormat, tokenizer: Tokenizer, *, tuned: bool
) -> Iterator[Mismatch]:
    """Yield what is wrong with the template inside a GGUF. A tune's, and one that jessy wrote, must write the format of the
    training; any other may also write what the folder's own template does.

    Args:
        file: the GGUF.
        folder: the model folder as it was given, with its own template if it has one.
        form: the format that jessy trains such a model in.
        tokenizer: the folder's tokenizer.
        tuned: whether an adapter is said to be in the file: the folder's template is then the base's.

    Returns:
        The faults.
    """
    template, own = file.metadata.get(TEMPLATE_KEY), folder_template(folder)
    strict = tuned or FORMAT_KEY in file.metadata or bool(read_json(folder / "source.json").get("chat_format"))
    if not isinstance(template, str) or not template:
        if strict:
            yield Mismatch("template", "gguf", "the GGUF carries no chat template: other programs guess one", _HINT)
        return
    if template == own and not strict:
        return
    written = rendered_chats(template, tokenizer)
    right = [form.render(messages, system) for messages, system in CHATS]
    wrong = _first_other(written, right)
    if wrong is not None and own is not None and not strict and written == rendered_chats(own, tokenizer):
        wrong = None
    if wrong is not None:
        said = "nothing" if written is None or written[wrong] is None else brief(str(written[wrong])[:200])
        message = f"the chat template in the GGUF writes {said} where the trained format ({form.name}) has"
        yield Mismatch("template", "gguf", f"{message} {brief(right[wrong][:200])}", _HINT)
    elif capable := [word for word in _CAPABLE if word in template and (strict or own is None or word not in own)]:
        message = f"the chat template in the GGUF knows `{capable[0]}`: Ollama prefers it to the trained TEMPLATE"
        yield Mismatch("template", "gguf", message, _HINT)


def folder_template(folder: Path) -> str | None:
    """Return the Jinja template that a folder's files hold, None when they hold none."""
    for path in (folder / "chat_template.jinja",):
        if path.is_file():
            return path.read_text("utf-8", errors="replace")
    found = read_json(folder / "tokenizer_config.json").get("chat_template")
    found = read_json(folder / "chat_template.json").get("chat_template") if found is None else found
    if isinstance(found, list):  # several by name
        found = next(
            (one.get("template") for one in found if isinstance(one, dict) and one.get("name") == "default"), None
        )
    return found if isinstance(found, str) else None


def rendered_chats(template: str, tokenizer: Tokenizer) -> list[str | None] | None:
    """Return what a Jinja template makes of every conversation, BOS taken off; None for one that cannot be rendered at all.

    It comes from a foreign file, so a child process renders it.
    """
    bos, eos = (tokenizer.decode([number]) if number is not None else "" for number in (tokenizer.bos, tokenizer.eos))
    chats = [
        [{"role": "system", "content": system}] * (system is not None)
        + [{"role": one.role, "content": one.content} for one in messages]
        for messages, system in CHATS
    ]
    asked = json.dumps({"template": template, "bos": bos, "eos": eos, "chats": chats})
    command = [sys.executable, "-m", "jessyfile.parity.jinja_child"]
    try:
        done = subprocess.run(command, input=asked.encode(), capture_output=True, timeout=_SECONDS, check=True)
        found: list[str | None] = json.loads(done.stdout)
    except (subprocess.SubprocessError, ValueError):
        return None
    return [text.removeprefix(bos) if isinstance(text, str) and bos else text for text in found]


def _first_other(written: Sequence[str | None] | None, right: Sequence[str]) -> int | None:
    """Return the first conversation that is written otherwise, or refused."""
    if written is None:
        return 0
    return next((at for at, pair in enumerate(zip(written, right, strict=True)) if pair[0] != pair[1]), None)


def modelfile_faults(path: Path, gguf: Path, file: GgufFile, form: ChatFormat) -> Iterator[Mismatch]:
    """Yield what a Modelfile says otherwise than the model was trained: FROM, ADAPTER, TEMPLATE and stops.

    Args:
        path: the Modelfile.
        gguf: the file that it is said to serve.
        file: the same, opened.
        form: the format that the model was trained in.

    Returns:
        The faults.
    """
    try:
        commands = read_modelfile(decode_modelfile(path.read_bytes()))
    except ModelfileError as error:
        yield _served("modelfile", error.message, error.hint or "")
        return
    yield from _from_faults(path, gguf, commands)
    for command in commands:
        if command.name == "adapter":
            yield _served(
                "adapter", "the Modelfile puts an ADAPTER on the file, which has it merged in", "remove ADAPTER"
            )
    yield from _go_faults([one.args for one in commands if one.name == "template"], file, form)
    stops = [command.args for command in commands if command.name == "stop"]
    foreign = [stop for stop in stops if stop not in form.turn_tokens and stop not in _special(file)]
    if stops and form.end_of_turn not in stops:
        said = f"the Modelfile stops at {brief(stops[0])} and not at {form.end_of_turn}, the trained end of a turn"
        yield _served("stop", said, f"write PARAMETER stop {form.end_of_turn}")
    elif foreign and any(stop in text for stop in foreign for text in _SAYABLE):
        yield _served("stop", f"the Modelfile stops at {brief(foreign[0])}, which answers contain", "remove that stop")
    elif not stops and form.end_of_turn not in _special(file):
        yield _served(
            "stop", f"nothing ends an answer at {form.end_of_turn}", f"write PARAMETER stop {form.end_of_turn}"
        )


_SAYABLE = (*tuple(f"{one.content} " for messages, _ in CHATS for one in messages), ", . ! ? \n\n a e i ")


def _special(file: GgufFile) -> set[str]:
    tokens, types = file.metadata.get("tokenizer.ggml.tokens"), file.metadata.get("tokenizer.ggml.token_type")
    if not isinstance(tokens, list) or types is None:
        return set()
    return {token for token, kind in zip(tokens, types, strict=False) if kind in (3, 4)}


def _served(kind: str, message: str, hint: str) -> Mismatch:
    return Mismatch(kind, "served", message, hint)


def _from_faults(path: Path, gguf: Path, commands: Sequence[Command]) -> Iterator[Mismatch]:
    place = next((command.args for command in commands if command.name == "model"), "").strip('"')
    named = path.parent / place
    if named.is_file():
        if not named.samefile(gguf) and hash_file(named) != hash_file(gguf):
            yield _served("from", f"FROM names {brief(place)}, which is another file", f"write FROM ./{gguf.name}")
    elif named.name != gguf.name:
        yield _served("from", f"FROM names {brief(place)}, not the file {gguf.name}", f"write FROM ./{gguf.name}")


def _go_faults(templates: Sequence[str], file: GgufFile, form: ChatFormat) -> Iterator[Mismatch]:
    if not templates:
        if not file.metadata.get(TEMPLATE_KEY):
            yield _served(
                "template", "neither the Modelfile nor the GGUF has a template", "write TEMPLATE as jessy does"
            )
        return
    for messages, system in CHATS:
        right = form.render(messages, system)
        try:
            written = rendered_template(templates[-1], messages, system)
        except ModelfileError as error:
            yield _served("template", error.message, error.hint or "")
            return
        if written != right:
            said = f"TEMPLATE writes {brief(written[:200])} where the trained format ({form.name}) has"
            yield _served(
                "template", f"{said} {brief(right[:200])}", "use the TEMPLATE that jessy writes for this format"
            )
            return
