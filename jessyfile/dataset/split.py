"""Training and validation: every topic in both, paraphrases on one side, the asked share exactly where groups allow
it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jessyfile.dataset.refinement import is_refined, unrefined
from jessyfile.dataset.select import shares, turn
from jessyfile.dataset.similarity import groups, near_pairs
from jessyfile.text.turkish import folded_normal

if TYPE_CHECKING:
    from jessyfile.dataset.rows import Row

PARAPHRASE = (0.6, 0.75, 0.9)
_SHARED = 3  # what so many rows answer word for word tells nothing of what they ask: a label, or one fact asked for in many ways


@dataclass(frozen=True, slots=True)
class Split:
    """Rows to train on and rows to validate with, each in the order given."""

    train: list[Row]
    valid: list[Row]


def paraphrase_groups(rows: Sequence[Row]) -> list[int]:
    """Return each row's group: rows that name the same group, ask the same, or read alike even without Turkish letters.

    Rows made from one pattern are all somewhat alike; where that would leave a topic with a single group, alike means
    more alike.
    """
    found: list[int] = []
    for bound in PARAPHRASE:
        found = _groups(rows, bound)
        if _divisible(rows, found):
            break
    return found


def _groups(rows: Sequence[Row], bound: float | None) -> list[int]:
    """Return the groups of rows that are alike from a bound on; without one, of rows that ask the same, in whatever wording."""
    asked = [(index, folded_normal(text)) for index, row in enumerate(rows) for text in unrefined(row.example).wordings]
    links = [*_equal(enumerate(row.group for row in rows)), *_equal(asked)]
    if bound is None:
        return groups(len(rows), links)
    told = Counter(row.example.response for row in rows)
    # a weaker draft says what other rows say
    own = [(index, row) for index, row in enumerate(rows) if not is_refined(row.example)]
    whole = [(index, folded_normal(row.text)) for index, row in own if told[row.example.response] < _SHARED]
    for owned in (asked, whole):
        left, right, _ = near_pairs([text for _, text in owned], bound)
        links += [(owned[one][0], owned[other][0]) for one, other in zip(left.tolist(), right.tolist(), strict=True)]
    return groups(len(rows), links)


def _divisible(rows: Sequence[Row], named: Sequence[int]) -> bool:
    """Whether every topic of two or more rows has two or more groups."""
    topics: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row, name in zip(rows, named, strict=True):
        topics[row.example.category, row.example.topic].append(name)
    return all(len(set(names)) > 1 for names in topics.values() if len(names) > 1)


def _equal(keys: Iterable[tuple[int, str]]) -> list[tuple[int, int]]:
    first: dict[str, int] = {}
    return [(first.setdefault(key, index), index) for index, key in keys if key]


def split_rows(rows: Sequence[Row], share: float, seed: int) -> Split:
    """Put `share` of the rows into validation, every topic in proportion and at least once.

    Whole groups move, so that a topic of few large groups may get fewer rows than its part; a topic whose rows are
    all one group stays in training. A question that is asked again behind a draft stands where its own row does, beside the share.
    """
    again = _asked_again(rows)
    places = [index for index in range(len(rows)) if index not in again]
    chosen = {places[index] for index in _share([rows[index] for index in places], share, seed)}
    valid = chosen | {index for index, own in again.items() if own in chosen}
    return Split([r for i, r in enumerate(rows) if i not in valid], [r for i, r in enumerate(rows) if i in valid])


def _share(rows: Sequence[Row], share: float, seed: int) -> set[int]:
    named = paraphrase_groups(rows)
    topics: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        topics[row.example.category, row.example.topic].append(index)
    quotas = _quotas([len(members) for members in topics.values()], round(len(rows) * share))
    valid: set[int] = set()
    home = _homes(rows, named)
    for (topic, members), quota in zip(topics.items(), quotas, strict=True):
        own = [index for index in members if home[named[index]] == topic]
        valid |= _pick(own, named, quota, seed, rows)
    return valid


def _asked_again(rows: Sequence[Row]) -> dict[int, int]:
    """Return for each row that asks another's question again, behind a draft, the place of that other row."""
    by_name, by_question = dict[str, int](), dict[str, int]()
    for index, row in enumerate(rows):
        if not is_refined(row.example):
            by_name.setdefault(row.group or row.id, index)
            for text in () if row.example.turns else row.example.wordings:
                by_question.setdefault(folded_normal(text), index)
    found = {}
    for index, row in enumerate(rows):
        if is_refined(row.example):
            asked = unrefined(row.example)
            own = by_name.get(row.group, by_question.get(folded_normal(asked.query)) if not asked.turns else None)
            if own is not None:
                found[index] = own
    return found


def split_exactly(rows: Sequence[Row], count: int, seed: int) -> Split:
    """Put exactly `count` rows into validation, topics in proportion, paraphrases on one side.

    Where whole groups cannot make up the count, alike means more alike, down to asking the same; where even that leaves
    validation empty, groups are cut.
    """
    valid: set[int] = set()
    for bound in (*PARAPHRASE, None):
        valid = _filled(rows, _groups(rows, bound), count, seed)
        if len(valid) == count:
            break
    valid = valid or _filled(rows, range(len(rows)), count, seed)
    return Split([r for i, r in enumerate(rows) if i not in valid], [r for i, r in enumerate(rows) if i in valid])


def _filled(rows: Sequence[Row], named: Sequence[int], count: int, seed: int) -> set[int]:
    """Choose whole groups of at most `count` rows: each topic's part first, then whatever still fits."""
    members: dict[int, list[int]] = defaultdict(list)
    for index, name in enumerate(named):
        members[name].append(index)
    home = _homes(rows, named)
    order = sorted(members, key=lambda name: (turn(seed, "validation", rows[members[name][0]].id), name))
    sizes = Counter(home[name] for name in named)
    part = dict(zip(sizes, shares(count, [*sizes.values()]), strict=True))
    chosen: set[int] = set()
    for own_part in (True, False):
        for name in order:
            group, topic = members[name], home[name]
            room = min(part[topic], count - len(chosen)) if own_part else count - len(chosen)
            if group[0] not in chosen and len(group) <= room:
                chosen.update(group)
                part[topic] -= len(group)
    return chosen


def _homes(rows: Sequence[Row], named: Sequence[int]) -> dict[int, tuple[str, str] | None]:
    """Return each group's topic; None for a group that spans topics, which stays in training."""
    homes: dict[int, tuple[str, str] | None] = {}
    for row, name in zip(rows, named, strict=True):
        topic = (row.example.category, row.example.topic)
        homes[name] = topic if homes.get(name, topic) == topic else None
    return homes


def _quotas(sizes: Sequence[int], total: int) -> list[int]:
    """Return each topic's number of validation rows: in proportion, at least one where two or more rows exist."""
    if total == 0:
        return [0] * len(sizes)
    quotas = shares(total, sizes)
    for index, size in enumerate(sizes):
        if quotas[index] == 0 and size > 1:
            donor = max(range(len(sizes)), key=lambda i: quotas[i])
            quotas[index] = 1
            quotas[donor] -= 1 if quotas[donor] > 1 else 0
    return quotas


def _pick(members: Sequence[int], named: Sequence[int], quota: int, seed: int, rows: Sequence[Row]) -> set[int]:
    """Choose whole groups until the quota is met exactly, or as nearly from below as the groups' sizes allow."""
    sizes: dict[int, list[int]] = defaultdict(list)
    for index in members:
        sizes[named[index]].append(index)
    if len(sizes) < 2:
        return set()
    order = sorted(sizes.values(), key=lambda group: turn(seed, "validation", rows[group[0]].id))
    chosen: set[int] = set()
    for group in order:
        if len(chosen) + len(group) <= quota:
            chosen |= set(group)
    smallest = min(order, key=len)
    return chosen or (set(smallest) if quota else set())
