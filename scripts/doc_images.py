"""The images of README and site, drawn anew: `python scripts/doc_images.py`, or one kind: `... viewer`.

The figures are those of `python scripts/demo_gallery.py`, at half their resolution; no colour is
changed. The charts and the viewer are photographed in Chromium, as their readers see them.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

import groundviz
from groundviz.record import files
from scripts.demo_gallery import gallery
from scripts.phantom_images import sheets

FOLDER = Path(__file__).parents[1] / "docs" / "img"
SAMPLE_IMAGES = Path(__file__).parents[1] / "sample_images"
KINDS = ("figures", "animation", "charts", "viewer", "phantoms")
# Photographs of screens may lose what no eye misses; figures lose nothing.
EXACT = {"lossless": True, "quality": 100}
LIGHT = {"quality": 84}


def drawn(kind: str, vlm: Any) -> Iterator[tuple[Path, bytes, dict[str, Any]]]:
    """Where each image of a kind goes, its bytes, and how a PNG is kept; what moves is kept as it is."""
    if kind == "figures":
        for name, figure in gallery(vlm):
            yield FOLDER / f"{name}.webp", figure.preview(), EXACT
        return
    if kind == "animation":
        report = groundviz.explain(vlm, str(SAMPLE_IMAGES / "two_findings.png"), "Describe the findings.")
        film = report.animation("attention", seconds=0.6, width="onehalf")
        yield FOLDER / "animation.webp", film.to_bytes(), {}
        return
    if kind == "charts":
        from scripts.chart_images import charts

        for name, photograph in charts(vlm):
            yield FOLDER / f"{name}.webp", photograph, EXACT
        return
    if kind == "phantoms":
        for name, sheet in sheets():
            yield FOLDER / "phantoms" / f"{name}.webp", sheet, LIGHT
        return
    from scripts.screenshots import screens

    for name, photograph in screens(vlm):
        yield FOLDER / "viewer" / f"{name}.webp", photograph, LIGHT


def main(argv: Sequence[str] | None = None) -> None:
    """Draw every image, or those of one kind."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("kind", nargs="?", choices=KINDS, help="one kind (default: all)")
    kind = parser.parse_args(argv).kind
    vlm = groundviz.load("demo")
    for one in (kind,) if kind else KINDS:
        for place, content, options in drawn(one, vlm):
            place.parent.mkdir(parents=True, exist_ok=True)
            kept = webp(content, options) if options else content
            files.write(place, kept)
            sys.stdout.write(f"{place.name:24} {len(kept) / 1000:5.0f} kB\n")


def webp(content: bytes, options: dict[str, Any]) -> bytes:
    """A PNG as a WebP."""
    stream = io.BytesIO()
    with Image.open(io.BytesIO(content)) as image:
        image.convert("RGB").save(stream, "WEBP", method=6, **options)
    return stream.getvalue()


if __name__ == "__main__":
    main()
