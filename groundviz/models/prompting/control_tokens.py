"""Reads control tokens that a user typed as plain text.

A tokenizer reads "</s>" in a question as it does in the chat template: as the end of a turn. The option to
split special tokens does not help. It splits the template's control tokens as well. Tokenising the pieces one
by one adds blanks that the whole text does not have, and a tokenizer that also has the marker as an ordinary
word still finds it. So a copy of the tokenizer is made, in which control tokens have names that no text
contains. The template is spelled with these names, and the whole prompt is tokenised at once. The user's
tokenizer is not changed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from groundviz.errors import PromptError
from groundviz.models.prompting.offsets import unknown_id, woven
from groundviz.models.prompting.renamed_tokens import Renamed, TokenizedText

# Digits, because a template may change the case of letters.
PLACEHOLDER = "82634107395"
PLACES = re.compile(PLACEHOLDER + r"(\d{3})")
# The parts of a template that writes nothing around the text.
ALONE = ("", "")
# Letters between brackets or bars of any kind, such as "<|im_end|>" or "[INST]".
MARKER = re.compile(r"[^\w\s]\W*[^\W\d_].*[^\w\s]")


def placeholder(number: int) -> str:
    """Stands for one of the typed texts while a template and a processor handle the prompt."""
    return f"{PLACEHOLDER}{number:03d}"


@dataclass(frozen=True, slots=True, eq=False)
class ControlTokens:
    """The tokens that a model takes as commands, and a way to read them as text.

    Attributes:
        tokenizer: The model's tokenizer.
        ids: Id of each control token.
    """

    tokenizer: Any
    ids: Mapping[str, int]

    @classmethod
    def of(cls, processor: Any, template: str = "") -> ControlTokens:
        """The special tokens, the image token, and the added tokens that mark turns in `template`.

        Some checkpoints do not declare their turn markers as special. Ordinary words and blanks that were
        added to a vocabulary are text.
        """
        tokenizer = processor.tokenizer
        ids: dict[str, int] = {}
        for index, token in tokenizer.added_tokens_decoder.items():
            marks_turn = token.content in template and MARKER.search(token.content)
            if token.special or marks_turn:
                ids[token.content] = index
        named = list(tokenizer.all_special_tokens)
        image = getattr(processor, "image_token", None)
        if image:
            named.append(str(image))
        for name in named:
            ids[name] = tokenizer.convert_tokens_to_ids(name)
        return cls(tokenizer, ids)

    def smuggled(self, parts: Sequence[str], texts: str | Sequence[str]) -> tuple[str, ...]:
        """Control tokens that the tokenizer would read in `texts`, between `parts` of a template."""
        typed = texts
        if not isinstance(texts, str):
            typed = "\0".join(texts)
        literal = sorted((token for token in self.ids if token in typed), key=typed.index)
        # Texts may form a control token without spelling it: a normaliser replaces letters, or "INST]" is
        # typed behind a "[" of the template.
        commands = self._commands(self._plainly(parts, texts))
        own = self._commands(self._plainly(parts, PLACEHOLDER))
        formed = [str(self.tokenizer.convert_ids_to_tokens(index)) for index in commands - own]
        return tuple(dict.fromkeys(literal + formed))

    def read_as_text(
        self,
        parts: Sequence[str],
        texts: str | Sequence[str],
        *,
        bases: Sequence[int | None] | None = None,
        add_special_tokens: bool = False,
    ) -> TokenizedText:
        """Tokenise a prompt: control tokens of the template are commands, those of the texts are text.

        Args:
            parts: The template around the gaps for texts.
            texts: What was typed: one text for all gaps, or one for each.
            bases: As for `characters_written`.
            add_special_tokens: Whether the tokenizer adds its start and end tokens to the whole.

        Raises:
            PromptError: The tokenizer has no other way to write one of the control tokens.
        """
        renamed = Renamed(self.tokenizer, self.ids, woven(parts, texts))
        reading = renamed.read(parts, texts, bases=bases, add_special_tokens=add_special_tokens)
        around = renamed.read(parts, PLACEHOLDER, add_special_tokens=add_special_tokens).token_ids
        usual = self._plainly(parts, PLACEHOLDER, add_special_tokens=add_special_tokens)
        # The copy must read the template as the tokenizer does, and find no further command in the texts.
        refused = around != usual or self._commands(reading.token_ids) != self._commands(around)
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
        """The tokens of a single text, in which control tokens are text.

        Raises:
            PromptError: The tokenizer has no other way to write one of the control tokens.
        """
        if self.smuggled(ALONE, text):
            return self.read_as_text(ALONE, text).token_ids
        return self._plainly(ALONE, text)

    def _plainly(
        self, parts: Sequence[str], texts: str | Sequence[str], *, add_special_tokens: bool = False
    ) -> list[int]:
        # Not verbose: the length of a text is checked elsewhere, with an error of groundviz.
        made = self.tokenizer(woven(parts, texts), add_special_tokens=add_special_tokens, verbose=False)
        return list(made.input_ids)

    def _commands(self, token_ids: Iterable[int]) -> Counter[int]:
        """How often each command is in a prompt; the token for unknown words is no command."""
        commands = set(self.ids.values()) - {unknown_id(self.tokenizer)}
        return Counter(index for index in token_ids if index in commands)
