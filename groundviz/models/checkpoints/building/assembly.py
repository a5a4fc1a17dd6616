"""From a published checkpoint to a model with its processor, and the story of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from groundviz.errors import GroundvizError, UnsupportedModel
from groundviz.models.checkpoints.building.build import build
from groundviz.models.checkpoints.building.layout import LAYOUTS, Checkpoint, Layout, Plan
from groundviz.models.checkpoints.reading.folders import beside, called, fetched
from groundviz.models.checkpoints.reading.shards import FLOATS
from groundviz.models.loading.places import Place
from groundviz.models.loading.quantization import describe_packing


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a user wants loaded, and how.

    Attributes:
        source: A local folder or a hub id.
        base: The same, for the language model or the weights beneath a delta.
        vision: The same, for the vision tower.
        revision: Hub revision of `source`.
        dtype: Of the weights; as stored when None.
        bits: Of a packed weight of the decoder's layers, 8 or 4; None for no packing.
        device_map: As for transformers; None for the processor.
    """

    source: Place
    base: Place | None = None
    vision: Place | None = None
    revision: str | None = None
    dtype: torch.dtype | None = None
    bits: int | None = None
    device_map: Any = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Assembled:
    """A model, its processor, and what was loaded from where."""

    model: Any
    processor: Any
    sources: Mapping[str, str]


def layout_of(config: Mapping[str, Any]) -> str | None:
    """Name of the layout that a config.json is of; None for transformers' own."""
    return next((name for name in LAYOUTS if LAYOUTS[name].matches(config)), None)


def assemble(request: Request, config: Mapping[str, Any], processor: Any = None) -> Assembled:
    """Load a checkpoint of a published layout.

    Args:
        request: What is wanted.
        config: The checkpoint's config.json, which `layout_of` knew.
        processor: To be used in place of the layout's own.

    Raises:
        UnsupportedModel: A part is missing, damaged, or not what the layout expects.
        OSError: The checkpoint's files could not be fetched.
        ValueError: The same.
    """
    name = str(layout_of(config))
    layout = LAYOUTS[name]
    _check_parts(request, layout)
    folder = fetched(request.source, layout.files, request.revision)
    checkpoint = Checkpoint(
        config=config,
        folder=folder,
        base=beside(request.base, "base"),
        vision=beside(request.vision, "vision"),
        processor=processor,
    )
    plan = _planned(layout, checkpoint)
    stored = stored_dtype(config)
    model = build(plan, dtype=request.dtype or stored, device_map=request.device_map, bits=request.bits)
    sources = {"layout": name, "weights": called(request.source, folder)}
    for part, place in (("base", request.base), ("vision", request.vision)):
        if place is not None:
            sources[part] = called(place, Path(getattr(checkpoint, part)))
    sources |= {**plan.notes, "stored as": str(stored).removeprefix("torch.")}
    sources |= {"packed": describe_packing(request.bits)} if request.bits else {}
    own = plan.processor if processor is None else processor
    return Assembled(model=model, processor=own, sources=sources)


def stored_dtype(config: Mapping[str, Any]) -> torch.dtype:
    """The dtype that a config says its weights are stored in; half precision if it says nothing."""
    named = getattr(torch, str(config.get("torch_dtype") or config.get("dtype")), None)
    return named if isinstance(named, torch.dtype) and named in FLOATS.values() else torch.float16


def _check_parts(request: Request, layout: Layout) -> None:
    for part in ("base", "vision"):
        if getattr(request, part) is not None and part not in layout.takes:
            raise UnsupportedModel(
                f"{part} was given, and checkpoints of this layout have no use for it: they hold their own. "
                f"Leave {part} out."
            )


def _planned(layout: Layout, checkpoint: Checkpoint) -> Plan:
    try:
        return layout.plan(checkpoint)
    except (GroundvizError, ImportError, MemoryError):
        raise
    except Exception as error:
        # Values that no author thought of fail in transformers wherever they happen to.
        raise UnsupportedModel(
            f"The checkpoint cannot be put together ({type(error).__name__}): its config lacks an entry that "
            "its layout has, or gives one another kind of value, or a tensor is missing. Give the checkpoint "
            "as it was published."
        ) from None
