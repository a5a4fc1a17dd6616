"""A stand-in for a processor's tokenizer that puts the question into the prompt, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import BatchEncoding

from groundviz.models.prompting.control_tokens import PLACES, ControlTokens, placeholder
from groundviz.models.prompting.offsets import characters_written, text_ranges, woven
from groundviz.models.prompting.renamed_tokens import TokenizedText
from groundviz.record.types import Ints


@dataclass(frozen=True, slots=True)
class Filling:
    """A typed text in a prompt.

    Attributes:
        text: As the template writes it.
        base: Where it begins in the question; None for a text outside the question, such as an earlier turn.
        commands: Whether its control tokens are commands, as in a verbatim prompt.
    """

    text: str
    base: int | None = 0
    commands: bool = False


class Scribe:
    """A tokenizer that puts typed texts in place of placeholders, and records where the question is.

    A processor expands the images in a prompt, then calls its tokenizer. Typed texts are put in only then, so
    that the processor cannot mistake a marker in them for an image.

    Args:
        controls: The tokenizer with its control tokens.
        fillings: The texts for `placeholder(0)`, `placeholder(1)` and so on.
    """

    def __init__(self, controls: ControlTokens, fillings: Sequence[Filling]) -> None:
        self._controls, self._fillings = controls, tuple(fillings)
        self._readings: list[TokenizedText] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._controls.tokenizer, name)

    def __call__(self, text: str | list[str], *args: Any, **options: Any) -> BatchEncoding:
        """Tokenise texts in which placeholders are replaced, as the tokenizer itself would."""
        alone = isinstance(text, str)
        pages = [self._page(text)] if isinstance(text, str) else [self._page(one) for one in text]
        for page in pages:
            if page.literal and self._controls.smuggled(page.parts, page.texts):
                return self._as_text(pages, options, alone=alone)
        readings = [self._plainly(page, options) for page in pages]
        self._remember(pages, readings)
        filled: Any = [woven(page.parts, page.texts) for page in pages]
        if alone:
            filled = filled[0]
        # Else it may warn that the prompt is long; whether it is too long for the model says `check_length`.
        coded = self._controls.tokenizer(filled, *args, **{**options, "verbose": False})
        return _Filled(coded, pages, readings)

    def wrote(self, token_ids: list[int]) -> Ints:
        """The characters of the question that each token of the whole prompt writes.

        Args:
            token_ids: The prompt as the processor returned it; it may be put together from several texts.

        Returns:
            int (token, 2); -1 for other tokens.
        """
        wrote = np.full((len(token_ids), 2), -1, dtype=np.int64)
        for reading in self._readings:
            if not (reading.wrote >= 0).any():
                continue
            # A text that was tokenised by itself may have lost its start token in the prompt, and its end.
            for skip, lost in ((0, 0), (1, 0), (1, 1)):
                kept = slice(skip, len(reading.token_ids) - lost)
                piece = reading.token_ids[kept]
                start = _find(token_ids, piece)
                if start >= 0:
                    here = wrote[start : start + len(piece)]
                    np.maximum(here, reading.wrote[kept], out=here)
                    break
        return wrote

    def _page(self, text: str) -> _Page:
        # Parts of the text and numbers of placeholders take turns.
        pieces = PLACES.split(text)
        fillings = [self._fillings[int(number)] for number in pieces[1::2]]
        return _Page(tuple(pieces[::2]), tuple(fillings))

    def _as_text(self, pages: Sequence[_Page], options: Mapping[str, Any], *, alone: bool) -> BatchEncoding:
        """Tokenise pages in which typed control tokens are text."""
        adds = options.get("add_special_tokens", True)
        readings, ids, masks = [], [], []
        for page in pages:
            reading = self._controls.read_as_text(
                page.parts, page.texts, bases=page.bases, add_special_tokens=adds
            )
            readings.append(reading)
            ids.append(reading.token_ids)
            masks.append([1] * len(reading.token_ids))
        self._remember(pages, readings)
        kind = options.get("return_tensors")
        if alone and kind is None:
            return _Filled({"input_ids": ids[0], "attention_mask": masks[0]}, pages, readings)
        coded = BatchEncoding({"input_ids": ids, "attention_mask": masks}, tensor_type=kind)
        return _Filled(coded, pages, readings)

    def _remember(self, pages: Sequence[_Page], readings: Sequence[TokenizedText]) -> None:
        for page, reading in zip(pages, readings, strict=True):
            if page.texts:
                self._readings.append(reading)

    def _plainly(self, page: _Page, options: Mapping[str, Any]) -> TokenizedText:
        """Which characters each token of a page writes; no tokens where the tokenizer is a slow one."""
        tokenizer, adds = self._controls.tokenizer, options.get("add_special_tokens", True)
        if not page.texts or not getattr(tokenizer, "is_fast", False):
            return TokenizedText([], characters_written([], []))
        coded = tokenizer(
            woven(page.parts, page.texts),
            return_offsets_mapping=True,
            add_special_tokens=adds,
            verbose=False,
        )
        offsets = coded.offset_mapping
        wrote = characters_written(offsets, text_ranges(page.parts, page.texts), page.bases)
        return TokenizedText(coded.input_ids, wrote, np.array(offsets, dtype=np.int64).reshape(-1, 2))


@dataclass(frozen=True, slots=True)
class _Page:
    """One text that a processor hands to its tokenizer.

    Attributes:
        parts: The text around the placeholders.
        fillings: The typed text for each placeholder.
    """

    parts: tuple[str, ...]
    fillings: tuple[Filling, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(one.text for one in self.fillings)

    @property
    def bases(self) -> tuple[int | None, ...]:
        return tuple(one.base for one in self.fillings)

    @property
    def literal(self) -> bool:
        """Whether control tokens in any of its fillings are text."""
        return not all(filling.commands for filling in self.fillings)

    def filled(self, char: int) -> int:
        """Where a character of the text is once placeholders are replaced."""
        shift = seen = 0
        for part, text in zip(self.parts, self.texts, strict=False):
            seen += len(part)
            if char < seen:
                break
            seen += _PLACE
            shift += len(text) - _PLACE
        return char + shift


_PLACE = len(placeholder(0))


class _Filled(BatchEncoding):
    """A batch of tokens; processors may ask it for characters of the texts with placeholders."""

    def __init__(
        self, coded: Mapping[str, Any], pages: Sequence[_Page], readings: Sequence[TokenizedText]
    ) -> None:
        super().__init__(dict(coded), getattr(coded, "encodings", None))
        self._pages, self._read = pages, readings

    def char_to_token(  # type: ignore[override]
        self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0
    ) -> int | None:
        """The token that holds a character of a text as the processor wrote it, with placeholders."""
        batch, char = batch_or_char_index, char_index
        if char is None:
            batch, char = 0, batch_or_char_index
        page, offsets = self._pages[batch], self._read[batch].offsets
        if offsets is None:
            return super().char_to_token(batch, char, sequence_index)
        at = page.filled(char)
        hits = np.flatnonzero((offsets[:, 0] <= at) & (at < offsets[:, 1]))
        if not len(hits):
            return None
        return int(hits[0])


def _find(whole: list[int], piece: list[int]) -> int:
    """Where a piece last begins in a list of tokens; -1 if it is not in it."""
    if not piece or len(piece) > len(whole):
        return -1
    windows = torch.tensor(whole).unfold(0, len(piece), 1)
    hits = (windows == torch.tensor(piece)).all(dim=1).nonzero()
    if not len(hits):
        return -1
    return int(hits[-1])
