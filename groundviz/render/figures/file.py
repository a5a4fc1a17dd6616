"""A finished figure and its bytes: the same bytes every time, with fonts embedded and no dates."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import style
from matplotlib.figure import Figure
from PIL import Image

from groundviz.errors import UnknownName
from groundviz.record import files
from groundviz.render.base.options import options
from groundviz.render.figures.canvas import DPI

_SETTINGS: dict[str, Any] = {
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "groundviz",
    # Hinting would round letter widths to dots and part the drawn line from the measured one.
    "text.hinting": "no_hinting",
    # No axis has numbers; without this, some fonts warn of how they would look.
    "axes.formatter.use_mathtext": True,
}
_FONTS = ("font.family", "font.serif", "font.sans-serif", "font.monospace")
_VECTORS: dict[str, dict[str, str | None]] = {
    "pdf": {"Creator": "groundviz", "Producer": None, "CreationDate": None},
    "svg": {"Creator": "groundviz", "Date": None},
}
# A TIFF is smaller by far where each dot is stored as its difference from the one before it (tag 317).
_RASTERS: dict[str, dict[str, Any]] = {
    "png": {},
    "tiff": {"compression": "tiff_deflate", "tiffinfo": {317: 2}},
}


def drawing() -> AbstractContextManager[None]:
    """Settings under which figures are drawn and saved: of the caller's own, the fonts alone."""
    own: Any = mpl.rcParams
    return style.context(["default", _SETTINGS, {name: own[name] for name in _FONTS}])


def dot_by_dot(figure: Figure) -> Image.Image:
    """A figure of `canvas.DPI` dots per inch, without the opacity that a printer would ask about."""
    stream = io.BytesIO()
    figure.savefig(stream, format="rgba", dpi=DPI)
    # As matplotlib counts dots: what is left of one is dropped.
    across, down = figure.get_size_inches()
    width, height = int(across * DPI), int(down * DPI)
    return Image.frombytes("RGBA", (width, height), stream.getvalue()).convert("RGB")


@dataclass(frozen=True, slots=True)
class PaperFigure:
    """A figure of an exact size, with a caption to go under it.

    Attributes:
        figure: The matplotlib figure, for those who want to add to it.
        caption: What it shows, on which scale, and what made it.
        kept: Draws it with as much of the images as `groundviz.options.embed` allows a notebook to keep;
            None where it holds no image.
    """

    figure: Figure
    caption: str
    kept: Callable[[], PaperFigure] | None = field(default=None, repr=False)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the figure in the format its suffix names: .pdf, .svg, .png or .tiff.

        Raises:
            UnknownName: There is no figure format of that suffix.
            StoreError: The file cannot be written there.
        """
        suffix = Path(path).suffix.lower().removeprefix(".")
        return files.write(path, self.to_bytes({"tif": "tiff"}.get(suffix, suffix)))

    def to_bytes(self, format: str) -> bytes:
        """The figure as "pdf", "svg", "png" or "tiff"; equal figures give equal bytes.

        Raises:
            UnknownName: There is no such figure format.
        """
        if format not in _VECTORS | _RASTERS:
            known = ", ".join(_VECTORS | _RASTERS)
            raise UnknownName(f"There is no figure format called {format!r}: known are {known}. Name one.")
        stream = io.BytesIO()
        with drawing():
            if format in _VECTORS:
                self.figure.savefig(stream, format=format, dpi=DPI, metadata=_VECTORS[format])
            else:
                dot_by_dot(self.figure).save(stream, format, dpi=(DPI, DPI), **_RASTERS[format])
        return stream.getvalue()

    def preview(self) -> bytes:
        """The figure as a PNG of half the resolution, light enough for a page or a notebook."""
        stream = io.BytesIO()
        with drawing():
            dot_by_dot(self.figure).reduce(2).save(stream, "PNG")
        return stream.getvalue()

    def _repr_png_(self) -> bytes | None:
        """What a notebook keeps, which may be less of the images than `save` writes, or nothing."""
        if self.kept is None or options.embed == "image":
            return self.preview()
        if options.embed == "none":
            return None
        return self.kept().preview()
