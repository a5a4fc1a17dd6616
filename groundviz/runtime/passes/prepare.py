"""From an encoded prompt to passes over it, its tensors brought to where the model computes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from groundviz.record.conversation import Asking, asked_again
from groundviz.record.types import SourceImage
from groundviz.runtime.inputs.encoded import PIXELS, Encoded
from groundviz.runtime.inputs.explainable import Lendable
from groundviz.runtime.inputs.pixels import ImageInput, InTensor, ThroughProcessor, flattened, unflattened
from groundviz.runtime.inputs.sites import Parts
from groundviz.runtime.loan.device import home, on_device
from groundviz.runtime.loan.guard import Loan
from groundviz.runtime.passes.forward import Passes, is_per_token


def passes_over(
    vlm: Lendable, loan: Loan, parts: Parts, source_images: Sequence[SourceImage], encoded: Encoded
) -> Passes:
    """Passes over a prompt and an answer that is not known yet."""
    device, inputs = home(vlm.model), on_device(vlm.model, encoded.inputs)
    index = {
        name: torch.from_numpy(one.index).to(device) for name, one in encoded.cells.items() if one.index.size
    }
    seen: ImageInput
    if "pixels" in index:
        seen = InTensor(inputs[PIXELS], index["pixels"])
    else:
        seen = _processed(vlm, source_images, asked_again(encoded.prompt))
    return Passes(
        model=vlm.model,
        loan=loan,
        parts=parts,
        inputs=inputs,
        image=seen,
        index=index,
        columns=torch.from_numpy(encoded.columns).to(device),
        said=encoded.said,
        image_ids=frozenset() if parts.cross_attention else encoded.prompt.image_ids,
    )


def _processed(vlm: Lendable, source_images: Sequence[SourceImage], question: Asking) -> ThroughProcessor:
    """The source images' own pixels, for a model about whose tensors nothing is known."""

    def process(cells: Tensor) -> dict[str, Tensor]:
        inputs = vlm.encode(unflattened(cells, source_images), question).inputs
        images = {name: one for name, one in inputs.items() if not is_per_token(one, inputs)}
        return on_device(vlm.model, images)

    return ThroughProcessor(flattened(source_images).to(home(vlm.model)), process)
