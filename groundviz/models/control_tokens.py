"""Control tokens that somebody typed, written as the text they are.

A tokenizer reads "</s>" in a question as it reads it in the template: as the end of a turn. Asking
it to split special tokens is no remedy. That splits the template's as well; pieces read one by one
get blanks where the whole has none; and a tokenizer that knows the marker as a word finds it still.
So the tokenizer is copied, the copy's control tokens get names that stand in no text, the template
is spelled with these names, and the prompt is read in one go. The tokenizer itself stays as it is.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from groundviz.errors import PromptError
from groundviz.models.characters import places, unknown_id, woven, written
from groundviz.types import Ints

# Numbers, because a template may change the case of what it is filled with.
PLACEHOLDER = "82634107395"
PLACES = re.compile(PLACEHOLDER + r"(\d{3})")
# A template that writes nothing of its own.
ALONE = ("", "")
# Letters in brackets or bars of any kind.
MARKER = re.compile(r"[^\w\s]\W*[^\W\d_].*[^\w\s]")


def placeholder(number: int) -> str:
    """What stands for one of the typed texts while a template and a processor do their work."""
    return f"{PLACEHOLDER}{number:03d}"


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


@dataclass(frozen=True, slots=True, eq=False)
class ControlTokens:
    """The tokens that a model takes for commands, and how to write them when they are none.

    Attributes:
        tokenizer: The model's tokenizer.
        ids: Id of each control token.
    """

    tokenizer: Any
    ids: Mapping[str, int]

    @classmethod
    def of(cls, processor: Any, template: str = "") -> ControlTokens:
        """The special tokens, the image token, and what `template` writes as one added token.

        Some checkpoints do not call their turn markers special. Words and blanks that were added to
        a vocabulary are text, whoever writes them.
        """
        tokenizer = processor.tokenizer
        ids = {
            token.content: index
            for index, token in tokenizer.added_tokens_decoder.items()
            if token.special or (token.content in template and MARKER.search(token.content))
        }
        image = getattr(processor, "image_token", None)
        named = [*tokenizer.all_special_tokens, *([str(image)] if image else [])]
        return cls(tokenizer, ids | {token: tokenizer.convert_tokens_to_ids(token) for token in named})

    def smuggled(self, parts: Sequence[str], texts: str | Sequence[str]) -> tuple[str, ...]:
        """Control tokens that `texts` would turn into if they were read like the template around them."""
        typed = texts if isinstance(texts, str) else "\0".join(texts)
        literal = sorted((token for token in self.ids if token in typed), key=typed.index)
        # A normaliser makes one of other letters, and a template's "[" one of a typed "INST]".
        commands, own = (self._commands(self._plainly(parts, filling)) for filling in (texts, PLACEHOLDER))
        formed = [str(self.tokenizer.convert_ids_to_tokens(index)) for index in commands - own]
        return tuple(dict.fromkeys(literal + formed))

    def read_as_text(
        self,
        parts: Sequence[str],
        texts: str | Sequence[str],
        *,
        bases: Sequence[int | None] | None = None,
        add_special_tokens: bool = False,
    ) -> Reading:
        """Read a template whose control tokens count, filled with texts whose control tokens do not.

        Args:
            parts: The template around each place for a text.
            texts: What was typed: one text for all places, or one for each.
            bases: As for `written`.
            add_special_tokens: Whether the tokenizer's own tokens go around the whole.

        Raises:
            PromptError: The tokenizer has no other way to write one of the control tokens.
        """
        renamed = _Renamed(self, woven(parts, texts))
        reading = renamed.read(parts, texts, bases=bases, add_special_tokens=add_special_tokens)
        around = renamed.read(parts, PLACEHOLDER, add_special_tokens=add_special_tokens).token_ids
        refused = around != self._plainly(parts, PLACEHOLDER, add_special_tokens=add_special_tokens) or (
            self._commands(reading.token_ids) != self._commands(around)
        )
        unknown = unknown_id(self.tokenizer)
        for token in self.smuggled(parts, texts):
            alone = renamed.read(ALONE, token, add_special_tokens=False)
            if refused or unknown in alone.token_ids:
                raise PromptError(
                    f"The text contains {token!r}, which this model reads as a command: its tokenizer has "
                    "no way to write it as text. Remove it."
                )
        return reading

    def read(self, text: str) -> list[int]:
        """The tokens of a text that stands by itself, whatever it contains.

        Raises:
            PromptError: The tokenizer has no other way to write one of the control tokens.
        """
        if self.smuggled(ALONE, text):
            return self.read_as_text(ALONE, text).token_ids
        return self._plainly(ALONE, text)

    def _plainly(
        self, parts: Sequence[str], texts: str | Sequence[str], *, add_special_tokens: bool = False
    ) -> list[int]:
        return list(self.tokenizer(woven(parts, texts), add_special_tokens=add_special_tokens).input_ids)

    def _commands(self, token_ids: Iterable[int]) -> Counter[int]:
        """How often each command stands in a prompt; unknown words are none."""
        commands = set(self.ids.values()) - {unknown_id(self.tokenizer)}
        return Counter(index for index in token_ids if index in commands)


class _Renamed:
    """A tokenizer whose control tokens go by other names, so that their own are mere text to it."""

    def __init__(self, controls: ControlTokens, whole: str) -> None:
        stem = next(stem for stem in map("zq{}x".format, count()) if stem not in whole.casefold())
        self._tokenizer = controls.tokenizer
        self._names = {token: f"{stem}{number:06d}" for number, token in enumerate(controls.ids)}
        self._ids = {self._names[token]: index for token, index in controls.ids.items()}
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
