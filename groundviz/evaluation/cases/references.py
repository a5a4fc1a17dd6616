"""The reference of each sample as a mask, drawn once."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from groundviz.datasets import regions
from groundviz.datasets.sample import Dataset, Sample
from groundviz.record.types import Bools

# Of masks with a bit for each pixel: those of 1,000 images of 700 x 700 pixels.
MOST_BYTES = 64 << 20
_Key = tuple[str, tuple[int, int]]


@dataclass(slots=True)
class References:
    """Masks of references: both the class means and the scores need each, and drawing takes long.

    What was drawn is kept, as long as all of it takes no more than `most` bytes. The rest is drawn again.

    Attributes:
        dataset: Whose samples.
        most: Bytes.
    """

    dataset: Dataset
    most: int = MOST_BYTES
    _kept: dict[_Key, npt.NDArray[np.uint8]] = field(default_factory=dict)
    _bytes: int = 0

    def of(self, sample: Sample, shape: tuple[int, int]) -> Bools:
        """The primary regions of a sample as one mask: bool `shape`, rows and columns of its image.

        Raises:
            DataError: As for `groundviz.datasets.regions.reference`.
        """
        key = (sample.sample_id, shape)
        packed = self._kept.get(key)
        if packed is not None:
            return np.unpackbits(packed, count=shape[0] * shape[1]).reshape(shape).view(bool)
        mask = regions.reference(sample.regions, shape, root=self.dataset.root)
        packed = np.packbits(mask)
        if self._bytes + packed.nbytes <= self.most:
            self._kept[key] = packed
            self._bytes += packed.nbytes
        return mask
