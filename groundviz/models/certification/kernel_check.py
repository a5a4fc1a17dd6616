"""Whether the passes that maps are made of are the model's own: its logits, and its attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

import numpy as np
import torch
from torch import Tensor

from groundviz.errors import UnsupportedMethod
from groundviz.models.adapter.vlm import VLM
from groundviz.models.certification.certificate import PASSED, closeness, unmeasured
from groundviz.record.types import Check
from groundviz.runtime.attention.rows import weighted_values
from groundviz.runtime.attention.tap import AttentionCall, tapped
from groundviz.runtime.inputs.encoded import Encoded
from groundviz.runtime.loan.device import on_device
from groundviz.runtime.loan.guard import Loan
from groundviz.runtime.passes.forward import added, teacher_forced_inputs
from groundviz.runtime.passes.nan_check import sampling, scores_not_finite, where_not_finite

# What rounding may come to, in float32 and in shorter numbers; a wrong mask or scale is well above.
ROUNDING, SHORT_ROUNDING = 1e-3, 5e-2
LAST_ROWS = 4
# As many as it takes to see what the first token of an answer is to the second.
TOKENS = 3


@dataclass(slots=True, eq=False)
class _Kernel:
    """A tap handler that holds rows of attention times values against what the kernel puts out.

    The last rows, which predict the answer, and those of the question.

    Attributes:
        question: Where the question stands in the prompt.
        apart: The largest difference in each call, relative to the largest output of these rows.
    """

    question: slice
    apart: list[float] = field(default_factory=list)

    def __call__(self, call: AttentionCall) -> tuple[Tensor, Tensor | None]:
        output, weights = call.run()
        for rows in (slice(max(0, call.query.shape[2] - LAST_ROWS), None), self.question):
            own = output[:, rows].transpose(1, 2).float()
            if own.numel():
                read = weighted_values(call.rows(rows), call.value)
                apart = (read - own).abs().max() / own.abs().max().clamp(min=torch.finfo(torch.float32).tiny)
                self.apart.append(float(apart))
        return output, weights


def compare(vlm: VLM, loan: Loan, encoded: Encoded) -> tuple[Check, ...]:
    """Hold a plain pass over prompt and answer against generation, and taps against the kernel.

    Costs a generation of `TOKENS` tokens and a pass of the whole model.

    Raises:
        NumericalError: The model's scores are not finite.
    """
    inputs, kernel = on_device(vlm.model, encoded.inputs), _Kernel(_question(encoded))
    most = ROUNDING if vlm.model.dtype == torch.float32 else SHORT_ROUNDING

    def broken() -> str:
        return where_not_finite(loan, lambda: vlm.model(**inputs, use_cache=False))

    with torch.no_grad(), sampling(broken):
        # One path: which step belongs to which of several is not told.
        one = {"num_beams": 1, "num_return_sequences": 1, "max_new_tokens": TOKENS}
        # A shortest answer of the model's own may be longer than that, of which transformers would warn.
        shortest = ("min_new_tokens", "min_length")
        one |= {name: 0 for name in shortest if getattr(vlm.model.generation_config, name, None)}
        made = vlm.model.generate(**inputs, **one, return_dict_in_generate=True, output_logits=True)
        answer = added(inputs["input_ids"][0], made.sequences[0])[: len(made.logits)]
        # An image token in a random model's answer would be taken for an image.
        plain = [] if encoded.prompt.image_ids.intersection(answer) else answer[:-1]
        whole = teacher_forced_inputs(inputs, plain, fill=encoded.answer_fill)
        logits, unreadable = _tapped(vlm, whole, kernel)
    steps = torch.stack([step[0].float() for step in made.logits[: len(plain) + 1]])
    if steps.log_softmax(dim=-1).isnan().any():
        raise scores_not_finite(broken())
    apart = (logits[-len(steps) :].float() - steps).abs().amax(dim=-1) / steps.std(dim=-1)
    rows = unmeasured("rows", unreadable) if unreadable else _rows(kernel.apart, most)
    return (
        _tokens(encoded),
        _length(len(logits), len(encoded.prompt.token_ids) + len(plain)),
        closeness(
            "first steps",
            float(apart.max()),
            most,
            f"Scores of a plain pass and of the first {len(steps)} steps of generate",
            "a plain pass is not what generate does",
        ),
        rows,
    )


def _question(encoded: Encoded) -> slice:
    asked = [len(encoded.prompt.tokens) + index for index in encoded.prompt.asked]
    return slice(asked[0], asked[-1] + 1) if asked else slice(0)


def _tapped(vlm: VLM, inputs: dict[str, Tensor], kernel: _Kernel) -> tuple[Tensor, str]:
    """Logits (token, vocabulary) of a pass with attention tapped, and why it could not be tapped."""
    modules = {module: number for number, module in enumerate(vlm.parts().attending)}
    try:
        with tapped(modules, kernel):
            return vlm.model(**inputs, use_cache=False).logits[0], ""
    except UnsupportedMethod as why:
        return vlm.model(**inputs, use_cache=False).logits[0], str(why)


def _rows(apart: Sequence[float], most: float) -> Check:
    if not apart:
        return unmeasured("rows", "Attention could not be read: no attention module that was named ran.")
    says = "Attention rows times values and the output of the model's own kernel"
    return closeness(
        "rows", float(np.max(apart)), most, says, "attention rows are not those of the model's kernel"
    )


def _tokens(encoded: Encoded) -> Check:
    """Whether image tokens, cells and what attention is read at are the same positions of the prompt."""
    spans = [range(span.start, span.stop) for span in encoded.prompt.spans if span.kind == "image"]
    tokens = [at for span in spans for at in span]
    # What stands in the columns of cross-attention is found by following the cells there.
    across = encoded.prompt.grids[0].stage == "cross"
    columns = tokens if across else encoded.columns.tolist()
    cells = encoded.cells["language"].index.tolist() if "language" in encoded.cells else columns
    wrong = len(set(tokens) ^ set(columns)) or sum(a != b for a, b in zip_longest(columns, cells))
    found = f"Image tokens in the prompt: {len(tokens)}; tokens attention is read at: {len(encoded.columns)}"
    return Check(
        name="tokens",
        value=float(wrong),
        reference=0.0,
        verdict=f"attention is read at {wrong} wrong tokens" if wrong else PASSED,
        says=f"{found}, {wrong} wrong.",
    )


def _length(computed: int, tokens: int) -> Check:
    return Check(
        name="length",
        value=float(computed),
        reference=float(tokens),
        verdict=PASSED if computed == tokens else f"{computed} positions for {tokens} tokens",
        says=f"Tokens of the prompt: {tokens}; positions that the model computes: {computed}.",
    )
