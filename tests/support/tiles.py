"""The images of a payload, read again as the viewer reads them."""

import json
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from groundviz.render.viewer import pack

Codes = npt.NDArray[Any]


def decoded(content: bytes, shape: Sequence[int], *, wide: bool) -> Codes:
    """The numbers of a tile again: what the viewer does, one after the other."""
    plain = np.frombuffer(zlib.decompress(content), np.uint8)
    change = plain.astype(np.int32)
    if wide:
        low, high = np.split(change, 2)
        change = low + 256 * high
    change = change.reshape(shape)
    modulus = 65536 if wide else 256
    codes = np.zeros(shape, np.int32)
    for row in range(shape[0]):
        for col in range(shape[1]):
            above = codes[row - 1, col] if row else None
            left = codes[row, col - 1] if col else above
            above = left if above is None else above
            mean = 0 if left is None else (left + above) >> 1
            codes[row, col] = (change[row, col] + mean) % modulus
    return codes.astype(np.uint16 if wide else np.uint8)


def images_of(payload: bytes) -> tuple[list[dict[str, Any]], list[list[Codes]]]:
    """What a payload tells of each image, and its numbers at each size that it holds."""
    header, _ = pack.read(payload)
    start = 4 + struct.unpack_from("<I", payload)[0]
    found = []
    for image in header["images"]:
        held = [level for level in image["levels"] if level["tiles"]]
        found.append([_joined(payload, start, image, level) for level in held])
    return header["images"], found


def _joined(payload: bytes, start: int, image: dict[str, Any], level: dict[str, Any]) -> Codes:
    rows, cols = level["shape"]
    wide = image["channels"] == 1
    whole = np.zeros((rows, cols, image["channels"]), np.uint16 if wide else np.uint8)
    side = image["tile"]
    across = -(-cols // side)
    for number, (at, length) in enumerate(level["tiles"]):
        row, col = (side * one for one in divmod(number, across))
        part = whole[row : row + side, col : col + side]
        part[:] = decoded(payload[start + at : start + at + length], part.shape, wide=wide)
    return whole


def every_image(content: bytes) -> list[Codes]:
    """The images of what may be a payload, or several payloads in one; none of anything else."""
    try:
        (length,) = struct.unpack_from("<I", content)
        header = json.loads(content[4 : 4 + length])
    except (struct.error, ValueError):
        return []
    if "packs" in header:
        start = 4 + length
        parts = (content[start + at : start + at + size] for at, size in header["packs"])
        return [image for part in parts for image in every_image(part)]
    _, sizes = images_of(content)
    return [codes for each in sizes for codes in each]
