"""Whatever method is at work when something goes wrong, the model comes back as it was borrowed.

The normal suite strikes in the forward passes of each method; that it is struck at some of its own steps,
too, is up to `groundviz.testing.check_method`. The whole sweep strikes about 5,000 places:

    python -m pytest -m slow tests/faults/test_methods.py
"""

from __future__ import annotations

import random
import warnings
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import pytest
import torch
from torch.nn.modules import module as torch_module

import groundviz
from groundviz.explain import explain
from groundviz.runtime.loan import guard
from groundviz.testing.faults import Struck, count_steps, fail, press_ctrl_c, strike_at
from groundviz.testing.fingerprint import difference, fingerprint
from groundviz.testing.messy import messy
from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor
from tests.support.quick import quick, quick_all

pytestmark = pytest.mark.wide

QUESTION = "Is there a nodule?"
METHODS = list(groundviz.METHODS)
PACKAGE = Path(groundviz.__file__).parent
PLACES = (PACKAGE / "methods", PACKAGE / "runtime")


@pytest.fixture
def tower():
    return "siglip"


@pytest.fixture
def vlm(tower):
    """A model as its user left it: partly frozen, partly training, with a hook and a gradient of its own."""
    model = tiny_llava(vision=tower)
    model.generation_config.max_new_tokens = 3
    model.model.language_model.train()
    model.lm_head.weight.requires_grad_(False)
    model.model.multi_modal_projector.linear_1.weight.grad = torch.ones(32, 16)
    model.lm_head.register_forward_hook(lambda module, args, output: None)
    return groundviz.load(model, processor=tiny_llava_processor(model))


@pytest.fixture
def work(vlm, image, method):
    """One explanation; a Ctrl-C may end it early, with what was measured until then and a warning."""

    def work():
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*nterrupted", RuntimeWarning)
            explain(vlm, image, QUESTION, methods=quick(method), target=0)

    return work


def drawn(count, size, seed=3):
    return random.Random(seed).sample(range(count), min(size, count))


def assert_clean(model, before, where):
    assert difference(before, fingerprint(model)) == [], where
    assert not (guard._BORROWED or guard._ACTIVE or guard._TURN), where


def strike_steps(model, work, *, size, every, fault):
    """Strike at some steps of the methods and of the runtime; how often it did."""
    before, fired = fingerprint(model), 0
    for place in PLACES:
        steps = count_steps(work, under=place, every=every)
        for n in drawn(steps, size):
            strike = strike_at(n, work, under=place, every=every, fault=fault)
            fired += strike.fired
            assert strike.surfaced or fault is not fail, f"an error was swallowed at {strike.where}"
            assert_clean(model, before, strike.where)
    return fired


@contextmanager
def each_forward(see):
    """Have `see(n, module)` called before the n-th forward pass of any module."""
    passes = iter(range(1_000_000))
    handle = torch_module.register_module_forward_pre_hook(lambda module, args: see(next(passes), module))
    try:
        yield
    finally:
        handle.remove()


def strike_forwards(model, work, *, size, errors):
    """Raise errors in turn in the forward pass of some module, at some of all passes; how often."""
    # A model is certified once; later explanations have fewer passes.
    work()
    seen = []
    with each_forward(lambda n, module: seen.append(n)):
        work()
    before, fired = fingerprint(model), 0
    for chosen, error in zip(drawn(len(seen), size), cycle(errors), strict=False):
        original = error("on purpose")

        def strike(n, module, chosen=chosen, original=original):
            if n == chosen:
                raise original

        surfaced = None
        with each_forward(strike):
            try:
                work()
            except (error, groundviz.errors.OutOfMemory) as raised:
                surfaced = raised
        # Memory that runs out makes batches smaller; Ctrl-C may keep what there is; the rest comes out.
        assert surfaced is original or error is not Struck
        fired += 1
        assert_clean(model, before, chosen)
    return fired


KINDS = [("call", fail), ("line", fail), ("signal", press_ctrl_c)]
ERRORS = [Struck, KeyboardInterrupt, torch.OutOfMemoryError]


@pytest.mark.parametrize("method", METHODS)
def test_struck_in_a_few_places_the_model_is_unchanged(vlm, work, method):
    assert strike_forwards(vlm.model, work, size=len(ERRORS), errors=ERRORS) == len(ERRORS)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("tower", ["siglip", "clip"])
@pytest.mark.parametrize("method", METHODS)
def test_struck_in_many_places_the_model_is_unchanged(vlm, work, method, tower):
    """`python -m pytest -m slow tests/faults/test_methods.py -k many_places`."""
    struck = sum(strike_steps(vlm.model, work, size=15, every=every, fault=fault) for every, fault in KINDS)
    struck += strike_forwards(vlm.model, work, size=36, errors=ERRORS)
    assert struck >= 100


@pytest.mark.parametrize("tower", ["siglip", "clip"])
def test_the_first_use_of_a_fresh_model_leaves_no_trace(image, tower):
    model = tiny_llava(vision=tower)
    model.generation_config.max_new_tokens = 3
    before = fingerprint(model)
    explain(model, image, QUESTION, methods=quick_all(), processor=tiny_llava_processor(model))
    assert_clean(model, before, tower)


# torch tells its user that a backward hook of theirs runs.
@pytest.mark.filterwarnings("ignore:Full backward hook is firing:UserWarning")
def test_a_model_full_of_its_users_own_things_keeps_them(image):
    model = messy(tiny_llava())
    model.generation_config.max_new_tokens = 3
    before = fingerprint(model)
    found = explain(model, image, QUESTION, methods=quick_all(), processor=tiny_llava_processor(model))
    assert_clean(model, before, "the end")
    assert [method for method in METHODS if not found.heatmap(method).has_evidence] == []
