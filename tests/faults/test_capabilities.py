"""Whatever kind of model it is and whatever mode its caller is in: a map, or a refusal of our own.

The normal suite tries three methods in each condition; all of them, against the page in docs:

    python -m pytest -m slow tests/faults/test_capabilities.py
"""

import re
from pathlib import Path

import pytest
import torch
from torch import nn

import groundviz
from benchmarks.capabilities import PAGE, attempt, on_model, on_models, table, under_callers
from groundviz.errors import UnsupportedMethod
from groundviz.explain import explain
from groundviz.testing.fingerprint import difference, fingerprint
from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor
from tests.support.conditions import CALLERS, MODELS

FEW = ("attention", "gradient_attention", "occlusion")
ALL = list(groundviz.METHODS)
NEED_A_LIBRARY = ("4-bit (bitsandbytes)", "offloaded to CPU", "offloaded to disk", "LoRA (peft)")
SAME = (
    "torch.compile(model)",
    "model.compile()",
    "a compiled part",
    "offloaded to CPU",
    "offloaded to disk",
    "LoRA (peft)",
)

pytestmark = [
    pytest.mark.wide,
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning"),
]


@pytest.fixture(scope="module")
def plain():
    return on_model("float32", FEW)


def check_model(condition, outcomes, plain):
    for method, outcome in outcomes.items():
        cell = outcome.against(plain[method].map)
        if cell == "not run":
            assert condition in (
                "4-bit (bitsandbytes)",
                "offloaded to CPU",
                "offloaded to disk",
                "LoRA (peft)",
            )
        elif condition in ("float8 weights", "on the meta device"):
            assert cell == "no"
        elif condition in SAME or condition == "float32":
            assert cell == "same"
        elif condition in ("bfloat16", "float16"):
            assert float(cell[5:-1]) > 0.9
        else:
            assert cell != "no" or "cannot be differentiated" in outcome.reason


@pytest.mark.parametrize("condition", MODELS)
def test_a_model_of_every_kind_is_explained_or_refused(condition, plain):
    check_model(condition, on_model(condition, FEW), plain)


@pytest.mark.parametrize("caller", CALLERS)
def test_the_callers_modes_change_no_bit_of_a_map(caller, plain):
    model = tiny_llava()
    for method in FEW:
        assert attempt(model, method, caller).against(plain[method].map) == "same"


@pytest.mark.parametrize("kept", ["none", "head"])
def test_gradients_past_quantised_layers_are_refused_and_all_else_works(kept, image):
    model = MODELS["int8 (torch, dynamic)"](tiny_llava())
    if kept == "head":
        # The residual stream then carries a gradient to the image tokens, but a wrong one.
        model.lm_head = tiny_llava().lm_head
    before, ask = fingerprint(model), {"processor": tiny_llava_processor(tiny_llava()), "answer": "left lung"}
    for method in ("gradient_attention", "gradient_norm"):
        with pytest.raises(UnsupportedMethod, match="its quantised layer Linear has no gradient"):
            explain(model, image, "Is there a nodule?", methods=method, **ask)
    explain(model, image, "Is there a nodule?", methods="attention", **ask)
    assert difference(before, fingerprint(model)) == []


def test_compiled_code_is_put_back(image):
    model = MODELS["a compiled part"](MODELS["model.compile()"](tiny_llava()))
    tower = model.model.vision_tower
    call, forward = model._compiled_call_impl, tower.forward
    before = fingerprint(model)
    attempt(model, "attention")
    assert (model._compiled_call_impl, tower.forward) == (call, forward)
    assert difference(before, fingerprint(model)) == []


def test_weights_that_were_repacked_on_first_use_are_as_they_were():
    from groundviz.runtime.loan.guard import borrow

    class Repacked(nn.Linear):
        def forward(self, x):
            result = super().forward(x)
            self.weight.data = self.weight.data.clone()
            self.weight.state.packed = True
            return result

    class State:
        packed = False

        def as_dict(self):
            return vars(self)

    model = Repacked(2, 2)
    model.weight.state = State()
    before = fingerprint(model)
    with borrow(model):
        model(torch.ones(1, 2))
        assert difference(before, fingerprint(model)) != []
    assert difference(before, fingerprint(model)) == []


def test_the_page_names_every_method_and_every_condition():
    text = Path(PAGE).read_text("utf-8")
    methods = re.findall(r"`(\w+)`", text.split("## Kinds of model")[1].splitlines()[2])
    again = "Make the page again: python benchmarks/capabilities.py --write"
    assert methods == ALL, again
    for condition in (*MODELS, *CALLERS):
        assert f"| {condition} |" in text, again


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_method_in_every_condition_is_as_the_page_says():
    """`python -m pytest -m slow tests/faults/test_capabilities.py -k every_condition`."""
    again = "make the page again by python benchmarks/capabilities.py --write"
    models, callers = on_models(ALL), under_callers(ALL)
    plain = models["float32"]
    for condition, outcomes in models.items():
        check_model(condition, outcomes, plain)
    text = Path(PAGE).read_text("utf-8")
    for found in (models, callers):
        for row in words(table(found, plain)):
            assert "not run" in row or row in words(text), f"{row}: {again}"


def words(text):
    """The rows of a page's tables, without the numbers of correlations and notes."""
    return [re.sub(r" [(\[][\d.-]+[)\]]", "", line) for line in text.splitlines() if line.startswith("| ")]
