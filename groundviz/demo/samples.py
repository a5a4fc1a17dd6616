"""The sample images: phantoms that the demo model was not trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from groundviz.demo.findings import FINDINGS
from groundviz.demo.phantoms import Phantom, phantom
from groundviz.record.types import Floats

SIZE = 512


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample image: its name, the seed that draws it, and what is in it."""

    name: str
    seed: int
    findings: tuple[str, ...]

    def draw(self) -> Phantom:
        """The phantom, 512 by 512 pixels."""
        return self.draw_at(SIZE)

    def draw_at(self, size: int) -> Phantom:
        """The phantom, size by size pixels."""
        return phantom(self.seed, size=size, findings=self.findings)


# No seed from 10 000 000 on is ever trained on.
SAMPLES = (
    *(Sample(name, 20_000_000 + number, (name,)) for number, name in enumerate(FINDINGS)),
    Sample("normal", 20_000_006, ()),
    Sample("two_findings", 20_000_007, ("nodule", "effusion")),
)


def to_levels(pixels: Floats, bits: int) -> npt.NDArray[np.uint8 | np.uint16]:
    """An image in [0, 1] as integers of so many bits, white the largest.

    >>> to_levels(np.array([[0.0, 1.0]], np.float32), 12).tolist()
    [[0, 4095]]
    """
    levels = np.rint(pixels.astype(np.float64) * (2**bits - 1))
    return np.asarray(levels, dtype=np.uint8 if bits <= 8 else np.uint16)
