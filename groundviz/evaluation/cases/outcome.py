"""What comes of one sample, as rows of tables and maps to be stored; nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from groundviz.datasets.sample import Sample

OK, ERROR, OUT_OF_MEMORY, SKIPPED = "ok", "error", "oom", "skipped"
# Their cause may be gone the next time. What is skipped cannot be done, whenever it is tried.
FAILED = (ERROR, OUT_OF_MEMORY)
# Maps that cost the model as much as the methods' own. The other priors look at no model.
SHUFFLED, RANDOM_WEIGHTS = "shuffled", "random_weights"
CONTROLS = (SHUFFLED, RANDOM_WEIGHTS)

Row = dict[str, Any]


@dataclass(slots=True)
class Outcome:
    """What came of one sample.

    Attributes:
        answer: Its row among the answers.
        maps: Its rows among the maps.
        cells: The stored maps, by `map_key`.
        timings: Its rows among the timings.
        weights: The fingerprint of the weights that it was measured with; empty where the model gave none.
    """

    answer: Row
    maps: list[Row] = field(default_factory=list)
    cells: dict[str, npt.NDArray[np.float16]] = field(default_factory=dict)
    timings: list[Row] = field(default_factory=list)
    weights: str = ""


def has_reference(sample: Sample) -> bool:
    """Whether it is known where in the image the answer is to be seen."""
    return any(region.role == "primary" for region in sample.regions)


def control_of(method: str) -> str:
    """Which control a map is of, by its name; empty for a method's own map."""
    control = method.partition(":")[0]
    return control if control in CONTROLS else ""
