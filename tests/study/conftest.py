"""Small studies with known truth."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

from groundviz import study
from tests.support import records

METHODS = ("attention", "occlusion", "prior:centre")


def cases(count: int = 6, methods=METHODS):
    """Cases whose maps differ by method: attention lies on the nodule, the others elsewhere."""
    base = records.record(64, 48, cells=8)
    heatmap = base.heatmaps[0].at(base.target)
    for number in range(count):
        maps = {}
        for at, method in enumerate(methods):
            values = np.zeros((8, 8), np.float32)
            values[(number + at) % 8, at] = 1.0
            maps[method] = replace(heatmap, values=values, method=method)
        yield study.Case(
            sample_id=f"secret-{number}",
            image=base.source_image,
            maps=maps,
            finding="nodule",
            question=base.prompt.question,
            answer=base.answer.text,
        )


@pytest.fixture(scope="session")
def original(tmp_path_factory):
    """A study that nobody has read; it is copied, for to make it takes longer."""
    return study.make(
        cases(4), tmp_path_factory.mktemp("made") / "study", passes=("compare", "rate", "answer"), seed=3
    )


@pytest.fixture
def made(original, tmp_path):
    shutil.copytree(original.folder.parent, tmp_path / "made")
    return study.open(tmp_path / "made" / "study")
