"""Small or damaged files built to cost much: each must be refused within 2 s and 512 MB.

A child process that has loaded everything forks once per file. Each fork may address 512 MB more
than it starts with, and reports its outcome, CPU seconds and growth of resident memory.
"""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytest.importorskip("pydicom")
pytest.importorskip("resource", reason="memory limits need a Unix system")

# 2 s on a core of its own; where a neighbour shares it everything takes twice as long.
SECONDS, MEGABYTES = 4.0, 512

WORKER = """
import json, os, resource, sys
from groundviz.errors import ImageError
from groundviz.images import load
from groundviz.images.dicom import reading

reading.require()

def pages(column):
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[column]) * resource.getpagesize()

for path in sys.argv[1:]:
    read, write = os.pipe()
    resident = pages(1)
    child = os.fork()
    if child == 0:
        ceiling = pages(0) + 512 * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (ceiling, ceiling))
        try:
            load(path, frame=0)
            outcome = "a SourceImage"
        except ImageError as error:
            outcome = str(error)
        except BaseException as error:
            outcome = "escaped: " + type(error).__name__
        os.write(write, outcome.encode())
        os._exit(0)
    os.close(write)
    _, status, used = os.wait4(child, 0)
    with os.fdopen(read) as pipe:
        outcome = pipe.read() or "died"
    growth = used.ru_maxrss * 1024 - resident
    print(json.dumps([path, outcome, used.ru_utime + used.ru_stime, growth / 2**20]))
"""


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    cols: int, rows: int, depth: int = 8, colour: int = 0, *, between: bytes = b"", cut: int = 0
) -> bytes:
    channels = {0: 1, 2: 3, 6: 4}[colour]
    line = bytes(1 + (cols * depth * channels + 7) // 8)
    engine = zlib.compressobj(9)
    packed = b"".join(engine.compress(line) for _ in range(rows)) + engine.flush()
    header = struct.pack(">IIBBBBB", cols, rows, depth, colour, 0, 0, 0)
    data = png_chunk(b"IHDR", header) + between + png_chunk(b"IDAT", packed[: len(packed) - cut])
    return b"\x89PNG\r\n\x1a\n" + data + (b"" if cut else png_chunk(b"IEND", b""))


def tiff(cols: int, rows: int, pages: int = 1, *, loop: bool = False) -> bytes:
    """Uncompressed 8-bit pages that all show the same empty strip."""
    entry_count = 6
    size = 2 + 12 * entry_count + 4
    out = [b"II*\0" + struct.pack("<I", 8)]
    for page in range(pages):
        entries = ((256, cols), (257, rows), (258, 8), (262, 1), (273, 8), (279, 1))
        packed = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
        after = 8 + size * (page + 1)
        last = 8 if loop else 0
        out.append(
            struct.pack("<H", entry_count) + packed + struct.pack("<I", last if page == pages - 1 else after)
        )
    return b"".join(out)


def many_scans() -> bytes:
    """A flat progressive JPEG of 16 megapixels whose last scan is repeated 5,000 times."""
    stream = io.BytesIO()
    Image.new("L", (4000, 4000), 128).save(stream, "JPEG", progressive=True)
    data = stream.getvalue()
    at = data.rindex(b"\xff\xda")
    return data[:at] + data[at:-2] * 5000 + data[-2:]


def bmp(cols: int, rows: int, compression: int = 0, data: bytes = b"") -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, cols, rows, 1, 8, compression, len(data), 1, 1, 256, 0)
    palette = b"".join(bytes((n, n, n, 0)) for n in range(256))
    offset = 14 + len(header) + len(palette)
    return b"BM" + struct.pack("<IHHI", offset + len(data), 0, 0, offset) + header + palette + data


def element(group: int, number: int, kind: bytes, value: bytes, length: int | None = None) -> bytes:
    size = len(value) if length is None else length
    if kind in (b"OB", b"OW", b"SQ", b"UN", b"UT"):
        return struct.pack("<HH2sHI", group, number, kind, 0, size) + value
    return struct.pack("<HH2sH", group, number, kind, size & 0xFFFF) + value


def layout(
    rows: int = 8, cols: int = 8, bits: int = 8, *, kind: bytes = b"MONOCHROME2 ", more: bytes = b""
) -> bytes:
    """A technical header; `more` goes in front of it or is part of group 0028 in order."""
    return b"".join(
        (
            element(0x28, 0x02, b"US", struct.pack("<H", 1)),
            element(0x28, 0x04, b"CS", kind),
            element(0x28, 0x10, b"US", struct.pack("<H", rows)),
            element(0x28, 0x11, b"US", struct.pack("<H", cols)),
            element(0x28, 0x100, b"US", struct.pack("<H", bits)),
            element(0x28, 0x101, b"US", struct.pack("<H", bits)),
            element(0x28, 0x102, b"US", struct.pack("<H", bits - 1)),
            element(0x28, 0x103, b"US", struct.pack("<H", 0)),
            more,
        )
    )


def dicom(body: bytes, syntax: bytes = b"1.2.840.10008.1.2.1") -> bytes:
    meta = element(2, 0x10, b"UI", syntax + b"\0" * (len(syntax) % 2))
    return bytes(128) + b"DICM" + element(2, 0, b"UL", struct.pack("<I", len(meta))) + meta + body


def deflated(body: bytes) -> bytes:
    engine = zlib.compressobj(9, zlib.DEFLATED, -15)
    return dicom(engine.compress(body) + engine.flush(), b"1.2.840.10008.1.2.1.99")


def pixels(data: bytes, length: int | None = None) -> bytes:
    return element(0x7FE0, 0x10, b"OB", data, length)


def fragments(*parts: bytes) -> bytes:
    items = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(part)) + part for part in (b"", *parts))
    return pixels(items + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0), 0xFFFFFFFF)


def rle_bomb() -> bytes:
    segment = b"\x81\0" * 5_000_000
    frame = struct.pack("<16L", 1, 64, *[0] * 14) + segment
    return dicom(layout(64, 64) + fragments(frame), b"1.2.840.10008.1.2.5")


def jpeg2000_of_another_size() -> bytes:
    siz = struct.pack(">HHIIIIIIIIHBBB", 41, 0, 9000, 9000, 0, 0, 9000, 9000, 0, 0, 1, 7, 1, 1)
    return dicom(layout(64, 64) + fragments(b"\xff\x4f\xff\x51" + siz), b"1.2.840.10008.1.2.4.90")


def segmented_palette() -> bytes:
    tables = b""
    for number in (0x1101, 0x1102, 0x1103):
        tables += element(0x28, number, b"US", struct.pack("<HHH", 0, 0, 16))
    for number in (0x1221, 0x1222, 0x1223):
        words = [0, 1, 7] + [1, 65535, 9] * 20_000
        tables += element(0x28, number, b"OW", struct.pack(f"<{len(words)}H", *words))
    return dicom(layout(kind=b"PALETTE COLOR ", more=tables) + pixels(bytes(64)))


def tiled(width: int, length: int, compression: int) -> bytes:
    """A TIFF of 8 x 8 pixels, one tile of which claims to be far larger."""
    entries = (
        (256, 8), (257, 8), (258, 8), (259, compression), (262, 1),
        (322, width), (323, length), (324, 122), (325, 17),
    )  # fmt: skip
    packed = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + packed + bytes(4) + zlib.compress(bytes(1000))


def decoy_jpeg2000() -> bytes:
    """A JP2 file whose first header, in a box that no decoder reads, is that of a small image."""
    small, large = (codestream(side) for side in (64, 15_000))
    boxes = b"".join(
        struct.pack(">L4s", 8 + len(content), kind) + content
        for kind, content in ((b"uuid", small), (b"jp2c", large))
    )
    return dicom(layout(64, 64) + fragments(b"\0\0\0\x0cjP  \r\n\x87\n" + boxes), b"1.2.840.10008.1.2.4.90")


def codestream(side: int, tile: int | None = None, precincts: bytes = b"") -> bytes:
    """A JPEG 2000 image that is all headers."""
    tile = tile or side
    siz = struct.pack(">HIIIIIIIIHBBB", 0, side, side, 0, 0, tile, tile, 0, 0, 1, 7, 1, 1)
    cod = struct.pack(">BBHBBBBBB", bool(precincts), 0, 1, 0, 5, 4, 4, 0, 1) + precincts
    qcd = b"\x40" + bytes([64] * 16)
    marks = b"".join(
        bytes((0xFF, mark)) + struct.pack(">H", 2 + len(content)) + content
        for mark, content in ((0x51, siz), (0x52, cod), (0x5C, qcd))
    )
    part = b"\xff\x90" + struct.pack(">HHIBB", 10, 0, 0, 0, 1) + b"\xff\x93" + bytes(2000)
    return b"\xff\x4f" + marks + part + b"\xff\xd9"


def jpeg2000(side: int, **options: Any) -> bytes:
    return dicom(layout(side, side) + fragments(codestream(side, **options)), b"1.2.840.10008.1.2.4.90")


def offsets(count: int) -> bytes:
    """A table of the places of so many frames, before one of them."""
    parts = b"".join(
        struct.pack("<HHI", 0xFFFE, 0xE000, len(part)) + part for part in (bytes(4 * count), b"\xff\xd8")
    )
    end = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    frames = element(0x28, 8, b"IS", f"{count:<12d}".encode())
    return dicom(frames + layout() + pixels(parts + end, 0xFFFFFFFF), b"1.2.840.10008.1.2.4.50")


EMPTY = element(9, 1, b"LO", b"")
EMPTY_ITEM = struct.pack("<HHI", 0xFFFE, 0xE000, 0)
OPEN_SEQUENCE = struct.pack("<HH2sHI", 9, 2, b"SQ", 0, 0xFFFFFFFF)
CHARACTER_SETS = element(8, 5, b"UN", b"\\" * 2_900_000)
OPEN_ITEM = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)

BOMBS: dict[str, Callable[[], bytes]] = {
    "png 12000 x 12000 of one bit": lambda: png(12_000, 12_000, 1),
    "png 30000 x 30000 of one bit": lambda: png(30_000, 30_000, 1),
    "png claims 2 ** 31 columns": lambda: png(1, 1).replace(
        struct.pack(">II", 1, 1), struct.pack(">II", 2**31 - 1, 9)
    ),
    "png of 60 megapixels cut at its end": lambda: png(10_000, 6_000, 8, 2, cut=40),
    "png of 400000 empty chunks": lambda: png(8, 8, between=png_chunk(b"teSt", b"") * 400_000),
    "png text unpacks to 20 MB": lambda: png(
        8, 8, between=png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(20_000_000), 9))
    ),
    "png profile unpacks to 20 MB": lambda: png(
        8, 8, between=png_chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(20_000_000), 9))
    ),
    "tiff 60000 x 60000": lambda: tiff(60_000, 60_000),
    "tiff of 200000 pages": lambda: tiff(8, 8, 200_000),
    "tiff of pages in a circle": lambda: tiff(8, 8, 1000, loop=True),
    "bmp 60000 x 60000": lambda: bmp(60_000, 60_000),
    "bmp run-length 7900 x 8000": lambda: bmp(7_900, 8_000, 1, b"\x01\x00\x00\x00" * 8_000),
    "bmp run-length of 4 megapixels, cut": lambda: bmp(2_000, 2_000, 1, b"\x01\x00\x00\x00" * 1_999),
    "jpeg of 5000 scans": many_scans,
    "webp 16383 x 16383": lambda: (
        b"RIFF"
        + struct.pack("<I", 40)
        + b"WEBPVP8X"
        + struct.pack("<IB3x", 10, 0)
        + b"\xfe\x3f\0" * 2
        + bytes(20)
    ),
    "dicom deflated 204 kB to 210 MB, skipped": lambda: deflated(element(9, 1, b"OB", bytes(210_000_000))),
    "dicom deflated 204 kB to 210 MB of pixels": lambda: deflated(layout() + pixels(bytes(210_000_000))),
    "dicom deflated to 2 million elements": lambda: deflated(
        EMPTY * 2_000_000 + layout() + pixels(bytes(64))
    ),
    "dicom of 2 million elements": lambda: dicom(EMPTY * 2_000_000),
    "dicom of a million nested sequences": lambda: dicom((OPEN_SEQUENCE + OPEN_ITEM) * 1_000_000),
    "dicom with 60 MB of character sets": lambda: deflated(element(8, 5, b"UN", b"\\" * 60_000_000)),
    "dicom with 2.9 MB of character sets": lambda: dicom(CHARACTER_SETS + layout() + pixels(bytes(64))),
    "dicom with 2.9 MB of nested character sets": lambda: dicom(
        OPEN_SEQUENCE + OPEN_ITEM + CHARACTER_SETS + layout() + pixels(bytes(64))
    ),
    "dicom with a window of 30 million numbers": lambda: dicom(
        layout(more=element(0x28, 0x1050, b"UN", b"1\\" * 30_000_000)) + pixels(bytes(64))
    ),
    "dicom with a sequence of 3 million elements": lambda: dicom(
        layout(
            more=element(
                0x28, 0x3010, b"SQ", struct.pack("<HHI", 0xFFFE, 0xE000, 24_000_000) + EMPTY * 3_000_000
            )
        )
    ),
    "dicom 65535 x 65535": lambda: dicom(layout(65_535, 65_535) + pixels(bytes(128))),
    "dicom 8000 x 8000 of 64 bits": lambda: dicom(layout(8_000, 8_000, 64) + pixels(bytes(128))),
    "dicom of a million fragments": lambda: dicom(
        layout() + fragments(*[b""] * 1_000_000), b"1.2.840.10008.1.2.5"
    ),
    "dicom run-length 10 MB to 640 MB": rle_bomb,
    "dicom jpeg 2000 of another size": jpeg2000_of_another_size,
    "dicom palette of 20000 long segments": segmented_palette,
    "tiff tile 16 x 2 ** 28": lambda: tiled(16, 2**28, 5),
    "tiff tile 30000 x 30000, deflate": lambda: tiled(30_000, 30_000, 8),
    "tiff tile 5600 x 5600": lambda: tiled(5_600, 5_600, 5),
    "png of 64 megapixels, 16-bit colour and alpha": lambda: png(8_000, 8_000, 16, 6),
    "png of 64 megapixels in colour": lambda: png(8_000, 8_000, 8, 2),
    "png EXIF of 100 MB": lambda: png(8, 8, between=png_chunk(b"eXIf", b"II*\0" + bytes(100_000_000))),
    "png text of 100 MB": lambda: png(8, 8, between=png_chunk(b"tEXt", b"a\0" + bytes(100_000_000))),
    "dicom jpeg 2000 behind a decoy header": decoy_jpeg2000,
    "dicom jpeg 2000 of 250000 tiles": lambda: jpeg2000(4_000, tile=8),
    "dicom jpeg 2000 of a million precincts": lambda: jpeg2000(4_000, precincts=b"\x22" * 6),
    "dicom with places of 25 million frames": lambda: offsets(25_000_000),
    "dicom of 3 million frame groups": lambda: dicom(
        layout() + element(0x5200, 0x9230, b"SQ", EMPTY_ITEM * 3_000_000) + pixels(bytes(64))
    ),
    "dicom of 300000 open-ended sequences": lambda: dicom(
        (OPEN_SEQUENCE + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)) * 300_000 + layout() + pixels(bytes(64))
    ),
}

# The palette is legal where it ends, the circle of pages where it began; a window of millions of numbers
# is left out.
ALLOWED_TO_SHOW = {
    "dicom palette of 20000 long segments",
    "dicom with a window of 30 million numbers",
    "tiff of pages in a circle",
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    return measured(BOMBS, tmp_path_factory.mktemp("bombs"))


def measured(files: dict[str, Callable[[], bytes]], folder: Path) -> dict[str, list[Any]]:
    """What each file's reader answered, its seconds and its megabytes."""
    paths = {}
    for number, (name, build) in enumerate(files.items()):
        path = folder / f"{number}.bin"
        path.write_bytes(build())
        paths[str(path)] = name
    done = subprocess.run([sys.executable, "-c", WORKER, *paths], capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return {paths[path]: rest for path, *rest in rows}


@pytest.mark.parametrize("name", BOMBS)
def test_bomb_is_refused_cheaply(outcomes: dict[str, list[Any]], name: str) -> None:
    outcome, seconds, megabytes = outcomes[name]
    sys.stdout.write(f"{name}: {seconds:.2f} s, {megabytes:.0f} MB, {outcome}\n")
    assert "(SHA-256 of the content: " in outcome or (name in ALLOWED_TO_SHOW and outcome == "a SourceImage")
    assert seconds < SECONDS
    assert megabytes < MEGABYTES


# What each kind of file takes at the largest size that is read, in megapixels.
LARGEST: dict[str, Callable[[], bytes]] = {
    "png grey": lambda: png(8_000, 8_000),
    "png grey, 16 bits": lambda: png(7_500, 7_500, 16),
    "png colour": lambda: png(4_900, 4_900, 8, 2),
    "png colour and alpha, 16 bits": lambda: png(5_000, 5_000, 16, 6),
    "dicom of 16 bits": lambda: dicom(layout(7_300, 7_300, 16) + pixels(bytes(2 * 7_300**2))),
    "dicom jpeg 2000": lambda: jpeg2000(6_100),
    "webp colour": lambda: raster("WEBP", 4_900, lossless=True, quality=0, method=0),
    "jpeg colour, progressive": lambda: raster("JPEG", 4_900, progressive=True, subsampling=0),
    "tiff colour": lambda: raster("TIFF", 4_800, compression="tiff_lzw"),
}


def raster(kind: str, side: int, **options: Any) -> bytes:
    stream = io.BytesIO()
    image = Image.radial_gradient("L").resize((side, side)).convert("RGB")
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.fixture(scope="module")
def largest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    return measured(LARGEST, tmp_path_factory.mktemp("largest"))


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGEST)
def test_the_largest_image_that_is_read_takes_512_megabytes_at_most(
    largest: dict[str, list[Any]], name: str
) -> None:
    outcome, seconds, megabytes = largest[name]
    sys.stdout.write(f"{name}: {seconds:.2f} s, {megabytes:.0f} MB, {outcome}\n")
    assert outcome == "a SourceImage"
    assert 150 < megabytes < MEGABYTES
