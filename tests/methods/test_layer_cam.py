"""LayerCAM against its formula on the tensors of plain transformers."""

import pytest

from tests.methods.autograd import AGAINST, LAYERS, Plain, close, explained


@pytest.mark.parametrize("at", LAYERS)
@pytest.mark.parametrize("against", AGAINST)
def test_only_positive_gradients_weigh_and_only_positive_sums_are_kept(tiny, study, at, against):
    explanation, maps = explained(tiny, study, "layer_cam", at=at, against=against)
    values, slopes = Plain(tiny, explanation.record).slopes(at)
    weighed = (values * slopes.clamp(min=0)).sum(-1)
    assert weighed.max() > 0
    close(maps[0, 0], weighed.clamp(min=0))
    # Not HiResCAM: what a negative gradient took away there is missing here.
    assert not (values * slopes).sum(-1).clamp(min=0).allclose(weighed.clamp(min=0))
