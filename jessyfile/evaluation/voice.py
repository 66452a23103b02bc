"""The voice of an answer in Turkish: sen and not siz, no call centre, no broken sentences, no list of words for a sentence.

In English only what a call centre says is looked for.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from jessyfile.evaluation.claims import false_claims
from jessyfile.evaluation.clauses import Said, Word, read
from jessyfile.evaluation.common_words import is_common
from jessyfile.evaluation.moods import patched_together, sounds
from jessyfile.text.answer_language import prose

_FORMAL_VERB = re.compile(
    r"\w{2,}(?:s[ıiuü]n[ıiuü]z|(?:y?[ıiuü]|d[ıiuü])n[ıiuü]z|s[ae]n[ıi]z)(?:[aeıiuü]|d[ae]n?|l[ae]|d[ıi]r)?"
)
_FORMAL_PRONOUN = re.compile(r"siz(?:i|in|e|den|de|inle|ce|inki|ler\w*)?|zat[ıi]n[ıi]z|beyefendi|hanımefendi")
_FAMILIAR = re.compile(
    r"sen(?:i|in|de|den|inle)?|sana|\w{2,}(?:yo(?:r)?sun|[aeıiuü]rs[ıiuü]n|m[ae]zs[ıi]n|[ae]caks[ıi]n|"
    r"m[ae]l[ıi]s[ıi]n|s[ae]n[ae]|d[ıiuü]n)"
)
_NO_ADDRESS = re.compile(
    r"yaln[ıi]z|deniz|ben[ıi]z|gen[ıi]z|domuz|aniz|ans[ıi]z\w*|(?:baş|el|eller|göz|gözler|kes|yol|dil|ağız|gün|"
    r"bayram|geçmiş|emek)[ıiuü]n[ıiuü]z|temiz|en az"
)
_SEVERAL = re.compile(
    r"hepiniz\w*|kişi\w*|ikiniz\w*|üçünüz\w*|herkes\w*|hep beraber|siz de|sizinkiler|bizimkiler|"
    r"ailece|annen\w*|eşin\w*|"
    r"ekip\w*|ekib\w*|team\w*|çocuklar|\w+[ıiuü]ml[ae]|\w+l[ae]rl[ae]"
)
_WE = re.compile(
    r"\w+(?:[ıiuü]yo(?:ru)?z|[ae]c[ae][ğg][ıi]z|[ıi]c[ae]z|c[ae]z|d[ıiuü]k|m[ıiuü]ş[ıiuü]z|[ıiuü]m[ıiuü]z\w*|"
    r"[aeıiuü]r[ıiuü]z|y[ıiuü]z|[ae]l[ıi]m|s[ae]k)|biz\w*|ekip\w*|ekib\w*|team\w*"
)
_INFINITIVE = re.compile(r"[^\W\d]{2,}m[ae]k")
_NOUNS = frozenset((
    "ekmek", "yemek", "çakmak", "parmak", "basamak", "damak", "kaymak", "tokmak", "ırmak", "ahmak",
    "sokak",
))  # fmt: skip
_AFTER_INFINITIVE = re.compile(
    r"(?:iste|zor|gerek|lazım|lazim|için|icin|üzere|uzere|kolay|güzel|guzel|iyi|ist|yerine|var|yok|değil|degil|ve|"
    r"ya|veya|mi|mı|de|da|bile|gibi|kadar|ne|demek|hem|en|çok|cok|"
    r"daha|bence|bana|sana|insan|mümkün|şart|mantıklı|saçma|yanlış|doğru|bir|bu|o|ile|ama|olur|olmaz|yet|ayıp|hoş|"
    r"keyif|bambaşka|ayrı|neyse|hiç|bazen|fena|kötü|sonra|önce|istem|isted|isti|ist|zorunda|dışında|harika|süper|"
    r"başa|\w*[ıiuü][lnr][ıiuü]r|tek|en|hakkın|normal|doğal|cesaret|emek|dert|ne|nasıl|kaç|her|başka|mecbur).*"
)
_MAKES_VERB = re.compile(r"old[ıu][mnk]|yap(?:mak|ıyor|t[ıi])\w*|ediyor\w*|yapar\w*")
_PERSON = {
    "ben": re.compile(r"\w+(?:yor|acak|ecek|mış|miş|muş|müş|yorsun)"),
    "sen": re.compile(r"\w+(?:yor|acak|ecek|yorum|[ae]r[ıi]m)"),
}
_BETWEEN = re.compile(
    r"\w+(?:[ıiuü]m|s[ıi]n|[ıiuü]n|n[ıiuü]|k[ae]n|[ae]n|d[ıi]ğ\w+|c[ae]|s[ıi]|[ıi]p)|o|kim|herkes|de|"
    r"da|gibi|kadar|için|mi|mı"
)
_PLURAL = re.compile(r"([^\W\d]*[aeıioöuü][^\Waeıioöuü\d]*)(l[ae]r)(?:[ıiuüaenmd]\w{0,4})?")
_YOR = re.compile(r"[^\W\d]*([aeıioöuü])[^\Waeıioöuü\d]{1,2}([ıiuü])yor\w*")
_FRONT, _BACK = "eiöü", "aıou"
_LOANED = re.compile(r".*(?:(?:[lt]|[lr]p|rf|er|ing)$|th|[wqx]|sh|ck|ee|oo|([bcdfghjkmnprsvz])\1).*")
_FINITE = re.compile(
    r".*(?:yor?|yor?[uls]\w*|yo[mnz]|d[ıiuü](?:m|n|k|n[ıiuü]z|l[ae]r)?|t[ıiuü](?:m|n|k|l[ae]r)?|m[ıiuü]ş\w{0,5}|"
    r"[ae]c[ae][kğ]\w*|c[ae]m|c[ae]z|[aeıiuü]r(?:[ıiuü]m|s[ıiuü]n|[ıiuü]z|l[ae]r)?|m[ae]z\w*|m[ae]m|"
    r"s[ae](?:m|n|k|n[ae])?|s[ıiuü]n(?:l[ae]r)?|[ae]l[ıi]m|[ae]y[ıi]m|m[ae]l[ıi]\w*|[dt][ıiuü]r|y[ıi]n)"
)
_PREDICATES = frozenset((
    "var", "yok", "değil", "mi", "mı", "mu", "mü", "lazım", "gerek", "olur", "oldu", "ol", "et", "git", "gel",
    "yap", "bak", "de", "ver", "al", "iç", "ye", "koy", "yaz", "sor", "kal", "dur",
))  # fmt: skip
_LONG, _UNBOUND, _IN_BITS = 9, 0.15, 0.6


def voice_faults(text: str, prompt: str, language: str) -> Iterator[str]:
    """Yield in words what is wrong with the voice of an answer.

    Args:
        text: the answer.
        prompt: the question; where it speaks of several people, a plural you is no formal address.
        language: what the answer should be in; of Turkish alone the grammar is looked at.
    """
    spoken = prose(text)
    said = read(spoken)
    if sounds(spoken, "call_centre"):
        yield "speaks like a call centre"
    if sounds(spoken, "contempt"):
        yield "looks down on the one who asks"
    yield from false_claims(spoken)
    if language in ("en", "any"):
        return
    if _formal(said, prompt):
        yield "says siz"
    if _broken(said, spoken):
        yield "is broken Turkish"
    if is_salad(said) or patched_together(spoken):
        yield "strings words together"


def _formal(said: Said, prompt: str) -> bool:
    """Return whether one person is addressed as siz. Beside a `sen`, or where several are meant, it is a plural."""
    words = [token.text for token in said.tokens]
    asked = [token.text for token in read(prompt).tokens]
    if any(_SEVERAL.fullmatch(word) for word in (*words, *asked)) or any(map(_WE.fullmatch, asked)):
        return False
    if any(map(_FAMILIAR.fullmatch, words)):
        return False
    marks = [word for word in words if _FORMAL_VERB.fullmatch(word) and not _NO_ADDRESS.fullmatch(word)]
    pronouns = sum(_FORMAL_PRONOUN.fullmatch(word) is not None for word in words)
    return bool(marks) or pronouns > 0


def _broken(said: Said, text: str) -> bool:
    return (
        _loose_infinitives(said)
        or _wrong_person(said)
        or _disharmony(said) > (len(said.tokens) > _LONG)
        or _stutters(said)
        or sounds(text, "calque")
    )


def _loose_infinitives(said: Said) -> bool:
    """Return whether infinitives stand where a sentence needs verbs: `Hoca gelmek ben kaçmak çok güzel yapıyor`."""
    loose = 0
    for at, token in enumerate(said.tokens[:-1]):
        following = said.tokens[at + 1]
        if not _INFINITIVE.fullmatch(token.text) or token.text in _NOUNS:
            continue
        before = said.tokens[at - 1].text if at else ""
        if re.fullmatch(r"\w+yor(?:um|sun|uz|lar)?", before) and following.clause != token.clause:
            return True
        if before in ("ben", "sen", "o", "biz") and before != "o" and at and said.tokens[at - 1].clause == token.clause:
            return True
        if _MAKES_VERB.fullmatch(following.text):
            return True
        loose += following.clause == token.clause and not _AFTER_INFINITIVE.fullmatch(following.text)
    return loose > 1 and loose * 10 > len(said.tokens)


def _wrong_person(said: Said) -> bool:
    """Return whether `ben` or `sen` takes the verb of another person next to it: `ben gidiyor`."""
    for at, token in enumerate(said.tokens):
        clause = said.clause_of(at)
        verb = _PERSON.get(token.text)
        rest = said.tokens[at + 1 : clause.stop]
        if verb is not None and rest and re.fullmatch(r"\w+[ıiuü]yor", rest[0].text):
            return True
        if verb is not None and 0 < len(rest) <= 2 and verb.fullmatch(rest[-1].text) and not _ends_like_object(rest):
            return True
    return False


def _ends_like_object(rest: tuple[Word, ...]) -> bool:
    return any(_BETWEEN.fullmatch(token.text) for token in rest[:-1])


def _disharmony(said: Said) -> int:
    """Count suffixes whose vowels do not follow the word: `okulde`, `evlar`."""
    return sum(_breaks_harmony(token.text) for token in said.tokens if not re.search("['’.]", token.text))


def _breaks_harmony(word: str) -> bool:
    plural = _PLURAL.fullmatch(word)
    if plural is not None and not _LOANED.fullmatch(plural[1]):
        vowels = [letter for letter in plural[1] if letter in _FRONT + _BACK]
        return (vowels[-1] in _FRONT) != (plural[2][1] == "e")
    going = _YOR.fullmatch(word)
    return going is not None and (going[1] in _FRONT) != (going[2] in _FRONT)


def _stutters(said: Said) -> bool:
    """Return whether one word comes three times in a row, or a joining word twice."""
    words = [token.text for token in said.tokens]
    joins = {"ve", "ama", "için", "çünkü", "ile", "ki", "çünki", "and", "but"}
    return any(
        one == two and (one == three or one in joins)
        for one, two, three in zip(words, words[1:], [*words[2:], ""], strict=False)
    )


def is_salad(said: Said) -> bool:
    """Return whether a text lists words and says nothing: long, hardly a verb, hardly a word that joins, or all of it in bits."""
    longest = Counter(token.sentence for token in said.tokens)
    clauses = Counter(token.clause for token in said.tokens).values()
    single, brief = (sum(count <= words for count in clauses) for words in (1, 2))
    if single > _LONG or (brief > _LONG and brief > _IN_BITS * len(clauses)):
        return True
    return any(size > _LONG and _unbound(said, sentence) for sentence, size in longest.items())


def _unbound(said: Said, sentence: int) -> bool:
    words = [token for token in said.tokens if token.sentence == sentence and not token.text[0].isdigit()]
    if len(words) < _LONG:
        return False
    finite = sum(token.text in _PREDICATES or _FINITE.fullmatch(token.text) is not None for token in words)
    joined = sum(map(is_common, words)) / len(words)
    return (joined < _UNBOUND and finite * 10 < len(words)) or (joined < _UNBOUND / 2 and finite * 4 < len(words))
