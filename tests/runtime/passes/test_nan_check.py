import pytest
import torch
from torch import nn

from groundviz.errors import NumericalError
from groundviz.runtime.loan.guard import borrow
from groundviz.runtime.passes.nan_check import sampling, where_not_finite


def ask(model):
    with borrow(model) as loan:
        return where_not_finite(loan, lambda: model(torch.ones(1, 2)))


def test_the_innermost_part_that_comes_first_is_named():
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.ReLU(), nn.Linear(2, 2)), nn.Linear(2, 1))
    with torch.no_grad():
        model[1][1].weight[0, 0] = float("nan")
    assert (
        ask(model) == "The first part whose output is not finite is '1.1': its weights hold NaN or infinity."
    )


def test_parts_that_only_pass_it_on_are_not_blamed():
    class Overflow(nn.Module):
        def forward(self, x):
            return {"scores": (x * 1e38 * 10,)}

    assert "'': its weights are finite" in ask(Overflow())


def test_a_sound_model_is_not_blamed():
    assert ask(nn.Linear(2, 1)) == "Every part of the model puts out finite numbers by itself."


def test_only_torchs_refusal_to_sample_is_translated():
    with pytest.raises(NumericalError, match=r"not finite: .*here\. Check"), sampling(lambda: "here."):
        torch.multinomial(torch.tensor([float("nan"), 1.0]), 1)
    with pytest.raises(RuntimeError, match="something else"), sampling(lambda: "here."):
        raise RuntimeError("something else")
