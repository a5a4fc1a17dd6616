"""What the page on scores tells of the demo model's nodules is what they score."""

import numpy as np
import pytest

import groundviz
from groundviz.demo.phantoms import phantom
from groundviz.metrics import score

HITS = ["hit_cell", "hit_pixel", "pointing"]


def hits(seeds):
    found = []
    for seed in seeds:
        chest = phantom(seed, findings=["nodule"])
        told = groundviz.explain("demo", chest.pixels, "Where is the nodule?", evidence=None)
        heatmap, mask = told.heatmap("attention"), chest.mask("nodule")
        found.append([list(score(heatmap, mask, space=s, metrics=HITS).values()) for s in ("grid", "image")])
    return np.array(found)


@pytest.mark.slow
def test_hits_by_each_convention():
    means = hits(range(100, 130)).mean(axis=0)
    assert means[0].round(2).tolist() == [0.97, 0.73, 0.53]
    assert means[1].round(2).tolist() == [0.87, 0.87, 0.87]


def test_a_nodule_is_hit_by_cell_before_by_pixel():
    for by_cell, by_pixel, _ in hits([101])[:, 0]:
        assert by_cell >= by_pixel
