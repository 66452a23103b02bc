"""What lies behind the errors that come from a project, a machine or a base, and what helps: `jessy explain E500`.

The mistakes of a recipe's text have their example beside them (`codes`); these have none, for they arise from files and programs.
"""

from __future__ import annotations

from collections.abc import Mapping

# by code: what it often is, and what to do then
REMEDIES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "E200": (
        (
            "a file or folder that was named is not there",
            "look where you stand: paths on the command line count from here",
        ),
        (
            "a file of yours would be written over",
            "name another place: jessy writes over nothing that it did not make",
        ),
        (
            "the file is of another kind: rows, a model, another tool's",
            "the help below the error names the command for it",
        ),
    ),
    "E201": (
        (
            "another jessy is at work in this project",
            "wait for it, or stop it; `jessy status` says what it does",
        ),
        (
            "it was killed",
            "nothing is to be done: the lock ends with its process",
        ),
    ),
    "E203": (
        (
            "the recipe, its rows or the store changed after `jessy plan -o plan.json`",
            "make the plan again",
        ),
        (
            "a file was edited while a step was reading it",
            "the same command again; what was done is kept",
        ),
    ),
    "E204": (
        (
            "a base, room on the disk, memory or an extra is missing",
            "`jessy plan RECIPE` names each with its fix",
        ),
    ),
    "E205": (
        (
            "a TEACHER or a ROUTE is on a server that you have not allowed",
            "`--allow-host HOST`, as the error has it",
        ),
    ),
    "E300": (
        (
            "the disk is full",
            "`jessy gc --dry-run` says how much `jessy gc` would free",
        ),
        (
            "a folder may not be written",
            "`ls -ld FOLDER` shows whose it is",
        ),
    ),
    "E301": (
        (
            "a stored result was changed or cut",
            "`jessy fsck --repair`, then `jessy apply RECIPE`: it is made again",
        ),
    ),
    "E400": (
        (
            "FROM names a model of the Hugging Face hub as others do",
            "`FROM hf:org/name`",
        ),
        (
            "FROM names a model of an Ollama that is not here",
            "`ollama pull NAME`",
        ),
        (
            "its name is mistyped, as `gemma3:270mm`",
            "docs/models.md lists the bases that jessy knows by name",
        ),
        (
            "its architecture is not supported",
            "docs/models.md lists those that are",
        ),
        (
            "a file of it is damaged or half fetched",
            "fetch it again",
        ),
    ),
    "E500": (
        (
            "`shop/hours` asks for 26 rows and 25 were found",
            "lower the count in CATEGORY or TOPIC, write rows, or add TEACHER",
        ),
        (
            "a filter dropped rows: an e-mail address, another language",
            "`jessy data lint data/seeds` names each, and why",
        ),
        (
            "a row gives a case of a suite away",
            "reword or remove one: a score on what was trained proves nothing",
        ),
        (
            "the file is another tool's, or a table",
            "`jessy init FOLDER --from FILE`, or `jessy data import FILE`",
        ),
    ),
    "E501": (
        (
            "the teacher does not answer",
            "start its server: `curl URL/models` asks it",
        ),
        (
            "too few of its rows pass the filters",
            "take a larger model, or lower `min_accepted` in TEACHER",
        ),
    ),
    "E800": (
        (
            "no model of that name is registered",
            "`jessy status` lists them; what was not promoted is NAME:candidate",
        ),
        (
            "an Ollama does not answer",
            "`ollama serve`, or `engine embedded` in DEPLOY; OLLAMA_HOST names another one",
        ),
        (
            "the model cannot be loaded",
            "`jessy fsck --repair`, then `jessy apply RECIPE`",
        ),
    ),
}
