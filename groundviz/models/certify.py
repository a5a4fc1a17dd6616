"""Whether maps of a model will lie where it looked, asked in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from groundviz.models.certification.certificate import Certificate, Shape
from groundviz.models.certification.run import run
from groundviz.models.load import Source, resolve


def certify(model: Source, *, processor: Any = None, shapes: Sequence[Shape] | None = None) -> Certificate:
    """Prove on a model and its processor that maps will lie where the model looked.

    Every cell is followed from the source image through pixels, vision tower and projector to what the
    answer looks at, with images of odd sizes through the real processor and gradients through the real
    model. A plain pass is compared with the first steps of `generate`, and attention rows with what the
    model's own kernel puts out. The model comes back bit-identical.

    Cost: two passes of the whole model and two steps of decoding; for each image a pass through its tower
    alone and five encodings.

    Args:
        model: As for `explain`.
        processor: Its processor, when it does not lie beside its weights.
        shapes: Rows and columns of the images; two odd ones that suit the model when None.

    Raises:
        UnsupportedModel: The model has no adapter or one for another model, or cannot run.
        UnsupportedMethod: Its tower or projector cannot be differentiated.
        NumericalError: Its scores are not finite.

    >>> certificate = certify("demo", shapes=[(131, 77)])
    >>> certificate.passed, certificate.steps["pixels"] < 0.1
    (True, True)
    """
    return run(resolve(model, processor), shapes)
