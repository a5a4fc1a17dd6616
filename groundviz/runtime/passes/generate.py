"""Letting a model answer, or making it say an answer, with attention to the image kept on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from groundviz.runtime.attention.recorder import RowWatch
from groundviz.runtime.attention.tap import tapped
from groundviz.runtime.passes.decoding import Decoding, settled
from groundviz.runtime.passes.forward import Passes, accepts, added
from groundviz.runtime.passes.kv_cache import cache_of, keeps_keys
from groundviz.runtime.passes.nan_check import sampling


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """An answer, and what was seen of the model while it was said.

    Attributes:
        token_ids: Of the answer.
        logits: Raw scores that predict each of them, float32 (token, vocabulary).
        cache: Keys and values of the prompt, and perhaps more, where the model gave them.
        attention: Rows that predict the answer, (token, layer, head, column); None where none can be read.
        question: Rows of the question's own tokens, likewise; None also where the model did not read
            the prompt token by token.
    """

    token_ids: list[int]
    logits: Tensor
    cache: Any
    attention: Tensor | None = None
    question: Tensor | None = None


def generated(
    passes: Passes,
    asked: Sequence[int],
    decoding: Decoding,
    broken: Callable[[], str],
    *,
    tokenizer: Any = None,
) -> Said:
    """What the model says by itself, with its own kernel and decoding.

    Where decoding goes along several paths, or reads everything anew for each token, a pass over the answer
    that was chosen gives its rows and scores.

    Args:
        passes: The lent model with its prompt.
        asked: Positions of the question's tokens in the prompt.
        decoding: How to generate.
        broken: Says which part of the model does not put out finite numbers.
        tokenizer: The model's, which stop strings are found with.

    Raises:
        NumericalError: The model's scores are not finite.
    """
    prompt, looking = passes.inputs["input_ids"][0], bool(passes.parts.looking)
    wanted: dict[str, Any] = {"return_dict_in_generate": True, "output_logits": True, **decoding.options}
    if decoding.stop_strings:
        wanted["tokenizer"] = tokenizer
    watch = _watch(passes, asked, start=len(prompt) - 1, deferred=keeps_keys(decoding.config))
    tap = _tap(passes, watch) if decoding.one_by_one else nullcontext()
    with torch.no_grad(), tap, sampling(broken), settled(decoding):
        result = passes.model.generate(**passes.inputs, **wanted)
    token_ids = added(prompt, result.sequences[0])
    if not decoding.one_by_one:
        return given(passes, asked, token_ids)
    question = watch.question() if looking else None
    attention = watch.stacked(len(token_ids)) if looking else None
    if looking and attention is None:
        # Decoding did not go one token at a time; one pass over the answer gives the same rows.
        return given(passes, asked, token_ids)
    logits = torch.stack([step[0] for step in result.logits])[: len(token_ids)].float()
    return Said(token_ids, logits, cache_of(result), attention, question)


def given(passes: Passes, asked: Sequence[int], token_ids: list[int]) -> Said:
    """An answer that the model is made to say, in one pass; arguments as for `generated`."""
    start, count = passes.inputs["input_ids"].shape[1] - 1, len(token_ids)
    watch = _watch(passes, asked, rows=slice(start, start + count))
    few = {"logits_to_keep": count + 1} if accepts(passes.model, "logits_to_keep") else {}
    with torch.no_grad(), _tap(passes, watch):
        output = passes.model(**passes.saying(token_ids), use_cache=True, **few)
    logits, cache = output.logits[0, -count - 1 : -1].float(), cache_of(output)
    if not passes.parts.looking:
        return Said(token_ids, logits, cache)
    question = watch.question()
    return Said(token_ids, logits, cache, watch.stacked(count), question)


def _watch(passes: Passes, asked: Sequence[int], **options: Any) -> RowWatch:
    return RowWatch(passes.columns, cross=bool(passes.parts.cross_attention), question=asked, **options)


def _tap(passes: Passes, watch: RowWatch) -> Any:
    return tapped({module: number for number, module in enumerate(passes.parts.looking)}, watch)
