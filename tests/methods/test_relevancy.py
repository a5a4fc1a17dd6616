"""Relevancy against the whole matrix, from eager attention and autograd through it."""

import numpy as np
import pytest
import torch

from groundviz.explain import explain
from groundviz.runtime import borrow
from tests.methods.eager import eager, values

METHOD, QUESTION, ANSWER = "relevancy", "Is there a nodule?", "left lung nodule"


class Dense:
    """One eager pass over prompt and answer, and relevancies of scalars read from it."""

    def __init__(self, vlm, record, token_ids):
        output = eager(vlm, record.source_image, QUESTION, token_ids)
        self.attentions = output.attentions
        self.start = len(record.prompt.token_ids) - 1
        self.columns = record.prompt.grids[0].positions
        self.logprobs = torch.log_softmax(output.logits[0, self.start :], -1)

    def relevancy(self, terms, last=99):
        """Of the sum of (step, token, weight): of each image cell, from the rows where they are read."""
        scalar = sum(weight * self.logprobs[step, int(token)] for step, token, weight in terms)
        gradients = torch.autograd.grad(scalar, self.attentions, retain_graph=True)
        result = torch.eye(self.attentions[0].shape[-1])
        for layer, gradient in list(zip(self.attentions, gradients, strict=True))[-last:]:
            result = result + (layer * gradient)[0].clamp(min=0).mean(0) @ result
        rows = sorted({self.start + step for step, _, _ in terms})
        return result[rows][:, self.columns].sum(0).detach().numpy()


def close(found, expected):
    assert expected.max() > 0
    np.testing.assert_allclose(found, expected, atol=1e-4 * expected.max())


@pytest.mark.parametrize(
    "options",
    [{}, {"checkpointing": True}, {"layers": 1}, {"layers": 1, "checkpointing": True}, {"layers": 7}],
    ids=str,
)
def test_each_target_is_its_rows_of_the_whole_matrix(tiny, source_image, options):
    named = ["lung", None, (0, 2)]
    explanation = explain(
        tiny, source_image, QUESTION, answer=ANSWER, methods={METHOD: options}, target=named
    )
    ids = explanation.answer.token_ids
    dense = Dense(tiny, explanation.record, ids)
    maps, found = values(explanation, METHOD)
    assert found.shape == (3, 1, 1, 16)
    for row, steps in zip(found[:, 0, 0], ([1], [0, 1, 2], [0, 1]), strict=True):
        close(row, dense.relevancy([(k, ids[k], 1) for k in steps], options.get("layers") or 99))
    assert (maps.unit, maps.signed, maps.layers) == ("relevancy", False, ())


def test_a_contrast_of_single_tokens_is_one_scalar_of_one_row(tiny, source_image):
    explanation = explain(
        tiny, source_image, QUESTION, answer=ANSWER, methods=METHOD, target="lung nodule", against="effusion"
    )
    ids, (foil,) = explanation.answer.token_ids, tiny.answer_ids("effusion")
    expected = Dense(tiny, explanation.record, ids).relevancy([(1, ids[1], 1), (1, foil, -1), (2, ids[2], 1)])
    close(values(explanation, METHOD)[1][0, 0, 0], expected)


def test_what_a_longer_foil_would_say_next_is_followed_in_its_own_pass(tiny, source_image):
    explanation = explain(
        tiny,
        source_image,
        QUESTION,
        answer=ANSWER,
        methods=METHOD,
        target="lung nodule",
        against="lung effusion device",
    )
    ids, foil = explanation.answer.token_ids, tiny.answer_ids("lung effusion device")
    here = Dense(tiny, explanation.record, ids).relevancy([(2, ids[2], 1), (2, foil[1], -1)])
    there = Dense(tiny, explanation.record, [ids[0], *foil]).relevancy([(3, foil[2], -1)])
    close(values(explanation, METHOD)[1][0, 0, 0], here + there)


def test_targets_share_a_forward_pass(tiny, source_image):
    with borrow(tiny) as live:
        live.encode(source_image, QUESTION)
        answer = live.answer(live.prompt, given=ANSWER)
        targets = live.targets(answer, ["left", "lung", "nodule"], None)
        passes = []
        handle = live._loan.hook(tiny.model, lambda *_: passes.append(1))
        live.relevancy(targets)
        handle.remove()
    assert len(passes) == 1
