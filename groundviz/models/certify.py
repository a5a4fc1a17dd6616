"""`groundviz.certify`: tests in one call whether maps of a model show where it looked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from groundviz.models.certification.certificate import Certificate, Shape
from groundviz.models.certification.run import certify_vlm
from groundviz.models.load import Source, resolve


def certify(model: Source, *, processor: Any = None, shapes: Sequence[Shape] | None = None) -> Certificate:
    """Test a model and its processor: are maps placed where the model attended?

    Every cell is followed from the source image through pixels, vision tower and projector to the tokens
    that the answer attends to: images of odd sizes go through the real processor, and gradients through the
    real model. Independently of these, blocks of two images in one prompt are inverted, and the image tokens
    that stand over them must change most. One forward pass is compared with the first steps of `generate`,
    and attention rows with the output of the model's own kernel. What cannot be measured of a model is told
    by name. The model comes back bit-identical.

    Cost: two passes of the whole model and two steps of decoding; for each image a pass through its tower
    alone and five encodings; two more passes of the tower over two images, eight where tokens depend on much
    of the image. A model whose geometry is measured is measured for these shapes first.

    Args:
        model: As for `explain`.
        processor: Its processor, if it is not in the folder of its weights.
        shapes: Rows and columns of the images; if None, two odd sizes that suit the model.

    Raises:
        UnsupportedModel: The model has no adapter or one for another model, or cannot run.
        UnsupportedMethod: Its tower or projector cannot be differentiated.
        NumericalError: Its scores are not finite.

    >>> certificate = certify("demo", shapes=[(131, 77)])
    >>> certificate.passed, certificate.steps["pixels"] < 0.1
    (True, True)
    """
    return certify_vlm(resolve(model, processor), shapes)
