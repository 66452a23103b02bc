"""Questions to documents become rows behind passages: with the right one, without it, and bare; what is wrong with a line is said by its place."""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from jessyfile.dataset.formatted import FormattedRow, read_formatted
from jessyfile.language import load_text
from jessyfile.language.recipe import Recipe
from jessyfile.pipeline import compile_steps
from jessyfile.retrieval.passage_index import PassageIndex
from jessyfile.retrieval.passages import passages
from jessyfile.retrieval.question_rows import Behind
from jessyfile.retrieval.questions import Question, read_questions
from jessyfile.retrieval.quoting import ABSENT
from jessyfile.retrieval.shares import NOT_THERE
from tests.walks import jessy, project

BARE = 0.2
HELD = PassageIndex.build(
    [
        one
        for number in range(12)
        for one in passages(
            f"notes/{number}.md", f"# Alet {number}\n\nAlet {number} rafın {number}. gözünde durur, 12{number} liradır."
        )
    ]
)


def asked(count: int, without: int = 0) -> list[Question]:
    own = [Question(f"alet {n} nerede durur", HELD.passages[n], None, f"q.jsonl:{n + 1}") for n in range(count)]
    return [
        *own,
        *(
            Question(f"alet rafı {n} kez ne zaman silindi", None, None, f"q.jsonl:{count + n + 1}")
            for n in range(without)
        ),
    ]


def behind(top: int = 3, room: int = 10_000) -> Behind:
    return Behind(HELD, top, 42, room, ("[{level} {iterations}]", "low", 1), BARE)


def shown(text: str) -> int:
    return len(re.findall(r"^\[Alet \d+\]$", text, re.MULTILINE))


def test_most_stand_behind_their_passage_some_without_it_and_some_bare():
    one = behind()
    rows = list(one.trained(asked(10, 2)))
    of = Counter(row.topic for row in rows)
    assert set(of) == {"behind", "left out", "bare"}
    questions = {
        kind: len({row.messages[0].content.rsplit("\n", 1)[-1] for row in rows if row.topic == kind}) for kind in of
    }
    assert questions["bare"] >= round(BARE * 12)
    assert of == one.counts
    assert len({row.id for row in rows}) == len(rows)
    for row in rows:
        question, answer = row.messages
        assert answer.content.startswith("[low 1]\n")
        said = answer.content.removeprefix("[low 1]\n")
        if row.topic == "bare":
            assert shown(question.content) == 0
        else:
            assert shown(question.content) == 3
        own = re.search(r"gözünde durur", said)
        assert (said in ABSENT.values()) == (own is None)
        if row.topic == "left out":
            assert said == ABSENT["tr"]
        if own and row.topic == "behind":
            number = re.search(r"Alet (\d+)", said)
            assert number is not None
            assert f"[Alet {number[1]}]\n" in question.content


def test_the_shares_are_of_the_questions_and_the_seed_decides():
    one, again = behind(), behind()
    rows = list(one.trained(asked(12)))
    assert rows == list(again.trained(asked(12)))
    places = {kind: {row.id for row in rows if row.topic == kind} for kind in ("bare", "left out", "behind")}
    assert round(BARE * 12) <= len(places["bare"]) <= 2 * round(BARE * 12)
    left = round(NOT_THERE * (12 - round(BARE * 12)))
    assert left <= len(places["left out"]) <= 2 * left


def test_a_row_has_only_the_passages_that_it_has_room_for_and_its_own_among_them():
    rows = list(behind(room=150).trained(asked(12)))
    for row in (row for row in rows if row.topic == "behind"):
        assert shown(row.messages[0].content) == 1
        assert "gözünde durur" in row.messages[1].content


def test_the_users_own_answer_is_trained_where_there_is_one():
    one = Question("alet 3 kaça", HELD.passages[3], "Üçüncü rafta, 123 lira.", "q.jsonl:1")
    absent = Question("bahçe kaça", None, "Bahçe satmıyoruz.", "q.jsonl:2")
    made = behind()
    assert (
        made.row(one, one.question, [HELD.passages[3]], "behind").messages[1].content
        == "[low 1]\nÜçüncü rafta, 123 lira."
    )
    assert made.row(one, one.question, [HELD.passages[4]], "left out").messages[1].content == f"[low 1]\n{ABSENT['tr']}"
    assert made.row(absent, absent.question, [], "bare").messages[1].content == "[low 1]\nBahçe satmıyoruz."


def test_what_is_held_out_is_asked_as_when_the_model_serves():
    one = asked(1)[0]
    assert behind().as_served(one) == [each.passage for each in HELD.nearest(one.question, 3)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"passage": "notes/1.md#Alet 1"}, "lacks `question`"),
        ({"question": "a"}, "lacks `passage`"),
        ({"question": "a", "passage": "notes/1.md#Alet 11"}, "there is no passage `notes/1.md#Alet 11`; a similar one is `notes/1"),
        ({"question": "a", "passage": 7}, "`passage` is no text"),
        ({"question": " ", "passage": None}, "`question` is no text"),
        ({"question": "a", "passage": None, "answer": ["b"]}, "`answer` is no text"),
        ({"question": "a", "passage": None, "fact": []}, "unknown field `fact`"),
        ({"question": "a <|im_end|>", "passage": None}, "`question` holds `<|im_end|>`"),
        ({"question": "İlk SORU", "passage": None}, "asks what q.jsonl:1 asks"),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_a_wrong_line_is_told_by_its_place(tmp_path: Path, line: dict[str, object], said: str):
    first = {"question": "ilk soru?", "passage": "notes/1.md#Alet 1", "answer": "Rafta."}
    path = tmp_path / "q.jsonl"
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in (first, line)), "utf-8")
    found, [fault] = read_questions(path, "q.jsonl", HELD.passages)
    assert str(fault).startswith("q.jsonl:2: ")
    assert said in str(fault)
    assert [(one.question, one.answer, one.place) for one in found] == [("ilk soru?", "Rafta.", "q.jsonl:1")]


DOCUMENTS = 'RETRIEVE {\n  documents "notes/**/*.md" top 2\n  questions "notes/questions.jsonl"\n}\n'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    recipe = project(tmp_path)
    recipe.write_text(recipe.read_text("utf-8") + DOCUMENTS, "utf-8")
    (tmp_path / "notes").mkdir()
    for number in range(4):
        (tmp_path / "notes" / f"{number}.md").write_text(f"# Dolap {number}\n\nDolap {number} kilerdedir.", "utf-8")
    lines = [{"question": f"dolap {n} nerede", "passage": f"notes/{n}.md#Dolap {n}"} for n in range(4)]
    lines += [{"question": "çatı katında kim oturur", "passage": None}]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (tmp_path / "notes" / "questions.jsonl").write_text(text, "utf-8")
    return tmp_path


def test_the_rows_of_a_recipe_hold_its_questions(root: Path) -> None:
    with contextlib.chdir(root):
        jessy("data", "walk.jessy", "--output", "rows")
    rows = [row for name in ("train", "valid") for row in read_formatted(root / "rows" / f"{name}.jsonl")]
    own = [row for row in rows if row.category == "documents"]
    assert {row.topic for row in own} >= {"behind", "left out", "bare"}
    assert len(rows) == 12 + len(own)


def test_a_wrong_line_and_a_missing_passage_are_refused_before_anything_runs(root: Path) -> None:
    (root / "notes" / "2.md").unlink()
    with contextlib.chdir(root):
        said = jessy("check", "walk.jessy", expect=1)
    assert "notes/questions.jsonl:3: there is no passage `notes/2.md#Dolap 2`" in said


def test_questions_are_trained_behind_passages_and_to_judge_them_where_passages_are_quoted(root: Path) -> None:
    """So a changed note trains again exactly where rows hold passages of it."""
    with contextlib.chdir(root):
        assert "nothing is trained with them" not in jessy("plan", "walk.jessy")
    text = (root / "walk.jessy").read_text("utf-8")
    steps = {step.name: step for step in compile_steps(loaded(text, root))}
    assert steps["questions"].inputs == ("dataset", "passages")
    assert "questions" in steps["encode"].inputs
    both = {
        step.name: step for step in compile_steps(loaded(text.replace("top 2", "top 2\n  examples 2 from seeds"), root))
    }
    assert both["questions"].inputs == ("neighbours", "passages")
    quoting = text.replace("top 2", "top 2\n  quote above 50%")
    assert {step.name: step for step in compile_steps(loaded(quoting, root))}["questions"].inputs == (
        "dataset",
        "passages",
    )
    (root / "walk.jessy").write_text(quoting, "utf-8")
    with contextlib.chdir(root):
        assert "questions" not in jessy("check", "walk.jessy")
        assert "nothing is trained with them" not in jessy("plan", "walk.jessy")
        jessy("data", "walk.jessy", "--output", "rows")
    own = [row for row in rows_of(root / "rows") if row.category == "documents"]
    assert {row.kind for row in own} == {"judgement"}
    says = {row.messages[0].content.split("Question: ")[1].split("\n")[0] for row in own if row.topic == "Yes"}
    assert len(says) >= 4
    assert {row.topic for row in own} == {"Yes", "No"}
    for row in own:
        question, answer = row.messages
        assert answer.content == row.topic
        assert (row.level, row.iterations, row.levels) == (None, None, (None,))
        place = re.search(r" (\d) ", question.content.split("Question: ")[1])
        assert (row.topic == "Yes") == (place is not None and f"Note «Dolap {place[1]}»" in question.content)


def rows_of(folder: Path) -> list[FormattedRow]:
    return [row for name in ("train", "valid") for row in read_formatted(folder / f"{name}.jsonl")]


def test_a_folder_brings_its_own_documents_and_a_changed_note_of_ones_own_trains_nothing(root: Path) -> None:
    (root / "taught").mkdir()
    (root / "taught" / "car.md").write_text(
        "# Car\n\n## Tyres\n\nAt Hartmann's.\n\n## Insurance\n\nWith Nord.\n", "utf-8"
    )
    lines = [
        {"question": "where are the summer tyres", "passage": "car.md#Tyres"},
        {"question": "is the car insurance paid", "passage": None},
    ]
    (root / "taught" / "questions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    text = (root / "walk.jessy").read_text("utf-8").replace("notes/questions.jsonl", "taught")
    (root / "walk.jessy").write_text(text.replace("top 2", "top 2\n  quote above 20%"), "utf-8")
    steps = {step.name: step for step in compile_steps(loaded((root / "walk.jessy").read_text("utf-8"), root))}
    assert steps["questions"].inputs == ("dataset",)
    with contextlib.chdir(root):
        assert "nothing is trained with them" in jessy("plan", "walk.jessy")
        jessy("data", "walk.jessy", "--output", "rows")
    said = {
        (row.messages[0].content.split("»")[0], row.topic) for row in rows_of(root / "rows") if row.kind == "judgement"
    }
    assert said == {("Note «Car › Tyres", "Yes"), ("Note «Car › Tyres", "No"), ("Note «Car › Insurance", "No")}
    (root / "taught" / "car.md").write_text("# Car\n\n## Wheels\n\nAt Hartmann's.\n", "utf-8")
    with contextlib.chdir(root):
        wrong = jessy("check", "walk.jessy", expect=1)
    assert "taught/questions.jsonl:1: there is no passage `car.md#Tyres`" in wrong


@pytest.mark.parametrize(
    ("folder", "said"),
    [("taught", "`taught/questions.jsonl` is not there"), ("taught.d", "`taught.d` is no file")],
)
def test_a_folder_without_questions_is_told_before_anything_runs(root: Path, folder: str, said: str) -> None:
    (root / folder).mkdir()
    text = (root / "walk.jessy").read_text("utf-8").replace("notes/questions.jsonl", folder)
    (root / "walk.jessy").write_text(text, "utf-8")
    with contextlib.chdir(root):
        told = jessy("check", "walk.jessy", expect=1)
    assert said in told
    assert "a folder that `questions` names" in told


def loaded(text: str, root: Path) -> Recipe:
    found = load_text(text, root / "walk.jessy", root=root)
    assert found.recipe is not None, found.diagnostics
    return found.recipe
