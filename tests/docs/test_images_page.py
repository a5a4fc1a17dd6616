"""The page on images: its figures come from a command; and what SECURITY.md promises of records."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import groundviz
from benchmarks import foreign_images
from groundviz.images.dicom.layout import COLOUR, GREY, INDEXED
from tests.support import pages

pytest.importorskip("pydicom")

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "images.md").read_text("utf-8")


COMMAND = "python benchmarks/foreign_images.py --write"


def between(name: str, page: str = PAGE) -> str:
    return page.split(f"<!-- {name} -->\n")[1].split(f"<!-- end of {name} -->")[0]


def test_the_command_counts_what_becomes_of_images_and_writes_it_down(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "images.md"
    page.write_text(PAGE, "utf-8")
    chosen = ["--only", "Pillow", "matplotlib", "--modes", "L", "RGBA", "I;16"]
    assert foreign_images.main(["--write", "--page", str(page), *chosen]) == 0
    kind = "with decoders" if foreign_images.optional() else "without decoders"
    written = between(kind, page.read_text("utf-8"))
    assert written in capsys.readouterr().out
    # L goes into five formats, RGBA into all but JPEG, and 16 bits into PNG, TIFF and (as 8 bits) WebP.
    assert re.search(r"\| Pillow's modes in five formats \| 1[12] \| \d+ \| \d+ \| 0 \|", written)


def test_a_file_that_is_refused_is_counted_with_its_reason(tmp_path: Path) -> None:
    damaged = b"\x89PNG\r\n\x1a\n" + bytes(40)
    shown = dict(foreign_images.generated(["RGB"]))["RGB PNG"]
    counts, reasons = foreign_images.outcomes([("damaged", damaged), ("shown", shown)])
    assert counts == Counter({"refused": 1, "shown": 1})
    assert reasons.total() == 1
    text = foreign_images.table({"two files": (counts, reasons)})
    assert "| two files | 2 | 1 | 0 | 1 |" in text
    assert f"| {next(iter(reasons))} | 1 |" in text


def test_the_page_is_what_the_command_says() -> None:
    kept, made = between("transfer syntaxes"), foreign_images.syntaxes()
    pages.assert_up_to_date(kept, made, page=pages.DOCS / "images.md", command=COMMAND)
    for kind in ("with decoders", "without decoders"):
        for name in ("pydicom", "skimage", "matplotlib", "Pillow's modes in five formats"):
            assert f"| {name} |" in between(kind)
    if (
        not foreign_images.optional()
        and foreign_images.made_with() == between("without decoders").split("\n")[0]
    ):
        found = {"pydicom": foreign_images.outcomes(foreign_images.collections([])["pydicom"])}
        row = foreign_images.table(found).splitlines()[2]
        assert row in between("without decoders"), f"Make docs/images.md again: {COMMAND}"


def test_every_kind_of_colour_is_on_the_page() -> None:
    assert all(kind in PAGE for kind in (*GREY, INDEXED, *COLOUR))


def test_a_record_without_its_image_tells_nothing_of_it(tmp_path: Path) -> None:
    """As SECURITY.md has it, and what that page says of hashes."""
    from dataclasses import replace

    image = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
    explanation = groundviz.explain("demo", image, "Is there a nodule?", methods="attention", certify=False)
    record, digest = explanation.record, explanation.source_image.sha256
    whole = explanation.save(tmp_path / "whole.gvz").read_bytes()
    assert digest.encode() in whole
    assert digest not in explanation.to_html()
    empty = groundviz.images.load(np.zeros((40, 40), np.uint8))
    shared = groundviz.Explanation(replace(record, source_images=(empty,))).save(tmp_path / "shared.gvz")
    assert digest.encode() not in shared.read_bytes()
    assert groundviz.open(shared).source_image.pixels.max() == 0.0
