"""Every method passes the kit, and a method that is wrong in one way fails the check that is there for it."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch

from groundviz.errors import GroundvizError
from groundviz.methods import METHODS
from groundviz.methods.attention import attention
from groundviz.methods.gradient_attention import gradient_attention
from groundviz.methods.toolkit.baselines import blurred
from groundviz.methods.toolkit.facts import Facts
from groundviz.methods.toolkit.method import each_token, laid_out
from groundviz.models import FAMILIES
from groundviz.models.adapter.vlm import MEASURED, UNKNOWN
from groundviz.testing import Conformance, check_method, conformance, every_family
from groundviz.testing.every_family import TINY
from groundviz.testing.tiny.planted import (
    BALLAST,
    CERTAIN_SCORE,
    FIRST,
    HEAVY,
    MARKS,
    QUESTION,
    SIDE,
    SIZE,
    planted,
)
from groundviz.testing.trial import Trial

# What takes long on the planted model.
LONG = ("optimized_mask", "shapley", "rise", "integrated_gradients", "smooth_grad", "occlusion")
# What the norm behind layer 0 divides by is made up of this share of the image's own marks.
SHARE = 1 / (len(MARKS) + HEAVY**2)


def at_first(value, elsewhere=0.0):
    cells = np.full((SIDE, SIDE), elsewhere)
    cells[FIRST] = value
    return cells


def evidence(model):
    """Nats that the first word has from its cell: brightness counts from one black below black."""
    return model.nats(model.source_image.pixels)[FIRST] + 2 * model.weight


def nats(model):
    return model.nats(model.source_image.pixels)


def nats_above_blur(model):
    levels = np.rint(blurred(model.source_image.pixels) * 255) / 255
    return nats(model) - model.nats(levels)


def norm(model):
    """Of the gradients by brightness and by mark; marks are also a small share of what is divided by."""
    by_mark = 4 * model.weight - 2 * evidence(model) * SHARE
    return at_first(np.hypot(model.weight, by_mark))


OPTIONS = {
    "occlusion": {"window": 1 / SIDE, "stride": 1 / SIDE},
    "token_ablation": {"block": 1},
    "shapley": {"cells": SIDE**2, "samples": 2},
    "rise": {"masks": 160},
    "smooth_grad": {"samples": 4},
    "optimized_mask": {"steps": 8},
}
# Masks thrown at random, and a search that moves blocks of cells with the cell that counts.
NOISE = {"rise": 0.3, "optimized_mask": 0.15}
CLOSED_FORMS = {
    # Two heads of four, in one layer of two.
    "attention": lambda model: at_first(1 / 4),
    "image_attention": lambda model: at_first((2 + 6 / SIDE**2) / 8, (6 / SIDE**2) / 8),
    # Half of layer 1's mean head, of which half stayed at the cell in layer 0.
    "attention_rollout": lambda model: at_first(1 / 8),
    "gradient_attention": lambda model: at_first(evidence(model) / 4),
    "relevancy": lambda model: at_first(evidence(model) / 4),
    "input_gradient": nats,
    "gradient_norm": norm,
    "smooth_grad": lambda model: at_first(model.weight * 3**0.5 / 3),
    "integrated_gradients": nats_above_blur,
    "hires_cam": lambda model: at_first(evidence(model) * (1 - len(MARKS) * SHARE)),
    "grad_cam": lambda model: at_first(evidence(model) * (1 - len(MARKS) * SHARE) / SIDE**2),
    # Marks below zero have gradients above it; the cell has four.
    "layer_cam": lambda model: at_first(evidence(model) * (1 - 4 * SHARE)),
    "occlusion": nats_above_blur,
    "shapley": nats_above_blur,
    "token_ablation": lambda model: at_first(evidence(model)),
    "logit_lens": lambda model: at_first(evidence(model) - CERTAIN_SCORE, -CERTAIN_SCORE),
    "token_activation_map": lambda model: at_first(evidence(model)),
    "stage_audit": lambda model: at_first(1.0),
}


@pytest.fixture
def llava_alone(monkeypatch):
    """Of every family, the first, which crops the image and drops a class token."""
    kind = "llava with a class token"
    monkeypatch.setattr(every_family, "TINY", {kind: TINY[kind]})


@pytest.mark.parametrize(
    "method", [pytest.param(name, marks=pytest.mark.wide) if name in LONG else name for name in METHODS]
)
@pytest.mark.usefixtures("llava_alone")
def test_every_method_passes(method):
    check(method)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("method", list(METHODS))
def test_every_method_passes_on_every_family(method):
    """Minutes for a method that samples: `pytest -m slow tests/testing/test_conformance.py`."""
    check(method)


def check(method):
    check_method(
        method,
        options=OPTIONS.get(method),
        closed_form=CLOSED_FORMS.get(method),
        noise=NOISE.get(method, 0.05),
    ).raise_if_failed()


def test_every_family_is_covered():
    assert {TINY[kind]().family_name for kind in TINY} == set(FAMILIES) - {MEASURED, UNKNOWN}


# --- the planted model is what its description says -----------------------------------------------------


@pytest.mark.parametrize(("word", "cell"), [("nodule", FIRST), ("opacity", FIRST), ("effusion", None)])
def test_the_planted_score_is_linear_in_one_cell_and_blind_to_others(word, cell):
    model = planted(foils=word == "effusion")
    cell = cell or model.second
    vlm, pixels = model.vlm, model.source_image.pixels

    def score(changed):
        inputs = vlm.encode(
            (replace(model.source_image, pixels=changed.astype(np.float32)),), QUESTION
        ).inputs
        ids = torch.cat([inputs["input_ids"], torch.tensor([vlm.answer_ids(word)])], dim=1)
        inputs = {**inputs, "input_ids": ids, "attention_mask": torch.ones_like(ids)}
        return torch.log_softmax(vlm.model(**inputs).logits[0, -2], -1)[ids[0, -1]].item()

    own = np.zeros((SIDE, SIDE), bool)
    own[cell] = True
    own = np.kron(own, np.ones((7, 7), bool))
    black, grey, white = (score(np.where(own, level, pixels)) for level in (0.0, 0.2, 1.0))
    assert white - black == pytest.approx(2 * model.weight, abs=1e-3)
    assert grey - black == pytest.approx(0.2 * 2 * model.weight, abs=1e-3)
    assert score(np.where(own, pixels, 0.5)) == pytest.approx(score(pixels), abs=1e-4)


def test_the_planted_attention_is_that_of_the_eager_kernel():
    model = planted()
    vlm = model.vlm
    vlm.model.set_attn_implementation("eager")
    encoded = vlm.encode((model.source_image,), QUESTION)
    prompt, inputs = encoded.prompt, encoded.inputs
    with torch.no_grad():
        output = vlm.model(**inputs, output_attentions=True, output_hidden_states=True)
    rows = torch.stack([layer[0, :, -1] for layer in output.attentions])[..., prompt.grids[0].positions]
    expected = np.zeros((2, 4, SIDE, SIDE))
    expected[1, :2, FIRST[0], FIRST[1]] = 1.0
    np.testing.assert_allclose(rows.reshape(2, 4, SIDE, SIDE), expected, atol=1e-6)
    ballast = output.hidden_states[1][..., BALLAST]
    np.testing.assert_allclose(ballast, np.full(ballast.shape, HEAVY * SIZE), rtol=1e-5)


# --- methods that are wrong -------------------------------------------------------------------------------


def changed(method, change):
    """The same method with other values."""

    @functools.wraps(method)
    def wrong(live, prompt, answer, targets):
        return [replace(one, values=change(one.values)) for one in method(live, prompt, answer, targets)]

    return wrong


def doing(method, act):
    """The same method, which does something else beforehand."""

    @functools.wraps(method)
    def wrong(live, prompt, answer, targets):
        act(live)
        return method(live, prompt, answer, targets)

    return wrong


def min_max(values):
    least = values.min(axis=(-2, -1), keepdims=True)
    spread = values.max(axis=(-2, -1), keepdims=True) - least
    return (values - least) / np.maximum(spread, 1e-30)


def one_missing(values):
    values = values.copy()
    values[0, 0, 0, 0, 0] = np.nan
    return values


@functools.wraps(gradient_attention)
def blind_to_foils(live, prompt, answer, targets):
    plain = tuple(replace(target, foil=None) for target in targets)
    maps = gradient_attention(live, prompt, answer, plain)
    return [
        replace(
            one,
            values=np.concatenate([one.values, *(one.values[t.tokens[0] :][:1] for t in targets)]),
            targets=(*one.targets, *targets),
        )
        for one in maps
    ]


@functools.wraps(gradient_attention)
def deaf_to_nan(live, prompt, answer, targets):
    shares, gradients = live.attention_gradients()
    values = np.nan_to_num(shares * gradients)
    return laid_out(values, prompt.grids, each_token(answer), unit="nats", reduce=("sum", "sum", "mean"))


def without_words(live, prompt, answer, targets):
    return attention(live, prompt, answer, targets)


@functools.wraps(attention)
def one_pass_each(live, prompt, answer, targets):
    for target in targets:
        live.scores([target])
    return attention(live, prompt, answer, targets)


@functools.wraps(attention)
def with_its_own_weights(live, prompt, answer, targets):
    live.vlm.model.lm_head.weight.data.mul_(1.5)
    return attention(live, prompt, answer, targets)


@functools.wraps(attention)
def of_the_first_target_only(live, prompt, answer, targets):
    maps = attention(live, prompt, answer, targets)
    scale = np.float32(1 + targets[0].tokens[0])
    return [replace(one, values=one.values * scale) for one in maps]


@functools.wraps(attention)
def in_a_unit_of_its_own(live, prompt, answer, targets):
    return [replace(one, unit="interest") for one in attention(live, prompt, answer, targets)]


@functools.wraps(attention)
def of_the_answer_alone(live, prompt, answer, targets):
    """A method that claims the question's words and leaves them out."""
    maps, count = attention(live, prompt, answer, targets), len(answer.tokens)
    return [replace(one, values=one.values[:count], targets=one.targets[:count]) for one in maps]


def sinking(values):
    """A gradient over the image: one cell still has the most, but the others are not alike."""
    cells = values.shape[-2] * values.shape[-1]
    gradient = np.linspace(0.0, 0.1, cells, dtype=np.float32).reshape(values.shape[-2:])
    return values + gradient


WRONG = {
    "states its facts": without_words,
    "is documented": without_words,
    "points at the cell that counts": changed(attention, lambda values: values.swapaxes(-2, -1)),
    "shows nothing elsewhere": changed(attention, sinking),
    "tells tokens apart": changed(attention, lambda values: np.concatenate([values[1::-1], values[2:]])),
    "equals the closed form": changed(attention, lambda values: values * np.float32(1.01)),
    "is not normalised": changed(attention, min_max),
    "tells contrasts apart": changed(gradient_attention, lambda values: values.swapaxes(-2, -1)),
    "a contrast is not its target alone": blind_to_foils,
    "is finite": changed(attention, one_missing),
    "names its unit": in_a_unit_of_its_own,
    "leaves the random streams alone": doing(attention, lambda live: torch.rand(1)),
    "leaves no trace in the loan": doing(
        attention, lambda live: live.vlm.model.lm_head.register_forward_hook(lambda *seen: None)
    ),
    "explains words of the question, or refuses to": of_the_answer_alone,
    "takes targets in any order": of_the_first_target_only,
    "shares its passes": one_pass_each,
    "gives the model back": with_its_own_weights,
    "says when numbers are not finite": deaf_to_nan,
}


def failed(method, check):
    """Whether one check of the kit, on the first family if it is run on each, says no."""
    # What is stated of the method that the wrong one was made of.
    facts = METHODS.facts(method.__name__) if method.__name__ in METHODS else Facts()
    trial = Trial(name="wrong", method=method, facts=facts, options={}, closed_form=CLOSED_FORMS["attention"])
    demands = {name.split(" (")[0]: demand for name, demand in reversed(list(conformance._checks(trial)))}
    return not conformance._found(check, demands[check]).passed


@pytest.mark.parametrize("check", WRONG)
def test_a_wrong_method_fails_the_check_that_is_there_for_it(check):
    assert failed(WRONG[check], check)
    assert not failed(attention, check)


@pytest.mark.usefixtures("llava_alone")
def test_a_function_is_checked_before_it_is_registered():
    report = check_method(changed(attention, min_max))
    assert not report.passed
    assert {finding.name.split(" (")[0] for finding in report.failed} == {"is not normalised"}
    with pytest.raises(AssertionError, match="attention: passed 28 of 29 checks") as raised:
        report.raise_if_failed()
    assert "FAILED  is not normalised: from lowest to highest cell" in str(raised.value)


@pytest.mark.usefixtures("llava_alone")
def test_an_error_of_a_method_is_what_its_checks_say():
    def broken(live, prompt, answer, targets):
        raise GroundvizError("It cannot be done.")

    findings = {finding.name: finding.why for finding in check_method(broken).findings}
    assert findings["points at the cell that counts"] == "GroundvizError: It cannot be done."
    assert "does not state shows, unit, cost" in findings["states its facts"]
    assert "gives no formula" in findings["is documented"]


def test_a_report_that_passed_raises_nothing():
    report = Conformance(method="fine", findings=(), seconds=0.0)
    assert report.raise_if_failed() is None
    assert str(report) == "fine: passed 0 of 0 checks in 0.0 s"
