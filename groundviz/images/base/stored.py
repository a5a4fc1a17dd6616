"""The values of a grey image as its file holds them, kept beside what is shown of them."""

from __future__ import annotations

import numpy as np

from groundviz.images.base.window import Values
from groundviz.record.types import StoredValues

_CODES = np.iinfo(np.uint16).max
# Pixels of the largest image whose stored values are kept: two more bytes for each of a larger one would take
# more memory than reading an image may.
MOST_PIXELS = 25_000_000


def keeps_values(rows: int, cols: int) -> bool:
    """Whether the stored values of an image of that size are kept.

    >>> keeps_values(2_500, 2_048), keeps_values(8_000, 8_000)
    (True, False)
    """
    return rows * cols <= MOST_PIXELS


def stored_values(
    values: Values, *, factor: float = 1.0, intercept: float = 0.0, unit: str = ""
) -> StoredValues | None:
    """Whole numbers (rows, cols) of at most 16 bits, exactly; None of colours, fractions and wider ranges.

    Of images of more than `MOST_PIXELS` none are kept, either.

    Args:
        values: As stored.
        factor: A stored value times this ...
        intercept: ... plus this is its value in the file's units.
        unit: "HU", or empty.

    >>> kept = stored_values(np.array([[-3, 4]], np.int16), factor=2.0, intercept=1.0)
    >>> (kept.low + kept.step * kept.codes).tolist()
    [[-5.0, 9.0]]
    """
    if values.ndim != 2 or values.dtype.kind not in "iu" or not keeps_values(*values.shape):
        return None
    lowest = int(values.min())
    if int(values.max()) - lowest > _CODES:
        return None
    # Differences below 2 ** 16 are right modulo 2 ** 16, so nothing wider is needed.
    codes = values.astype(np.uint16) - np.uint16(lowest % (_CODES + 1))
    return StoredValues(codes=codes, low=factor * lowest + intercept, step=factor, unit=unit)
