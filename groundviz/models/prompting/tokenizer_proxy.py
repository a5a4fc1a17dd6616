"""A tokenizer for processors that fills in the question, whatever is typed in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import BatchEncoding

from groundviz.models.prompting.control_tokens import PLACES, ControlTokens, Reading, placeholder
from groundviz.models.prompting.offsets import places, woven, written
from groundviz.record.types import Ints


@dataclass(frozen=True, slots=True)
class Filling:
    """A typed text in a prompt.

    Attributes:
        text: As the template writes it.
        base: Where it begins in the question; None for what is no part of that, such as an earlier turn.
        commands: Whether its control tokens are commands, as in a verbatim prompt.
    """

    text: str
    base: int | None = 0
    commands: bool = False


class Scribe:
    """A tokenizer that fills in what was typed where it is called, and remembers where the question went.

    Processors hand their tokenizer the text with all images expanded; only there can typed texts be put
    in, their control tokens read as text, without a processor seeing markers in them.

    Args:
        controls: The tokenizer with its control tokens.
        fillings: What stands for `placeholder(0)`, `placeholder(1)` and so on.
    """

    def __init__(self, controls: ControlTokens, fillings: Sequence[Filling]) -> None:
        self._controls, self._fillings = controls, tuple(fillings)
        self._readings: list[Reading] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._controls.tokenizer, name)

    def __call__(self, text: str | list[str], *args: Any, **options: Any) -> BatchEncoding:
        """Read texts with what was typed in its places, as the tokenizer itself would."""
        pages = [self._page(one) for one in ([text] if isinstance(text, str) else text)]
        if any(page.literal and self._controls.smuggled(page.parts, page.texts) for page in pages):
            return self._as_text(pages, options, alone=isinstance(text, str))
        readings = [self._plainly(page, options) for page in pages]
        self._remember(pages, readings)
        filled = [woven(page.parts, page.texts) for page in pages]
        coded = self._controls.tokenizer(filled[0] if isinstance(text, str) else filled, *args, **options)
        return _Filled(coded, pages, readings)

    def wrote(self, token_ids: list[int]) -> Ints:
        """The characters of the question that each token of the whole prompt writes, as `written` does."""
        wrote = np.full((len(token_ids), 2), -1, dtype=np.int64)
        for reading in self._readings:
            # A piece that was read by itself loses its start token where it is put in.
            for skip in (0, 1):
                piece = reading.token_ids[skip:]
                at = _find(token_ids, piece) if (reading.wrote >= 0).any() else -1
                if at >= 0:
                    here = wrote[at : at + len(piece)]
                    np.maximum(here, reading.wrote[skip:], out=here)
                    break
        return wrote

    def _page(self, text: str) -> _Page:
        parts = PLACES.split(text)
        return _Page(tuple(parts[::2]), tuple(self._fillings[int(number)] for number in parts[1::2]))

    def _as_text(self, pages: Sequence[_Page], options: Mapping[str, Any], *, alone: bool) -> BatchEncoding:
        """As the tokenizer would read them if the control tokens that were typed were mere text."""
        adds = options.get("add_special_tokens", True)
        readings = [
            self._controls.read_as_text(page.parts, page.texts, bases=page.bases, add_special_tokens=adds)
            for page in pages
        ]
        self._remember(pages, readings)
        ids = [reading.token_ids for reading in readings]
        coded = {"input_ids": ids, "attention_mask": [[1] * len(one) for one in ids]}
        kind = options.get("return_tensors")
        if alone and kind is None:
            return _Filled({name: rows[0] for name, rows in coded.items()}, pages, readings)
        return _Filled(BatchEncoding(coded, tensor_type=kind), pages, readings)

    def _remember(self, pages: Sequence[_Page], readings: Sequence[Reading]) -> None:
        self._readings += [one for one, page in zip(readings, pages, strict=True) if page.texts]

    def _plainly(self, page: _Page, options: Mapping[str, Any]) -> Reading:
        """Where the tokenizer tells which characters each token stands for; nowhere if it does not."""
        tokenizer, adds = self._controls.tokenizer, options.get("add_special_tokens", True)
        if not page.texts or not getattr(tokenizer, "is_fast", False):
            return Reading([], written([], []))
        coded = tokenizer(woven(page.parts, page.texts), return_offsets_mapping=True, add_special_tokens=adds)
        offsets = coded.offset_mapping
        wrote = written(offsets, places(page.parts, page.texts), page.bases)
        return Reading(coded.input_ids, wrote, np.array(offsets, dtype=np.int64).reshape(-1, 2))


@dataclass(frozen=True, slots=True)
class _Page:
    """A text with its places for what was typed.

    Attributes:
        parts: What stands around each place.
        fillings: What stands in it.
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
        """Whether control tokens that were typed are no commands."""
        return any(not one.commands for one in self.fillings)

    def filled(self, char: int) -> int:
        """Where a character of a part stands once the texts are in their places."""
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
    """What a tokenizer made of texts, for processors that ask for characters of the texts they wrote."""

    def __init__(self, coded: Mapping[str, Any], pages: Sequence[_Page], readings: Sequence[Reading]) -> None:
        super().__init__(dict(coded), getattr(coded, "encodings", None))
        self._pages, self._read = pages, readings

    def char_to_token(  # type: ignore[override]
        self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0
    ) -> int | None:
        """The token that holds a character of a text as the processor wrote it, with its placeholders."""
        batch, char = (0, batch_or_char_index) if char_index is None else (batch_or_char_index, char_index)
        page, offsets = self._pages[batch], self._read[batch].offsets
        if offsets is None:
            return super().char_to_token(batch, char, sequence_index)
        at = page.filled(char)
        hits = np.flatnonzero((offsets[:, 0] <= at) & (at < offsets[:, 1]))
        return int(hits[0]) if len(hits) else None


def _find(whole: list[int], piece: list[int]) -> int:
    """Where a piece stands in a list of tokens; -1 where it does not."""
    if not piece:
        return -1
    wanted, all_ids = torch.tensor(piece), torch.tensor(whole)
    if len(piece) > len(whole):
        return -1
    hits = (all_ids.unfold(0, len(piece), 1) == wanted).all(dim=1).nonzero()
    return int(hits[-1]) if len(hits) else -1
