"""One figure of every type, of phantoms whose findings are known, for the documentation."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from groundviz.comparison import figure
from groundviz.demo.phantoms import Phantom, phantom
from groundviz.demo.samples import SAMPLES, to_levels
from groundviz.explain import explain
from groundviz.explanation import Explanation
from groundviz.models import load
from groundviz.record import files
from groundviz.render.figures.file import PaperFigure

SIZE = 336
WHERE, REPORT = "Where is the nodule?", "Describe the findings."


def gallery(model: Any) -> Iterator[tuple[str, PaperFigure]]:
    """Name and figure of each type, one by one.

    Args:
        model: The demo model, as `groundviz.load` returns it.

    >>> from groundviz import load
    >>> name, drawn = next(gallery(load("demo")))
    >>> name, drawn.caption[:27]
    ('single_column', 'Where the model looked when')
    """
    yield from _of_one_finding(model, _sample("nodule"))
    yield from _of_a_report(model, _sample("two_findings"))
    yield from _side_by_side(model, _sample("nodule"))


def _of_one_finding(model: Any, sick: Phantom) -> Iterator[tuple[str, PaperFigure]]:
    asked = _asked(model, sick, WHERE, methods=["attention", "gradient_attention", "stage_audit"])
    truth = sick.mask("nodule")
    yield "single_column", asked.figure(methods="attention", width="single", contours=truth)
    yield "methods", asked.figure(methods=["attention", "gradient_attention"], contours=truth)
    yield "layers", asked.figure(methods="stage_audit", layer="each", contours=truth)


def _of_a_report(model: Any, sick: Phantom) -> Iterator[tuple[str, PaperFigure]]:
    report = _asked(model, sick, REPORT, methods=["attention", "gradient_attention"])
    truth = np.stack(sick.masks)
    yield "findings", report.figure(methods="attention", style="findings", width="onehalf", contours=truth)
    yield "words", report.figure(methods="attention", style="words", contours=truth)
    yield "llava_rad", report.figure(style="llava_rad", contours=truth)


def _side_by_side(model: Any, sick: Phantom) -> Iterator[tuple[str, PaperFigure]]:
    healthy = phantom(sick.seed, size=SIZE, findings=sick.names, without=sick.names)
    method = "gradient_attention"
    both = [_asked(model, one, "Is there a nodule?", methods="attention") for one in (healthy, sick)]
    truth = sick.mask("nodule")
    names = ["Prior", "Current"]
    yield "prior_and_current", figure(both, names=names, width="onehalf", contours=[None, truth])
    pair = [to_levels(one.pixels, 8) for one in (healthy, sick)]
    together = explain(model, pair, WHERE, methods="attention")
    yield "several_images", together.figure(width="onehalf", contours={1: truth})
    contrast = [
        _asked(model, sick, WHERE, methods=method, target="right", against="left"),
        _asked(model, sick, WHERE, methods=method, target="right"),
        _asked(model, sick, WHERE, methods=method, target="left", answer="left upper zone"),
    ]
    names = ["Contrast", "Target", "Foil"]
    yield "contrast", figure(contrast, names=names, contours=truth)


def main(argv: list[str] | None = None) -> None:
    """Write every figure as PDF and PNG, and the captions, into a folder."""
    parser = argparse.ArgumentParser(description="Draw one figure of every type.")
    parser.add_argument("folder", type=Path, help="where to write them")
    parser.add_argument("--overwrite", action="store_true", help="replace files of the same names")
    chosen = parser.parse_args(argv)
    folder = files.folder_for_writing(chosen.folder)
    captions = []
    for name, drawn in gallery(load("demo")):
        for suffix in ("pdf", "png"):
            place = folder / f"{name}.{suffix}"
            files.write(place, drawn.to_bytes(suffix), overwrite=chosen.overwrite)
        captions.append(f"{name}\n{drawn.caption}\n")
    files.write(folder / "captions.txt", "\n".join(captions).encode(), overwrite=chosen.overwrite)


def _sample(name: str) -> Phantom:
    sample = next(sample for sample in SAMPLES if sample.name == name)
    return sample.draw_at(SIZE)


def _asked(model: Any, drawn: Phantom, question: str, **options: Any) -> Explanation:
    return explain(model, to_levels(drawn.pixels, 8), question, **options)


if __name__ == "__main__":
    main()
