"""A copy of a tokenizer in which no text can spell a control token."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from groundviz.models.prompting.offsets import characters_written, text_ranges, woven
from groundviz.record.types import Ints


@dataclass(frozen=True, slots=True, eq=False)
class TokenizedText:
    """The tokens of a prompt, and the characters that each of them writes.

    Attributes:
        token_ids: Of the whole prompt.
        wrote: The characters of the question that each token writes, from `characters_written`.
        offsets: The characters of the whole prompt that each token stands for, int (token, 2); None from a
            slow tokenizer, which does not return them.
    """

    token_ids: list[int]
    wrote: Ints
    offsets: Ints | None = None


class Renamed:
    """A copy of a tokenizer that calls its control tokens by new names, and reads their old names as text.

    Args:
        tokenizer: The model's.
        ids: Id of each control token.
        whole: A text that must contain none of the new names.
    """

    def __init__(self, tokenizer: Any, ids: Mapping[str, int], whole: str) -> None:
        stem = next(stem for stem in map("zq{}x".format, count()) if stem not in whole.casefold())
        self._tokenizer = tokenizer
        self._names: dict[str, str] = {}
        self._ids: dict[str, int] = {}
        for number, (token, index) in enumerate(ids.items()):
            name = f"{stem}{number:06d}"
            self._names[token] = name
            self._ids[name] = index
        # Longest first: one token may be the beginning of another.
        self._old = _any_of(sorted(self._names, key=len, reverse=True))
        self._new = _any_of(self._ids)
        self._copy: Tokenizer | None = None
        if tokenizer.is_fast:
            self._copy = _renamed(tokenizer.backend_tokenizer, self._names)

    def read(
        self,
        parts: Sequence[str],
        texts: str | Sequence[str],
        *,
        bases: Sequence[int | None] | None = None,
        add_special_tokens: bool,
    ) -> TokenizedText:
        """Tokenise a template with its control tokens, and texts without any; see `read_as_text`."""
        spelled = [self._old.sub(lambda found: self._names[found.group()], part) for part in parts]
        whole = woven(spelled, texts)
        if self._copy is None:
            token_ids = self._read_slowly(whole)
            if add_special_tokens:
                token_ids = list(self._tokenizer.build_inputs_with_special_tokens(token_ids))
            return TokenizedText(token_ids, characters_written([(0, 0)] * len(token_ids), []))
        coded = self._copy.encode(whole, add_special_tokens=add_special_tokens)
        offsets = np.array(coded.offsets, dtype=np.int64).reshape(-1, 2)
        return TokenizedText(
            token_ids=coded.ids,
            wrote=characters_written(coded.offsets, text_ranges(spelled, texts), bases),
            offsets=self._unspelled(parts, texts)[offsets],
        )

    def _unspelled(self, parts: Sequence[str], texts: str | Sequence[str]) -> Ints:
        """From characters of the prompt with new names to those of the prompt with the old names.

        Returns:
            int (character + 1,): for each character, and for the end.
        """
        gaps = len(parts) - 1
        if isinstance(texts, str):
            texts = [texts] * gaps
        origin: list[int] = []
        start = 0
        for number, part in enumerate(parts):
            for piece in self._old.split(part):
                stop = start + len(piece)
                if piece in self._names:
                    # The first letter of a new name is the token's first, the others are behind the token.
                    origin += [start, *[stop] * (len(self._names[piece]) - 1)]
                else:
                    origin += range(start, stop)
                start = stop
            if number < gaps:
                stop = start + len(texts[number])
                origin += range(start, stop)
                start = stop
        return np.array([*origin, start], dtype=np.int64)

    def _read_slowly(self, whole: str) -> list[int]:
        """As slow tokenizers do it: cut at added tokens, then tokenise each stretch of text by itself."""
        token_ids: list[int] = []
        for stretch in filter(None, self._new.split(whole)):
            if stretch in self._ids:
                token_ids.append(self._ids[stretch])
            else:
                words = self._tokenizer.tokenize(stretch, split_special_tokens=True)
                token_ids += self._tokenizer.convert_tokens_to_ids(words)
        return token_ids


def _any_of(texts: Iterable[str]) -> re.Pattern[str]:
    """A pattern that finds any of the texts, the first one that fits."""
    return re.compile(f"({'|'.join(map(re.escape, texts))})")


def _renamed(tokenizer: Tokenizer, names: Mapping[str, str]) -> Tokenizer:
    """A copy of a tokenizer in which some tokens have new names and the same ids."""
    described = json.loads(tokenizer.to_str())
    for added in described["added_tokens"]:
        added["content"] = names.get(added["content"], added["content"])
    model = described["model"]
    words = model["vocab"]
    # Unigram models list words with their scores; other models map words to ids.
    if isinstance(words, dict):
        model["vocab"] = {names.get(word, word): index for word, index in words.items()}
    else:
        model["vocab"] = [[names.get(word, word), score] for word, score in words]
    if model.get("unk_token") in names:
        model["unk_token"] = names[model["unk_token"]]
    if "merges" in model:
        model["merges"] = [pair for pair in model["merges"] if "".join(pair) not in names]
    described["truncation"] = described["padding"] = None
    return Tokenizer.from_str(json.dumps(described))
