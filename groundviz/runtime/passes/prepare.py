"""From an encoded prompt to teacher-forced passes over it, with its tensors on the model's device."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from groundviz.record.conversation import Asking, asked_again
from groundviz.record.types import SourceImage
from groundviz.runtime.inputs.encoded import Encoded
from groundviz.runtime.inputs.explainable import Explainable
from groundviz.runtime.inputs.pixels import ImageInput, InTensor, ThroughProcessor, flattened, unflattened
from groundviz.runtime.inputs.sites import Parts
from groundviz.runtime.loan.device import home, on_device
from groundviz.runtime.loan.guard import Loan
from groundviz.runtime.passes.forward import Passes, is_per_token


def passes_over(
    vlm: Explainable, loan: Loan, parts: Parts, source_images: Sequence[SourceImage], encoded: Encoded
) -> Passes:
    """Passes over a prompt; the answer is not known yet."""
    device, inputs = home(vlm.model), on_device(vlm.model, encoded.inputs)
    index = {}
    for stage, cells in encoded.cells.items():
        if cells.index.size:
            index[stage] = torch.from_numpy(cells.index).to(device)
    image: ImageInput
    if "pixels" in index:
        image = InTensor({name: inputs[name] for name in encoded.image_inputs}, index["pixels"])
    else:
        image = _through_processor(vlm, source_images, asked_again(encoded.prompt))
    image_ids = encoded.prompt.image_ids
    if parts.cross_attention:
        # Such a model reads its image tokens as text.
        image_ids = frozenset()
    return Passes(
        model=vlm.model,
        loan=loan,
        parts=parts,
        inputs=inputs,
        image=image,
        index=index,
        columns=torch.from_numpy(encoded.columns).to(device),
        answer_fill=encoded.answer_fill,
        image_ids=image_ids,
    )


def _through_processor(
    vlm: Explainable, source_images: Sequence[SourceImage], question: Asking
) -> ThroughProcessor:
    """The source images' own pixels, for a model whose image tensors have no known layout."""

    def process(cells: Tensor) -> dict[str, Tensor]:
        inputs = vlm.encode(unflattened(cells, source_images), question).inputs
        images = {name: one for name, one in inputs.items() if not is_per_token(one, inputs)}
        return on_device(vlm.model, images)

    return ThroughProcessor(flattened(source_images).to(home(vlm.model)), process)
