"""From an encoded prompt to passes over it, its tensors brought to where the model computes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from groundviz.record.conversation import Asking, asked_again
from groundviz.record.types import Study
from groundviz.runtime.inputs.encoded import PIXELS, Encoded
from groundviz.runtime.inputs.explainable import Lendable
from groundviz.runtime.inputs.pixels import InTensor, Picture, ThroughProcessor, flattened, unflattened
from groundviz.runtime.inputs.sites import Parts
from groundviz.runtime.loan.device import home, on_device
from groundviz.runtime.loan.guard import Loan
from groundviz.runtime.passes.forward import Passes, is_per_token


def passes_over(
    vlm: Lendable, loan: Loan, parts: Parts, studies: Sequence[Study], encoded: Encoded
) -> Passes:
    """Passes over a prompt and an answer that is not known yet."""
    device, inputs = home(vlm.model), on_device(vlm.model, encoded.inputs)
    index = {
        name: torch.from_numpy(one.index).to(device) for name, one in encoded.cells.items() if one.index.size
    }
    seen: Picture
    if "pixels" in index:
        seen = InTensor(inputs[PIXELS], index["pixels"])
    else:
        seen = _processed(vlm, studies, asked_again(encoded.prompt))
    return Passes(
        model=vlm.model,
        loan=loan,
        parts=parts,
        inputs=inputs,
        picture=seen,
        index=index,
        columns=torch.from_numpy(encoded.columns).to(device),
        said=encoded.said,
        image_ids=frozenset() if parts.cross_attention else encoded.prompt.image_ids,
    )


def _processed(vlm: Lendable, studies: Sequence[Study], question: Asking) -> ThroughProcessor:
    """The source images' own pixels, for a model about whose tensors nothing is known."""

    def process(cells: Tensor) -> dict[str, Tensor]:
        inputs = vlm.encode(unflattened(cells, studies), question).inputs
        pictures = {name: one for name, one in inputs.items() if not is_per_token(one, inputs)}
        return on_device(vlm.model, pictures)

    return ThroughProcessor(flattened(studies).to(home(vlm.model)), process)
