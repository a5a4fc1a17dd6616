"""The modules of a model, found rather than named: those that ran, and those that dispatch attention."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any, cast

from torch import nn

from groundviz.models.adapter.modules import ATTENTION, FINAL_NORMS
from groundviz.models.adapter.unmeasurable import Unmeasurable
from groundviz.models.measured.wiring import Wiring
from groundviz.runtime.inputs.sites import Parts

# How a module's code asks transformers for the kernel of its attention.
REGISTRY = "ALL_ATTENTION_FUNCTIONS"


def parts_of_measured(model: Any, stack: nn.ModuleList, wiring: Wiring | None, opaque: str = "") -> Parts:
    """The modules that methods read.

    Args:
        model: The transformers module.
        stack: The layers that read the prompt.
        wiring: What was measured of it; None where its image tokens have no places.
        opaque: Why they have none.

    Raises:
        Unmeasurable: It has no output head.
    """
    apart = bool(getattr(model.config, "is_encoder_decoder", False))
    if apart:
        opaque = opaque or _APART
    head = _head(model)
    layers = tuple(stack)
    vision = wiring.tower.layers if wiring and wiring.tower else ()
    projector = wiring.projector if wiring else None
    attending = tuple(_attention_in(layers))
    return Parts(
        vision_layers=vision,
        vision_attention=tuple(_attention_in(vision)),
        projector=projector or nn.Identity(),
        decoder_layers=layers,
        decoder_attention=attending,
        final_norm=nn.Identity() if apart else _norm_behind(model, stack),
        output_head=head,
        opaque=opaque or ("" if attending else _OPAQUE.format(type(layers[0]).__name__)),
        apart=apart,
        streams=_are_streams(wiring, head),
    )


def _are_streams(wiring: Wiring | None, head: nn.Module) -> bool:
    """Whether the stream is wider than what the output head reads."""
    width = getattr(head, "in_features", None)
    return wiring is not None and width is not None and wiring.width != width


_APART = (
    "This model reads image and prompt in an encoder, and a decoder of its own writes the answer: neither "
    "attention nor words of hidden states lead from the answer to single image tokens. Use a method that "
    "reads neither, such as occlusion or integrated_gradients."
)
_OPAQUE = (
    "Attention of {} cannot be read: it does not go through transformers' attention registry. Use a method "
    "that needs no attention, such as occlusion."
)


def _attention_in(layers: Iterable[nn.Module]) -> Iterable[nn.Module]:
    """The attention module of each layer that has one; layers of another kind have none."""
    for layer in layers:
        found = [module for module in layer.modules() if dispatches(type(module))]
        named = [getattr(layer, name, None) for name in ATTENTION]
        # A layer may have further attention, such as over what earlier layers put out.
        chosen = [module for module in found if module in named] or found
        if chosen:
            yield chosen[0]


def dispatches(kind: Any) -> bool:
    """Whether modules of a class dispatch their attention through transformers' registry.

    >>> from transformers.models.llama.modeling_llama import LlamaAttention, LlamaMLP
    >>> dispatches(LlamaAttention), dispatches(LlamaMLP)
    (True, False)
    """
    code = getattr(inspect.unwrap(kind.forward), "__code__", None)
    return code is not None and REGISTRY in code.co_names


def _head(model: nn.Module) -> nn.Module:
    """What turns hidden states into scores of words: the model's, or that of a model inside it."""
    for module in model.modules():
        found = getattr(module, "get_output_embeddings", lambda: None)()
        if found is not None:
            return cast(nn.Module, found)
    raise Unmeasurable("it has no output head")


def _norm_behind(model: nn.Module, layers: nn.ModuleList) -> nn.Module:
    """The norm between some layers and the output head, beside the layers in one module.

    Nothing in its place, where there is none.
    """
    for parent in model.modules():
        if any(child is layers for child in parent.children()):
            for name in FINAL_NORMS:
                if hasattr(parent, name):
                    return cast(nn.Module, getattr(parent, name))
            norms = [child for child in parent.children() if "norm" in type(child).__name__.lower()]
            if len(norms) == 1:
                return norms[0]
    return nn.Identity()
