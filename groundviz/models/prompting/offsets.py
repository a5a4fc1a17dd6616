"""Which characters of a text each of its tokens writes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, repeat, zip_longest
from types import MappingProxyType
from typing import Any

import numpy as np
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from groundviz.record.types import Ints

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def _byte_letters() -> dict[str, int]:
    """The letters that byte-level vocabularies spell bytes with.

    A byte that is a visible letter of Latin-1 is spelled as itself. The others have letters from 256 on, in
    order.
    """
    letters = sorted(ByteLevel.alphabet())
    own = {letter: ord(letter) for letter in letters if ord(letter) < 256}
    substitutes = letters[len(own) :]
    invisible = sorted(set(range(256)) - set(own.values()))
    return own | dict(zip(substitutes, invisible, strict=True))


BYTE_LETTERS: Mapping[str, int] = MappingProxyType(_byte_letters())


def unknown_id(tokenizer: Any) -> int | None:
    """The token for text that a vocabulary cannot spell, or None if it can spell everything.

    Tokenizers like that of GPT-2 name their end token as the unknown one, and never write it for a word.
    """
    if tokenizer.is_fast:
        model = tokenizer.backend_tokenizer.model
        if isinstance(model, BPE) and not model.unk_token:
            return None
    if tokenizer.unk_token_id is None:
        return None
    return int(tokenizer.unk_token_id)


def character_spans(tokenizer: Any, token_ids: list[int]) -> tuple[str, tuple[str, ...], Ints]:
    """Decode answer tokens, and find the characters that each of them writes.

    The answer is decoded one token longer each time; what is new was written by the last token. Tokens that
    together write one character share its range, and each of them is shown as its bytes, such as
    "<0xF0><0x9F>". Special tokens write nothing and have an empty range.

    Cost: one decoding for each token, of all tokens so far.

    Returns:
        The text, each token as text, and offsets into the text, int (token, 2).
    """
    special = set(tokenizer.all_special_ids) - {unknown_id(tokenizer)}
    lengths, plain, length = [], [], 0
    for token in token_ids:
        if token not in special:
            plain.append(token)
            decoded = _decode(tokenizer, plain)
            # A replacement character at the end is a character that is not complete yet.
            if not decoded.endswith(REPLACEMENT):
                length = len(decoded)
        lengths.append(length)
    text = _decode(tokenizer, plain)
    offsets = _offsets(text, lengths, [token in special for token in token_ids])
    tokens = []
    for token, (start, stop) in zip(token_ids, offsets.tolist(), strict=True):
        shown = _bytes_of(tokenizer, token) or text[start:stop]
        tokens.append(shown or str(tokenizer.convert_ids_to_tokens(token)))
    return text, tuple(tokens), offsets


def woven(parts: Sequence[str], texts: str | Sequence[str]) -> str:
    """Fill the gaps between `parts` with one text each, or all of them with the same text.

    >>> woven(("USER: ", " ASSISTANT: ", ""), ("is it?", "no"))
    'USER: is it? ASSISTANT: no'
    """
    if isinstance(texts, str):
        return texts.join(parts)
    return "".join(chain.from_iterable(zip_longest(parts, texts, fillvalue="")))


def text_ranges(parts: Sequence[str], texts: str | Sequence[str]) -> Iterator[tuple[int, int]]:
    """The characters [start, stop) of each text in what `woven` returns for the same arguments."""
    gaps = len(parts) - 1
    if isinstance(texts, str):
        texts = [texts] * gaps
    stop = 0
    for part, text in zip(parts[:gaps], texts, strict=False):
        start = stop + len(part)
        stop = start + len(text)
        yield start, stop


def characters_written(
    offsets: Sequence[tuple[int, int]],
    ranges: Iterable[tuple[int, int]],
    bases: Iterable[int | None] | None = None,
) -> Ints:
    """The characters of the question that each token of a prompt writes.

    Args:
        offsets: The characters of the whole prompt that each token stands for.
        ranges: The characters of the prompt that are the question, or a piece of it; from `text_ranges`.
        bases: Where in the question each of these pieces begins, or None for a piece of another text. If
            None, each range is the whole question.

    Returns:
        int (token, 2); -1 for tokens of another text.
    """
    spans = np.array(offsets, dtype=np.int64).reshape(-1, 2)
    begins, ends = spans.T
    found = np.full_like(spans, -1)
    if bases is None:
        bases = repeat(0)
    for (start, stop), base in zip(ranges, bases, strict=False):
        if base is None:
            continue
        overlapping = np.flatnonzero((begins < stop) & (ends > start) & (ends > begins))
        if not len(overlapping):
            continue
        # Tokens in between may have an empty span, such as an accent that is joined to its letter.
        inside = slice(overlapping[0], overlapping[-1] + 1)
        found[inside] = spans[inside].clip(start, stop) - start + base
    return found


def _offsets(text: str, lengths: list[int], special: list[bool]) -> Ints:
    """The characters that each token writes, without blanks around them, int (token, 2).

    Args:
        text: The decoded text.
        lengths: The length of the text up to and including each token.
        special: Which tokens write nothing.
    """
    offsets = np.zeros((len(lengths), 2), dtype=np.int64)
    start = 0
    for number, length in enumerate(lengths):
        if special[number]:
            offsets[number] = (length, length)
            continue
        # A token that completes no character belongs to the one that a later token completes.
        stop = next((later for later in lengths[number:] if later > start), len(text))
        blanks = len(text[start:stop]) - len(text[start:stop].lstrip())
        first = start
        if start + blanks < stop:
            first = start + blanks
        offsets[number] = (first, stop)
        start = length
    return offsets


def _decode(tokenizer: Any, token_ids: list[int]) -> str:
    return str(tokenizer.decode(token_ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))


def _bytes_of(tokenizer: Any, token: int) -> str:
    """A token that holds a part of a character, with the bytes of that part in hex; "" for other tokens."""
    if REPLACEMENT not in _decode(tokenizer, [token]):
        return ""
    piece = str(tokenizer.convert_ids_to_tokens(token))
    if not BYTE_LETTERS.keys() >= set(piece):
        return piece
    text = bytes(BYTE_LETTERS[letter] for letter in piece).decode(errors="surrogateescape").strip()
    return re.sub("[\udc80-\udcff]", lambda found: f"<0x{ord(found.group()) - 0xDC00:02X}>", text)
