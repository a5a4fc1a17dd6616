"""`groundviz export` and `animate`: a saved explanation as maps for other programs, or as a film."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import groundviz
from groundviz.cli.commands import refuse_taken
from groundviz.cli.printing import complain, say, working
from groundviz.errors import OptionError
from groundviz.record import files


def export(chosen: argparse.Namespace) -> None:
    """Write the maps that are meant to every place that was named, and say where they lie."""
    from groundviz.dicom_out.writing import is_dicom, refuse_original
    from groundviz.record.exports import writing

    explained = groundviz.open(chosen.file)
    # A name that says no format is known before the first file is written, and so is one that is taken.
    for place in chosen.to:
        refuse_original(place, chosen.original)
        if is_dicom(place):
            _refuse_unnamed(chosen)
        elif not files.new_place(place).is_dir():
            writing.suffix_of(place)
    refuse_taken([place for place in chosen.to if place.is_file()], chosen.overwrite)
    written: list[Path] = []
    try:
        for place in chosen.to:
            with working(f"Writing {place.name}"):
                if is_dicom(place):
                    written.append(explained.to_dicom(place, chosen.original, **_one_map(chosen)))
                else:
                    written += explained.export(place, chosen.methods, chosen.target, **_options(chosen))
    finally:
        if written:
            say("Written:", *(f"  {path}" for path in written))
    _tell_spacing(explained.source_images)


def animate(chosen: argparse.Namespace) -> None:
    """Write the answer being written, word by word with its maps."""
    refuse_taken([chosen.to], chosen.overwrite)
    film = groundviz.open(chosen.file).animation(
        _single("An animation shows the maps of one method", "method", chosen.methods),
        seconds=chosen.seconds,
        width=chosen.width,
        image=chosen.image,
        tile=chosen.tile,
        layer=chosen.layer,
        head=chosen.head,
        smooth=chosen.smooth,
    )
    with working(f"Drawing {len(film)} words"):
        film.save(chosen.to)
    say(f"Written: {chosen.to}", "", film.caption)


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


def _refuse_unnamed(chosen: argparse.Namespace) -> None:
    """Stop where a DICOM file is asked for without the one that its image comes from.

    Raises:
        OptionError: It is.
    """
    if chosen.original is None:
        raise OptionError(
            "A DICOM file names the patient and the exam of its image, which an explanation does not know. "
            "Give the DICOM file that was explained: --original FILE."
        )


def _one_map(chosen: argparse.Namespace) -> dict[str, Any]:
    """The one map that a DICOM file holds.

    Raises:
        OptionError: Several are named.
    """
    named = {"method": chosen.methods, "target": chosen.target, "layer": chosen.layer, "head": chosen.head}
    return {
        **{what: _single("A DICOM file holds one map", what, given) for what, given in named.items()},
        "frame": chosen.frame,
        "image": chosen.image or 0,
        "tile": chosen.tile,
        "overwrite": chosen.overwrite,
    }


def _single(reason: str, what: str, given: Sequence[Any] | None) -> Any:
    """The one thing that was named, None for none.

    Raises:
        OptionError: Several are named.
    """
    if given and (len(given) > 1 or given[0] == "each"):
        raise OptionError(f"{reason}, and --{what} names several. Name one of them, or none.")
    return given[0] if given else None


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
