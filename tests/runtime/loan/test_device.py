from types import SimpleNamespace

import torch
from torch import nn

from groundviz.runtime.loan.device import home, on_device


class Model(nn.Linear):
    device, dtype = torch.device("cpu"), torch.bfloat16


def test_a_model_computes_where_its_weights_are():
    assert home(Model(2, 2)) == torch.device("cpu")


def test_an_offloaded_model_computes_where_its_hooks_say():
    model = Model(2, 2)
    model._hf_hook = SimpleNamespace(execution_device="meta")
    assert home(model) == torch.device("meta")
    assert on_device(model, {"x": torch.ones(1)})["x"].is_meta


def test_images_take_the_models_dtype_and_token_ids_keep_theirs():
    inputs = on_device(Model(2, 2), {"pixels": torch.ones(1), "ids": torch.ones(1, dtype=torch.long)})
    assert (inputs["pixels"].dtype, inputs["ids"].dtype) == (torch.bfloat16, torch.int64)
