"""Every fault that can be found in hand-written rows, with file and line, before a recipe uses them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jessyfile.dataset.example import folded
from jessyfile.dataset.filters import Check, row_checks
from jessyfile.dataset.language import language_faults, wording_faults
from jessyfile.dataset.leaks import find_leaks, load_cases
from jessyfile.dataset.places import MARKERS
from jessyfile.dataset.preference_forms import is_preference
from jessyfile.dataset.preference_set import Seen, fault_at, whole_rows
from jessyfile.dataset.preferences import read_file
from jessyfile.dataset.refinement import is_refined
from jessyfile.dataset.rows import Row, from_json, schema_faults
from jessyfile.dataset.similarity import near_pairs
from jessyfile.errors import DatasetError
from jessyfile.language.build import default_complexity
from jessyfile.text.answer_language import Words, prose
from jessyfile.text.json_lines import Fault, Line, read_jsonl
from jessyfile.text.row_forms import CASE, form_of
from jessyfile.text.turkish import nfc, tokens

SIMILARITY = 0.85
_SUFFIXES = (".jsonl", ".json", ".ndjson", ".parquet", "")
_WRITE = "write one object a line into a file that ends in .jsonl; data/README.md shows a row"
_OPENING_SHARE = 0.04
_OPENING_LEAST = 3


@dataclass(frozen=True, slots=True)
class Below:
    """What a file or a folder holds: files of rows, files of preferences, and suites of cases."""

    rows: list[Path]
    preferences: list[Path]
    suites: list[Path]


def files_below(path: Path) -> Below:
    """Return the files that a file or a folder holds, by their first object; a suite lies in a folder `eval` or begins with
    a case. Hidden folders and the suites' reference answers are left aside.

    Raises DatasetError for a folder without JSON lines, and for a file that is named otherwise.
    """
    if not path.is_dir():
        if path.suffix not in _SUFFIXES:
            lower = path.suffix.lower()
            hint = f"rename it: steps read `{path.with_suffix(lower)}`" if lower in _SUFFIXES else _WRITE
            hint = f"`jessy data import {path}` makes rows of it" if lower in (".csv", ".tsv") else hint
            raise DatasetError(f"`{path}` is a {path.suffix} file; rows are JSON lines", hint=hint)
        found = [path]
    else:
        found = sorted(file for file in path.rglob("*.jsonl") if not _is_aside(file, path))
    if not found:
        others = sum(other.is_file() for other in path.rglob("*"))
        said = f"; {others} file{'s' if others > 1 else ''} of another kind {'are' if others > 1 else 'is'} not read"
        raise DatasetError(f"there is no .jsonl file below `{path}`{said if others else ''}", hint=_WRITE)
    below = Below([], [], [])
    for file in found:
        _place(file, below).append(file)
    return below


def _is_aside(file: Path, below: Path) -> bool:
    """Whether a file lies in a folder such as `.jessy`, where steps keep rows of their own, or among a suite's references."""
    hidden = any(part.startswith(".") for part in file.relative_to(below).parts)
    return hidden or file.resolve().parts[-3:-1] == ("eval", "references")


def _place(file: Path, below: Below) -> list[Path]:
    if file.suffix == ".parquet":
        return below.rows
    first = next((item.value for item in read_jsonl(file) if isinstance(item, Line)), {})
    if file.parent.name == "eval" or form_of(first) is CASE:
        return below.suites
    return below.preferences if is_preference(first) else below.rows


def lint(
    files: Sequence[Path], suites: Sequence[Path] = (), words: Words | None = None, allow: Collection[str] = ()
) -> tuple[int, list[Fault]]:
    """Judge files of rows.

    Rows are held against the schema, the filters, their folder's and file's name, one another, and the suites.

    Args:
        files: the files of rows.
        suites: the suites whose cases no row may give away.
        words: everyday words that a project lists beside jessy's.
        allow: the filters that rows need not pass.

    Returns:
        How many lines were read, and every fault by place.
    """
    rows: list[Row] = []
    faults: list[Fault] = []
    for file in files:
        for item in _file(file, row_checks(default_complexity(), allow)):
            if isinstance(item, Fault):
                faults.append(item)
            else:
                rows.append(item)
    read = {row.place for row in rows} | {f"{fault.file}:{fault.line}" for fault in faults}
    faults += [
        _fault(rows[index], reason) for index, reason in [*language_faults(rows, words), *wording_faults(rows, words)]
    ]
    faults += [*_alike(rows), *_shared_wordings(rows), *_openings(rows), *_leaks(rows, suites)]
    return len(read), sorted(faults, key=lambda fault: (fault.file, fault.line, fault.message))


def lint_preferences(files: Sequence[Path], suites: Sequence[Path] = ()) -> tuple[int, list[Fault]]:
    """Judge files of preferences: each line, those that contradict or repeat another, and those that give a case away.

    Returns how many lines were read and every fault, by place.
    """
    seen, faults = Seen(), list[Fault]()
    for file in files:
        for item in read_file(file, str(file), default_complexity()):
            if isinstance(item, Fault):
                faults.append(item)
            else:
                seen.take(item.row)
    faults += [*seen.faults, *(fault_at(place, f"says what {first} says") for place, first in seen.duplicates)]
    read = {row.place for row in seen.kept} | {f"{fault.file}:{fault.line}" for fault in faults}
    faults += _leaks(whole_rows(seen.kept, default_complexity()), suites)
    return len(read), sorted(faults, key=lambda fault: (fault.file, fault.line, fault.message))


def _file(file: Path, checks: dict[str, Check]) -> Iterator[Row | Fault]:
    for item in read_jsonl(file, str(file)):
        if isinstance(item, Fault):
            yield item
            continue
        yield from _line(file, item, checks)


def _line(file: Path, item: Line, checks: dict[str, Check]) -> Iterator[Row | Fault]:
    broken = schema_faults(item.value)
    yield from (Fault(str(file), item.number, reason) for reason in broken)
    if broken:
        return
    row = Row(from_json(item.value), f"{file}:{item.number}")
    reasons = [check(row.example) for check in checks.values()]
    yield from (_fault(row, reason) for reason in [*reasons, *_manners(file, item, row)] if reason)
    yield row


def _manners(file: Path, item: Line, row: Row) -> Iterator[str]:
    """Yield what the filters let pass and a hand-written file should still not have."""
    texts = [*item.value.values(), *item.value.get("paraphrases", ())]
    if any(isinstance(text, str) and text != nfc(text) for text in texts):
        yield "holds decomposed letters; save the file in Unicode's composed form (NFC)"
    example = row.example
    if file.parent.name == example.category and file.stem != example.topic:
        yield f"the topic is `{example.topic}`, the file `{file.name}`"
    if example.category == MARKERS and example.topic != example.level:
        yield f"a marker row's topic is its level, `{example.level}`"


def _fault(row: Row, reason: str) -> Fault:
    return fault_at(row.place, reason)


def _alike(rows: Sequence[Row]) -> Iterator[Fault]:
    refined = [row for row in rows if is_refined(row.example)]  # which say again, on purpose, what others say
    for alike in ([row for row in rows if not is_refined(row.example)], refined):
        left, right, similarity = near_pairs([row.text for row in alike], SIMILARITY)
        for one, other, value in zip(left.tolist(), right.tolist(), similarity.tolist(), strict=True):
            yield _fault(alike[other], f"says the same as {alike[one].place} ({value:.0%} alike)")


def _shared_wordings(rows: Sequence[Row]) -> Iterator[Fault]:
    """Yield every paraphrase that another row asks too: two answers to one question."""
    asked: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        for text in () if row.example.turns else row.example.wordings:
            asked[folded(text)].append(index)
    for index, row in enumerate(rows):
        for text in row.example.paraphrases:
            other = next((other for other in asked[folded(text)] if other != index), None)
            if other is not None:
                yield _fault(row, f"the wording `{text[:60]}` is asked by {rows[other].place} too")


def _openings(rows: Sequence[Row]) -> Iterator[Fault]:
    """Yield one fault a file and opening that begins more than 4 % of the file's answers (and more than three)."""
    files: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if prose(row.example.response or "").strip():  # JSON begins with its field names
            files[row.place.rpartition(":")[0]].append(row)
    for members in files.values():
        # a label, or a fact asked for in many ways, comes back word for word and is no habit of speech
        members = list({row.example.response: row for row in members}.values())
        openings = [" ".join(tokens(row.example.response or "")[:2]) for row in members]
        for opening, count in Counter(openings).items():
            if count > max(_OPENING_LEAST, _OPENING_SHARE * len(members)):
                yield _fault(
                    members[openings.index(opening)], f"{count} of {len(members)} answers begin with `{opening}`"
                )


def _leaks(rows: Sequence[Row], suites: Sequence[Path]) -> Iterator[Fault]:
    for leak in find_leaks(rows, load_cases([(suite, str(suite)) for suite in suites]), SIMILARITY):
        yield _fault(leak.row, f"{leak.how} {leak.case.place}")
