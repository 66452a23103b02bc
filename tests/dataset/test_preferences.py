"""What PREFER learns from: every line is held to what rows are held to, and all lines to one another and the suites."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from jessyfile.cli import main
from jessyfile.dataset.preference_steps import preferences_preflight, run_preferences
from jessyfile.dataset.preferences import JudgedAnswer, Preference, answered, read_compared, read_file
from jessyfile.errors import DatasetError
from jessyfile.evaluation.cases import load_suites
from jessyfile.evaluation.reference_pairs import reference_pairs
from jessyfile.language import load_text
from jessyfile.language.build import default_complexity
from jessyfile.language.recipe import Suite
from jessyfile.pipeline import compile_steps
from jessyfile.planning.fingerprint import FileHashes, own_part
from jessyfile.planning.preflight import Outlook
from jessyfile.planning.sample import sample_settings
from jessyfile.planning.steps import StepContext
from jessyfile.text.json_lines import Fault

RECIPE = """JESSY 1
NAME small
FROM gemma3:270m
SYSTEM "Sen JESSY'sin."
DATASET {
  CATEGORY turkish 25 "Turkish" {
    TOPIC slang 25
  }
}
EVAL {
  SUITE own "data/eval/own.jsonl"
  MUST no_loops > 10%
}
"""
THINGS = ("masa", "kalem", "perde", "defter", "bardak", "kapı", "halı", "ayna", "lamba", "sandık", "anahtar", "tarak")
CASE = {
    "id": "own-1",
    "suite": "own",
    "prompt": "bu akşam köprüden hangi vapur geçer",
    "level": "low",
    "language": "tr",
}


def asked(*texts):
    return [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(texts)]


def pair(question="selam", chosen="Selam, hoş geldin.", rejected="Buyurun efendim.", **more):
    return {"messages": asked(question), "chosen": chosen, "rejected": rejected} | more


def answer(question="selam", completion="Selam, hoş geldin.", label=True, **more):
    return {"messages": asked(question), "completion": completion, "label": label} | more


PAIRS = [pair(f"{w} nerede duruyor", f"{w.title()} şurada.", f"{w.title()} yok.") for w in THINGS]
JUDGED = [answer(f"{w} nerede duruyor", f"{w.title()} şurada.", n % 2 == 0) for n, w in enumerate(THINGS)]


class Quiet:
    def update(self, done, total=None, *, text=""):
        pass

    def note(self, text):
        pass

    def requested(self):
        return False


@pytest.fixture
def prefers(project):
    """A project whose recipe has a PREFER; returns what its step writes, or what is known before it."""
    count = iter(range(100))
    project("data/eval/own.jsonl", CASE)

    class Project:
        root = project.root

        def recipe(self, *lines, prefer='PREFER dpo "pairs.jsonl"'):
            project("pairs.jsonl", *lines)
            loaded = load_text(RECIPE + prefer + "\n", project.root / "small.jessy", root=project.root)
            assert loaded.recipe is not None, loaded.diagnostics
            return loaded.recipe

        def run(self, *lines, prefer='PREFER dpo "pairs.jsonl"'):
            recipe = self.recipe(*lines, prefer=prefer)
            output = project.root / f"out{next(count)}"
            output.mkdir()
            context = StepContext(recipe, project.root, output, output, {}, {}, Quiet(), Quiet(), "preferences")
            facts = run_preferences(context, reference_pairs(recipe, project.root))
            sides = (read_compared(output / f"{side}.jsonl", recipe.prefer.method) for side in ("train", "valid"))
            return facts, *sides

        def findings(self, *lines, prefer='PREFER dpo "pairs.jsonl"'):
            recipe = self.recipe(*lines, prefer=prefer)
            outlook = Outlook(recipe, project.root, ("preferences",), reach="recipe", step="preferences")
            return list(preferences_preflight(outlook, reference_pairs(recipe, project.root)))

    return Project()


def read(tmp_path, *lines):
    path = tmp_path / "one.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return list(read_file(path, "one.jsonl", default_complexity()))


TOOL = [*asked("hava nasıl"), {"role": "tool", "content": "12 derece"}, *asked("ne dedin")]
CALL = [*asked("hava nasıl"), {"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]}, *asked("e")]
BROKEN = {
    "same": (pair(rejected="Selam, hoş geldin."), "say the same"),
    "same but for white space": (pair(rejected=" Selam,  hoş\ngeldin. "), "say the same"),
    "same but composed": (pair(chosen="gu\u0308zel bir soru", rejected="güzel bir soru"), "say the same"),
    "same but for what nobody sees": (pair(rejected="Selam,\u200b hoş geldin.\u2060"), "say the same"),
    "same but for its look": (pair(chosen="ﬁne ①", rejected="fine 1"), "say the same"),
    "same but for a sign's variant": (pair(chosen="Peki \u2764", rejected="Peki \u2764\ufe0f"), "say the same"),
    "same but for tags and fillers": (pair(chosen="Peki", rejected="Pe\u034fki\U000e0041\u3164"), "say the same"),
    "answer an empty list": (pair(chosen=[]), "`chosen` is not string"),
    "completion an empty list": (answer(completion=[]), "`completion` is not string"),
    "no rejected": ({"messages": asked("selam"), "chosen": "Selam."}, "lacks `rejected`"),
    "no chosen": ({"messages": asked("selam"), "rejected": "Selam."}, "lacks `chosen`"),
    "no messages": ({"chosen": "a", "rejected": "b"}, "lacks `messages`"),
    "messages empty": (pair() | {"messages": []}, "`messages` is empty"),
    "messages null": (pair() | {"messages": None}, "not text alone"),
    "message no object": (pair() | {"messages": ["selam"]}, "a turn that is no object"),
    "empty answer": (pair(rejected=""), "`rejected` has 0 characters"),
    "blank answer": (pair(rejected=" \n"), "`rejected` is empty"),
    "unseen answer": (pair(rejected="\u200b"), "`rejected` is empty"),
    "blank turn": (pair(question="  "), "an empty turn"),
    "answer a number": (pair(rejected=3), "`rejected` is not string"),
    "answer null": (pair(rejected=None), "`rejected` is not string"),
    "tool's turn": (pair() | {"messages": TOOL}, "a turn of `tool`"),
    "tool's call": (pair() | {"messages": CALL}, "the call of a tool"),
    "ends with an answer": (pair() | {"messages": asked("selam", "Selam.")}, "do not end with the user's"),
    "two questions": (pair() | {"messages": [*asked("a"), *asked("b")]}, "do not alternate"),
    "system in the middle": (
        pair() | {"messages": [*asked("a", "b"), {"role": "system", "content": "x"}, *asked("c")]}, "alternate"),
    "system alone": (pair() | {"messages": [{"role": "system", "content": "x"}]}, "do not end with the user's"),
    "picture": (pair() | {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "not text alone"),
    "unknown field": (pair(choosen="x"), "unknown field `choosen`"),
    "level alone": (pair(level="low"), "`level` and `iterations` without the other"),
    "level unknown": (pair(level="hard", iterations=2), "the level is `hard`, not one of low, medium, high"),
    "level out of band": (pair(level="low", iterations=7), "level low takes 1-2 iterations, not 7"),
    "iterations true": (pair(level="low", iterations=True), "`iterations` is not integer"),
    "10,000 characters": (pair(chosen="Uzun bir söz. " * 715), "`chosen`: a high answer of 10009 characters, more than 3000"),
    "10,000 rejected": (pair(rejected="x" * 9 + "y z" * 3333), "`rejected`: a high answer of 10008 characters"),
    "long for its level": (pair(rejected="kelime " * 80, level="low", iterations=1), "a low answer of 559 characters"),
    "long question": (pair(question="soru " * 900), "a question of 4499 characters"),
    "control token": (pair(rejected="<|im_end|>Selam."), "`rejected`: the text holds `<|im_end|>`"),
    "control token asked": (pair(question="<start_of_turn>model"), "the text holds `<start_of_turn>`"),
    "marker inside": (pair(chosen="[high 9]\nSelam."), "`chosen`: the text holds `[high 9]`"),
    "personal": (pair(rejected="Şuraya yaz: veli@firma.com.tr olsun."), "an e-mail address"),
    "chosen loops": (pair(chosen="bir iki üç bir iki üç bir iki üç bir iki üç"), "comes"),
    "label a number": (answer(label=1), "`label` is not boolean"),
    "label a word": (answer(label="true"), "`label` is not boolean"),
    "label missing": ({"messages": asked("a"), "completion": "b"}, "lacks `label`"),
    "both kinds": (pair(completion="x", label=True), "unknown field"),
    "a row": ({"query": "naber", "response": "İyiyim, sen?"}, "lacks `messages`, `chosen`, `rejected`"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_preference_is_a_fault_with_its_line(tmp_path, name):
    line, expected = BROKEN[name]
    good, *faults = read(tmp_path, pair("naber"), line)
    assert good.row.place == "one.jsonl:1"
    assert faults
    assert all(isinstance(fault, Fault) and fault.line == 2 for fault in faults)
    assert any(expected in fault.message for fault in faults), faults


def test_a_rejected_answer_may_loop_as_that_is_a_reason_to_reject_it(tmp_path):
    loop = "bir iki üç bir iki üç bir iki üç bir iki üç"
    pairs = read(tmp_path, pair(rejected=loop), answer(completion=loop, label=False))
    assert not any(isinstance(one, Fault) for one in pairs)
    assert isinstance(read(tmp_path, answer(completion=loop))[0], Fault)


TOLD = {"role": "user", "content": "naber"}
ENDED = [TOLD, {"role": "assistant", "content": "İyiyim."}]
FORMS = {
    "TRL, prompt and texts": {"prompt": "naber", "chosen": "İyiyim.", "rejected": "Bilmem.", "score_chosen": 7},
    "TRL, conversations": {"prompt": [TOLD], "chosen": ENDED[1:], "rejected": [{"role": "assistant", "content": "Bilmem."}]},
    "the prompt within both": {"chosen": ENDED, "rejected": [TOLD, {"role": "assistant", "content": "Bilmem."}]},
    "the prompt thrice": {"prompt": "naber", "chosen": ENDED, "rejected": [TOLD, {"role": "assistant", "content": "Bilmem."}]},
    "ShareGPT": {"conversations": [{"from": "human", "value": "naber"}],
                 "chosen": {"from": "gpt", "value": "İyiyim."}, "rejected": {"from": "gpt", "value": "Bilmem."}},
    "content in parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": "na"}, {"type": "text", "text": "ber"}]}],
                         "chosen": "İyiyim.", "rejected": "Bilmem."},
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_pair_in_another_tools_form_is_the_same_pair(tmp_path, form):
    assert read(tmp_path, FORMS[form]) == read(tmp_path, pair("naber", "İyiyim.", "Bilmem."))


def test_judged_answers_come_apart_from_the_conversation_or_at_its_end(tmp_path):
    own = read(tmp_path, answer("naber", "İyiyim."))
    assert own == read(tmp_path, {"messages": ENDED, "label": True})
    assert own == read(tmp_path, {"prompt": "naber", "completion": "İyiyim.", "label": True})
    assert own == read(tmp_path, {"prompt": [TOLD], "completion": ENDED[1:], "label": True})


def test_answers_to_two_conversations_are_no_pair(tmp_path):
    other = [{"role": "user", "content": "hava nasıl"}, {"role": "assistant", "content": "Serin."}]
    (fault,) = read(tmp_path, {"chosen": ENDED, "rejected": other})
    assert "two conversations" in fault.message
    (fault,) = read(tmp_path, {"prompt": "saat kaç", "chosen": ENDED, "rejected": ENDED})
    assert "another question" in fault.message
    (fault,) = read(tmp_path, {"prompt": "naber", "chosen": [TOLD], "rejected": ENDED})
    assert "ends with a turn of `user`" in fault.message


HOSTILE = {
    "byte order mark": b"\xef\xbb\xbf" + json.dumps(pair()).encode() + b"\n",
    "one array": json.dumps([pair(), pair("naber")]).encode(),
    "NUL": json.dumps(pair(rejected="a\0b")).encode(),
    "half a pair": json.dumps(pair(rejected="a\ud800b")).encode(),
    "key twice": json.dumps(pair()).replace('"rejected"', '"chosen": "x", "rejected"').encode(),
    "NaN": json.dumps(pair(level=float("nan"))).encode(),
    "deep": (b'{"messages": ' + b"[" * 40 + b"]" * 40 + b"}"),
    "huge line": json.dumps(pair(rejected="x" * 2_000_000)).encode(),
    "not UTF-8": b'{"messages": "\xff"}',
    "no JSON": b"selam\n",
    "no object": b"[1]\n",
    "UTF-16": json.dumps(pair()).encode("utf-16"),
    "gzip": b"\x1f\x8b\x08\0\0",
    "empty": b"",
    "blank": b"\n\n  \n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_one_sentence_before_any_work(prefers, name):
    recipe = prefers.recipe()
    (prefers.root / "pairs.jsonl").write_bytes(HOSTILE[name])
    outlook = Outlook(recipe, prefers.root, ("preferences",), reach="recipe", step="preferences")
    (finding,) = preferences_preflight(outlook, [])
    assert (finding.severity, finding.code) == ("error", "E500")
    assert "pairs.jsonl" in finding.message
    assert finding.where.endswith("small.jessy:14")


def test_line_ends_of_windows_and_what_looks_like_one_belong_to_the_text(prefers):
    lines = [pair("naber", "İyi\u2028yim.", "Kötü\u0085yüm."), pair("selam")]
    recipe = prefers.recipe()
    told = "\r\n".join(json.dumps(line, ensure_ascii=False) for line in lines) + "\r\n"
    (prefers.root / "pairs.jsonl").write_bytes(told.encode())
    outlook = Outlook(recipe, prefers.root, ("preferences",), reach="recipe", step="preferences")
    assert not [one for one in preferences_preflight(outlook, []) if one.severity == "error"]


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_said(prefers, make):
    """A plan hashed a pipe, and waited for somebody to write into it."""
    recipe = prefers.recipe(*PAIRS)
    (prefers.root / "pairs.jsonl").unlink()
    make(prefers.root / "pairs.jsonl")
    step = next(step for step in compile_steps(recipe) if step.name == "preferences")
    known = own_part(step, recipe, prefers.root, FileHashes(prefers.root)).files
    assert known.get("pairs.jsonl") in (None, "absent")
    outlook = Outlook(recipe, prefers.root, ("preferences",), reach="recipe", step="preferences")
    (finding,) = preferences_preflight(outlook, [])
    assert "`pairs.jsonl`, which is no file" in finding.message


def test_so_many_are_taken_as_the_limit_says_and_a_sample_takes_no_more_than_rows(prefers):
    """A small first run trained on all preferences."""
    facts, train, valid = prefers.run(*PAIRS, prefer='PREFER dpo "pairs.jsonl" { limit 8  validation 25% }')
    assert (facts.train, facts.valid) == (6, 2)
    again = prefers.run(*PAIRS, prefer='PREFER dpo "pairs.jsonl" { limit 8  validation 25% }')
    assert ([*train], [*valid]) == ([*again[1]], [*again[2]])
    judged = prefers.run(*PAIRS, prefer='PREFER kto "pairs.jsonl" { limit 8 }')[0]
    assert (judged.good, judged.bad) == (8, 8)
    recipe = prefers.recipe(*PAIRS)
    assert [sample_settings(recipe, rows)["prefer.limit"] for rows in (1, 5, 500)] == ["2", "5", "500"]
    assert "prefer.limit" not in sample_settings(replace(recipe, prefer=None), 5)


@pytest.mark.parametrize("seed", range(5))
def test_a_limit_loses_no_kind_of_judgement(prefers, seed):
    """Two bad answers in twenty: a sample without them ended as a file in which nothing is bad."""
    rows = [
        {
            "messages": [{"role": "user", "content": f"{word} nerede {n}"}],
            "completion": f"{word} burada, gel {n}.",
            "label": n > 1,
        }
        for n, word in enumerate([*"abcdefghij"] * 2)
    ]
    facts = prefers.run(*rows, prefer=f'PREFER kto "pairs.jsonl" {{ limit 10  seed {seed}  validation 20% }}')[0]
    assert facts.good + facts.bad == 10
    assert facts.bad


def test_other_numbers_of_iterations_prefer_anew(prefers):
    """The marker of a row without a level is made of them."""
    (prefer,) = [step for step in compile_steps(prefers.recipe(*PAIRS)) if step.name == "prefer"]
    assert "complexity.level.*.iterations" in prefer.reads


def test_other_pairs_train_nothing_anew_but_what_learns_from_them(prefers):
    behind = {"preferences"}
    for step in compile_steps(prefers.recipe(*PAIRS)):
        if behind & set(step.inputs):
            behind.add(step.name)
    assert behind.isdisjoint({"base", "dataset", "encode", "train", "baseline"})
    assert {"prefer", "merge", "gguf", "parity", "evaluate", "promote"} <= behind


def test_a_plan_says_that_pairs_are_learned_without_the_rows_of_retrieve(prefers):
    assert not any("RETRIEVE" in one.message for one in prefers.findings(*PAIRS))
    found = prefers.findings(*PAIRS, prefer='RETRIEVE { examples 3 from seeds }\nPREFER dpo "pairs.jsonl"')
    assert any("without the 3 rows that RETRIEVE puts before a question" in one.message for one in found)


def test_lint_does_not_wait_for_a_pipe(tmp_path, capsys):
    os.mkfifo(tmp_path / "rows.jsonl")
    for place in (tmp_path / "rows.jsonl", tmp_path):
        assert main(["data", "lint", str(place)]) == 1
        assert "it is a pipe or a device, not a file" in capsys.readouterr().err


def test_the_step_writes_each_pair_once_on_one_side(prefers):
    twice = [*PAIRS, PAIRS[0], pair("masa nerede duruyor", "Masa şurada.", "Ne masası?")]
    facts, train, valid = prefers.run(*twice, prefer='PREFER dpo "pairs.jsonl" { validation 25% }')
    assert (facts.train, facts.valid, facts.duplicates) == (len(train), len(valid), 1) == (10, 3, 1)
    assert {one.place for one in (*train, *valid)} == {f"pairs.jsonl:{n}" for n in (*range(1, 13), 14)}
    sides = [{one.messages for one in side} for side in (train, valid)]
    assert not sides[0] & sides[1], "a conversation stands on both sides"
    assert prefers.run(*twice, prefer='PREFER dpo "pairs.jsonl" { validation 25% }')[1:] == (train, valid)
    other = prefers.run(*twice, prefer='PREFER dpo "pairs.jsonl" { validation 25%\n seed 3 }'.replace("\n", " "))
    assert other[2] != valid


def test_texts_are_composed_and_trimmed(prefers):
    _, (one,), _ = prefers.run(pair(" nasi\u0307l ", "Gu\u0308zel. ", "Ko\u0308tü."))
    assert (one.messages[0].content, one.chosen, one.rejected) == ("nasi̇l", "Güzel.", "Kötü.")


def test_kto_takes_judged_answers_and_both_answers_of_pairs(prefers):
    facts, train, valid = prefers.run(*JUDGED, PAIRS[0], prefer='PREFER kto "pairs.jsonl"')
    told = [*train, *valid]
    assert all(isinstance(one, JudgedAnswer) for one in told)
    # the pair's good answer was judged good before: it is taken once, and no line is a copy
    assert (facts.good, facts.bad, facts.duplicates) == (6, 7, 0)
    assert [one.label for one in told if one.completion == "Masa yok."] == [False]


def test_dpo_refuses_judged_answers_and_names_kto(prefers):
    with pytest.raises(DatasetError, match=r"pairs\.jsonl:2: is one judged answer.*`PREFER kto`"):
        prefers.run(PAIRS[0], JUDGED[1])


def test_preferences_that_contradict_each_other_name_both_lines(prefers):
    turned = pair("masa nerede duruyor", "Masa yok.", "Masa  şurada.")
    with pytest.raises(DatasetError, match=r"pairs\.jsonl:13: says the opposite of pairs\.jsonl:1"):
        prefers.run(*PAIRS, turned)
    with pytest.raises(DatasetError, match=r"pairs\.jsonl:2: says the opposite of pairs\.jsonl:1"):
        prefers.run(JUDGED[0], JUDGED[0] | {"label": False}, prefer='PREFER kto "pairs.jsonl"')
    # a better answer than the better one is no contradiction to dpo; to kto the middle one is good and bad
    better = pair("masa nerede duruyor", "Masa tam şurada.", "Masa şurada.")
    assert prefers.run(PAIRS[0], better)[0].train == 2
    with pytest.raises(DatasetError, match="says the opposite"):
        prefers.run(PAIRS[0], better, prefer='PREFER kto "pairs.jsonl"')


@pytest.mark.parametrize("label", [True, False])
def test_answers_that_are_all_judged_alike_teach_nothing(prefers, label):
    alike = [one | {"label": label} for one in JUDGED]
    (finding,) = prefers.findings(*alike, prefer='PREFER kto "pairs.jsonl"')
    assert f"all 12 answers are judged {'good' if label else 'bad'}" in finding.message


LEAKS = {
    "asked": pair("bu aksam kopruden hangi vapur gecer"),
    "chosen": pair("peki ya sonra", "Bu akşam köprüden hangi vapur geçer, bak onu bilmiyorum işte."),
    "rejected": pair("peki ya sonra", "Bilmem.", "Bu akşam köprüden hangi vapur geçer, bak onu bilmiyorum işte."),
    "a final reference": pair("nereden bileyim", "Saat dokuzda kalkan vapur köprünün altından ağır ağır geçer."),
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_pair_that_gives_a_case_away_stops_with_both_places(project, prefers, name):
    """Seen before any work: a preference is no other row to a score that would measure memory."""
    project("data/eval/own.jsonl", CASE | {"prompt": "bu akşam köprüden hangi vapur geçer, bak onu bilmiyorum"}
            if name in ("chosen", "rejected") else CASE)  # fmt: skip
    good = ["Saat dokuzda kalkan vapur köprünün altından ağır ağır geçer bence.", "Bilmem.", "Bakayım."]
    project("data/eval/references/own.jsonl", {"case": "own-1", "split": "final", "good": good, "bad": {"off": ["a"]}})
    (finding,) = prefers.findings(*PAIRS, LEAKS[name])
    assert "would leak into the evaluation" in finding.message
    assert "pairs.jsonl:13 " in finding.message
    assert "data/eval/own.jsonl:1" in finding.message
    with pytest.raises(DatasetError, match=r"pairs\.jsonl:13 .* data/eval/own\.jsonl:1"):
        prefers.run(*PAIRS, LEAKS[name])


def test_a_question_that_is_nearly_a_case_stops_the_step(prefers):
    with pytest.raises(DatasetError, match=r"asks nearly the same as data/eval/own\.jsonl:1"):
        prefers.run(*PAIRS, pair("bu akşam köprüden hangi vapur geçerr"))


WARNED = {
    "long": (
        [pair(f"{w} nerede", f"{w} şurada, kapının hemen yanında.", f"{w} yok.") for w in THINGS], "",
        "the good answers are 3.6 times as long as the bad ones"),
    "short": (
        [pair(f"{w} nerede", f"{w} yok.", f"{w} şurada, kapının hemen yanında.") for w in THINGS], "",
        "the bad answers are 3.6 times as long as the good ones"),
    "twice": ([*PAIRS, PAIRS[3]], "", "1 preference told before and left out; the first is pairs.jsonl:13"),
    "no validation": (PAIRS[:4], "{ batch_size 2 }", "validation 10% of 4 pairs holds none out"),
    "batch": (PAIRS, "{ batch_size 64 }", "batch_size 64 of PREFER is more than the 11 pairs"),
    "warm-up": (PAIRS, "{ warmup_steps 30 }", "warmup_steps 30 of PREFER is more than its 2 updates"),
    "system": (
        [*PAIRS, pair("naber", "İyi.", "Kötü.") | {"messages": [{"role": "system", "content": "Sen Veli'sin."}, *asked("naber")]}],
        "", "1 conversation with another system prompt; the first is pairs.jsonl:13"),
}  # fmt: skip


@pytest.mark.parametrize("name", WARNED)
def test_what_makes_preferences_poor_is_a_warning(prefers, name):
    lines, block, expected = WARNED[name]
    found = prefers.findings(*lines, prefer=f'PREFER dpo "pairs.jsonl" {block}')
    assert [one.severity for one in found] == ["warning"], found
    assert expected in found[0].message


def test_a_system_prompt_that_is_the_recipes_is_no_matter(prefers):
    own = pair("naber", "İyi.", "Kötü.") | {
        "messages": [{"role": "system", "content": "Sen JESSY'sin. "}, *asked("naber")]
    }
    assert prefers.findings(*PAIRS, own) == []


def test_kto_says_which_weight_would_even_good_and_bad_answers(prefers):
    few = [*JUDGED[:10:2], *JUDGED[1:3:2]]
    weighed = next(
        one for one in prefers.findings(*few, prefer='PREFER kto "pairs.jsonl" { validation 20% batch_size 2 }')
    )
    assert "5 good answers and 1 bad ones weigh 5 to 1" in weighed.message
    assert "`undesirable_weight 5`" in weighed.help
    evened = 'PREFER kto "pairs.jsonl" { validation 20% batch_size 2 undesirable_weight 5 }'
    assert prefers.findings(*few, prefer=evened) == []


REFERENCES = {
    "case": "own-1",
    "split": "development",
    "good": ["Dokuz vapuru.", "Akşam dokuzda büyük vapur geçer.", "Bakıp söyleyeyim."],
    "bad": {"off": ["Makarna."], "voice": ["Sayın yolcumuz, dokuzda geçmektedir.", "Bilgi talebiniz alındı."]},
}


def test_references_of_the_development_split_are_pairs_and_their_cases_are_not_asked(project, prefers):
    final = CASE | {"id": "own-2", "prompt": "yarın hava nasıl olur acaba"}
    project("data/eval/own.jsonl", CASE, final)
    project("data/eval/references/own.jsonl", REFERENCES, REFERENCES | {"case": "own-2", "split": "final"})
    named = "PREFER dpo { references development }"
    facts, train, _ = prefers.run(prefer=named)
    assert facts.sources == {"references": 3}
    assert {one.rejected for one in train} == {answer for kind in REFERENCES["bad"].values() for answer in kind}
    assert len({one.chosen for one in train}) == 3
    assert {one.place for one in train} == {"data/eval/references/own.jsonl:1"}
    assert {(one.level, one.iterations) for one in train} == {("low", 1)}
    recipe = prefers.recipe(prefer=named)
    assert [case.id for case in load_suites(recipe, prefers.root)] == ["own-2"]
    steps = {step.name: step for step in compile_steps(recipe)}
    for name in ("preferences", "baseline", "evaluate", "judge"):
        assert "prefer.references" in steps[name].reads
        assert prefers.root / "data/eval/references/own.jsonl" in steps[name].files(recipe, prefers.root)
    assert "eval.suite.*.file" in steps["preferences"].reads, "another suite has other references"
    plain = prefers.recipe(*PAIRS)
    assert [case.id for case in load_suites(plain, prefers.root)] == ["own-1", "own-2"]
    before = {step.name: step.reads for step in compile_steps(load_text(RECIPE, recipe.path, root=prefers.root).recipe)}
    assert {step.name: step.reads for step in compile_steps(plain) if step.name in before} == before


def test_a_claim_is_held_against_the_cases_that_are_left(tmp_path):
    """A criterion was said to be provable by cases that PREFER had taken out of the suite."""
    claim = RECIPE.replace('own "data/eval/own.jsonl"', "turkish").replace(
        "no_loops > 10%", "turkish_accuracy > 93% at 95%"
    )
    codes = [
        [one.code for one in load_text(text, tmp_path / "x.jessy", root=tmp_path).diagnostics]
        for text in (claim, claim + "PREFER dpo { references development }\n")
    ]
    assert [found.count("J202") for found in codes] == [0, 1]


def test_the_shipped_references_can_be_learned_as_they_are(prefers):
    """A case of 5,000 characters is in a suite on purpose, and is no question to learn from."""
    for method in ("dpo", "kto"):
        recipe = prefers.recipe(prefer=f"PREFER {method} {{ references development }}")
        recipe = replace(
            recipe, evaluation=replace(recipe.evaluation, suites=(Suite("edge", "data/eval/edge.jsonl", None),))
        )
        pairs = reference_pairs(recipe, prefers.root)
        assert len(pairs) > 40
        assert max(len(turn.content) for pair in pairs for turn in pair.messages) < 4000
        outlook = Outlook(recipe, prefers.root, ("preferences",), reach="recipe", step="preferences")
        assert not [one for one in preferences_preflight(outlook, pairs) if "weigh" not in one.message]


def test_references_of_no_suite_are_an_error(prefers):
    (finding,) = prefers.findings(prefer="PREFER dpo { references development }")
    assert "no case that is answered has reference answers in the split `development`" in finding.message


def test_an_answer_stands_behind_its_marker_where_the_row_says_its_level(tmp_path):
    earlier = [TOLD, {"role": "assistant", "content": "İyiyim.", "level": "low", "iterations": 1}, *asked("sonra")]
    told, plain = read(tmp_path, pair() | {"messages": earlier, "level": "medium", "iterations": 4}, pair())
    row = answered(told.row, told.row.chosen, "[{level} {iterations}]")
    assert [one.content for one in row.messages] == [
        "naber",
        "[low 1]\nİyiyim.",
        "sonra",
        "[medium 4]\nSelam, hoş geldin.",
    ]
    assert row.levels == (("low", 1), ("medium", 4))
    bare = answered(plain.row, plain.row.rejected, "[{level} {iterations}]")
    assert [one.content for one in bare.messages] == ["selam", "Buyurun efendim."]
    assert (bare.levels, bare.level) == ((None,), None)


def test_lint_knows_preferences_by_their_keys(project, capsys):
    path = project(
        "feedback/pairs.jsonl", *PAIRS[:3], PAIRS[0], pair("masa nerede duruyor", "Masa yok.", "Masa şurada."), {}
    )
    project("feedback/judged.jsonl", *JUDGED)
    (project.root / ".git").mkdir()
    project("data/eval/own.jsonl", CASE | {"prompt": "kalem nerede duruyor"})
    assert main(["data", "lint", str(path)]) == 1
    out = capsys.readouterr().out.splitlines()
    assert out == [
        f"{path}:2: asks the same as {project.root}/data/eval/own.jsonl:1",
        f"{path}:4: says what {path}:1 says",
        f"{path}:5: says the opposite of {path}:1 on the same answers",
        f"{path}:6: lacks `messages`, `chosen`, `rejected`",
    ]
    project("data/eval/own.jsonl", CASE)
    project("feedback/pairs.jsonl", *PAIRS)
    assert main(["data", "lint", str(project.root / "feedback")]) == 0
    assert "24 rows, no faults" in capsys.readouterr().out


def test_show_and_stats_read_preferences(project, capsys):
    path = project(
        "pairs.jsonl", pair("naber", "İyiyim.", "Bilmem.", level="low", iterations=1), pair("selam", source="chat")
    )
    assert main(["data", "show", str(path), "--level", "low"]) == 0
    assert (
        capsys.readouterr().out
        == f"{path}:1  low 1  hand\n  you: naber\n  good: İyiyim.\n  bad: Bilmem.\n\n1 of 1 rows\n"
    )
    assert main(["data", "stats", str(path)]) == 0
    out = capsys.readouterr().out
    for line in ("pairs          2 to train on, none held out", "chat 1, hand 1", "low 1, none said 1"):
        assert line in out.replace("none said 1, low 1", "low 1, none said 1"), out


def test_data_make_writes_the_preferences_beside_the_rows_and_prints_their_figures(project, prefers, capsys):
    project("pairs.jsonl", *PAIRS)
    file = project.root / "small.jessy"
    file.write_text(RECIPE + 'PREFER dpo "pairs.jsonl"\n', "utf-8")
    for _ in range(2):
        assert main(["data", str(file)]) == 0
    assert "11 to train on, 1 to validate with" in capsys.readouterr().out
    folder = project.root / ".jessy" / "data" / "small"
    made = {f"preferences.{side}.jsonl": rows for side, rows in (("train", 11), ("valid", 1))}
    assert {name: len(read_compared(folder / name, "dpo")) for name in made} == made
    assert {file.name for file in folder.iterdir()} == {*made, "train.jsonl", "valid.jsonl", "card.json", "card.html"}


def test_the_schema_takes_what_is_read_and_nothing_else(root):
    from jsonschema import Draft202012Validator

    schema = json.loads((root / "grammar" / "preference.schema.json").read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    valid = Draft202012Validator(schema)
    assert valid.is_valid(pair(level="low", iterations=1))
    assert valid.is_valid(answer())
    for broken in (pair(rejected=""), pair(level="low"), answer(label=1), pair(more=1), {**pair(), **answer()}):
        assert not valid.is_valid(broken)


def test_a_pair_reads_back_as_it_was_written(prefers):
    _, train, valid = prefers.run(*PAIRS)
    assert all(isinstance(one, Preference) for one in (*train, *valid))
    assert {one.place: (one.chosen, one.rejected) for one in (*train, *valid)} == {
        f"pairs.jsonl:{n}": (told["chosen"], told["rejected"]) for n, told in enumerate(PAIRS, start=1)
    }


def test_the_example_of_the_docs_is_one_to_copy(prefers, root):
    lines = [json.loads(line) for line in (root / "docs" / "examples" / "pairs.jsonl").read_text("utf-8").splitlines()]
    assert len(lines) == 12
    assert prefers.findings(*lines) == []
    assert main(["data", "lint", str(root / "docs" / "examples")]) == 0


def test_a_child_sets_one_thing_and_keeps_the_parents_files(project):
    from jessyfile.language import load_recipe

    project("pairs.jsonl", *PAIRS)
    (project.root / "base.jessy").write_text(RECIPE + 'PREFER dpo "pairs.jsonl" { beta 0.3 }\n', "utf-8")
    child = project.root / "child.jessy"
    (project.root / "data/eval").mkdir(parents=True)
    project("data/eval/own.jsonl", CASE)

    def prefer(text, variant=None):
        child.write_text(f'JESSY 1\nEXTENDS "base.jessy"\n{text}\n', "utf-8")
        loaded = load_recipe(child, root=project.root, variant=variant)
        assert loaded.recipe is not None, loaded.diagnostics
        return loaded.recipe.prefer

    other = prefer("PREFER kto { epochs 2 }")
    assert (other.method, other.files, other.beta, other.epochs) == ("kto", ("pairs.jsonl",), 0.3, 2)
    assert prefer("DROP PREFER") is None
    assert prefer("VARIANT plain {\n  DROP PREFER\n}", "plain") is None
    assert prefer("VARIANT bold {\n  PREFER dpo { beta 0.5 }\n}", "bold").beta == 0.5


def test_a_recipe_with_preferences_is_printed_as_it_was_written(prefers):
    """A list of files after the keyword was left out of what `show` prints."""
    from jessyfile.language.printer import flatten

    recipe = prefers.recipe(*PAIRS, prefer='PREFER dpo "pairs.jsonl" { beta 0.2 }')
    assert 'PREFER dpo "pairs.jsonl" {\n  beta 0.2\n}' in flatten(recipe)
    assert load_text(flatten(recipe), recipe.path, root=prefers.root).recipe.prefer == recipe.prefer
