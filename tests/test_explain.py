import numpy as np
import pytest
import torch

from groundviz.errors import ImageError, TargetError, UnknownName
from groundviz.explain import explain

QUESTION = "Is there a nodule?"


def test_the_record_says_what_was_run(tiny, study):
    record = explain(tiny, study, QUESTION, seed=4).record
    made = record.provenance
    assert (made.family, made.dtype, made.device, made.attention, made.seed) == (
        "llava",
        "float32",
        "cpu",
        "sdpa",
        4,
    )
    assert set(made.versions) == {"python", "groundviz", "torch", "transformers", "numpy"}
    assert made.seconds > 0
    assert record.study is study


def test_different_weights_have_different_fingerprints(tiny, study):
    before = explain(tiny, study, QUESTION).record.provenance.weights
    assert explain(tiny, study, QUESTION).record.provenance.weights == before
    with torch.no_grad():
        tiny.model.lm_head.weight += 1
    assert explain(tiny, study, QUESTION).record.provenance.weights != before


def test_sampling_is_seeded_and_leaves_the_callers_stream_alone(tiny, study):
    tiny.model.generation_config.do_sample = True
    torch.manual_seed(99)
    expected = torch.rand(3)
    torch.manual_seed(99)
    answers = [explain(tiny, study, QUESTION, seed=seed).answer.token_ids.tolist() for seed in (1, 1, 2, 3)]
    assert torch.equal(torch.rand(3), expected)
    assert answers[0] == answers[1]
    assert len({tuple(a) for a in answers}) > 1


def test_a_given_answer_is_explained_instead_of_the_models_own(tiny, study):
    explanation = explain(tiny, study, QUESTION, answer="left lung nodule", target="lung")
    assert explanation.answer.text == "left lung nodule"
    assert explanation.answer.source == "given"
    assert explanation.record.target.tokens == (1,)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"methods": "atention"}, UnknownName, "Did you mean 'attention'"),
        ({"target": "zebra"}, TargetError, "does not contain 'zebra'"),
        ({"target": 99}, TargetError, "0 to"),
        ({"image": "http://example.org/x.png"}, ImageError, "not fetched"),
    ],
)
def test_mistakes_are_named(tiny, study, change, error, says):
    arguments = {"image": study, **change}
    with pytest.raises(error, match=says):
        explain(tiny, arguments.pop("image"), QUESTION, **arguments)


def test_maps_are_the_same_inside_no_grad_inference_mode_and_autocast(tiny, study):
    plain = explain(tiny, study, QUESTION)
    contexts = [torch.no_grad(), torch.inference_mode(), torch.autocast("cpu", torch.bfloat16)]
    for context in contexts:
        with context:
            inside = explain(tiny, study, QUESTION)
        for method in plain.methods:
            assert np.array_equal(inside.heatmap(method).values, plain.heatmap(method).values)


def test_no_socket_is_opened(tiny, study, monkeypatch):
    import socket

    def refuse(*args, **kwargs):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    explain(tiny, study, QUESTION)
