"""An answer from the model: generated, or given and read in a teacher-forced pass.

Attention from question and answer to the image is kept in the same passes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from groundviz.runtime.attention.recorder import RowWatch
from groundviz.runtime.attention.tap import tapped
from groundviz.runtime.passes.decoding import Decoding, settled
from groundviz.runtime.passes.forward import Passes, added, for_generate, keep_logits, shares_keys
from groundviz.runtime.passes.kv_cache import cache_of, keeps_keys, only_grows
from groundviz.runtime.passes.nan_check import sampling


@dataclass(frozen=True, slots=True, eq=False)
class AnswerTrace:
    """An answer, with what was read from the passes that generated or scored it.

    Attributes:
        token_ids: Of the answer.
        logits: That predict each of them, float32 (token, vocabulary).
        cache: The KV cache of the prompt, and perhaps of the answer; None where the model gave none.
        attention: Attention weights of the rows that predict the answer, (token, layer, head, column);
            None where none can be read.
        question: Attention weights of the question's tokens, likewise; None also where the model did
            not read the prompt token by token.
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
) -> AnswerTrace:
    """The answer that the model generates, with its own kernel and decoding.

    With beam search, or without a KV cache, attention and logits come from a teacher-forced pass over the
    answer that was chosen.

    Args:
        passes: The borrowed model with its prompt.
        asked: Positions of the question's tokens in the prompt.
        decoding: How to generate.
        broken: Names the part of the model whose output is not finite.
        tokenizer: The model's, which finds stop strings.

    Raises:
        NumericalError: The model's logits are not finite.
    """
    before = passes.before_answer
    wanted: dict[str, Any] = {"return_dict_in_generate": True, "output_logits": True, **decoding.options}
    if decoding.stop_strings:
        wanted["tokenizer"] = tokenizer
    if shares_keys(passes.model):
        wanted |= keep_logits(passes.model, 1)
    watch = _watch(
        passes,
        asked,
        start=len(before) - 1,
        deferred=keeps_keys(decoding.config),
        growing=only_grows(passes.model.config),
    )
    tap = _tap(passes, watch) if decoding.one_by_one else nullcontext()
    with torch.no_grad(), tap, sampling(broken), settled(decoding):
        result = passes.model.generate(**for_generate(passes.model, passes.inputs), **wanted)
    token_ids = added(before, result.sequences[0])
    if not decoding.one_by_one:
        return teacher_forced(passes, asked, token_ids)
    question, attention = None, None
    if passes.parts.attending:
        question = watch.question()
        attention = watch.stacked(len(token_ids))
        if attention is None:
            # Decoding did not go one token at a time. A teacher-forced pass gives the same rows.
            return teacher_forced(passes, asked, token_ids)
    logits = torch.stack([step[0] for step in result.logits])[: len(token_ids)].float()
    return AnswerTrace(token_ids, logits, cache_of(result), attention, question)


def teacher_forced(passes: Passes, asked: Sequence[int], token_ids: list[int]) -> AnswerTrace:
    """A given answer, read in one teacher-forced pass; arguments as for `generated`."""
    start, count = len(passes.before_answer) - 1, len(token_ids)
    watch = _watch(passes, asked, rows=slice(start, start + count))
    inputs = passes.teacher_forced_inputs(token_ids)
    with torch.no_grad(), _tap(passes, watch):
        output = passes.model(**inputs, use_cache=True, **keep_logits(passes.model, count + 1))
    # The logits after the answer's last token predict nothing of it.
    logits = output.logits[0, -count - 1 : -1].float()
    trace = AnswerTrace(token_ids, logits, cache_of(output))
    if not passes.parts.attending:
        return trace
    question = watch.question()
    return replace(trace, attention=watch.stacked(count), question=question)


def _watch(passes: Passes, asked: Sequence[int], **options: Any) -> RowWatch:
    return RowWatch(passes.columns, cross=bool(passes.parts.cross_attention), question=asked, **options)


def _tap(passes: Passes, watch: RowWatch) -> Any:
    return tapped({module: number for number, module in enumerate(passes.parts.attending)}, watch)
