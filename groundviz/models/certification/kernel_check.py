"""Compares the forward pass that maps are computed from with the model itself.

Its logits are compared with those of `generate`, its attention rows with the output of the model's kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import numpy as np
import torch
from torch import Tensor

from groundviz.errors import UnsupportedMethod
from groundviz.models.adapter.rounding import ROUNDING, most_rounding
from groundviz.models.adapter.vlm import VLM
from groundviz.models.certification.certificate import PASSED, closeness, unmeasured
from groundviz.record.types import Check
from groundviz.runtime.attention.tap import AttentionCall, tapped
from groundviz.runtime.inputs.encoded import Encoded
from groundviz.runtime.loan.device import on_device
from groundviz.runtime.loan.guard import Loan
from groundviz.runtime.passes.forward import added, continued, for_generate, teacher_forced_inputs
from groundviz.runtime.passes.nan_check import sampling, scores_not_finite, where_not_finite

# Rounding grows from layer to layer: scores of a whole model in bfloat16 differ by up to .1 of their spread
# (PaliGemma 2), which is 13 steps of its last digit.
MOST_STEPS = 25
# How many rows at the end of a call are compared: those that predict the answer.
LAST_ROWS = 4
# How many tokens are generated: enough that a later token attends to an earlier one of the answer.
TOKENS = 3


@dataclass(slots=True, eq=False)
class _Kernel:
    """A tap handler that compares attention rows times values with the output of the kernel.

    It compares the last rows, which predict the answer, and the rows of the question.

    Attributes:
        question: Where the question is in the prompt.
        apart: The largest difference in each call, relative to the largest output of the same rows.
    """

    question: slice
    apart: list[float] = field(default_factory=list)

    def __call__(self, call: AttentionCall) -> tuple[Tensor, Tensor | None]:
        output, weights = call.run()
        last = slice(max(0, call.query.shape[2] - LAST_ROWS), None)
        for rows in (last, self.question):
            self.apart.append(call.misread(output, rows))
        return output, weights


def compare(vlm: VLM, loan: Loan, encoded: Encoded) -> tuple[Check, ...]:
    """Compare one forward pass over prompt and answer with generation, and taps with the kernel.

    Cost: generating `TOKENS` tokens, and one pass of the whole model.

    Returns:
        Four checks: tokens, length, first steps and rows.

    Raises:
        NumericalError: The model's scores are not finite.
    """
    inputs = on_device(vlm.model, encoded.inputs)
    kernel = _Kernel(_question(encoded))
    most = most_rounding(vlm.model.dtype)

    def broken() -> str:
        return where_not_finite(loan, lambda: vlm.model(**inputs, use_cache=False))

    with torch.no_grad(), sampling(broken):
        made = _generated(vlm, inputs)
        scored = getattr(made, "logits", None) or ()
        answer = added(inputs[continued(inputs)][0], made.sequences[0])[: len(scored)]
        # The last token is only predicted, never put in.
        given = answer[:-1]
        if encoded.prompt.image_ids.intersection(answer):
            # A random model may generate an image token, which would be taken for another image.
            given = []
        forced = teacher_forced_inputs(inputs, given, fill=encoded.answer_fill)
        logits, unreadable = _tapped(vlm, forced, kernel)
    if scored:
        steps = torch.stack([step[0].float() for step in scored[: len(given) + 1]])
        if steps.log_softmax(dim=-1).isnan().any():
            raise scores_not_finite(broken())
        first_steps = _first_steps(logits, steps, vlm.model.dtype)
    else:
        why = "Generation was not compared with a forward pass: generate returns no scores of its steps."
        first_steps = unmeasured("first steps", why)
    rows = _rows(kernel.apart, most)
    unreadable = unreadable or vlm.parts().opaque
    if unreadable:
        rows = unmeasured("rows", unreadable)
    tokens = forced[continued(forced)].shape[1]
    length = _length(len(logits), tokens, ahead=not encoded.prompt.image_ids)
    return _tokens(encoded), length, first_steps, rows


def _first_steps(logits: Tensor, steps: Tensor, dtype: torch.dtype) -> Check:
    """Whether a forward pass has the scores of generate, (step, vocabulary), at its last tokens."""
    apart = (logits[-len(steps) :].float() - steps).abs().amax(dim=-1) / steps.std(dim=-1)
    return closeness(
        "first steps",
        float(apart.max()),
        max(ROUNDING, MOST_STEPS * torch.finfo(dtype).eps),
        f"Scores of one forward pass and of the first {len(steps)} steps of generate",
        "a forward pass is not what generate computes",
    )


def _generated(vlm: VLM, inputs: dict[str, Tensor]) -> Any:
    """A short answer of the model, with the logits of each step."""
    # One beam, because transformers does not tell which step belongs to which beam.
    settings = {"num_beams": 1, "num_return_sequences": 1, "max_new_tokens": TOKENS}
    # A minimum length in the model's own settings may be larger than that, and transformers would warn.
    for minimum in ("min_new_tokens", "min_length"):
        if getattr(vlm.model.generation_config, minimum, None):
            settings[minimum] = 0
    return vlm.model.generate(
        **for_generate(vlm.model, inputs), **settings, return_dict_in_generate=True, output_logits=True
    )


def _question(encoded: Encoded) -> slice:
    """Where the question is in the prompt; empty where that is not known."""
    # Indices of the question count from the prompt's end.
    asked = [len(encoded.prompt.tokens) + index for index in encoded.prompt.asked]
    if not asked:
        return slice(0)
    return slice(asked[0], asked[-1] + 1)


def _tapped(vlm: VLM, inputs: dict[str, Tensor], kernel: _Kernel) -> tuple[Tensor, str]:
    """Logits (token, vocabulary) of a pass with attention tapped, and why it could not be, if so."""
    modules = {module: number for number, module in enumerate(vlm.parts().attending)}
    try:
        with tapped(modules, kernel):
            return vlm.model(**inputs, use_cache=False).logits[0], ""
    except UnsupportedMethod as why:
        return vlm.model(**inputs, use_cache=False).logits[0], str(why)


def _rows(apart: Sequence[float], most: float) -> Check:
    if not apart:
        return unmeasured("rows", "Attention could not be read: no attention module that was named ran.")
    compared = "Attention rows times values and the output of the model's own kernel"
    otherwise = "attention rows are not those of the model's kernel"
    return closeness("rows", float(np.max(apart)), most, compared, otherwise)


def _tokens(encoded: Encoded) -> Check:
    """Whether image tokens, cells and the columns of attention are the same positions of the prompt."""
    if not encoded.prompt.grids:
        return unmeasured("tokens", "Image tokens were not compared with cells: they have none.")
    tokens: list[int] = []
    for span in encoded.prompt.spans:
        if span.kind == "image":
            tokens += range(span.start, span.stop)
    columns = encoded.columns.tolist()
    if encoded.prompt.grids[0].stage == "cross":
        # Columns of cross-attention are no positions of the prompt; gradients check them.
        columns = tokens
    cells = columns
    if "language" in encoded.cells:
        cells = encoded.cells["language"].index.tolist()
    wrong = len(set(tokens) ^ set(columns))
    if not wrong:
        wrong = sum(column != cell for column, cell in zip_longest(columns, cells))
    verdict = PASSED
    if wrong:
        verdict = f"attention is read at {wrong} wrong tokens"
    found = f"Image tokens in the prompt: {len(tokens)}; tokens attention is read at: {len(encoded.columns)}"
    return Check(
        name="tokens",
        value=float(wrong),
        reference=0.0,
        verdict=verdict,
        says=f"{found}, {wrong} wrong.",
    )


def _length(computed: int, tokens: int, *, ahead: bool) -> Check:
    """Whether the model computes one position for each token that its decoder reads.

    Args:
        computed: How many it computes.
        tokens: How many tokens its decoder reads.
        ahead: Whether none of them is the image's: the model may then put positions of the image ahead.
    """
    verdict = PASSED
    if computed < tokens or (computed > tokens and not ahead):
        verdict = f"{computed} positions for {tokens} tokens"
    return Check(
        name="length",
        value=float(computed),
        reference=float(tokens),
        verdict=verdict,
        says=f"Tokens of the prompt: {tokens}; positions that the model computes: {computed}.",
    )
