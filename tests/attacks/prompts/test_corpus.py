"""Texts that hide, reorder, stack or break: each is refused, or asked with every character in its tokens."""

import time
import unicodedata

import numpy as np
import pytest

from groundviz.errors import PromptError
from groundviz.record.types import SourceImage

REFUSED = {
    "empty": "",
    "blanks": " \t\n\r ",
    "wide blanks": "\u2003\u3000\u2028\u2029\u0085",
    "zero-width alone": "\u200b\u200c\u200d\u2060\ufeff",
    "override alone": "\u202e",
    "marks without a letter": "\u0301\u0302\u0303",
    "tags alone": "\U000e0041\U000e0042",
    "high surrogate": "is \ud83e it?",
    "low surrogate": "is it?\udec1",
    "surrogates in the wrong order": "\udec1\ud83e",
    "two halves that make one": "\ud83e\udec1",
    "smuggled byte": "lung\udcff",
    "nul": "is there\x00a nodule?",
    "nul first": "\x00lung",
    "bell and backspaces": "no\x08\x08yes\x07",
    "red": "\x1b[31mnodule\x1b[0m",
    "screen cleared": "nodule\x1b[2J\x1b[H?",
    "window title": "\x1b]0;title\x07nodule",
    "eight-bit escape": "\x9b31mnodule",
    "delete": "nodule\x7f",
}
ASKED = {
    "override": "is there \u202eeludon\u202c a nodule?",
    "embeddings left open": "\u202a\u202b\u202dnodule",
    "isolates": "\u2066is\u2067 it \u2068there\u2069?",
    "marks of direction": "a\u200e b\u200f c\u061c",
    "zero-width between letters": "n\u200bo\u200cd\u200du\u2060l\ufeffe",
    "byte-order mark first": "\ufeffis there a nodule?",
    "tags behind a word": "nodule\U000e0069\U000e0067\U000e006e",
    "combining storm": "n" + "\u0301\u0316\u0489" * 60 + "odule",
    "accents apart": "Le\u0301sion du poumon\u0302?",
    "accents joined": "Lésion à gauche, Größe in µm?",
    "emoji of several": "👩🏽‍⚕️ 🫁 👍🏽 🏳️‍🌈",
    "flags": "🇫🇷🇩🇪",
    "chinese": "左肺有结节吗",
    "arabic": "هل توجد عقدة في الرئة؟",
    "hebrew in latin": "is נודול there?",
    "devanagari": "क्या फेफड़े में गाँठ है",
    "private use": "nodule \ue000\U000f0000\U000f0001",
    "never characters": "nodule \uffff\ufdd0\U0010ffff",
    "replacement characters": "nodule \ufffd\ufffd?",
    "markup": '<img src=x onerror="alert(1)">&lt;{{ 7*7 }}{% for %}%s{0}',
}


@pytest.fixture
def image():
    return SourceImage(
        pixels=np.zeros((28, 28), np.float32), source="array", raw_range=(0, 1), sha256="0" * 64
    )


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("way", ["question", "answer"])
def test_texts_that_cannot_be_asked_are_refused(reader, image, name, way):
    with pytest.raises(PromptError, match=way) as refusal:
        reader.encode((image,), REFUSED[name]) if way == "question" else reader.answer_ids(REFUSED[name])
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize("name", ASKED)
def test_every_character_of_a_question_stands_in_its_tokens(kind, reader, image, name):
    typed, tokenizer = ASKED[name], kind.tokenizer
    encoded = reader.encode((image,), typed)
    prompt = encoded.prompt
    (span,) = (span for span in prompt.spans if span.kind == "question")
    ids = prompt.token_ids[span.start : span.stop].tolist()
    if kind.lossless:
        # The template's line break or blank may share the first or the last token.
        assert tokenizer.decode(ids).strip() == typed.strip()
    expanded = prompt.text.replace("<image>", "<image>" * 16)
    coded = tokenizer(expanded, return_offsets_mapping=True, add_special_tokens=False)
    first = len(prompt.token_ids) - len(coded.input_ids)
    start = expanded.index(typed)
    offsets = coded.offset_mapping[span.start - first : span.stop - first]
    written = {place - start for a, b in offsets for place in range(a, b)}
    missing = {typed[place] for place in set(range(len(typed))) - written}
    assert not {c for c in missing if not c.isspace() and survives(tokenizer, c)}


def survives(tokenizer, character):
    """Whether the tokenizer's own normaliser leaves something of a character."""
    normalizer = tokenizer.backend_tokenizer.normalizer
    if unicodedata.category(character) in ("Mn", "Me"):
        return normalizer is None
    return normalizer is None or bool(normalizer.normalize_str(character).strip())


@pytest.mark.parametrize("name", ASKED)
def test_a_given_answer_keeps_every_character(kind, reader, name):
    ids = reader.answer_ids(ASKED[name])
    text, tokens, offsets = reader.read_answer(ids)
    assert len(tokens) == len(offsets) == len(ids)
    if kind.lossless:
        assert text.strip() == ASKED[name].strip()


@pytest.mark.parametrize("text", ["a" * 100_000, "a " * 50_000, "</s>" * 25_000, "🫁" * 100_000])
def test_a_text_far_too_long_is_refused_before_it_is_read(reader, image, text):
    started = time.process_time()
    with pytest.raises(PromptError, match="positions for 512"):
        reader.encode((image,), text)
    with pytest.raises(PromptError, match="positions for 512"):
        reader.answer_ids(text)
    assert time.process_time() - started < 2
