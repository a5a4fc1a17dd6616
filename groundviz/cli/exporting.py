"""`groundviz export`: the raw maps of a saved explanation, in files for other programs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import groundviz
from groundviz.cli.commands import refuse_taken
from groundviz.cli.printing import complain, say, working
from groundviz.record import files


def export(chosen: argparse.Namespace) -> None:
    """Write the maps that are meant to every place that was named, and say where they lie."""
    from groundviz.record.exports import writing

    explained = groundviz.open(chosen.file)
    # A name that says no format is known before the first file is written, and so is one that is taken.
    for place in chosen.to:
        if not files.new_place(place).is_dir():
            writing.suffix_of(place)
    refuse_taken([place for place in chosen.to if place.is_file()], chosen.overwrite)
    written: list[Path] = []
    try:
        for place in chosen.to:
            with working(f"Writing {place.name}"):
                written += explained.export(place, chosen.method, chosen.target, **_options(chosen))
    finally:
        if written:
            say("Written:", *(f"  {path}" for path in written))
    _tell_spacing(explained.source_images)


def _options(chosen: argparse.Namespace) -> dict[str, Any]:
    return {
        "layers": _which(chosen.layer),
        "heads": _which(chosen.head),
        "image": chosen.image,
        "tile": chosen.tile,
        "resample": chosen.resample or chosen.smooth,
        "smooth": chosen.smooth,
        "mask": chosen.mask,
        "share": chosen.share,
        "threshold": chosen.threshold,
        "overwrite": chosen.overwrite,
    }


def _which(given: Sequence[int | str] | None) -> Any:
    """None for all combined, "each" wherever it was given, else the numbers."""
    if given is None:
        return None
    if "each" in given:
        return "each"
    if len(given) == 1:
        return given[0]
    return list(given)


def _tell_spacing(source_images: Sequence[Any]) -> None:
    """Say what is known against the millimetres of a volume."""
    for source_image in source_images:
        for note in source_image.notes:
            if "spacing" in note.lower():
                complain(f"groundviz: note: {note}")
