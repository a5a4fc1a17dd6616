"""Truncated and mutated files: each gives a SourceImage or an ImageError, and never a word of the patient.

The normal run takes a sample. The full sweeps, which also print what they counted:

    python -m pytest tests/attacks/images/test_damage.py -m slow -rP

A raster cut anywhere must be refused, or noted where decoding got by without the missing bytes.
"""

from __future__ import annotations

import collections
import io
import logging
import resource
import struct
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from groundviz import images
from groundviz.errors import ImageError
from groundviz.record.types import SourceImage

pydicom = pytest.importorskip("pydicom")

CANARY = "ZZPHI"
# On a core that a neighbour shares everything takes twice as long.
SLOWEST = 4.0
WHEEL = Path(pydicom.data.get_testdata_file("CT_small.dcm", download=False)).parent

Case = tuple[str, bytes, bool]


@dataclass
class Tally:
    """What became of the files of one sweep."""

    outcomes: collections.Counter[str] = field(default_factory=collections.Counter)
    silent_cuts: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")

    def says(self) -> str:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        counts = ", ".join(f"{count} {name}" for name, count in self.outcomes.most_common())
        return (
            f"{self.outcomes.total()} files: {counts}; slowest {self.slowest[0]:.2f} s "
            f"({self.slowest[1]}); peak memory of the process {peak:.0f} MB"
        )


def swept(cases: Iterator[Case], folder: Path) -> Tally:
    """Load every case, watching time, messages, warnings and logs. `cut` cases must not pass silently."""
    tally = Tally()
    heard = io.StringIO()
    listener = logging.StreamHandler(heard)
    root = logging.getLogger()
    level = root.level
    root.addHandler(listener)
    root.setLevel(logging.DEBUG)
    path = folder / f"{CANARY}-file"
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            for name, content, cut in cases:
                path.write_bytes(content)
                _one(tally, path, name, cut)
    finally:
        root.setLevel(level)
        root.removeHandler(listener)
    leaked = heard.getvalue() + "".join(str(warning.message) for warning in warned)
    if leaked:
        tally.leaks.append(leaked[:500])
    return tally


def _one(tally: Tally, path: Path, name: str, cut: bool) -> None:
    start = time.process_time()
    try:
        source_image: object = images.load(path, frame=None)
    except ImageError as error:
        outcome = "ImageError"
        if CANARY in str(error) or error.__cause__ or error.__context__:
            tally.leaks.append(f"{name}: {error!r}")
    except Exception as error:
        outcome = f"{type(error).__name__} ({name})"
    else:
        outcome = type(source_image).__name__
        assert isinstance(source_image, SourceImage)
        if CANARY in repr((source_image.notes, source_image.source)):
            tally.leaks.append(name)
        if cut and not source_image.notes:
            tally.silent_cuts.append(name)
        assert np.isfinite(source_image.pixels).all()
    tally.outcomes[outcome] += 1
    tally.slowest = max(tally.slowest, (time.process_time() - start, name))


def verdict(tally: Tally, capfd: pytest.CaptureFixture[str]) -> None:
    # libtiff writes its complaints straight to stderr; they must not quote the file either.
    assert CANARY not in "".join(capfd.readouterr())
    sys.stdout.write(f"{tally.says()}\n")
    assert set(tally.outcomes) <= {"SourceImage", "ImageError"}
    assert tally.outcomes["ImageError"] > 0
    assert not tally.silent_cuts
    assert not tally.leaks
    assert tally.slowest[0] < SLOWEST


def rasters() -> Iterator[tuple[str, bytes]]:
    """Small noisy images in every format and encoding, with a name in each place for text."""
    noise = np.random.default_rng(0)
    grey = Image.fromarray(noise.integers(0, 256, (24, 31), dtype=np.uint8))
    colour = Image.fromarray(noise.integers(0, 256, (24, 31, 3), dtype=np.uint8))
    deep = Image.fromarray(noise.integers(0, 65536, (24, 31), dtype=np.uint16))
    clear = Image.fromarray(noise.integers(0, 256, (16, 21, 4), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x010E] = exif[0x013B] = f"{CANARY} in exif"
    exif[0x0112] = 6
    text = PngImagePlugin.PngInfo()
    text.add_text("Patient", f"{CANARY} in text", zip=True)
    tags = {270: f"{CANARY} in a tag", 315: CANARY, 274: 8}
    for name, image, kind, options in (
        ("png grey", grey, "PNG", {"pnginfo": text, "exif": exif}),
        ("png colour", colour, "PNG", {"pnginfo": text}),
        ("png 16", deep, "PNG", {}),
        ("png alpha", clear, "PNG", {}),
        ("png palette", colour.convert("P"), "PNG", {"transparency": 3}),
        ("png 1", grey.convert("1"), "PNG", {}),
        ("jpeg grey", grey, "JPEG", {"comment": CANARY, "exif": exif}),
        ("jpeg colour", colour, "JPEG", {"comment": CANARY}),
        ("jpeg progressive", colour, "JPEG", {"progressive": True}),
        ("jpeg cmyk", colour.convert("CMYK"), "JPEG", {}),
        ("tiff raw", grey, "TIFF", {"tiffinfo": tags}),
        ("tiff 16", deep, "TIFF", {"tiffinfo": tags}),
        ("tiff lzw", colour, "TIFF", {"compression": "tiff_lzw", "tiffinfo": tags}),
        ("tiff deflate", deep, "TIFF", {"compression": "tiff_deflate"}),
        ("tiff jpeg", colour, "TIFF", {"compression": "jpeg"}),
        ("tiff group4", grey.convert("1"), "TIFF", {"compression": "group4"}),
        ("tiff packbits", clear, "TIFF", {"compression": "packbits"}),
        ("tiff ycbcr", colour.convert("YCbCr"), "TIFF", {}),
        ("webp", colour, "WEBP", {"exif": exif}),
        ("webp lossless", clear, "WEBP", {"lossless": True}),
        ("bmp grey", grey, "BMP", {}),
        ("bmp colour", colour, "BMP", {}),
    ):
        stream = io.BytesIO()
        image.save(stream, kind, **options)
        yield name, stream.getvalue()


def cuts(named: list[tuple[str, bytes]], step: int) -> Iterator[Case]:
    for name, content in named:
        for length in range(1, len(content), step):
            yield f"{name}, first {length} bytes", content[:length], True


def mutations(named: list[tuple[str, bytes]], each: int, seed: int) -> Iterator[Case]:
    """Flipped bits, bytes set to extremes, words replaced, pieces removed, doubled and swapped."""
    chance = np.random.default_rng(seed)
    for name, content in named:
        for number in range(each):
            yield f"{name}, mutation {number} of seed {seed}", _mutated(content, chance), False


def _mutated(content: bytes, chance: np.random.Generator) -> bytes:
    data = bytearray(content)
    # Most of the meaning sits in the first bytes; half of the changes go there.
    for _ in range(int(chance.integers(1, 6))):
        reach = min(len(data), 700) if chance.random() < 0.5 else len(data)
        at = int(chance.integers(0, reach))
        kind = int(chance.integers(0, 6))
        if kind == 0:
            data[at] ^= 1 << int(chance.integers(0, 8))
        elif kind == 1:
            data[at] = int(chance.choice([0, 1, 0x7F, 0x80, 0xFE, 0xFF]))
        elif kind == 2:
            data[at : at + 4] = struct.pack(
                "<I", int(chance.choice([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]))
            )
        elif kind == 3:
            del data[at : at + int(chance.integers(1, 40))]
        elif kind == 4:
            data[at:at] = data[at : at + int(chance.integers(1, 40))]
        else:
            data[at : at + 2] = data[at : at + 2][::-1]
        data = data or bytearray(b"\0")
    return bytes(data)


def with_canaries(content: bytes) -> bytes:
    """The same file with every person, place, date and identifier replaced by the canary."""
    dataset = pydicom.dcmread(io.BytesIO(content), force=True)
    for element in dataset:
        if element.VR in ("PN", "LO", "SH", "LT", "ST", "UT"):
            dataset[element.tag].value = CANARY
    stream = io.BytesIO()
    dataset.save_as(stream)
    return stream.getvalue()


def dicoms() -> list[tuple[str, bytes]]:
    """The files of pydicom's package up to 150 kB that show an image."""
    found = []
    for path in sorted(WHEEL.rglob("*")):
        if not path.is_file() or path.stat().st_size > 150_000:
            continue
        try:
            images.load(path, frame=0)
        except ImageError:
            continue
        content = path.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.append((path.name, with_canaries(content)))
    return found


def test_all_files_of_pydicoms_package(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    files = [path for path in sorted(WHEEL.rglob("*")) if path.is_file()]
    assert len(files) >= 176
    tally = swept(((path.name, path.read_bytes(), False) for path in files), tmp_path)
    verdict(tally, capfd)
    assert tally.outcomes["SourceImage"] >= 70


def test_sample_of_cut_rasters(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    verdict(swept(cuts(list(rasters()), step=61), tmp_path), capfd)


def test_sample_of_mutated_rasters(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    verdict(swept(mutations(list(rasters()), each=12, seed=1), tmp_path), capfd)


def test_sample_of_mutated_dicoms(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    small = [(name, content) for name, content in dicoms() if len(content) < 40_000]
    verdict(swept(mutations(small, each=5, seed=2), tmp_path), capfd)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_every_cut_of_every_raster(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tally = swept(cuts(list(rasters()), step=1), tmp_path)
    verdict(tally, capfd)
    assert tally.outcomes.total() >= 18_000


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_many_mutated_rasters(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tally = swept(mutations(list(rasters()), each=200, seed=3), tmp_path)
    verdict(tally, capfd)
    assert tally.outcomes.total() >= 4_000


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_many_mutated_dicoms(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    named = dicoms()
    tally = swept(mutations(named, each=6000 // len(named) + 1, seed=4), tmp_path)
    verdict(tally, capfd)
    assert tally.outcomes.total() >= 5_000
