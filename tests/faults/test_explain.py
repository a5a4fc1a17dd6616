"""The model comes back as it was borrowed, whatever happens inside `explain`.

The full sweep is slow: `pytest -m slow tests/faults/test_explain.py` strikes 2,400 positions.
"""

import random
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

import groundviz
from groundviz.explain import explain
from groundviz.record.types import SourceImage
from groundviz.testing.faults import count_steps, fail, press_ctrl_c, strike_at
from groundviz.testing.fingerprint import difference, fingerprint
from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor

pytestmark = pytest.mark.wide

QUESTION = "Is there a nodule?"
PACKAGE = Path(groundviz.__file__).parent


@pytest.fixture
def borrowed():
    """A model as its user left it: partly frozen, partly training, with a hook and a gradient of its own."""
    model = tiny_llava()
    model.generation_config.max_new_tokens = 3
    model.model.language_model.train()
    model.lm_head.weight.requires_grad_(False)
    model.model.multi_modal_projector.linear_1.weight.grad = torch.ones(32, 16)
    model.lm_head.register_forward_hook(lambda module, args, output: None)
    return model, tiny_llava_processor(model)


@pytest.fixture
def work(borrowed):
    model, processor = borrowed
    image = np.random.default_rng(1).random((28, 28), dtype=np.float32)
    source_image = SourceImage(pixels=image, source="array", raw_range=(0.0, 1.0), sha256="0" * 64)

    def work():
        # A Ctrl-C in a later method keeps what was measured, and says so.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Interrupted during", RuntimeWarning)
            explain(model, source_image, QUESTION, processor=processor)

    return work


def test_after_the_very_first_explanation_the_model_is_unchanged(borrowed, work):
    before = fingerprint(borrowed[0])
    work()
    assert difference(before, fingerprint(borrowed[0])) == []


def test_after_an_error_in_any_module_the_model_is_unchanged(borrowed, work):
    model, _ = borrowed
    for module in model.modules():

        def stumble(*args):
            raise RuntimeError("on purpose")

        handle = module.register_forward_pre_hook(stumble)
        before = fingerprint(model)
        try:
            work()
        except RuntimeError as error:
            assert str(error) == "on purpose"
        assert difference(before, fingerprint(model)) == []
        handle.remove()


def sweep(model, work, positions, fault, every):
    """Strike each position once; the fingerprint must be the same after each."""
    work()
    before, fired, dirty = fingerprint(model), 0, []
    for n in positions:
        strike = strike_at(n, work, under=PACKAGE, fault=fault, every=every)
        fired += strike.fired
        changed = difference(before, fingerprint(model))
        if changed:
            dirty.append((n, strike.where, changed[:2]))
            work()
    assert dirty == []
    return fired


@pytest.mark.parametrize("fault", [fail, press_ctrl_c])
def test_struck_anywhere_the_model_is_unchanged(borrowed, work, fault):
    work()  # The first time also certifies the model.
    steps = count_steps(work, under=PACKAGE, every="line")
    positions = random.Random(5).sample(range(steps), 25)
    assert sweep(borrowed[0], work, positions, fault, "line") >= 22


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("fault", [fail, press_ctrl_c])
def test_struck_at_a_thousand_places_the_model_is_unchanged(borrowed, work, fault):
    work()
    steps = count_steps(work, under=PACKAGE, every="opcode")
    positions = random.Random(6).sample(range(steps), 1200)
    assert sweep(borrowed[0], work, positions, fault, "opcode") >= 1150
