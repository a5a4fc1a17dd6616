"""The pictures of README and site, drawn anew: `python docs/pictures.py`.

They are the figures of `python -m groundviz.demo.gallery`, at half their resolution; no colour is changed.
"""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

import groundviz
from groundviz import files
from groundviz.demo.gallery import gallery

FOLDER = Path(__file__).parent / "pictures"


def main() -> None:
    """Draw every figure of the gallery."""
    FOLDER.mkdir(exist_ok=True)
    for name, drawn in gallery(groundviz.load("demo")):
        stream = io.BytesIO()
        with Image.open(io.BytesIO(drawn.preview())) as picture:
            picture.save(stream, "WEBP", lossless=True, quality=100, method=6)
        files.write(FOLDER / f"{name}.webp", stream.getvalue())


if __name__ == "__main__":
    main()
