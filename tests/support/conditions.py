"""The states a model may be in, and the modes its caller may be in, when it is to be explained.

Every method must either work in each of them or refuse with one of groundviz's own errors.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import import_module
from typing import Any

import torch
from torch import nn
from transformers import LlavaForConditionalGeneration

from groundviz.testing.tiny.llava import tiny_llava

Model = LlavaForConditionalGeneration


def _int8(model: Model) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch is about to move this elsewhere, and says so
        return torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8)


def _four_bit(model: Model) -> Model:
    """Linear layers of the vision tower and the decoder in nf4, the head as it was, as usual."""
    layers = import_module("bitsandbytes").nn
    for part in (model.model.vision_tower, model.model.language_model):
        for parent in list(part.modules()):
            for name, layer in list(parent.named_children()):
                if type(layer) is nn.Linear and not (layer.in_features | layer.out_features) % 32:
                    setattr(parent, name, _nf4(layers, layer))
    model.to("cpu")  # type: ignore[arg-type]
    return model


def _nf4(layers: Any, layer: nn.Linear) -> Any:
    packed = layers.Linear4bit(layer.in_features, layer.out_features, layer.bias is not None, torch.float32)
    packed.weight = layers.Params4bit(layer.weight.data, requires_grad=False, quant_type="nf4", blocksize=32)
    packed.bias = layer.bias
    return packed


def _compiled(model: Model) -> Any:
    return torch.compile(model, backend="eager")


def _compiled_in_place(model: Model) -> Model:
    model.compile(backend="eager")
    return model


def _compiled_tower(model: Model) -> Model:
    model.model.vision_tower = torch.compile(model.model.vision_tower, backend="eager")
    return model


def _offloaded(model: Model) -> Model:
    import_module("accelerate").cpu_offload(model, execution_device="cpu")
    return model


def _on_disk(model: Model) -> Model:
    # The folder goes with the process; it must outlive the model.
    folder = tempfile.mkdtemp(prefix="groundviz-")
    import_module("accelerate").disk_offload(model, folder, execution_device="cpu")
    return model


def _adapted(model: Model) -> Any:
    peft = import_module("peft")
    return peft.get_peft_model(model, peft.LoraConfig(target_modules=["q_proj", "v_proj"]))


def _in_inference_mode(model: Model) -> Model:
    with torch.inference_mode():
        return tiny_llava()


# What is made of a float32 model; ImportError where a library it needs is not installed.
MODELS: Mapping[str, Callable[[Model], Any]] = {
    "float32": lambda model: model,
    "bfloat16": lambda model: model.to(torch.bfloat16),  # type: ignore[arg-type]
    "float16": lambda model: model.to(torch.float16),  # type: ignore[arg-type]
    "float8 weights": lambda model: model.to(torch.float8_e4m3fn),  # type: ignore[arg-type]
    "int8 (torch, dynamic)": _int8,
    "4-bit (bitsandbytes)": _four_bit,
    "torch.compile(model)": _compiled,
    "model.compile()": _compiled_in_place,
    "a compiled part": _compiled_tower,
    "offloaded to CPU": _offloaded,
    "offloaded to disk": _on_disk,
    "LoRA (peft)": _adapted,
    "on the meta device": lambda model: model.to("meta"),  # type: ignore[arg-type]
    "made in inference mode": _in_inference_mode,
}


@contextmanager
def _setting(set_to: Callable[[Any], object], value: Any, before: Any) -> Iterator[None]:
    set_to(value)
    try:
        yield
    finally:
        set_to(before)


# What surrounds the call of `explain`; in each the maps must be the same bits.
CALLERS: Mapping[str, Callable[[], AbstractContextManager[Any]]] = {
    "as it is": nullcontext,
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast(bfloat16)": lambda: torch.autocast("cpu", torch.bfloat16),
    "default dtype float64": lambda: _setting(torch.set_default_dtype, torch.float64, torch.float32),
    "default device meta": lambda: torch.device("meta"),
    "deterministic algorithms": lambda: _setting(torch.use_deterministic_algorithms, True, False),
    "anomaly detection": lambda: torch.autograd.set_detect_anomaly(True),
}
