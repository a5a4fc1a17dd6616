"""From whatever a user holds, a live model, a folder, a hub id, "demo", to a VLM."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from typing import Any

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor, PreTrainedModel

from groundviz.errors import UnsupportedModel
from groundviz.models.anything import UNKNOWN, check_usable, why
from groundviz.models.checkpoints.assembly import Assembled, Request, assemble, layout_of
from groundviz.models.checkpoints.folders import Place, config_at
from groundviz.models.checkpoints.layout import LAYOUTS
from groundviz.models.few_bits import bits_of, check_unpacked, packing_at, said
from groundviz.models.loading_bar import bar
from groundviz.models.loading_errors import complete, explained
from groundviz.models.naming import public_name, shown_name
from groundviz.models.placing import device_map_of, dtype_of
from groundviz.models.vlm import VLM, family_of

Source = str | os.PathLike[str] | PreTrainedModel | VLM


def load(
    source: Source,
    *,
    base: Place | None = None,
    vision: Place | None = None,
    revision: str | None = None,
    dtype: str | torch.dtype | None = None,
    device: str | torch.device | None = None,
    processor: Any = None,
) -> VLM:
    """Load a vision-language model so that it can be explained.

    Reads transformers' own format, from safetensors alone, and the layouts in which medical models
    were published (`groundviz.models.checkpoints`), also from pickles that hold nothing but tensors.
    No code from a checkpoint is ever run.

    With "int8" or "int4" the language model's layers are packed by bitsandbytes one by one as they are
    read; all else stays in the dtype it is stored in. Where a packed layer has no gradient, as 4 bits
    have none on a CPU, methods that need one refuse; attention and perturbation methods work.

    Args:
        source: "demo" for the model that ships with groundviz, a local folder, or a hub id.
        base: Folder or hub id of the language model, or of the weights beneath a delta, for layouts
            that were published without (LLaVA-Rad, LLaVA-Med v1.0).
        vision: Folder or hub id of the vision tower, for layouts that were published without, or to
            take it in place of the checkpoint's own.
        revision: Hub revision of `source`.
        dtype: Of the weights: "float32", "bfloat16", "float16", or "int8", "int4"; as they are stored
            when None.
        device: Where to put the model; "auto" spreads it over all there are, which needs accelerate.
            When None the CPU; for packed weights the accelerator, where there is one.
        processor: Its processor, when it does not lie beside the weights.

    Raises:
        UnsupportedModel: Nothing loadable is there, a part of it is missing, or its architecture has
            no adapter; or its weights are packed already, and `dtype` asks for that.
        MissingExtra: `device` is "auto" and accelerate is not installed, or `dtype` is "int8" or "int4"
            and bitsandbytes is not.

    >>> load("demo").model.config.model_type
    'llava'
    """
    if not isinstance(source, str | os.PathLike):
        given = {"base": base, "vision": vision, "revision": revision, "dtype": dtype, "device": device}
        _refuse(given, "the model is loaded already")
        return resolve(source, processor)
    name = os.fspath(source)
    demo, bits = name == "demo", bits_of(dtype)
    place = str(files("groundviz.demo") / "weights") if demo else name
    shown = "demo" if demo else shown_name(name)
    if demo or shown != name:
        _refuse({"revision": revision}, "only hub ids have revisions")
    request = Request(
        source=place,
        base=base,
        vision=vision,
        revision=revision,
        # The demo is stored in float16 to be small; a CPU computes in float32.
        dtype=dtype_of("float32" if demo and (bits or dtype is None) else None if bits else dtype),
        bits=bits,
        device_map=device_map_of(device),
    )
    with explained(place, shown), bar(wanted=not demo):
        made = _made(request, None if processor is None else _checked(processor))
        if device is not None and request.device_map is None:
            made.model.to(device)
    return VLM(made.model, made.processor, _family(made.model, made.processor), shown, revision, made.sources)


def resolve(model: Source, processor: Any = None) -> VLM:
    """Make a VLM of a live model, or load one.

    Args:
        model: A transformers model, a VLM, or anything `load` takes.
        processor: The model's processor; found beside its weights when not given.

    Raises:
        UnsupportedModel: The architecture has no adapter, or no processor was found.
    """
    if isinstance(model, VLM):
        return model if processor is None else replace(model, processor=_checked(processor))
    if isinstance(model, str | os.PathLike):
        return load(model, processor=processor)
    model = _as_written(model)
    origin = str(getattr(getattr(model, "config", None), "_name_or_path", "") or "")
    processor = processor if processor is not None else _processor_of(model, origin)
    family = _family(model, processor)
    return VLM(model, _checked(processor), family, public_name(origin, type(model).__name__))


def _refuse(given: Mapping[str, object], because: str) -> None:
    """Stop what would have no effect."""
    for name, value in given.items():
        if value is not None:
            raise UnsupportedModel(f"{name} was given, and {because}. Leave {name} out.")


def _made(request: Request, processor: Any) -> Assembled:
    config = config_at(request.source, request.revision)
    if request.bits:
        check_unpacked(config)
    if layout_of(config):
        return assemble(request, config, processor)
    return _native(request, processor)


def _native(request: Request, processor: Any) -> Assembled:
    """What transformers wrote, as transformers reads it."""
    parts = {"base": request.base, "vision": request.vision}
    _refuse(parts, f"only the layouts {', '.join(LAYOUTS)} lack such parts")
    if processor is None:
        processor = _checked(_processor_at(request.source, request.revision))
    revision, bits = request.revision or "main", request.bits
    loaded: Any = AutoModelForImageTextToText.from_pretrained(
        request.source,
        trust_remote_code=False,
        use_safetensors=True,
        revision=revision,
        dtype=request.dtype or "auto",
        device_map=request.device_map,
        quantization_config=packing_at(request.source, revision, bits, request.dtype) if bits else None,
        output_loading_info=True,
    )
    sources = {"packed": said(bits)} if bits else {}
    return Assembled(model=complete(*loaded).eval(), processor=processor, sources=sources)


def _processor_at(place: Any, revision: str | None) -> Any:
    return AutoProcessor.from_pretrained(place, trust_remote_code=False, revision=revision or "main")


def _checked(processor: Any) -> Any:
    if not all(hasattr(processor, part) for part in ("tokenizer", "image_processor", "image_token")):
        raise UnsupportedModel(
            f"{type(processor).__name__} is not a processor of images and text: it lacks a tokenizer, an "
            "image processor or an image token. Pass what AutoProcessor loads for this checkpoint."
        )
    return processor


def _family(model: Any, processor: Any) -> str:
    config = getattr(model, "config", None)
    if (name := family_of(config)) is not None:
        return name
    check_usable(model, processor)
    return UNKNOWN


def _processor_of(model: Any, origin: str) -> Any:
    found = "is unknown, as it came from no folder"
    if origin:
        try:
            return _processor_at(origin, None)
        except Exception as error:
            found = f"cannot be read ({type(error).__name__})"
    if not hasattr(model, "generate"):
        raise UnsupportedModel(why(getattr(model, "config", None), type(model).__name__))
    raise UnsupportedModel(f"The model's processor {found}. Pass it: explain(..., processor=processor).")


def _as_written(model: Any) -> Any:
    """The model inside the wrappers of torch.compile and of adapters that live inside its layers."""
    model = getattr(model, "_orig_mod", model)
    if not hasattr(model, "get_base_model"):
        return model
    if model.active_peft_config.is_prompt_learning:
        raise UnsupportedModel(
            f"{type(model).__name__} cannot be explained: it puts learned tokens before the prompt, which "
            "shifts every position. Merge them into the model, or explain the model without them."
        )
    return _as_written(model.get_base_model())
