"""Whether an answer speaks for itself, and whether it lectures."""

from __future__ import annotations

import re

from jessyfile.evaluation.clauses import sentences
from jessyfile.evaluation.words import forms, holds
from jessyfile.text.turkish import lower

_OWN_VIEW = (
    "bence", "bana kalırsa", "bana göre", "bana sorarsan", "kanımca", "benim için", "benim fikrim", "benim gözümde",
    "benim görüşüm", "ben olsam", "tercihim", "karşıyım", "yanayım", "yakınım",
    "tarafındayım", "yanındayım", "taraftarıyım",
    "eminim",
    "kararsızım", "hoşuma", "inandırıcı gelmiyor", "bana adil", "bana saçma", "bana ters", "bana garip", "bana yanlış",
    "bana doğru", "bana fazla", "bana biraz", "benim ölçüm", "benim derdim", "benim cevabım", "benim oyum", "oyum",
    "i think", "i believe", "i'd", "i’d", "i would", "i feel", "i find", "i prefer", "i suspect", "i doubt", "i'm with",
    "i’m with", "i like", "i love", "i hate", "i don't think", "i don’t think", "i don't buy", "i say", "i vote",
    "i trust",
    "i lean", "i side", "in my view", "in my opinion", "in my book", "my view", "my opinion", "my take", "my vote",
    "for me",
    "my answer", "if you ask me", "to me", "i wouldn't", "i wouldn’t", "i can't", "i can’t", "i'm not", "i’m not",
)  # fmt: skip
_THINKS = re.compile(
    r"\b(?:düşün|inan|san|katıl|savun|bul|gör|sev|iste|tercih ed|karşı çık|bekle|bil|güven|"
    r"say)m?[ıiuüae]?(?:m[ıiuü])?yor?um\b"
)
_VIEW_VERB = (
    r"(?:der|bakar|ister|sever|seçer|yapar|verir|alır|gider|koyar|söyler|bekler|bırakır|tutar|kalır|"
    r"affeder|okur|sayar|kullanır|"
    r"güvenir|bayılır|savunur|olur|çıkar|görür|inanır|eder|sanır|derd|isterd)"
)
_WOULD = re.compile(  # derim, söylerdim, demem, yapmazdım: what she does or would do; yardım and getirdim are none
    rf"\b{_VIEW_VERB}[ıiuü]m\b|\b(?!\w*[dt][ıiuü]rd[ıiuü]m\b)\w{{2,}}[aeıiuü]rd[ıiuü]m\b|\b\w{{2,}}m[ae]zd[ıi]m\b"
    r"|\b(?:de|yap|iste|sev|ver|al|git|koy|söyle|bırak|inan|katıl|savun|et|affet|oku|say|kullan|güven|"
    r"sokma|uğraş|ol|bul|bil)m[ae]m\b"
)
_DONE = re.compile(  # what was done: getirdim, bitirdim
    r"(?:get|bit|göt[üu]|gönd|piş|düş|kaç|ay|çev|yat|çık|kop|sav|başa|doğ|uç|iç|öğ)\w{0,2}rd[ıiuü]m"
)
_ANALYSIS = re.compile(
    r"\b(?:ontoloj|epistemoloj|fenomenoloj|ontolog|epistemolog|phenomenolog)\w*|derin bir (?:soru|konu)|analiz edelim"
    r"|analiz etmek gerek|değerlendirmek gerek|bu bağlamda|öte yandan|felsefi açıdan|"
    r"felsefi bir (?:mesele|soru|sorun)|varoluşsal"
    r"|a deep question|let['’]?s analyze|let us analyze|on the one hand|on the other hand|philosophically|"
    r"existential(?:ly)?\b|metaphysic\w*"
)
_VERDICT = re.compile(  # a side taken at the head: `Yes, ...`, `Make up, mostly`, `Zorunda değilsin`
    r"^\W*(?:(?:evet|hayır|yok|elbette|tabii|asla|ikisi|kısmen|yes|no|nope|sure|never|both|neither|of course|not)\b"
    r"|(?:\w+ ){1,3}(?:değil\w*|mostly|çoğunlukla)\b|(?:\w+ ){0,2}\w+, (?:mostly|partly)\b)"
    r"|\bi (?:still |really |honestly |just |mostly |also )?(?:do|don['’]?t|think|believe|want|trust|doubt)\b"
)
_HEDGE = re.compile(r"\?|\bgöre\b|bağlı|değişir|depend|var(?:ies|y)")
_BRIEF = 4  # words of a first sentence that says at once what the rest explains: `Olanı düzeltmez.`
_LAYOUT = re.compile(r"^\s*(?:[-*•]\s+\S|\d{1,2}[.)]\s+\S|#{1,6}\s|\*\*[^*\n]+\*\*:?\s*$)", re.MULTILINE)


def own_view(text: str) -> bool:
    """Return whether the speaker says what she thinks, prefers or would do."""
    if any(holds(text, words) for words in _OWN_VIEW) or _says_at_once(text):
        return True
    return any(
        _THINKS.search(form) is not None
        or _VERDICT.search(form) is not None
        or any(_DONE.fullmatch(one[0]) is None for one in _WOULD.finditer(form))
        for form in forms(text)
    )


def _says_at_once(text: str) -> bool:
    """Return whether a first sentence of a few words gives the answer that the others explain."""
    first, *others = sentences(text) or [""]
    return bool(others) and len(first.split()) <= _BRIEF and _HEDGE.search(lower(first)) is None


def lectures(text: str) -> bool:
    """Return whether a text analyses, or makes a list or a heading. To name philosophy is no lecture."""
    return _LAYOUT.search(text) is not None or any(_ANALYSIS.search(form) is not None for form in forms(text))
