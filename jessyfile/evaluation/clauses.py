"""An answer taken apart: sentences, clauses and words, and which words a clause denies, asks about or puts in others' mouths."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from jessyfile.text.turkish import ascii_folded, lower, nfc

_TOKEN = re.compile(r"[^\W_]+(?:['’.,][^\W_]+)*|%")
_STRETCH = 10  # words of the question in another order that nobody says by accident
_SENTENCE = re.compile(r"(?<=[.!?…;])[\"”’')]*\s+|\n+|(?<=[?!…])(?=\w)")
_CLAUSE = re.compile(
    r"[,:()–—]+\s|\s-\s|\s(?:ama|fakat|ancak|oysa|çünkü|cunku|yoksa|but|because|although|though|while|whereas)\s"
)
_NO_VERBS = frozenset((
    "tamam", "hamam", "imam", "namaz", "yama", "lama", "drama", "dama", "tema", "şema", "sema", "sinema", "krema",
    "mama", "elma", "dolma", "sarma", "kıyma", "kiyma", "yazma", "dondurma", "kavurma", "bulama",
))  # fmt: skip
_NEGATIVE_VERB = re.compile(
    r"\w+(?:m[ae]z(?:s[ıi]n|l[ae]r|d[ıi]\w*|s[ae]\w*|m[ıi]ş\w*)?|m[ae]d[ıi](?:m|n|k|n[ıi]z|l[ae]r|"
    r"ys\w+)?|m[ıiuü]yo\w*"
    r"|m[ae]m[ıi][şs]\w*|m[ae]y[ae]c[ae]\w+|m[ıi]yc[ae]\w+|m[ıi]c[ae]\w+|m[ae]y[ıi]n(?:[ıi]z)?|"
    r"m[ae]s[ıi]n(?:l[ae]r)?|m[ae]m|m[ae]y[ıi]z"
    r"|m[ae]m[ae]l[ıi]\w*)"
)
_BARE_NEGATIVE = re.compile(r"\w{2,}m[ae]")
_DENIES = frozenset((
    "değil", "degil", "yok", "yoktur", "olmaz", "asla", "hayır", "hayir", "yanlış", "yanlis", "yanlıştır", "hatalı",
    "hatali", "uydurma", "bırak", "boşver", "wrong", "false",
))  # fmt: skip
_ENGLISH_DENIES = frozenset((
    "not", "never", "no", "without", "neither", "nor", "avoid", "cannot", "cant", "dont", "isnt", "doesnt", "wont",
    "instead", "than",
))  # fmt: skip
_ENGLISH_NOT = re.compile(r"\w+n['’]t")
_OTHERS = re.compile(r"(?:diyen|sanan|zanneden|söyleyen)(?:l[ae]r)?\w{0,3}$")
_ASKS = re.compile(r"m[ıiuü](?:y[ıiuü][mz]|s[ıiuü]n|yd\w+|d[ıi]r)?$")
_INSTEAD = frozenset(("yerine", "altında", "altinda", "üstünde", "dışında", "disinda"))
_ENGLISH_REACH = 5


@dataclass(frozen=True, slots=True)
class Word:
    """One word in lower case by Turkish and by plain rules (`If` begins with ı by the first), the places of its
    sentence and clause, and its spellings without Turkish letters, that by Turkish rules first."""

    text: str
    plain: str
    sentence: int
    clause: int
    folded: tuple[str, ...]

    @property
    def spellings(self) -> tuple[str, ...]:
        """Return the word's lower-case forms, one where both rules agree."""
        return (self.text,) if self.text == self.plain else (self.text, self.plain)


@dataclass(frozen=True, slots=True)
class Said:
    """A text as its words in order, and where those stand that begin with a letter, without Turkish letters."""

    tokens: tuple[Word, ...]
    starts: Mapping[str, Sequence[int]] = field(default_factory=dict, compare=False)

    def clause_of(self, at: int) -> range:
        """Return the places of the words that share a clause with one."""
        clause = self.tokens[at].clause
        start, end = at, at + 1
        while start > 0 and self.tokens[start - 1].clause == clause:
            start -= 1
        while end < len(self.tokens) and self.tokens[end].clause == clause:
            end += 1
        return range(start, end)

    def affirmed(self, start: int, end: int) -> bool:
        """Return whether the words from `start` to before `end` are claimed: not denied, not asked, not what others say."""
        clause = self.clause_of(start)
        before = [token.plain for token in self._within(clause, max(clause.start, start - _ENGLISH_REACH), start)]
        after = [token.text for token in self._within(clause, end, clause.stop)]
        if any(_INSTEAD & {word} or _OTHERS.fullmatch(word) for word in after[:2]) or (
            after and _ASKS.fullmatch(after[0]) and len(after) > 1
        ):
            return False
        denials = sum(word in _ENGLISH_DENIES or _ENGLISH_NOT.fullmatch(word) is not None for word in before)
        return (denials + self._denials_after(end, clause)) % 2 == 0

    def _within(self, clause: range, start: int, end: int) -> tuple[Word, ...]:
        return self.tokens[max(clause.start, start) : min(clause.stop, end)]

    def _denials_after(self, end: int, clause: range) -> int:
        """Count what denies the words before it. A `değil` with more words behind it denies only what stands beside it."""
        count = 0
        for at in range(end, clause.stop):
            if not self._denies(at, clause):
                continue
            beside = at - end <= 1
            last = at + 1 == clause.stop or not _content_follows(self.tokens[at + 1 : clause.stop])
            count += beside or last
        return count

    def _denies(self, at: int, clause: range) -> bool:
        word = self.tokens[at].text
        following = self.tokens[at + 1].text if at + 1 < clause.stop else ""
        if word in _DENIES:
            return _ASKS.fullmatch(following) is None
        if word in _NO_VERBS:
            return False
        if _NEGATIVE_VERB.fullmatch(word) is not None:
            return _ASKS.fullmatch(following) is None
        return at + 1 == clause.stop and _BARE_NEGATIVE.fullmatch(word) is not None


def _content_follows(tokens: tuple[Word, ...]) -> bool:
    return any(len(token.text) > 3 for token in tokens)


@lru_cache(maxsize=32768)
def read(text: str) -> Said:
    """Return a text's words with their sentences and clauses."""
    found, clause = list[Word](), 0
    for sentence, part in enumerate(sentences(text)):
        for piece in _CLAUSE.split(part):
            words, plain = _TOKEN.findall(lower(piece)), _TOKEN.findall(nfc(piece).lower())
            same = words if len(words) != len(plain) else plain
            found += [_word(word, other, sentence, clause) for word, other in zip(words, same, strict=True)]
            clause += 1
    starts = dict[str, list[int]]()
    for at, word in enumerate(found):
        for letter in {folded[0] for folded in word.folded}:
            starts.setdefault(letter, []).append(at)
    return Said(tuple(found), starts)


def _word(text: str, plain: str, sentence: int, clause: int) -> Word:
    return Word(text, plain, sentence, clause, tuple(dict.fromkeys((ascii_folded(text), ascii_folded(plain)))))


def sentences(text: str) -> list[str]:
    """Return the sentences and lines of a text."""
    return [part.strip() for part in _SENTENCE.split(text) if part.strip()]


def without_echo(text: str, prompt: str, run: int = 4) -> str:
    """Return the text without runs of the question's own words: a repeated question says nothing.

    A run of `run` words counts (the whole of a shorter question), whatever their case and Turkish letters, and ten in any order.
    """
    asked = [ascii_folded(word) for word in _TOKEN.findall(lower(prompt))]
    size = min(run, len(asked))
    if size < 2:
        return text
    runs = {tuple(asked[at : at + size]) for at in range(len(asked) - size + 1)}
    words = list(_TOKEN.finditer(text))
    folded = [ascii_folded(lower(word[0])) for word in words]
    echoed = {
        at + offset
        for at in range(len(words) - size + 1)
        if tuple(folded[at : at + size]) in runs
        for offset in range(size)
    } | _reordered(folded, frozenset(asked))
    kept, place = list[str](), 0
    for at, word in enumerate(words):
        if at in echoed:
            kept.append(text[place : word.start()])
            place = word.end()
    return "".join((*kept, text[place:]))


def _reordered(said: Sequence[str], asked: frozenset[str]) -> set[int]:
    """Return the places of words in stretches of ten and more that the question holds all of."""
    found, start = set[int](), 0
    for at in range(len(said) + 1):
        if at == len(said) or said[at] not in asked:
            found.update(range(start, at) if at - start >= _STRETCH else ())
            start = at + 1
    return found
