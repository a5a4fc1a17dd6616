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

from tokenizers import Tokenizer

from groundviz.errors import PromptError
from groundviz.models.characters import places, unknown_id, written
from groundviz.types import Ints

# A number, because a template may change the case of what it is filled with.
PLACEHOLDER = "82634107395"
# A template that writes nothing of its own.
ALONE = ("", "")
# Letters in brackets or bars of any kind.
MARKER = re.compile(r"[^\w\s]\W*[^\W\d_].*[^\w\s]")


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """Token ids, and the characters of the typed text that each writes, as `written` gives them."""

    token_ids: list[int]
    wrote: Ints


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

    def smuggled(self, parts: Sequence[str], text: str) -> tuple[str, ...]:
        """Control tokens that `text` would turn into if it were read like the template around it."""
        literal = sorted((token for token in self.ids if token in text), key=text.index)
        # A normaliser makes one of other letters, and a template's "[" one of a typed "INST]".
        commands, own = (self._commands(self._plainly(parts, filling)) for filling in (text, PLACEHOLDER))
        formed = [str(self.tokenizer.convert_ids_to_tokens(index)) for index in commands - own]
        return tuple(dict.fromkeys(literal + formed))

    def read_as_text(self, parts: Sequence[str], text: str, *, add_special_tokens: bool = False) -> Reading:
        """Read a template whose control tokens count, filled with a text whose control tokens do not.

        Args:
            parts: The template around each place for the text.
            text: What was typed.
            add_special_tokens: Whether the tokenizer's own tokens go around the whole.

        Raises:
            PromptError: The tokenizer has no other way to write one of the control tokens.
        """
        renamed = _Renamed(self, text.join(parts))
        reading = renamed.read(parts, text, add_special_tokens=add_special_tokens)
        around = renamed.read(parts, PLACEHOLDER, add_special_tokens=add_special_tokens).token_ids
        refused = around != self._plainly(parts, PLACEHOLDER, add_special_tokens=add_special_tokens) or (
            self._commands(reading.token_ids) != self._commands(around)
        )
        unknown = unknown_id(self.tokenizer)
        for token in self.smuggled(parts, text):
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

    def _plainly(self, parts: Sequence[str], text: str, *, add_special_tokens: bool = False) -> list[int]:
        return list(self.tokenizer(text.join(parts), add_special_tokens=add_special_tokens).input_ids)

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

    def read(self, parts: Sequence[str], text: str, *, add_special_tokens: bool) -> Reading:
        spelled = [self._old.sub(lambda found: self._names[found.group()], part) for part in parts]
        if self._copy is None:
            token_ids = self._read_slowly(text.join(spelled))
            if add_special_tokens:
                token_ids = list(self._tokenizer.build_inputs_with_special_tokens(token_ids))
            return Reading(token_ids, written([(0, 0)] * len(token_ids), []))
        coded = self._copy.encode(text.join(spelled), add_special_tokens=add_special_tokens)
        return Reading(coded.ids, written(coded.offsets, places(spelled, text)))

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
