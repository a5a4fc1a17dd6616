"""The meaning of the numbers of each Pillow mode, one rule per mode.

======================  ===================================================================
1                       0 black, 1 white
L, RGB, RGBX            0 black, 255 white; the fourth byte of RGBX is padding
LA, La, RGBA, RGBa      the same, on white where transparent ("a": already multiplied by it)
P, PA                   the palette's colours and transparency; grey if all used are grey
CMYK                    (1 - ink) * (1 - black), no colour profile
YCbCr, HSV              to RGB (YCbCr: full range, BT.601)
LAB                     CIE L*a*b* of illuminant D50, to sRGB
I;16 in any byte order  0 black, 65535 white (4095 where the file stores 12 bits)
I                       smallest value black, largest white, with a note
F                       from 0 to 1 as they are; others need window=(centre, width)
======================  ===================================================================

A window counts in the same numbers: colours in 0 to 255, after conversion to RGB.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageCms, TiffImagePlugin

from groundviz.errors import ImageError
from groundviz.images.base.display import Samples, natural_top
from groundviz.images.base.window import Values

_SIXTEEN = ("I;16", "I;16L", "I;16B", "I;16N")
_PLAIN = ("1", "L", "LA", "La", "RGB", "RGBX", "RGBA", "RGBa", "I", "F", *_SIXTEEN)
_WITH_ALPHA = ("LA", "La", "RGBA", "RGBa")
_CONVERTED = {
    "CMYK": "CMYK inks were converted to RGB without a colour profile.",
    "YCbCr": "YCbCr was converted to RGB.",
    "HSV": "HSV was converted to RGB.",
}
_PHOTOMETRIC, _SAMPLE_FORMAT = 262, 339


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """How the file stores its numbers, as far as the decoded image does not show it.

    Attributes:
        raw: Pillow's name of the layout, such as "RGB;16B"; empty for an image already decoded.
        white_is_zero: TIFF stores bright as low, and Pillow does not turn this layout around.
        signed_bytes: TIFF stores signed bytes, and Pillow reads them as unsigned.
    """

    raw: str = ""
    white_is_zero: bool = False
    signed_bytes: bool = False


def stored_form(image: Image.Image) -> Stored:
    """The file's layout, read before decoding."""
    raw = ""
    for tile in getattr(image, "tile", ())[:1]:
        # A name, or a list of arguments for the decoder that begins with it.
        arguments = tile[3]
        if isinstance(arguments, str):
            raw = arguments
        elif arguments:
            raw = str(arguments[0])
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return Stored(raw=raw)
    tags: Any = image.tag_v2
    return Stored(
        raw=raw,
        white_is_zero=tags.get(_PHOTOMETRIC, 0) == 0 and image.mode in ("F", *_SIXTEEN),
        signed_bytes=tags.get(_SAMPLE_FORMAT, (1,)) == (2,) and image.mode == "L",
    )


def samples_of(image: Image.Image, stored: Stored, notes: tuple[str, ...] = ()) -> Samples:
    """The samples of a decoded image, by the rule of its mode.

    Raises:
        ImageError: A mode without a rule.

    >>> samples_of(Image.new("1", (2, 1), 1), Stored()).values.tolist()
    [[True, True]]
    """
    if image.info.get("icc_profile"):
        notes += ("Its colour profile (ICC) was not applied; colours are read as sRGB.",)
    if ";16" in stored.raw and not stored.raw.startswith("I;16"):
        notes += ("Stored with 16 bits per channel, read with 8.",)
    plain, converted = _plain(image)
    values, alpha = _split(plain, stored)
    top = natural_top(values)
    if stored.raw.startswith("I;12"):
        top = 4095.0
    alpha_top = 255.0
    if image.mode in _SIXTEEN:
        # One value of the file is transparent, all others are opaque.
        alpha_top = 1.0
    return Samples(
        values=values,
        top=top,
        alpha=alpha,
        alpha_top=alpha_top,
        premultiplied=plain.mode in ("La", "RGBa"),
        inverted=stored.white_is_zero,
        notes=notes + converted,
    )


def _plain(image: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
    """The image in a mode whose numbers are grey or RGB, with or without alpha."""
    if image.mode in ("P", "PA"):
        return _from_palette(image), ("Palette colours were looked up.",)
    if image.mode == "LAB":
        return _from_lab(image), ("CIE L*a*b* was converted to sRGB.",)
    if image.mode in _CONVERTED:
        return image.convert("RGB"), (_CONVERTED[image.mode],)
    if image.mode not in _PLAIN:
        raise ImageError(
            "There is no rule for this kind of pixel (Pillow mode). Convert the image to L or RGB."
        )
    if "transparency" in image.info:
        # One value of the file is transparent: Pillow turns that into an alpha channel.
        if image.mode == "RGB":
            return image.convert("RGBA"), ()
        if image.mode in ("1", "L"):
            return image.convert("LA"), ()
    return image, ()


def _from_palette(image: Image.Image) -> Image.Image:
    mode = "RGB"
    if image.mode == "PA" or "transparency" in image.info:
        mode = "RGBA"
    colour = image.convert(mode)
    red, green, blue, *alpha = colour.split()
    if ImageChops.difference(red, green).getbbox() or ImageChops.difference(red, blue).getbbox():
        return colour
    # All colours that are used are grey.
    if alpha:
        return Image.merge("LA", (red, *alpha))
    return red


def _from_lab(image: Image.Image) -> Image.Image:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.buildTransform(lab, srgb, "LAB", "RGB").apply(image)


def _split(image: Image.Image, stored: Stored) -> tuple[Values, Values | None]:
    """Grey or RGB values, and alpha if there is any: from 0 to 255, or a bool."""
    values = np.asarray(image)
    if image.mode in _WITH_ALPHA:
        alpha = values[..., -1]
        if values.shape[2] == 2:
            return values[..., 0], alpha
        return values[..., :3], alpha
    if image.mode in _SIXTEEN and "transparency" in image.info:
        return values, values != image.info["transparency"]
    if image.mode == "RGBX":
        return values[..., :3], None
    if stored.signed_bytes:
        return values.view(np.int8), None
    if stored.raw == "I;32N":
        return values.view(np.uint32), None
    return values, None
