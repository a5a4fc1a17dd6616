"""Stronger stands out more: over any tissue, for common and for red-green-blind eyes, up to the top.

Distances are those of CIELAB between the blend and the bare tissue. Colour blindness is simulated as by
Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency",
IEEE TVCG 2009 (deuteranopia).
"""

import numpy as np
import pytest

from groundviz.render.base.colour import DEFAULTS, OPACITY, table

TISSUES = {
    **{f"grey {level}": (level, level, level) for level in (25, 77, 128, 180, 217, 240)},
    "fundus": (170, 60, 30),
    "stained tissue": (222, 160, 200),
    "skin": (160, 115, 90),
}
DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
)
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def linear(colours):
    return np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)


def lab(light):
    """CIELAB of linear light."""
    share = light @ TO_XYZ.T / np.array([0.95047, 1.0, 1.08883])
    root = np.where(share > 216 / 24389, np.cbrt(share), (24389 / 27 * share + 16) / 116)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def colour_blind(light):
    return np.clip(light @ DEUTERANOPIA.T, 0.0, 1.0)


def distances(colours, tissue, seen=lambda light: light):
    """From the bare tissue to the blend, along a scale from nothing to its end."""
    cover = OPACITY * np.linspace(0, 1, len(colours))[:, None]
    bare = np.broadcast_to(np.array(tissue) / 255, colours.shape)
    blend = cover * colours + (1 - cover) * bare
    return np.linalg.norm(lab(seen(linear(blend))) - lab(seen(linear(bare))), axis=1)


def rows(kind):
    """The colours of one of our scales from nothing outwards."""
    if kind == "for, alone":
        return table(DEFAULTS[False]) / 255
    both = table(DEFAULTS[True]) / 255
    return both[128:] if kind == "for" else both[127::-1]


@pytest.mark.parametrize("tissue", TISSUES)
@pytest.mark.parametrize("kind", ["for, alone", "for", "against"])
@pytest.mark.parametrize("seen", [lambda light: light, colour_blind], ids=["common", "deuteranopia"])
def test_contrast_rises_to_the_top(tissue, kind, seen):
    found = distances(rows(kind), TISSUES[tissue], seen)
    # Of 8 bits a step may be lost; a difference of 1 is what an eye can just tell.
    assert (np.maximum.accumulate(found) - found).max() < 0.5
    assert found[-1] > 50


@pytest.mark.parametrize("tissue", ["grey 25", "grey 77"])
def test_on_dark_tissue_the_top_is_light_in_greyscale_too(tissue):
    grey = np.broadcast_to(linear(rows("for, alone")) @ TO_XYZ[1:2].T, (256, 3))
    cover = OPACITY * np.linspace(0, 1, 256)[:, None]
    blend = cover * grey + (1 - cover) * linear(np.array(TISSUES[tissue]) / 255)
    assert (np.diff(lab(blend)[:, 0]) > -0.1).all()
