"""What the model might have said instead of a part of its answer."""

from __future__ import annotations

from groundviz.record.targets import answered
from groundviz.record.types import Answer, Foil, Target
from groundviz.runtime.inputs.explainable import Lendable


def foil(vlm: Lendable, answer: Answer, target: Target, text: str) -> Foil:
    """A text as the model would write it in the target's place."""
    before = answer.text[: int(answer.offsets[answered(target).tokens[0], 0])].lstrip()
    ids = vlm.answer_ids(before + text.strip())
    ends = vlm.read_answer(ids)[2][:, 1]
    own = tuple(int(i) for i, end in zip(ids, ends, strict=True) if end > len(before))
    return Foil(text=text.strip(), token_ids=own)
