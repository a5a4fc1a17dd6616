"""Attention rollout against the product of whole eager matrices."""

import numpy as np
import torch

from groundviz.explain import explain
from tests.methods.eager import eager, values

METHOD, QUESTION, ANSWER = "attention_rollout", "Is there a nodule?", "left lung nodule"


def rolled_out(vlm, record):
    """The whole matrix R (token, token), first layer to last."""
    attentions = eager(vlm, record.source_image, QUESTION, record.answer.token_ids).attentions
    result = torch.eye(attentions[0].shape[-1])
    for layer in attentions:
        result = (layer[0].mean(0) / 2 + torch.eye(len(result)) / 2) @ result
    return result.detach().numpy()


def test_each_token_has_its_row_of_the_rolled_out_matrix(tiny, source_image):
    explanation = explain(tiny, source_image, QUESTION, answer=ANSWER, methods=METHOD)
    record = explanation.record
    matrix = rolled_out(tiny, record)
    np.testing.assert_allclose(matrix.sum(1), 1.0, rtol=1e-5)
    start = len(record.prompt.token_ids) - 1
    expected = matrix[start : start + 3][:, record.prompt.grids[0].positions]
    maps, found = values(explanation, METHOD)
    np.testing.assert_allclose(found[:, 0, 0], expected, atol=1e-6)
    assert (maps.unit, maps.signed, maps.layers) == ("share of the flow", False, ())
    both = explanation.heatmap(target=(0, 2)).values.reshape(-1)
    np.testing.assert_allclose(both, expected[:2].mean(0), atol=1e-6)
