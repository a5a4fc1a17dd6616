"""A run over phantoms whose maps, and so whose scores, are known beforehand; no model is needed."""

from __future__ import annotations

import hashlib
from functools import cached_property

import numpy as np
import pytest

from benchmarks.browser import launched
from groundviz import datasets, images
from groundviz.datasets import regions
from groundviz.evaluation.run import Run
from groundviz.metrics import measure, priors
from groundviz.record.geometry import scale_shift
from groundviz.record.types import Grid, Heatmap, Target

COUNT, CELLS = 36, 14
METRICS = ("pointing", "hit_pixel", "energy", "ap", "cnr", "iou@mass:0.5", "iou_ceiling")
MANIFEST = {
    "run_id": "abc123",
    "created": "2026-01-01T00:00:00Z",
    "model": {
        "name": "/home/somebody/models/tiny",
        "family": "llava",
        "revision": None,
        "weights": "508faf",
        "dtype": "float32",
        "device": "cpu",
        "attention": "sdpa",
        "certificate": "certified",
        "processor": "dd6f",
    },
    "dataset": {
        "name": "phantoms",
        "version": "1",
        "n": COUNT,
        "annotations": "3380a4",
        "path": "/home/somebody/data",
        "splits": {"": COUNT},
        "dropped": {"no image": 2},
    },
    "asked": {
        "answers": "generated",
        "target": "the whole answer",
        "prompt": None,
        "generation": {},
        "seed": 0,
    },
    "methods": {"good": {}, "blind": {"window": 0.2}},
    "controls": ["shuffled"],
    "versions": {"groundviz": "0.1.0", "numpy": "2"},
}


class MadeRun(Run):
    """What a run's readers return, made in memory.

    Args:
        path: Where reports of it go.
        better: Whether the method "good" marks the reference; else it marks the image's centre, as "blind"
            always does.
    """

    def __init__(self, path, *, better=True):
        object.__setattr__(self, "path", path)
        object.__setattr__(self, "better", better)

    manifest = MANIFEST

    @cached_property
    def dataset(self):
        return datasets.load("phantoms")

    @cached_property
    def _references(self):
        shape = (112, 112)
        samples = self.dataset.samples[:COUNT]
        return [regions.reference(sample.regions, shape) for sample in samples]

    def _heatmap(self, method, at):
        grid = Grid(
            rows=CELLS,
            cols=CELLS,
            positions=np.arange(CELLS * CELLS),
            to_source=scale_shift((8.0, 8.0)),
            valid=np.ones((CELLS, CELLS), bool),
            stage="language",
        )
        made = Heatmap(
            values=np.zeros((CELLS, CELLS), np.float32),
            grid=grid,
            target=Target(tokens=(), text=""),
            method=method,
            unit="share of attention",
            signed=False,
        )
        if method == "good" and self.better:
            mask = self._references[at].reshape(CELLS, 8, CELLS, 8).mean(axis=(1, 3))
            # Every fourth map points to the corner.
            values = mask if at % 4 else np.zeros_like(mask)
            values[0, 0] += 0.5
        elif method.startswith("shuffled:"):
            values = np.random.default_rng(at).random((CELLS, CELLS))
        else:
            return (
                priors.centre(made, (112, 112))
                if method != "blind"
                else _named(made, priors.centre(made, (112, 112)))
            )
        object.__setattr__(made, "values", (values / values.sum()).astype(np.float32))
        return made

    @cached_property
    def _answers(self):
        samples = self.dataset.samples[:COUNT]
        right = np.arange(COUNT) % 3 > 0
        return {
            "answer_key": [f"a{at}" for at in range(COUNT)],
            "sample_id": [sample.sample_id for sample in samples],
            "cluster_id": [hashlib.sha256(sample.cluster.encode()).hexdigest()[:8] for sample in samples],
            "order": list(range(COUNT)),
            "finding": [sample.finding for sample in samples],
            "question": [sample.question for sample in samples],
            "reference": [sample.answer for sample in samples],
            "answer_type": [sample.answer_type for sample in samples],
            "text": [sample.answer if right[at] else "no <b>idea" for at, sample in enumerate(samples)],
            "confidence": [0.5 + 0.01 * at for at in range(COUNT)],
            "source": ["generated"] * COUNT,
            "finished": [True] * COUNT,
            "needs_image": ["yes" if at % 5 else "no" for at in range(COUNT)],
            "vr_blurred": [1.0 + 0.1 * (at % 7) for at in range(COUNT)],
            "vr_local_mean": [2.0] * COUNT,
            "vr_meanpool": [None] * COUNT,
            "vr_shuffle": [1.5] * COUNT,
            "image_sha256": [images.load(self.dataset.image(sample)).sha256 for sample in samples],
            "image_rows": [112] * COUNT,
            "image_cols": [112] * COUNT,
            "status": ["ok"] * (COUNT - 1) + ["oom"],
            "score_strict": [float(one) if at != 3 else None for at, one in enumerate(right)],
        }

    def answers(self, evaluation=None):
        return self._answers

    def evaluations(self):
        return {"hash": {"space": "grid", "metrics": list(METRICS)}}

    @cached_property
    def _scores(self):
        rows = []
        for at, mask in enumerate(self._references):
            sample_id = self._answers["sample_id"][at]
            if not mask.any():
                continue
            named = {
                "good": "good",
                "blind": "blind",
                "shuffled:good": "shuffled:good",
                "prior:centre": "centre",
            }
            for method, kind in named.items():
                for one in measure(self._heatmap(kind, at), mask, metrics=METRICS):
                    rows.append((sample_id, method, one.name, "grid", one.value, one.chance, one.flag))
                    if method == "good":
                        chance = one.chance
                        rows.append((sample_id, "prior:random", one.name, "grid", chance, chance, ""))
        names = ("sample_id", "method", "metric", "variant", "value", "chance", "flag")
        return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))

    def scores(self, evaluation=None):
        return self._scores

    def maps_table(self):
        pairs = [(at, method) for at in range(COUNT) for method in ("good", "blind")]
        return {
            "sample_id": [self._answers["sample_id"][at] for at, _ in pairs],
            "method": [method for _, method in pairs],
            "explain_key": [f"{method} {at}" for at, method in pairs],
            "rows": [CELLS] * len(pairs),
            "cols": [CELLS] * len(pairs),
            "constant": [at == 0 for at, _ in pairs],
            "status": ["ok"] * len(pairs),
        }

    def maps(self, explain_key):
        method, at = explain_key.split()
        return (self._heatmap(method, int(at)),)


def _named(made, prior):
    object.__setattr__(made, "values", prior.values)
    return made


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    return MadeRun(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="session")
def blind_run(tmp_path_factory):
    """One in which no method is better than the centre of the image."""
    return MadeRun(tmp_path_factory.mktemp("blind"), better=False)


@pytest.fixture(scope="module")
def browser():
    with launched() as running:
        yield running
