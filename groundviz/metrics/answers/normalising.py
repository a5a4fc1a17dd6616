"""How answers are made comparable: the way of a line of published scripts, to the character, and a clean way.

The published way has faults that its numbers depend on, so they are kept: whether a mark is deleted or
becomes a blank depends on where it stands elsewhere in the text, and only the first 32 periods are deleted.
"""

from __future__ import annotations

import re
import unicodedata
from types import MappingProxyType

_NUMBERS = "zero one two three four five six seven eight nine ten".split()
NUMBERS = MappingProxyType({**{word: str(n) for n, word in enumerate(_NUMBERS)}, "none": "0"})
ARTICLES = frozenset({"a", "an", "the"})

# The marks of the published way, in its order; periods and apostrophes are treated apart or kept.
_MARKS = ';/[]"{}()=+\\_-><@`,?!'
_DIGITS_AROUND_A_COMMA = re.compile(r"\d,\d")
_PERIOD = re.compile(r"\.(?!\d)")
# Meant as a flag and passed as a count by the published scripts.
_MOST_PERIODS = 32

_CONTRACTED = """
    ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't
    haven't he'd he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've
    might've mustn't must've needn't not've o'clock oughtn't 'ow's'at shan't she'd've should've
    shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd someone'd've someone'll
    someone's something'd something'd've something'll that's there'd there'd've there're there's
    they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're
    what's what've when's where'd where's where've who'd who'd've who'll who's who've why'll why're
    why's won't would've wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're
    you've
"""


def _misspelt() -> dict[str, str]:
    """Each contraction by its spellings with one apostrophe left out."""
    found = {}
    for right in _CONTRACTED.split():
        for at, letter in enumerate(right):
            if letter == "'":
                found[right[:at] + right[at + 1 :]] = right
    # The published table takes an apostrophe out of this word in place of putting one in.
    del found["somebodyd've"], found["somebody'dve"]
    return {
        **found,
        "somebody'd": "somebodyd",
        "somebodyd've": "somebody'd've",
        "somebody'dve": "somebody'd've",
    }


CONTRACTIONS = MappingProxyType(_misspelt())


def published(text: str) -> str:
    """A text as the scripts of LLaVA-Med, Med-MoE and SigPhi-Med normalise it.

    Each of 21 marks is deleted everywhere if it touches a blank anywhere, or if the text has a comma between
    digits; else it becomes a blank. Of periods that no digit follows the first 32 are deleted. Then words are
    in lower case, none and zero to ten are digits, articles are dropped, and contractions have their
    apostrophes.

    Source: `normalize_word` of LLaVA-Med v1.0, after the VQA evaluation of Antol et al., 2015.

    >>> published("x-ray"), published("x-ray - chest"), published("The 1,000 lesions")
    ('x ray', 'xray chest', '1000 lesions')
    """
    deletes_all = _DIGITS_AROUND_A_COMMA.search(text) is not None
    changed = text
    for mark in _MARKS:
        instead = " "
        if deletes_all or f"{mark} " in text or f" {mark}" in text:
            instead = ""
        changed = changed.replace(mark, instead)
    changed = _PERIOD.sub("", changed, count=_MOST_PERIODS)
    words = [NUMBERS.get(word, word) for word in changed.lower().split()]
    kept = [CONTRACTIONS.get(word, word) for word in words if word not in ARTICLES]
    return " ".join(kept)


# Signs without which two texts say different things, and how others are spelled.
_SIGNS = "<>=+\u2260"
_SPELLED = str.maketrans(
    {"\u2264": " < = ", "\u2265": " > = ", "\u2212": "-", **{sign: f" {sign} " for sign in _SIGNS}}
)
_NUMBERS_APART = re.compile(rf"\.{{2,}}|(?<=\d)[^\w\s.,{_SIGNS}-](?=\d)")
_OTHER_MARKS = re.compile(rf"[^\w\s.,/\u2010-\u2015{_SIGNS}-]")
# A period in front of a number makes it a tenth.
_NO_DECIMAL = re.compile(r"[.,](?!\d)|(?<!\d),|(?<=[^\s\d-])\.")
# A hyphen in front of a number is its sign.
_BETWEEN_WORDS = re.compile(r"[/_\u2010-\u2015]|-(?!\.?\d)|(?<=\S)-")
# The points of Hebrew and Arabic, which most texts leave out, and what chooses between two looks of a sign.
_OPTIONAL = re.compile(
    r"[\u034f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u180b-\u180f\ufe00-\ufe0f]"
)


def clean(text: str) -> str:
    """A text as the strict scorer normalises it; empty where nothing is left of it.

    Unicode is normalised (NFKC) and case folded; hyphens, dashes, slashes and underscores become blanks, and
    so do marks between digits; other marks are deleted, but for decimal periods and commas, the sign of a
    number below zero, and < > = + as words of their own; articles are dropped where a word follows; blanks
    are collapsed. Vowel and tone marks belong to their words, but for the points of Hebrew and Arabic.

    >>> clean("The Right  lung."), clean("X-ray"), clean("2.5 cm"), clean("<5 mm"), clean("A")
    ('right lung', 'x ray', '2.5 cm', '< 5 mm', 'a')
    """
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_SPELLED)
    marked = _OTHER_MARKS.sub(_of_a_word, _NUMBERS_APART.sub(" ", folded))
    words = _BETWEEN_WORDS.sub(" ", _NO_DECIMAL.sub("", marked)).split()
    # The last word is no article: "A" of several choices, or "hepatitis A".
    return " ".join([*(word for word in words[:-1] if word not in ARTICLES), *words[-1:]])


def _of_a_word(mark: re.Match[str]) -> str:
    """A mark that makes another word, as vowels of Hindi and tones of Thai do; nothing for others."""
    found = mark.group()
    return found if unicodedata.category(found) in ("Mn", "Mc") and not _OPTIONAL.match(found) else ""
