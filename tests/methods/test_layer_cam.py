"""LayerCAM against its formula on the tensors of plain transformers."""

import pytest

from tests.methods.autograd import AGAINST, LAYERS, Plain, close, explained


@pytest.mark.parametrize("at", LAYERS)
@pytest.mark.parametrize("against", AGAINST)
def test_only_positive_gradients_weigh_and_only_positive_sums_are_kept(tiny, source_image, at, against):
    explanation, maps = explained(tiny, source_image, "layer_cam", at=at, against=against)
    values, gradients = Plain(tiny, explanation.record).gradients(at)
    weighed = (values * gradients.clamp(min=0)).sum(-1)
    assert weighed.max() > 0
    close(maps[0, 0], weighed.clamp(min=0))
    # Not HiResCAM: what a negative gradient took away there is missing here.
    assert not (values * gradients).sum(-1).clamp(min=0).allclose(weighed.clamp(min=0))
