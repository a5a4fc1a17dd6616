"""The end of an answer, where that is a text and no token of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import StoppingCriteria


class AtSeparator(StoppingCriteria):
    """Stops where the text of an answer comes to a separator, however that is cut into tokens.

    Args:
        separator: The text.
        pieces: From `pieces_of`.
        start: How many tokens stand before the answer.

    >>> at = AtSeparator("###", {"5": "##", "6": " #", "7": "#"}, start=1)
    >>> at(torch.tensor([[7, 5, 7], [5, 7, 1], [7, 5, 6]]), None)
    tensor([ True, False, False])
    """

    def __init__(self, separator: str, pieces: Mapping[str, str], start: int) -> None:
        self._separator, self._pieces, self._start = separator, pieces, start

    def __call__(self, input_ids: Any, scores: Any, **options: Any) -> Any:
        """Whether each prompt's answer is at its end, bool (prompt,)."""
        last = input_ids[:, self._start :][:, -len(self._separator) :]
        ended: Tensor = torch.tensor([self._ended(row) for row in last.tolist()], device=input_ids.device)
        return ended

    def _ended(self, token_ids: list[int]) -> bool:
        # What has no letter of the separator cannot be part of it.
        return self._separator in "".join(self._pieces.get(str(one), " ") for one in token_ids)


def pieces_of(tokenizer: Any, separator: str) -> dict[str, str]:
    """How each token with a letter of the separator is written, by its id as text.

    Args:
        tokenizer: In sentencepiece's manner, with bytes for what it has no piece for.
        separator: Of plain letters.
    """
    letters = {f"<0x{ord(letter):02X}>": letter for letter in separator}
    written = {
        str(index): letters.get(piece, piece.replace("▁", " "))
        for piece, index in tokenizer.get_vocab().items()
    }
    return {index: text for index, text in written.items() if set(text) & set(separator)}
