"""From whatever a user holds, a live model, a folder, a hub id, "demo", to a VLM."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForImageTextToText, PreTrainedModel

from groundviz.errors import UnsupportedModel
from groundviz.models.adapter.black_box import check_usable
from groundviz.models.adapter.vlm import MEASURED, VLM, family_of
from groundviz.models.checkpoints.building.assembly import Assembled, Request, assemble, layout_of
from groundviz.models.checkpoints.building.layout import LAYOUTS
from groundviz.models.checkpoints.reading.folders import config_at
from groundviz.models.checkpoints.reading.sizes import check_folder
from groundviz.models.loading.adapter_folders import (
    add_adapter,
    base_of,
    check_loadable,
    has_processor,
    holds_adapter_alone,
)
from groundviz.models.loading.cache import loaded_once
from groundviz.models.loading.device import device_map_of, dtype_of
from groundviz.models.loading.errors import complete, explained
from groundviz.models.loading.naming import FOLDER, public_name
from groundviz.models.loading.offline import closed, refuse_foreign_code
from groundviz.models.loading.places import Place, local_folder
from groundviz.models.loading.processor import checked, processor_at, processor_of
from groundviz.models.loading.progress_bar import bar
from groundviz.models.loading.quantization import bits_of, check_unpacked, describe_packing, packing_at
from groundviz.models.loading.shipped import shipped_folder
from groundviz.models.loading.unwrap import unpacked

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
    No code from a checkpoint is ever run. A local folder never makes the network be asked, whatever its
    files name; only a hub id does.

    With "int8" or "int4" the language model's layers are packed by bitsandbytes one by one as they are
    read; all else stays in the dtype it is stored in. Where a packed layer has no gradient, as 4 bits
    have none on a CPU, methods that need one refuse; attention and perturbation methods work.

    Args:
        source: "demo" or "cheat" for the models that ship with groundviz, a local folder, or a hub id.
        base: Folder or hub id of the language model, or of the weights beneath a delta, for layouts
            that were published without (LLaVA-Rad, LLaVA-Med v1.0), and beneath an adapter of peft.
        vision: Folder or hub id of the vision tower, for layouts that were published without, or to
            take it in place of the checkpoint's own.
        revision: Hub revision of `source`.
        dtype: Of the weights: "float32", "bfloat16", "float16", or "int8", "int4"; as they are stored
            when None.
        device: Where to put the model; "auto" spreads it over all there are, which needs accelerate.
            When None the CPU; for packed weights the accelerator, where there is one.
        processor: Its processor, or the folder or hub id of one, when it does not lie beside the weights.

    Raises:
        UnsupportedModel: Nothing loadable is there, a part of it is missing, or its architecture has
            no adapter; or its weights are packed already, and `dtype` asks for that.
        MissingExtra: `device` is "auto" and accelerate is not installed, or `dtype` is "int8" or "int4"
            and bitsandbytes is not.

    >>> load("demo").model.config.model_type
    'llava'
    """
    if not isinstance(source, str | os.PathLike):
        # A live model: nothing is left to choose but its processor.
        given = {"base": base, "vision": vision, "revision": revision, "dtype": dtype, "device": device}
        _refuse(given, "the model is loaded already")
        return resolve(source, processor)
    shipped, bits = shipped_folder(source), bits_of(dtype)
    folder: Path | None
    if shipped:
        folder, shown = shipped, os.fspath(source)
    else:
        folder = local_folder(source, revision=revision)
        # The path of a folder may name a person, so it is not shown.
        shown = FOLDER if folder else os.fspath(source)
    if folder:
        _refuse({"revision": revision}, "only hub ids have revisions")
    if shipped and (bits or dtype is None):
        # What ships is stored in float16 to be small; a CPU computes in float32.
        computed: Any = "float32"
    elif bits:
        computed = None
    else:
        computed = dtype
    request = Request(
        source=str(folder or source),
        base=base,
        vision=vision,
        revision=revision,
        dtype=dtype_of(computed),
        bits=bits,
        device_map=device_map_of(device),
    )
    with explained(str(request.source), shown), bar(wanted=not shipped), closed(wanted=bool(folder)):
        if processor is not None:
            processor = checked(processor)
        made = _made(request, processor)
        if device is not None and request.device_map is None:
            made.model.to(device)
    return VLM(made.model, made.processor, _family(made.model, made.processor), shown, revision, made.sources)


def resolve(model: Source, processor: Any = None) -> VLM:
    """Make a VLM of a live model, or load one.

    A model that is named, rather than given, is loaded once and kept until another one is named; `forget`
    lets go of it. A folder whose files have changed is loaded again.

    Args:
        model: A transformers model or pipeline, a VLM, or anything `load` takes.
        processor: The model's processor, or the folder or hub id of one; found beside its weights when
            not given.

    Raises:
        UnsupportedModel: It is no model, its architecture has no adapter, or no processor was found.
    """
    if isinstance(model, VLM):
        if processor is None:
            return model
        return replace(model, processor=checked(processor))
    if isinstance(model, str | os.PathLike):
        return loaded_once(model, load, processor)
    model, processor = unpacked(model, processor)
    origin = str(getattr(getattr(model, "config", None), "_name_or_path", "") or "")
    if processor is None:
        processor = processor_of(model, origin)
    if isinstance(processor, str | os.PathLike | type):
        processor = checked(processor)
    family = _family(model, processor)
    return VLM(model, checked(processor), family, public_name(origin, type(model).__name__))


def _refuse(given: Mapping[str, object], because: str) -> None:
    for name, value in given.items():
        if value is not None:
            raise UnsupportedModel(f"{name} was given, and {because}. Leave {name} out.")


def _made(request: Request, processor: Any) -> Assembled:
    if holds_adapter_alone(request.source):
        return _adapted(request, processor)
    config = config_at(request.source, request.revision)
    refuse_foreign_code(config)
    if request.bits:
        check_unpacked(config)
    if layout_of(config):
        return assemble(request, config, processor)
    return _native(request, config, processor)


def _adapted(request: Request, processor: Any) -> Assembled:
    """The base model of an adapter, with the adapter in it."""
    check_loadable(folder := Path(request.source))
    base = base_of(folder, request.base)
    here = local_folder(base, called="base")
    if processor is None and has_processor(folder):
        processor = checked(processor_at(folder))
    with closed(wanted=here is not None):
        made = _made(replace(request, source=str(here or base), base=None), processor)
    add_adapter(made.model, folder)
    sources = {"adapter": FOLDER, "base": FOLDER if here else str(base)}
    return replace(made, model=made.model.eval(), sources={**made.sources, **sources})


def _native(request: Request, config: Mapping[str, Any], processor: Any) -> Assembled:
    """A checkpoint in transformers' own format."""
    parts = {"base": request.base, "vision": request.vision}
    _refuse(parts, f"only the layouts {', '.join(LAYOUTS)} lack such parts")
    if processor is None:
        processor = checked(processor_at(request.source, request.revision))
    if local := Path(request.source).is_dir():
        check_folder(Path(request.source), config)
    revision, bits = request.revision or "main", request.bits
    quantization, sources = None, {}
    if bits:
        quantization = packing_at(request.source, revision, bits, request.dtype)
        sources = {"packed": describe_packing(bits)}
    loaded: Any = AutoModelForImageTextToText.from_pretrained(
        request.source,
        trust_remote_code=False,
        use_safetensors=True,
        revision=revision,
        dtype=request.dtype or "auto",
        device_map=request.device_map,
        quantization_config=quantization,
        output_loading_info=True,
        local_files_only=local,
    )
    return Assembled(model=complete(*loaded).eval(), processor=processor, sources=sources)


def _family(model: Any, processor: Any) -> str:
    config = getattr(model, "config", None)
    if (name := family_of(config)) is not None:
        return name
    check_usable(model, processor)
    return MEASURED
