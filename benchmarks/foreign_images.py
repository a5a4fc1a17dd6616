"""What becomes of images that others made: shown, shown with notes, or refused and why.

    python benchmarks/foreign_images.py --write

Loads every DICOM file and every sample image that the installed packages bring, and an image of every
Pillow mode in every format that Pillow can write it in. Nothing is downloaded. The tables go into
docs/images.md: one for an environment with optional decoders, one for an environment without.
"""

from __future__ import annotations

import argparse
import io
import re
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from groundviz import images
from groundviz.errors import GroundvizError
from groundviz.images.dicom import decoding

PAGE = Path(__file__).parents[1] / "docs" / "images.md"
MODES = "1 L LA La P PA RGB RGBA RGBa RGBX CMYK YCbCr LAB HSV I I;16 I;16B F".split()
FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP")
# Where packages keep images, and what files these are.
PLACES = {
    "pydicom": ("data", (".dcm", "")),
    "data_store": ("", (".dcm", "")),
    "skimage": ("data", (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")),
    "matplotlib": ("mpl-data/sample_data", (".png", ".jpg", ".jpeg", ".tif")),
}
SYNTAXES = {
    "Implicit VR Little Endian": "1.2.840.10008.1.2",
    "Explicit VR Little Endian": "1.2.840.10008.1.2.1",
    "Deflated Explicit VR Little Endian": "1.2.840.10008.1.2.1.99",
    "Explicit VR Big Endian": "1.2.840.10008.1.2.2",
    "RLE Lossless": "1.2.840.10008.1.2.5",
    "JPEG Baseline, 8 bits": "1.2.840.10008.1.2.4.50",
    "JPEG Extended, 8 and 12 bits": "1.2.840.10008.1.2.4.51",
    "JPEG Lossless": "1.2.840.10008.1.2.4.57",
    "JPEG Lossless, first-order prediction": "1.2.840.10008.1.2.4.70",
    "JPEG-LS Lossless": "1.2.840.10008.1.2.4.80",
    "JPEG-LS Near-lossless": "1.2.840.10008.1.2.4.81",
    "JPEG 2000 Lossless": "1.2.840.10008.1.2.4.90",
    "JPEG 2000": "1.2.840.10008.1.2.4.91",
    "High-Throughput JPEG 2000 Lossless": "1.2.840.10008.1.2.4.201",
    "High-Throughput JPEG 2000 Lossless, RPCL": "1.2.840.10008.1.2.4.202",
    "High-Throughput JPEG 2000": "1.2.840.10008.1.2.4.203",
    "JPEG XL, MPEG and HEVC video": "1.2.840.10008.1.2.4.100",
}
# What a decoder that every environment has cannot read.
LIMITS = {
    "1.2.840.10008.1.2.4.51": "12 bits",
    "1.2.840.10008.1.2.4.90": "colour of more than 8 bits",
    "1.2.840.10008.1.2.4.91": "colour of more than 8 bits",
}


def collections(pillow: Iterable[str] = MODES) -> dict[str, Iterator[tuple[str, bytes | Path]]]:
    """Every collection of images there is here: its name, and the name and content of each image.

    Args:
        pillow: The modes to generate images of.
    """
    found: dict[str, Iterator[tuple[str, bytes | Path]]] = {}
    for package, (folder, endings) in PLACES.items():
        spec = find_spec(package)
        if spec is not None and spec.submodule_search_locations:
            home = Path(next(iter(spec.submodule_search_locations)), folder)
            found[package] = files(home, endings)
    found["Pillow's modes in five formats"] = generated(pillow)
    return found


def files(home: Path, endings: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    """The files below a folder with one of these endings; without an ending, those that are DICOM."""
    for path in sorted(home.rglob("*")):
        if not path.is_file() or path.suffix.lower() not in endings:
            continue
        if path.suffix or path.read_bytes()[128:132] == b"DICM":
            yield path.name, path


def generated(modes: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Noise in every mode and every format that Pillow writes it in."""
    noise = np.random.default_rng(0).integers(0, 256, (37, 61, 4), dtype=np.uint8)
    plain = Image.fromarray(noise)
    for mode in modes:
        for kind in FORMATS:
            stream = io.BytesIO()
            with suppress(OSError, ValueError, KeyError, SystemError):
                image = Image.frombytes(mode, plain.size, bytes(_packed(noise, mode)))
                image.save(stream, kind)
                yield f"{mode} {kind}", stream.getvalue()


def _packed(noise: np.ndarray, mode: str) -> bytes:
    """Noise in the bytes of a mode."""
    if mode == "F":
        return (noise[:, :, 0] / np.float32(255)).astype("<f4").tobytes()
    if mode == "I":
        return noise[:, :, 0].astype("<i4").tobytes()
    if mode.startswith("I;16"):
        return noise[:, :, :2].tobytes()
    if mode == "1":
        return np.packbits(noise[:, :, 0] > 127, axis=1).tobytes()
    count = len(Image.new(mode, (1, 1)).getbands())
    return noise[:, :, : 4 if mode == "RGBX" else count].tobytes()


def outcomes(collection: Iterable[tuple[str, bytes | Path]]) -> tuple[Counter[str], Counter[str]]:
    """How many images are shown, shown with notes and refused; and how often for which reason."""
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for _, content in collection:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                source_image = images.load(content, frame=0)
        except GroundvizError as error:
            counts["refused"] += 1
            reasons[reason(str(error))] += 1
        else:
            counts["shown with notes" if source_image.notes else "shown"] += 1
    return counts, reasons


def reason(message: str) -> str:
    """The first sentence of an error, without its numbers."""
    first = re.split(r"(?<=[^.\d])\. |(?<=[^.\d])\.$| \(SHA-256 of", message)[0]
    return re.sub(r"(?<!JPEG )\b\d[\d,.]*", "n", first).strip()


def table(found: Mapping[str, tuple[Counter[str], Counter[str]]]) -> str:
    """The counts of every collection, and the reasons for what was refused."""
    lines = ["| images | files | shown | shown with notes | refused |", "| --- | --- | --- | --- | --- |"]
    for name, (counts, _) in found.items():
        cells = [counts["shown"], counts["shown with notes"], counts["refused"]]
        lines.append("| " + " | ".join(str(cell) for cell in (name, counts.total(), *cells)) + " |")
    why: Counter[str] = sum((reasons for _, reasons in found.values()), Counter())
    lines += ["", "| why refused | files |", "| --- | --- |"] if why else []
    lines += [
        f"| {text} | {count} |" for text, count in sorted(why.items(), key=lambda pair: (-pair[1], pair[0]))
    ]
    return "\n".join(lines) + "\n"


def syntaxes() -> str:
    """Which transfer syntaxes are read, and with which packages."""
    from pydicom.pixels import get_decoder

    lines = ["| transfer syntax | read | with a further package |", "| --- | --- | --- |"]
    for name, uid in SYNTAXES.items():
        try:
            decoder = get_decoder(uid)
        except NotImplementedError:
            lines.append(f"| {name} | no |  |")
            continue
        _, packages = decoding.family_of(uid)
        always = not decoder.is_encapsulated or {"pillow", "pydicom"} & set(decoder.available_plugins)
        wanted = f"`pip install {' '.join(packages)}`"
        limit = LIMITS.get(uid)
        more = f"{limit}: {wanted}" if limit else "" if always else wanted
        lines.append(f"| {name} | {'yes' if always else 'with the package'} | {more} |")
    return "\n".join(lines) + "\n"


def made_with() -> str:
    """The packages that a table was made with, in one line."""
    names = ["pydicom", "pydicom-data", "pillow", "numpy", "scikit-image", "matplotlib", *optional()]
    held = []
    for name in names:
        with suppress(PackageNotFoundError):
            held.append(f"{name} {version(name)}")
    return ", ".join(held)


def optional() -> list[str]:
    """The optional decoders that are installed."""
    every = {name: module for _, _, packages in decoding.DECODERS for name, module in packages.items()}
    return [name for name, module in every.items() if find_spec(module) is not None]


def publish(name: str, text: str, page: Path) -> None:
    """Put a table between its two markers."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    before, rest = page.read_text("utf-8").split(begin)
    page.write_text(f"{before}{begin}{text}{end}{rest.split(end)[1]}", "utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Print the tables; with --write, put them into the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="put the tables into docs/images.md")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page")
    parser.add_argument("--only", nargs="*", help="collections whose name holds one of these words")
    parser.add_argument("--modes", nargs="*", default=MODES, help="Pillow modes to generate")
    parser.add_argument("--toy", action="store_true", help="a few images, to try the code")
    chosen = parser.parse_args(arguments)
    if chosen.toy:
        chosen.only, chosen.modes = ["matplotlib", "Pillow"], ["L", "RGB", "I;16"]
    found = {
        name: outcomes(collection)
        for name, collection in collections(chosen.modes).items()
        if not chosen.only or any(word in name for word in chosen.only)
    }
    text = f"{made_with()}\n\n{table(found)}"
    kind = "with decoders" if optional() else "without decoders"
    sys.stdout.write(f"{text}\n{syntaxes()}")
    if chosen.write:
        publish(kind, text, chosen.page)
        publish("transfer syntaxes", syntaxes(), chosen.page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
