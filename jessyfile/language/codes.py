"""What each diagnostic's code means, with a recipe that earns it: `jessy explain J010`, the reference, and the
tests read this."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING

from jessyfile.errors import JessyError
from jessyfile.language.remedies import REMEDIES

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Code:
    """One code: a title, why it is one, and lines that earn it (inside a recipe that is right otherwise)."""

    title: str
    why: str
    wrong: str
    right: str = ""


CODES: dict[str, Code] = {
    "J001": Code(
        "unknown word",
        "Every word of a recipe is known where it stands: UPPERCASE words are instructions, lowercase words are "
        "settings of a block. A "
        "mistyped word would otherwise be ignored without notice. Case always matters.",
        "LORA {\n  rnak 16\n}",
        "LORA {\n  rank 16\n}",
    ),
    "J002": Code(
        "unreadable characters",
        "A line is a word and its values. What is none of them (a stray character, a space that is no plain space, "
        "a line that begins with "
        "a value) cannot be read.",
        "16 rank",
        "LORA { rank 16 }",
    ),
    "J003": Code(
        "a text is not closed",
        'A text in `"` ends on its line. A text in `"""` ends at a line that holds only `"""`; without one it runs '
        "to the end of the file.",
        "SYSTEM \"Sen JESSY'sin.",
        'SYSTEM "Sen JESSY\'sin."',
    ),
    "J004": Code(
        "a block is not closed",
        "Each `{` has its `}`, alone on a line or at the end of a one-line block. Where the indentation shows which "
        "one is missing, jessy "
        "says so and goes on; otherwise nothing inside the file's blocks is checked until the braces balance.",
        "LORA {\n  rank 16\nTRAIN {\n  epochs 3\n}",
        "LORA {\n  rank 16\n}\nTRAIN {\n  epochs 3\n}",
    ),
    "J005": Code(
        "a brace in the wrong place",
        "`{` ends the line of its instruction; `}` stands alone, or closes a block on the same line.",
        "LORA {\n  rank 16 }",
        "LORA {\n  rank 16\n}",
    ),
    "J006": Code(
        "not plain text",
        "Recipes and the texts they read are UTF-8 without control characters: those would reach your terminal and "
        "the model unseen.",
        'SYSTEM "merhaba\x07"',
        'SYSTEM "merhaba"',
    ),
    "J007": Code(
        "too large",
        "A recipe file has at most 1 MiB, 100,000 lines and 80,000 words and values, so that any input is answered "
        "within a second.",
        "",
    ),
    "J008": Code(
        "nested too deep",
        "Blocks are nested at most 64 levels deep; a real recipe needs four.",
        "a {\n" * 65 + "}\n" * 65,
    ),
    "J009": Code(
        "unknown escape",
        'In `"…"` the escapes are `\\n`, `\\t`, `\\"` and `\\\\`. In `"""` texts there are none: what stands there '
        "is the text.",
        'SYSTEM "C:\\temp\\new \\d"',
        'SYSTEM "C:\\\\temp"',
    ),
    "J010": Code(
        "topics do not add up",
        "A category says its total and its topics say theirs; both are exact, so they must agree. After filtering, "
        "exactly that many rows are there.",
        "DATASET {\n  CATEGORY more 20 {\n    TOPIC a 5\n    TOPIC b 10\n  }\n}",
        "DATASET {\n  CATEGORY more 15 {\n    TOPIC a 5\n    TOPIC b 10\n  }\n}",
    ),
    "J011": Code(
        "set twice",
        "In one recipe, its INCLUDE parts among it, a thing is said once. What EXTENDS brings may be said again: "
        "that replaces it.",
        "LORA {\n  rank 8\n  rank 16\n}",
        "LORA {\n  rank 16\n}",
    ),
    "J012": Code(
        "something is missing",
        "An instruction needs all values of its form.",
        "LORA {\n  rank\n}",
        "LORA {\n  rank 16\n}",
    ),
    "J013": Code(
        "a value too many",
        "An instruction takes only the values of its form.",
        "LORA {\n  rank 16 32\n}",
        "LORA {\n  rank 16\n  alpha 32\n}",
    ),
    "J014": Code(
        "a value of another kind",
        'Values are typed: `16` is a number, `10%` a percentage, `5s` a duration, `1-2` a range, `"text"` a text. '
        "Text is quoted on purpose.",
        "WATCH {\n  debounce 5\n}",
        "WATCH {\n  debounce 5s\n}",
    ),
    "J015": Code(
        "out of range",
        "A number stays within what makes sense for its setting.",
        "LORA {\n  rank 0\n}",
        "LORA {\n  rank 8\n}",
    ),
    "J016": Code(
        "not one of the choices",
        "Some settings take one word of a list.",
        "TRAIN {\n  schedule cosin\n}",
        "TRAIN {\n  schedule cosine\n}",
    ),
    "J017": Code(
        "something is left out",
        "A recipe needs NAME, FROM and at least one CATEGORY; a thing that was begun needs what belongs to it.",
        "",
    ),
    "J018": Code(
        "the language's version",
        "`JESSY 1` is the first instruction: later versions may read the rest differently.",
        "JESSY 1",
        "JESSY 1",
    ),
    "J019": Code(
        "a block where none belongs",
        "Only some instructions have a block.",
        "REQUIRES 0.17.1 {\n  rank 1\n}",
        "REQUIRES 0.17.1",
    ),
    "J020": Code(
        "not a name",
        "Names of categories, topics, levels and suites become folders and steps: a lower-case letter, then a to z, "
        "0 to 9, `_` and `-`.",
        "DATASET {\n  CATEGORY Türkçe 10 {\n    TOPIC a 10\n  }\n}",
        "DATASET {\n  CATEGORY turkce 10 {\n    TOPIC a 10\n  }\n}",
    ),
    "J021": Code(
        "not of the form it needs",
        "Some words have a form of their own: a model's name, an address, a version, a variable.",
        "DEPLOY {\n  ollama localhost\n}",
        "DEPLOY {\n  ollama http://127.0.0.1:11434\n}",
    ),
    "J022": Code(
        "no such level",
        "A level that a category, a topic or a latency criterion names is defined in COMPLEXITY.",
        "EVAL {\n  SHOULD latency.extreme < 5s\n}",
        "EVAL {\n  SHOULD latency.high < 5s\n}",
    ),
    "J023": Code(
        "a line left of the margin",
        'The column of the closing `"""` is the text\'s margin: what stands right of it is the text. A line left of '
        "it would lose characters.",
        'SYSTEM """\n    Sen JESSY\'sin.\n  Kısa yaz.\n    """',
        'SYSTEM """\n    Sen JESSY\'sin.\n    Kısa yaz.\n    """',
    ),
    "J024": Code(
        "unknown metric",
        "A criterion names something that the evaluation measures.",
        "EVAL {\n  SHOULD turkish_acuracy > 80%\n}",
        "EVAL {\n  SHOULD turkish_accuracy > 80%\n}",
    ),
    "J025": Code(
        "no such suite",
        "A criterion's cases come from a suite that the recipe answers; a suite is a shipped one or names its file.",
        "EVAL {\n  SUITE mine\n}",
        'EVAL {\n  SUITE mine "cases.jsonl"\n}',
    ),
    "J026": Code(
        "levels overlap",
        "Two levels with one number of iterations could not be told apart by the marker.",
        "COMPLEXITY {\n  LEVEL low 1-3 iterations\n  LEVEL high 3-9 iterations\n}",
        "COMPLEXITY {\n  LEVEL low 1-3 iterations\n  LEVEL high 4-9 iterations\n}",
    ),
    "J027": Code(
        "an unreadable marker",
        "The runtime reads the level and the iterations back from the marker.",
        'COMPLEXITY {\n  marker "[{level}]"\n}',
        'COMPLEXITY {\n  marker "[{level} {iterations}]"\n}',
    ),
    "J028": Code(
        "more persona rows than rows",
        "A batch holds at most batch_size rows.",
        "PERSONALITY {\n  per_batch 20\n}",
        "PERSONALITY {\n  per_batch 1\n}",
    ),
    "J029": Code(
        "a criterion that cannot be",
        "A share lies between 0 % and 100 %, and only shares have an interval.",
        "EVAL {\n  MAY personality > 100%\n}",
        "EVAL {\n  MAY personality > 90%\n}",
    ),
    "J030": Code(
        "an undeclared name",
        "`${name}` needs an ARG or LET of the same file.",
        "LORA {\n  rank ${size}\n}",
        "LET size = 16\nLORA {\n  rank ${size}\n}",
    ),
    "J031": Code(
        "an unused name", "An ARG or LET that nothing uses is most often a slip of the fingers.", "LET size = 16"
    ),
    "J032": Code(
        "declared twice", "A file declares a name once.", "LET size = 16\nARG size = 8\nLORA {\n  rank ${size}\n}"
    ),
    "J033": Code(
        "defined by itself",
        "A name's value may use other names, not, directly or through them, itself.",
        'LET a = "${b}"\nLET b = "${a}"\nSYSTEM "${a}"',
    ),
    "J034": Code(
        "not a declaration",
        "`ARG name = value` and `LET name = value`; `ARG name = value FROM ENV NAME` may read the environment.",
        "LET size 16",
    ),
    "J035": Code("an unknown --arg", "`--arg` gives a value to an ARG that the recipe declares.", ""),
    "J036": Code(
        "a value is missing", "An ARG without a value must get one from outside.", "ARG size\nLORA {\n  rank ${size}\n}"
    ),
    "J037": Code(
        "an unknown --set", "`--set` takes the address of one value, as `jessy show RECIPE --flat` prints them.", ""
    ),
    "J038": Code(
        "not a regular expression",
        "A rule between slashes is a regular expression, and no repetition in it repeats another.",
        'PERSONALITY {\n  NEVER "/as an (ai/"\n}',
    ),
    "J040": Code(
        "a file cannot be read",
        "A recipe's files are regular files or folders that are there and readable.",
        'SYSTEM FILE "missing.md"',
    ),
    "J041": Code(
        "outside the project",
        "Nothing outside the project's root is read: not by `..`, not by an absolute path, not through a symbolic "
        "link. The root is the nearest "
        "folder above the recipe that holds .jessy, .git or pyproject.toml, else the recipe's own.",
        'SYSTEM FILE "/etc/hostname"',
    ),
    "J042": Code(
        "a circle of files",
        "A file that EXTENDS or INCLUDEs itself, directly or through others, has no end.",
        'INCLUDE "recipe.jessy"',
    ),
    "J043": Code("too many files", "A recipe names at most 10,000 files, at most 64 levels deep.", ""),
    "J044": Code(
        "nothing to drop", "DROP removes what EXTENDS, or the recipe below a VARIANT, brings.", "DROP CATEGORY slang"
    ),
    "J045": Code(
        "no such variant",
        "`--variant` chooses one of the recipe's VARIANT blocks; `--variant all` takes each of them, so none is called "
        "`all`.",
        "VARIANT all {\n  LORA { rank 4 }\n}",
        "VARIANT small {\n  LORA { rank 4 }\n}",
    ),
    "J046": Code(
        "not in this place",
        "A recipe extends one other; a VARIANT holds what a recipe sets, not how it is put together.",
        'VARIANT small {\n  INCLUDE "part.jessy"\n}',
    ),
    "J047": Code(
        "no preferences",
        "PREFER learns from pairs: from the files that it names, from the suites' reference answers, or from both.",
        "PREFER dpo",
        'PREFER dpo "pairs.jsonl"',
    ),
    "J048": Code(
        "a setting of the other method",
        "dpo compares the two answers of a pair, so both weigh the same; kto judges answers one by one, and weighs the "
        "good ones and the bad ones apart.",
        "PREFER dpo {\n  references development\n  desirable_weight 2\n}",
        "PREFER kto {\n  references development\n  desirable_weight 2\n}",
    ),
    "J049": Code(
        "nothing to compare with",
        "kto measures how far an answer's likelihood moved beyond that of the other answers in its batch.",
        "PREFER kto {\n  references development\n  batch_size 1\n}",
        "PREFER kto {\n  references development\n  batch_size 8\n}",
    ),
    "J050": Code(
        "measured by what was trained",
        "`references development` trains on reference answers, and `contrast development` measures by the same ones: a "
        "model that knows them by heart would look good.",
        "PREFER dpo {\n  references development\n}\nEVAL {\n  contrast development\n}",
        "PREFER dpo {\n  references development\n}\nEVAL {\n  contrast final\n}",
    ),
    "J051": Code(
        "rows that are nowhere",
        "`learn` says which share of the rows is trained. The others are for RETRIEVE to find: without it they would "
        "be made for nothing, and where no row is trained there is nothing to learn from.",
        "DATASET {\n  learn 5%\n}",
        "DATASET {\n  learn 5%\n}\nRETRIEVE {\n  examples 3 from seeds\n}",
    ),
    "J052": Code(
        "nothing to start from",
        "`start` in a criterion is the model that training starts from: the base with the adapter that ADAPTER names. "
        "Without ADAPTER that is the base itself, which is called `baseline`.",
        "EVAL {\n  SHOULD turkish.form > start\n}",
        "EVAL {\n  SHOULD turkish.form > baseline\n}",
    ),
    "J053": Code(
        "nothing to retrieve",
        "RETRIEVE puts rows of the dataset before a question (`examples`), passages of documents (`documents`), or "
        "both.",
        "RETRIEVE {\n  answer above 50%\n}",
        "RETRIEVE {\n  examples 3 from seeds\n  answer above 50%\n}",
    ),
    "J054": Code(
        "corrections without a category",
        "FEEDBACK names the category of the recipe that accepted corrections are rows of.",
        "DATASET {\n  FEEDBACK mine\n}",
        "DATASET {\n  FEEDBACK mine\n  CATEGORY mine 10 {\n    TOPIC all 10\n  }\n}",
    ),
    "J055": Code(
        "not known of what was promoted before",
        "`previous` is the model that was promoted before. It is asked the suites again; its weights are gone, so that "
        "metrics by reference answers cannot be measured of it.",
        "EVAL {\n  MUST knows >= previous\n}",
        "EVAL {\n  MUST no_loops >= previous\n}",
    ),
    "J056": Code(
        "nothing to refine",
        "`refine` names other categories of the recipe: their rows are asked again, each behind a weaker draft of its "
        "answer. A TOPIC of such a category is one of those that it names.",
        "DATASET {\n  CATEGORY refinement 10 {\n    refine missing\n  }\n}",
        "DATASET {\n  CATEGORY more 20 {\n    TOPIC a 20\n  }\n  CATEGORY refinement 10 {\n    refine more\n  }\n}",
    ),
    "J057": Code(
        "a route from nowhere",
        "A line of ROUTE begins with a level of COMPLEXITY or a category of DATASET. The level of a question is said "
        "by the recipe's own model; its category is that of the rows nearest to it, which only RETRIEVE finds.",
        "ROUTE {\n  extreme qwen3:4b at http://127.0.0.1:11434\n}",
        "ROUTE {\n  high qwen3:4b at http://127.0.0.1:11434\n}",
    ),
    "J201": Code(
        "the warm-up never ends",
        "The learning rate rises over `warmup_steps` optimizer updates. With fewer updates than that it never "
        "reaches the rate you wrote.",
        "TRAIN {\n  warmup_steps 500\n}",
        "TRAIN {\n  warmup_steps 2\n}",
    ),
    "J202": Code(
        "too few cases to prove it",
        "`at 95%` asks that the lower end of Wilson's interval passes. Even when every case passes, few cases leave "
        "that end low: more than "
        "90 % at 95 % takes 35 passes in 35, 96 in 100 or 189 in 200.",
        "EVAL {\n  SUITE turkish { limit 20 }\n  SHOULD turkish_accuracy > 90% at 95%\n}",
        "EVAL {\n  SUITE turkish { limit 100 }\n  SHOULD turkish_accuracy > 90% at 95%\n}",
    ),
    "J203": Code(
        "a category without topics",
        "Topics keep their counts and their share of the validation apart.",
        "DATASET {\n  CATEGORY more 10\n}",
        "DATASET {\n  CATEGORY more 10 {\n    TOPIC a 10\n  }\n}",
    ),
    "J204": Code(
        "quantization loses the fine-tune",
        "A gentle fine-tune moves weights by less than four bits can show.",
        "EXPORT gguf {\n  quantize q4_0\n}",
        "EXPORT gguf {\n  quantize q8_0\n}",
    ),
    "J205": Code(
        "topics without validation",
        "A topic without a row in the validation is not measured.",
        "DATASET {\n  validation 1%\n}",
        "DATASET {\n  validation 10%\n}",
    ),
    "J206": Code(
        "too few layers for a small base",
        "On a 270M base, adapters on the attention layers alone never learned the highest level.",
        "LORA {\n  targets q_proj k_proj v_proj o_proj\n}",
        "LORA {\n  targets q_proj k_proj v_proj o_proj gate_proj up_proj down_proj\n}",
    ),
    "J207": Code(
        "the rate is likely to diverge",
        "At 2e-3 LoRA diverged on the base that was measured; 5e-4 learned.",
        "TRAIN {\n  learning_rate 5e-3\n}",
        "TRAIN {\n  learning_rate 5e-4\n}",
    ),
    "J208": Code(
        "a short window",
        "A model that is served with a shorter window than it was trained on cuts what it learned.",
        "PARAMETER num_ctx 128",
        "PARAMETER num_ctx 4096",
    ),
    "J209": Code("no MUST criterion", "Without a MUST no result can stop the promotion.", ""),
    "J210": Code(
        "an early stop that never comes",
        "Fewer validations than the patience allows.",
        "TRAIN {\n  early_stop 9\n}",
        "TRAIN {\n  early_stop 2\n}",
    ),
    "J211": Code(
        "text that reads another way",
        "Direction marks make a line look different from what it says to a program and to the model.",
        "# \u202eyorum",
    ),
    "J212": Code(
        "a weight for a level that no answer says",
        "With `marker none` no answer begins with its level, so no token gets level_weight.",
        "COMPLEXITY {\n  marker none\n}\n\nTRAIN {\n  level_weight 8\n}",
        "TRAIN {\n  level_weight 8\n}",
    ),
    "J213": Code(
        "a setting that changes nothing",
        "What is written would be ignored where it stands: a validation without rows, a checkpoint after the end, a "
        "rank that cannot shrink. Delete the line, or make room for what it asks; a comment that names the code "
        "keeps it.",
        "TRAIN {\n  checkpoint_every 5000\n}",
        "TRAIN {\n  checkpoint_every 1\n}",
    ),
}


def known_codes() -> tuple[str, ...]:
    """Return every code that `jessy explain` knows: a recipe's and the errors'."""
    return (*CODES, *_errors())


def explanation(code: str) -> str | None:
    """Return what a code means, for a terminal; None when there is no such code."""
    if code in _errors():
        return "\n".join([f"{code}: {_errors()[code]}", *_helped(code)])
    found = CODES.get(code)
    if found is None:
        return None
    kind = "warning" if code.startswith("J2") else "error"
    parts = [f"{kind}[{code}]: {found.title}", "", fill(found.why, 88, break_on_hyphens=False)]
    for title, text in (("Wrong:", found.wrong), ("Right:", found.right)):
        if text and len(text) < 400:
            parts += ["", title, "", *("    " + _visible(line) for line in text.split("\n"))]
    return "\n".join(parts)


def _helped(code: str) -> Iterator[str]:
    """Yield what an error often is, and under each what to do then."""
    for often, then in REMEDIES.get(code, ()):
        yield from ("", f"Often: {often}", f"    {then}")


def _visible(line: str) -> str:
    from jessyfile.language.render import safe

    return safe(line)


def _errors() -> dict[str, str]:
    return {e.code: (e.__doc__ or "").strip() for e in _family(JessyError)}


def _family(error: type[JessyError]) -> Iterator[type[JessyError]]:
    yield error
    for below in error.__subclasses__():
        yield from _family(below)
