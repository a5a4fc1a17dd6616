"""From tokens back to characters: each token of answer and question knows what it wrote."""

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
    """The letters that byte-level vocabularies spell bytes with: a byte's own, where it can be seen."""
    letters = sorted(ByteLevel.alphabet())
    own = {letter: ord(letter) for letter in letters if ord(letter) < 256}
    unseen = sorted(set(range(256)) - set(own.values()))
    return own | dict(zip((letter for letter in letters if letter not in own), unseen, strict=True))


BYTE_LETTERS: Mapping[str, int] = MappingProxyType(_byte_letters())


def unknown_id(tokenizer: Any) -> int | None:
    """The token that stands for what a vocabulary cannot spell, or None where it can spell everything.

    GPT-2 and its kin call their end token the unknown one as well, and never write it for a word.
    """
    model = tokenizer.backend_tokenizer.model if tokenizer.is_fast else None
    if isinstance(model, BPE) and not model.unk_token:
        return None
    return int(tokenizer.unk_token_id) if tokenizer.unk_token_id is not None else None


def character_spans(tokenizer: Any, token_ids: list[int]) -> tuple[str, tuple[str, ...], Ints]:
    """Decode answer tokens one prefix at a time, so that each knows the characters it wrote.

    Tokens that together make one character share its range, and each of them reads as its bytes,
    such as "<0xF0><0x9F>"; special tokens wrote nothing and have an empty range.

    Returns:
        The text, each token as text, and int (T, 2) offsets into the text.
    """
    silent = set(tokenizer.all_special_ids) - {unknown_id(tokenizer)}
    ends, spoken, written = [], [], ""
    for token in token_ids:
        if token not in silent:
            spoken.append(token)
            decoded = _decode(tokenizer, spoken)
            written = decoded if not decoded.endswith(REPLACEMENT) else written
        ends.append(len(written))
    text = _decode(tokenizer, spoken)
    offsets = _offsets(text, ends, [token in silent for token in token_ids])
    tokens = tuple(
        _bytes_of(tokenizer, token) or text[a:b] or str(tokenizer.convert_ids_to_tokens(token))
        for token, (a, b) in zip(token_ids, offsets.tolist(), strict=True)
    )
    return text, tokens, offsets


def woven(parts: Sequence[str], texts: str | Sequence[str]) -> str:
    """The whole of `parts` with a text in each gap between them, or with one text in all gaps.

    >>> woven(("USER: ", " ASSISTANT: ", ""), ("is it?", "no"))
    'USER: is it? ASSISTANT: no'
    """
    if isinstance(texts, str):
        return texts.join(parts)
    return "".join(chain.from_iterable(zip_longest(parts, texts, fillvalue="")))


def places(parts: Sequence[str], texts: str | Sequence[str]) -> Iterator[tuple[int, int]]:
    """The characters [start, stop) that each text takes where it fills the gaps between `parts`."""
    stop = 0
    for number, part in enumerate(parts[:-1]):
        start = stop + len(part)
        stop = start + len(texts if isinstance(texts, str) else texts[number])
        yield start, stop


def written(
    offsets: Sequence[tuple[int, int]],
    ranges: Iterable[tuple[int, int]],
    bases: Iterable[int | None] | None = None,
) -> Ints:
    """The characters of a text that each token writes, int (token, 2); -1 for tokens of another text.

    Args:
        offsets: The characters of the whole that each token stands for.
        ranges: Where the text, or a piece of it, stands in the whole, wherever it does.
        bases: Where in the text each of these pieces begins, or None for a piece of another text; all
            are the whole text when None.
    """
    stands = np.array(offsets, dtype=np.int64).reshape(-1, 2)
    begins, ends = stands.T
    found = np.full_like(stands, -1)
    for (start, stop), base in zip(ranges, repeat(0) if bases is None else bases, strict=False):
        if base is None:
            continue
        hits = np.flatnonzero((begins < stop) & (ends > start) & (ends > begins))
        # What takes no room of its own, such as a mark joined to its letter, lies between two hits.
        inside = slice(hits[0], hits[-1] + 1) if len(hits) else slice(0)
        found[inside] = stands[inside].clip(start, stop) - start + base
    return found


def _offsets(text: str, ends: list[int], silent: list[bool]) -> Ints:
    """Turn the text length behind each token into ranges without surrounding blanks."""
    offsets = np.zeros((len(ends), 2), dtype=np.int64)
    start = 0
    for i, stop in enumerate(ends):
        if silent[i]:
            offsets[i] = (stop, stop)
            continue
        # A token that completes nothing belongs to the character that a later one completes.
        shown = next((end for end in ends[i:] if end > start), len(text))
        blanks = len(text[start:shown]) - len(text[start:shown].lstrip())
        offsets[i] = (start + blanks if start + blanks < shown else start, shown)
        start = stop
    return offsets


def _decode(tokenizer: Any, token_ids: list[int]) -> str:
    return str(tokenizer.decode(token_ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))


def _bytes_of(tokenizer: Any, token: int) -> str:
    """A token that ends or begins inside a character, with the bytes outside characters in hex; else ""."""
    if REPLACEMENT not in _decode(tokenizer, [token]):
        return ""
    piece = str(tokenizer.convert_ids_to_tokens(token))
    if not BYTE_LETTERS.keys() >= set(piece):
        return piece
    text = bytes(BYTE_LETTERS[letter] for letter in piece).decode(errors="surrogateescape").strip()
    return re.sub("[\udc80-\udcff]", lambda found: f"<0x{ord(found.group()) - 0xDC00:02X}>", text)
