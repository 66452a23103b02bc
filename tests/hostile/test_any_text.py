"""Any text survives its whole way, or is refused at the first step with a clear fault: as a row from the seed file to the
tokens, as an answer from the engine to the verdict, the report, `--json` and the terminal."""

from __future__ import annotations

import hashlib
import html
import json
import re
import sys
import tempfile
import unicodedata
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [
    str(ROOT / folder) for folder in ("models", "evaluation", "report") if str(ROOT / folder) not in sys.path
]

from evaluation_fakes import USUAL, FakeEngine, by_id, make_case, make_recipe, served  # noqa: E402 (behind the path)
from report_fakes import make_result  # noqa: E402 (behind the path)
from tiny import tiny_model  # noqa: E402 (behind the path)

from jessyfile.commands.chat import chat  # noqa: E402 (behind the path)
from jessyfile.commands.json_events import emit  # noqa: E402 (behind the path)
from jessyfile.dataset.completions import KeptAnswers  # noqa: E402 (behind the path)
from jessyfile.dataset.formatted import formatted, read_formatted, write_formatted  # noqa: E402 (behind the path)
from jessyfile.dataset.rows import Row, read_rows, store_row, stored_row  # noqa: E402 (behind the path)
from jessyfile.engines import serving  # noqa: E402 (behind the path)
from jessyfile.engines.gather import Gathered  # noqa: E402 (behind the path)
from jessyfile.evaluation.answers import Asker, answer_all, read_answers, write_answers  # noqa: E402 (behind the path)
from jessyfile.evaluation.verdict import Took, judge, read_verdict, write_verdict  # noqa: E402 (behind the path)
from jessyfile.export.registry import Registration, register  # noqa: E402 (behind the path)
from jessyfile.models.chat_format import format_of  # noqa: E402 (behind the path)
from jessyfile.models.tokenizer import Tokenizer, load_tokenizer  # noqa: E402 (behind the path)
from jessyfile.parity.step import prompts  # noqa: E402 (behind the path)
from jessyfile.planning.runs import Run  # noqa: E402 (behind the path)
from jessyfile.report.page import render_page  # noqa: E402 (behind the path)
from jessyfile.results.served import Served  # noqa: E402 (behind the path)
from jessyfile.text.json_lines import read_result, write_jsonl  # noqa: E402 (behind the path)
from jessyfile.text.printable import json_text, printable, whole  # noqa: E402 (behind the path)
from jessyfile.training.encode import Encoder, MaskProof  # noqa: E402 (behind the path)

ODD = (
    "çay\u2028demle\u2029şimdi\x85olur", "a\rb", "a\r\nb\n\nc", "\x0b\x0c\x1c\x1d\x1e", "\x9b31mkırmızı\x9b0m", "\x1b]0;başlık\x07",
    "\u202egnp.exe\u202c \u2066x\u2069 \u061c\u200f", "aile 👨‍👩‍👧 bayrak 🏴󠁧󠁢󠁥󠁮󠁧󠁿", "e\u0301 i\u0307 I\u0307 \ufeff\u00ad", "می‌خواهم", "\x7f\x80\x9f", "\x00",
    "{{ 7*7 }} </script><b>", '"\\u2028" \\ud800', "\U0010ffff\ufffe\uffff\ue000",
)  # fmt: skip
TEXTS = st.one_of(st.sampled_from(ODD), st.text(max_size=60), st.lists(st.sampled_from(ODD), max_size=4).map("".join))
ANSWERS = st.one_of(TEXTS, st.text(st.characters(exclude_categories=()), max_size=20))
OBEYED = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def harmless(shown: str) -> bool:
    """Whether a terminal obeys nothing in it."""
    return OBEYED.search(shown) is None


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return load_tokenizer(tiny_model(tmp_path_factory.mktemp("model"), "qwen2"))


def seed(text: str) -> dict[str, object]:
    said = {"query": f"soru {text}", "response": f"cevap şöyle: {text}"}
    level = {"complexity": "low", "iterations": 1}
    turns = [{"role": "user", "content": f"önce {text}"}, {"role": "assistant", "content": f"peki {text}", **level}]
    return {**said, **level, "turns": turns, "category": "any", "topic": "text", "language": "tr", "source": "hand"}


@settings(max_examples=60)
@given(TEXTS, st.booleans())
@example(ODD[0], False)
def test_a_row_reaches_the_tokens_as_it_was_written(tokenizer: Tokenizer, text: str, escaped: bool) -> None:
    """A line separator pasted from a document cut the row in two between the dataset and the tokens, and `encode` failed for ever."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "text.jsonl").write_bytes((json.dumps(seed(text), ensure_ascii=escaped) + "\n").encode())
        (row,) = read_rows(folder / "text.jsonl", "text.jsonl")
        if not isinstance(row, Row):
            assert "\x00" in text
            assert str(row) == "text.jsonl:1: holds U+0000, which is no character of a text"
            return
        said = unicodedata.normalize("NFC", text)
        assert row.example.query == unicodedata.normalize("NFC", f"soru {text}")
        write_jsonl(folder / "rows.jsonl", [store_row(row)])
        again = [stored_row(value) for value in read_result(folder / "rows.jsonl")]
        assert again == [row]
        write_formatted(folder / "train.jsonl", (formatted(one, None) for one in again))
        write_formatted(folder / "valid.jsonl", [])
        stored = read_formatted(folder / "train.jsonl")
        assert [turn.content.strip() for turn in stored[0].messages] == [
            part.content.strip() for part in row.example.turns
        ] + [row.example.query.strip(), (row.example.response or "").strip()]
        form = format_of(tokenizer.pieces())
        (encoded,) = Encoder(tokenizer, form, None, 10_000).encode(stored, MaskProof())
        shown = tokenizer.decode(encoded.tokens)
        assert unicodedata.normalize("NFC", f"cevap şöyle: {text}").strip() in shown
        assert shown.count(said.strip()) >= 4
        asked, trained = prompts(folder, Served("m", form.name, None, (), {}, USUAL))
        assert asked == form.render(stored[0].messages[:-1])
        assert trained == form.render(stored[0].messages, add_generation_prompt=False)
        assert harmless((folder / "train.jsonl").read_text("utf-8").replace("\n", ""))


class Quiet:
    def update(self, done: float, total: float | None = None, *, text: str = "") -> None: ...

    def note(self, text: str) -> None: ...

    def requested(self) -> bool:
        return False


@settings(max_examples=40)
@given(ANSWERS)
@example(ODD[0])
def test_an_answer_reaches_the_verdict_the_report_and_the_terminal(text: str) -> None:
    """A line separator in one answer made the case vanish: `judge` then asked to apply again, and again it was missing."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recipe, case = make_recipe(folder), make_case()
        gathered = Gathered()
        for piece in (*text, "."):
            gathered.add(piece)
        said = gathered.reply(1, None, "stop").text
        assert said == whole(text + ".")
        asker = Asker(FakeEngine(lambda _: said), recipe.complexity, serving.settings_of({}, 9))
        (answer,) = answer_all(asker, [case], folder / "kept.jsonl", Quiet(), Quiet())
        assert answer.text == said.strip() or answer.level is not None
        assert answer_all(asker, [case], folder / "kept.jsonl", Quiet(), Quiet()) == [answer]
        assert len(asker.engine.asked) == 1
        write_answers(folder / "answers.jsonl", [answer])
        assert read_answers(folder / "answers.jsonl") == [answer]
        verdict = judge(recipe, [case], by_id(*read_answers(folder / "answers.jsonl")), {}, Took())
        write_verdict(folder, verdict)
        assert read_verdict(folder).cases[0].after.answer.text == answer.text
        (folder / "report").mkdir()
        page = render_page(*make_result(folder / "report", answer.text))
        assert harmless(page.replace("\n", ""))
        assert printable(answer.text).strip() in html.unescape(page)


@settings(max_examples=60)
@given(ANSWERS)
def test_json_that_is_printed_or_logged_says_the_text_and_holds_nothing_that_a_terminal_obeys(text: str) -> None:
    value = {"text": text, text: [text]}
    for indent in (None, 1):
        shown = json_text(value, indent)
        assert json.loads(shown) == json.loads(json.dumps(value))
        assert harmless(shown.replace("\n", ""))
        assert indent or "\n" not in shown
    assert harmless(printable(text))
    with tempfile.TemporaryDirectory() as name:
        run = Run(1, Path(name))
        run.event("failed", message=text)
        run.event("ended")
        assert [event.event for event in run.events()] == ["failed", "ended"]
        assert next(iter(run.events())).message == json.loads(json.dumps(text))
        assert harmless((run.folder / "events.jsonl").read_text("utf-8").replace("\n", ""))
        assert harmless((run.folder / "log.txt").read_text("utf-8").replace("\n", ""))


@settings(max_examples=60)
@given(ANSWERS)
@example("\x00" * 400_000)
def test_an_answer_of_a_teacher_is_kept_and_found_again(text: str) -> None:
    """An answer whose JSON is longer than a line of a seed file may be was asked for, and paid for, in every run."""
    with tempfile.TemporaryDirectory() as name:
        kept = KeptAnswers(Path(name))
        kept.keep({"n": 1}, text)
        assert kept.get({"n": 1}) == text
        assert kept.get({"n": 2}) is None


@pytest.mark.parametrize("text", ODD)
def test_what_chat_and_events_print_holds_nothing_that_a_terminal_obeys(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".jessy").mkdir()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    entry = Registration("embedded", hashlib.sha256(b"GGUF").hexdigest(), served(), gguf="m.gguf")
    register(tmp_path, "tiny", "latest", entry)
    monkeypatch.setattr(serving, "engine_of", lambda entry, stop=None: FakeEngine(lambda prompt: f"[low 1]\nx{text}y"))
    for flags in ((), ("--json",)):
        shown = CliRunner().invoke(chat, ["tiny", "selam", *flags], catch_exceptions=False).output
        assert harmless(shown)
    assert json.loads(shown)["text"] == f"x{text}y"
    emit("note", text=text)
    line = capsys.readouterr().out
    assert harmless(line)
    assert line.count("\n") == 1
    assert json.loads(line)["text"] == text


def test_lines_of_an_apply_as_json_are_read_by_whoever_splits_at_any_line_end() -> None:
    """Readers in other languages break at U+2028 too: no such character stands raw in a line."""
    for text in ODD:
        assert len(json_text({"text": text}).splitlines()) == 1
