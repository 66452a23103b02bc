"""What a file does otherwise than the right one, in llama.cpp and in its templates: no scene is a fault by its name alone."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import corpus
import numpy as np
from chats import CHATS, rendered
from go_template import execute

from jessyfile.importing.modelfile_reader import read_modelfile
from jessyfile.language.recipe import Message
from planted.document import Document
from planted.scene import Scene

LONG = 400  # tokens, beyond the window of the doubles
BLANKS = "\n\nBir  iki   üç 1234567 12,50\n\n"


@dataclass(frozen=True)
class Difference:
    """How a scene's file differs from the right one: `nmse` of the log-probabilities after the right ids, behind a chat and a
    longer text; `ids`, `jinja` and `go` count texts that come out otherwise; `ends` tokens that end an answer in one alone.
    """

    nmse: float
    ids: int
    ends: int
    jinja: int
    go: int

    @property
    def none(self) -> bool:
        """Return whether nothing differs but the order in which numbers are added."""
        return self.nmse < 1e-4 and not (self.ids or self.ends or self.jinja or self.go)


def measured(scene: Scene, place: Path) -> Difference:
    """Return what differs, by llama.cpp and by the templates' own languages."""
    right = scene.right()
    same = replace(right, types=scene.file.types).read_back()  # what a type rounds is no difference
    texts = [*_chats(scene), " ".join(_chats(scene)) * 3]
    with (
        _engine(same.write(place / "right.gguf")) as one,
        _engine(scene.file.read_back().write(place / "file.gguf")) as other,
    ):
        ids = [one.ids(text) for text in texts]
        pairs = [(one.logs(own[:LONG]), other.logs(own[:LONG])) for own in ids[-3:]]
        ends = [token for token in _marks(right) if one.ends(token) != other.ends(token)]
        differ = sum(one.ids(text) != other.ids(text) for text in (*texts, *corpus.texts(300)))
    return Difference(max(_nmse(*pair) for pair in pairs), differ, len(ends), _jinja(right, scene.file), _go(scene))


def _chats(scene: Scene) -> list[str]:
    form = scene.folder.form
    turns = [[Message(*turn) for turn in chat] for chat in CHATS.values()]
    return [form.render(chat) for chat in turns] + [BLANKS]


def _marks(document: Document) -> list[int]:
    """Return the tokens that might end an answer: control and user-defined ones, and those of blanks."""
    types, tokens = document.values["tokenizer.ggml.token_type"], document.values["tokenizer.ggml.tokens"]
    return [number for number, kind in enumerate(types) if kind in (3, 4) or tokens[number] in ("\n", "Ċ", "ĊĊ")]


def _nmse(right: Mapping[int, float], found: Mapping[int, float]) -> float:
    known = sorted(right.keys() & found.keys())
    one, other = (np.array([part[token] for token in known]) for part in (right, found))
    one, other = one - one.mean(), other - other.mean()
    return float(((one - other) ** 2).sum() / (one**2).sum())


def _jinja(right: Document, file: Document) -> int:
    bos = "<bos>"
    one, other = (rendered(str(found.values["tokenizer.chat_template"]), bos, "") for found in (right, file))
    return sum(one[name] != other[name] for name in one)


def _go(scene: Scene) -> int:
    if scene.modelfile is None:
        return 0
    found = next(one.args for one in read_modelfile(scene.modelfile) if one.name == "template")
    return sum(
        execute(found, _asked(chat)) != execute(scene.folder.form.go_template(), _asked(chat))
        for chat in CHATS.values()
    )


def _asked(chat: Sequence[tuple[str, str]]) -> dict[str, object]:
    system = next((text.strip() for role, text in chat if role == "system"), "")
    return {
        "System": system,
        "Messages": [{"Role": role, "Content": text.strip()} for role, text in chat if role != "system"],
    }


@dataclass(frozen=True)
class _Engine:
    post: object

    def ids(self, text: str) -> list[int]:
        return self.post("tokenize", content=text, add_special=True, parse_special=True)["tokens"]

    def logs(self, ids: list[int]) -> dict[int, float]:
        # an end as the answer would come without candidates; a bias changes none of them
        asked = {
            "n_predict": 1,
            "temperature": 0,
            "n_probs": 4000,
            "cache_prompt": False,
            "logit_bias": [["a", 1000.0]],
        }
        found = self.post("completion", prompt=ids, **asked)
        return {one["id"]: one["logprob"] for one in found["completion_probabilities"][0]["top_logprobs"]}

    def ends(self, token: int) -> bool:
        found = self.post("completion", prompt="se", n_predict=2, temperature=0, logit_bias=[[token, 1000.0]])
        return found["stop_type"] == "eos"


@contextmanager
def _engine(path: Path) -> Iterator[_Engine]:
    import httpx
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx, params.n_parallel, params.warmup, params.cpuparams.n_threads = 1024, 1, False, 1
    server = xllamacpp.Server(params)
    with httpx.Client(trust_env=False, timeout=300) as client:
        yield _Engine(
            lambda what, **body: client.post(f"{server.listening_address}/{what}", json=body).raise_for_status().json()
        )
