"""Foils: texts that the model might have generated instead of a part of its answer."""

from __future__ import annotations

from groundviz.record.targets import answered
from groundviz.record.types import Answer, Foil, Target
from groundviz.runtime.inputs.explainable import Explainable


def foil(vlm: Explainable, answer: Answer, target: Target, text: str) -> Foil:
    """A text as the model's tokens, in place of the target."""
    first = answered(target).tokens[0]
    before = answer.text[: int(answer.offsets[first, 0])].lstrip()
    # Tokenised with the text before it, since tokens depend on what precedes them.
    ids = vlm.answer_ids(before + text.strip())
    ends = vlm.read_answer(ids)[2][:, 1]
    own = tuple(int(i) for i, end in zip(ids, ends, strict=True) if end > len(before))
    return Foil(text=text.strip(), token_ids=own)
