"""Control tokens that somebody typed, written as the text they are.

A tokenizer reads "</s>" in a question as it reads it in the template: as the end of a turn. Asking
it to split special tokens is no remedy. That splits the template's as well; pieces read one by one
get blanks where the whole has none; and a tokenizer that knows the marker as a word finds it still.
So the tokenizer is copied, the copy's control tokens get names that stand in no text, the template
is spelled with these names, and the prompt is read in one go. The tokenizer itself stays as it is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from groundviz.errors import PromptError
from groundviz.models.prompting.offsets import unknown_id, woven
from groundviz.models.prompting.renamed_tokens import Reading as Reading
from groundviz.models.prompting.renamed_tokens import Renamed

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
        renamed = Renamed(self.tokenizer, self.ids, woven(parts, texts))
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
        # Not verbose: how long a text may be is ours to check, and to say.
        made = self.tokenizer(woven(parts, texts), add_special_tokens=add_special_tokens, verbose=False)
        return list(made.input_ids)

    def _commands(self, token_ids: Iterable[int]) -> Counter[int]:
        """How often each command stands in a prompt; unknown words are none."""
        commands = set(self.ids.values()) - {unknown_id(self.tokenizer)}
        return Counter(index for index in token_ids if index in commands)
