"""Texts over which token ids are compared with llama.cpp's: five scripts, and what tokenizers stumble on, from a fixed seed."""

import random
import unicodedata
from collections.abc import Callable
from functools import cache

SENTENCES = {
    "latin": (
        "Yağmur dinince ığdır kayısısı toplamaya gittik, üstümüz başımız çamur oldu.",
        "İSTANBUL'da Işıl'ın ŞİİR kitabı 12,50 TL'ye satılıyormuş; knk napıyon yaa???",
        "Âlim hâlâ kâğıt üzerinde, Pijamalı hasta yağız şoföre çabucak güvendi.",
        "He'll say they've met; I'd rather NOT, it's O'Neill's 2nd don't-ask rule.",
        "Größe, Straße, façade, œuvre, niño, Łódź, čeština, smørrebrød, ħobż.",
        "ﬁnal oﬃce, naïve coöperation, Ⅷ. Kapitel, 3½ m², 10⁻³ Ω, №5",
    ),
    "cyrillic": (
        "Съешь же ещё этих мягких французских булок, да выпей чаю.",
        "Україна: ґанок, їжак, п'ять; Ђурђевак, љубав; қазақ тілі, ӱй.",
        "В 2024-м ГОСТ №7.32 отменили?! «Нет», — сказал он…",
    ),
    "arabic": (
        "نصٌّ حكيمٌ لهُ سِرٌّ قاطِعٌ وذو شأنٍ عظيمٍ، أليس كذلك؟",
        "در سال ۱۴۰۳ می‌خواهم کتاب‌های تازه بخرم؛ قیمت: ۵۰٬۰۰۰ تومان.",
        "الطقسُ ٢٥ درجةً (25°C) ـــ لا بأسَ به.",
    ),
    "han, kana and hangul": (
        "我们昨天去了图书馆，借了三本书。繁體字：龍、龜、鬱。",
        "東京都は１２３番地、カタカナとひらがな、ｶﾀｶﾅ、々〆ヶ。",
        "한국어를 공부합니다. 값이 3만원이래요! ㅋㅋㅋ ㅠㅠ",
        "𠮷野家で𩸽を食べた。",
    ),
    "devanagari": (
        "मैं हिन्दी में लिखता हूँ; क्या आप समझते हैं? ज्ञान, त्रिशूल, श्री।",
        "आज दिनांक १५ अगस्त २०२४ है॥ क़लम, ज़मीन, ऑफ़िस।",
        "मराठी: ऱ्हास, ळ; नेपाली: भयो, गर्नुहोस्।",
    ),
}
RANGES = {
    "latin": ((0x41, 0x7A), (0xC0, 0x24F), (0x300, 0x36F), (0x1E00, 0x1EFF)),
    "cyrillic": ((0x400, 0x52F), (0x370, 0x3FF), (0x483, 0x489)),
    "arabic": ((0x600, 0x6FF), (0x750, 0x77F), (0x590, 0x5F4), (0xFB50, 0xFBB1), (0xFE70, 0xFEFC)),
    "han, kana and hangul": ((0x3000, 0x30FF), (0x4E00, 0x9FA5), (0xAC00, 0xD7A3), (0x1100, 0x11FF), (0xFF00, 0xFFEF)),
    "devanagari": ((0x900, 0x97F), (0x980, 0x9FE), (0xA8E0, 0xA8FF)),
}
EMOJI = ("😀", "🤽🏽‍♀️", "👨‍👩‍👧‍👦", "🇹🇷", "1️⃣", "❤️", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "☕", "🫠", "©", "™", "↔️", "\u20e3", "🀄")
BLANKS = (
    " ",
    "  ",
    "\t",
    "\n",
    "\r\n",
    "\n\n\n",
    "\u00a0",
    "\u2009",
    "\u3000",
    "\u2028",
    "\v",
    "\f",
    "\u1680",
    "        ",
)
NUMBERS = "0123456789٠١٢۴۵۶०१२३１２３²³½Ⅷ①㊿"
SIGNS = (*".,!?'\"-_/()[]{}<>|$^~`+=@#%&*:;\\€…。，、।۔،«»“”’—§¬", "...", "!!", "://", "'s", "'LL", "’re", "--", "==")
CODE = (
    "def f(x: int) -> int:\n    return x ** 2  # kare\n", "for (int i=0;i<10;++i) { a[i] |= 0xFF; }\n", "SELECT * FROM t;",
    "<div class=\"b\">&nbsp;</div>", "{\"k\": [1.5e-3, null]}", "\tgit commit -m 'x' && ls | wc -l\r\n", "camelCaseHTTPServer2",
    "snake_case__x", "C:\\Users\\Ali\\", "/usr/bin//env", "fn main() { let ş = &mut 'a'; }", "$$\\frac{1}{2}$$", "#include <x>\n",
)  # fmt: skip
MARKS = (
    "<start_of_turn>", "<end_of_turn>", "<bos>", "<eos>", "<pad>", "<unk>", "<s>", "</s>", "[INST]", "[/INST]", "<|im_start|>",
    "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|begin_of_text|>", "<|start_header_id|>", "<0x41>", "▁", "Ġ", "<unused7>",
)  # fmt: skip
CONTROLS = (
    *map(chr, (*range(1, 32), *range(127, 160), 0xAD, *range(0x200B, 0x2010), 0x202E, 0x2066, 0xFEFF, 0xFFFD)),
    "\ue000", "\U000f0000", "\ufffe", "\U0010fffd", "\u0378",
)  # fmt: skip


@cache
def texts(count: int = 1000) -> tuple[str, ...]:
    """Return different texts of every kind in turn; fewer are the first of more."""
    chance, found = random.Random(11), dict[str, None]()
    makers = (*(_script(name) for name in SENTENCES), _mixed, *map(_heap, (EMOJI, BLANKS, NUMBERS, CODE, CONTROLS)))
    while len(found) < count:
        found[makers[len(found) % len(makers)](chance)] = None
    return tuple(found)


def _script(name: str) -> Callable[[random.Random], str]:
    """Return a maker of a script's texts: sentences, words shuffled among signs, or letters from its whole range."""

    def make(chance: random.Random) -> str:
        kind = chance.random()
        if kind < 0.3:
            text = " ".join(chance.choices(SENTENCES[name], k=chance.randint(1, 3)))
        elif kind < 0.7:
            words = " ".join(SENTENCES[name]).split(" ")
            text = "".join(chance.choice(words) + _between(chance) for _ in range(chance.randint(2, 12)))
        else:
            text = "".join(_run(chance, name) + _between(chance) for _ in range(chance.randint(1, 6)))
        form = chance.choice(("NFC", "NFD", None, None, None, None))
        return unicodedata.normalize(form, text) if form else text

    return make


def _run(chance: random.Random, name: str) -> str:
    return "".join(chr(chance.randint(*chance.choice(RANGES[name]))) for _ in range(chance.randint(1, 9)))


def _between(chance: random.Random) -> str:
    kind = chance.random()
    if kind < 0.6:
        return " " if kind < 0.5 else ""
    return chance.choice((BLANKS, SIGNS, NUMBERS, EMOJI)[int((kind - 0.6) * 10)])


def _heap(pieces: tuple[str, ...] | str) -> Callable[[random.Random], str]:
    """Return a maker of texts that are mostly made of these pieces, some many times over."""
    others = (SIGNS, BLANKS, NUMBERS, tuple(" ".join(SENTENCES["latin"]).split(" ")))

    def make(chance: random.Random) -> str:
        parts = (
            chance.choice(pieces if chance.random() < 0.7 else chance.choice(others))
            for _ in range(chance.randint(1, 14))
        )
        return "".join(part * chance.choice((1, 1, 1, 1, 2, 3, 17)) for part in parts)

    return make


def _mixed(chance: random.Random) -> str:
    """Return a text that changes its script and holds special tokens written out."""
    makers = (_script(chance.choice(list(SENTENCES))), _heap(MARKS), _heap(EMOJI), _heap(CODE), _heap(CONTROLS))
    return "".join(chance.choice(makers)(chance)[: chance.randint(1, 40)] for _ in range(chance.randint(2, 5)))
