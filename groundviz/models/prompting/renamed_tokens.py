"""A copy of a tokenizer in which no text can spell a control token."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from groundviz.models.prompting.offsets import places, woven, written
from groundviz.record.types import Ints


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """Token ids, and the characters that each stands for.

    Attributes:
        token_ids: Of the whole text.
        wrote: The characters of what was typed that each token writes, as `written` gives them.
        offsets: The characters of the whole text that each stands for, int (token, 2); None from a slow
            tokenizer, which does not tell.
    """

    token_ids: list[int]
    wrote: Ints
    offsets: Ints | None = None


class Renamed:
    """A tokenizer whose control tokens go by other names, so that their own are mere text to it.

    Args:
        tokenizer: The model's.
        ids: Id of each control token.
        whole: A text in which no new name may stand.
    """

    def __init__(self, tokenizer: Any, ids: Mapping[str, int], whole: str) -> None:
        stem = next(stem for stem in map("zq{}x".format, count()) if stem not in whole.casefold())
        self._tokenizer = tokenizer
        self._names = {token: f"{stem}{number:06d}" for number, token in enumerate(ids)}
        self._ids = {self._names[token]: index for token, index in ids.items()}
        longest_first = sorted(self._names, key=len, reverse=True)
        self._old, self._new = (
            re.compile(f"({'|'.join(map(re.escape, spellings))})") for spellings in (longest_first, self._ids)
        )
        self._copy = (
            _renamed(self._tokenizer.backend_tokenizer, self._names) if self._tokenizer.is_fast else None
        )

    def read(
        self,
        parts: Sequence[str],
        texts: str | Sequence[str],
        *,
        bases: Sequence[int | None] | None = None,
        add_special_tokens: bool,
    ) -> Reading:
        """Read a template with its control tokens, and texts without any; see `read_as_text`."""
        spelled = [self._old.sub(lambda found: self._names[found.group()], part) for part in parts]
        whole = woven(spelled, texts)
        if self._copy is None:
            token_ids = self._read_slowly(whole)
            if add_special_tokens:
                token_ids = list(self._tokenizer.build_inputs_with_special_tokens(token_ids))
            return Reading(token_ids, written([(0, 0)] * len(token_ids), []))
        coded = self._copy.encode(whole, add_special_tokens=add_special_tokens)
        return Reading(
            token_ids=coded.ids,
            wrote=written(coded.offsets, places(spelled, texts), bases),
            offsets=self._unspelled(parts, texts)[np.array(coded.offsets, dtype=np.int64).reshape(-1, 2)],
        )

    def _unspelled(self, parts: Sequence[str], texts: str | Sequence[str]) -> Ints:
        """For each character of the spelled whole, and for its end, the one it is in the whole itself."""
        origin: list[int] = []
        start = 0
        for number, part in enumerate(parts):
            for piece in self._old.split(part):
                name = self._names.get(piece)
                # All but the first letter of a new name stand behind the token.
                here = range(len(piece)) if name is None else [0, *[len(piece)] * (len(name) - 1)]
                origin += [start + at for at in here]
                start += len(piece)
            if number < len(parts) - 1:
                text = texts if isinstance(texts, str) else texts[number]
                origin += range(start, start + len(text))
                start += len(text)
        return np.array([*origin, start], dtype=np.int64)

    def _read_slowly(self, whole: str) -> list[int]:
        """As slow tokenizers do it: cut at added tokens, then each stretch of text by itself."""
        token_ids: list[int] = []
        for stretch in filter(None, self._new.split(whole)):
            if stretch in self._ids:
                token_ids.append(self._ids[stretch])
            else:
                words = self._tokenizer.tokenize(stretch, split_special_tokens=True)
                token_ids += self._tokenizer.convert_tokens_to_ids(words)
        return token_ids


def _renamed(tokenizer: Tokenizer, names: Mapping[str, str]) -> Tokenizer:
    """A copy of a tokenizer with some tokens under new names, ids as they were."""
    described = json.loads(tokenizer.to_str())
    for added in described["added_tokens"]:
        added["content"] = names.get(added["content"], added["content"])
    model = described["model"]
    words = model["vocab"]
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
