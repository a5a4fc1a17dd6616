"""A tokenizer for processors that fills in the question, whatever is typed in it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from transformers import BatchEncoding

from groundviz.models.characters import places, written
from groundviz.models.control_tokens import PLACEHOLDER, ControlTokens, Reading
from groundviz.types import Ints


class Scribe:
    """A tokenizer that fills in the question where it is called, and remembers where that went.

    Processors hand their tokenizer the text with all images expanded; only there can the question
    be put in, its control tokens read as text, without a processor seeing markers in it.
    """

    def __init__(self, controls: ControlTokens, question: str) -> None:
        self._controls, self._question = controls, question
        self._readings: list[Reading] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._controls.tokenizer, name)

    def __call__(self, text: str | list[str], *args: Any, **options: Any) -> BatchEncoding:
        """Read texts with the question where its placeholder stands, as the tokenizer itself would."""
        parts = [one.split(PLACEHOLDER) for one in ([text] if isinstance(text, str) else text)]
        if any(self._controls.smuggled(one, self._question) for one in parts if len(one) > 1):
            return self._as_text(parts, options, alone=isinstance(text, str))
        self._readings += [self._plainly(one, options) for one in parts if len(one) > 1]
        filled = [self._question.join(one) for one in parts]
        coded: BatchEncoding = self._controls.tokenizer(
            filled[0] if isinstance(text, str) else filled, *args, **options
        )
        return coded

    def _as_text(self, parts: list[list[str]], options: Mapping[str, Any], *, alone: bool) -> BatchEncoding:
        """As the tokenizer would read them if the question's control tokens were mere text."""
        adds = options.get("add_special_tokens", True)
        read = partial(self._controls.read_as_text, text=self._question, add_special_tokens=adds)
        readings = [read(one) for one in parts]
        self._readings += [one for one, around in zip(readings, parts, strict=True) if len(around) > 1]
        ids = [reading.token_ids for reading in readings]
        coded = {"input_ids": ids, "attention_mask": [[1] * len(one) for one in ids]}
        kind = options.get("return_tensors")
        if alone and kind is None:
            return BatchEncoding({name: rows[0] for name, rows in coded.items()})
        return BatchEncoding(coded, tensor_type=kind)

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

    def _plainly(self, parts: list[str], options: Mapping[str, Any]) -> Reading:
        """Where the tokenizer tells which characters each token stands for; nowhere if it does not."""
        tokenizer, adds = self._controls.tokenizer, options.get("add_special_tokens", True)
        if not getattr(tokenizer, "is_fast", False):
            return Reading([], written([], []))
        text = self._question.join(parts)
        coded = tokenizer(text, return_offsets_mapping=True, add_special_tokens=adds)
        return Reading(coded.input_ids, written(coded.offset_mapping, places(parts, self._question)))


def _find(whole: list[int], piece: list[int]) -> int:
    """Where a piece stands in a list of tokens; -1 where it does not."""
    if not piece:
        return -1
    wanted, all_ids = torch.tensor(piece), torch.tensor(whole)
    if len(piece) > len(whole):
        return -1
    hits = (all_ids.unfold(0, len(piece), 1) == wanted).all(dim=1).nonzero()
    return int(hits[-1]) if len(hits) else -1
