"""The same seed gives the same bytes, in any process; another seed changes what rests on chance alone."""

import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import groundviz
from groundviz.explain import explain
from groundviz.methods import METHODS
from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor
from tests.support.quick import quick

pytestmark = pytest.mark.wide

QUESTION = "Is there a nodule?"
STOCHASTIC = {name for name in METHODS if METHODS.facts(name).random}
ROOT = Path(groundviz.__file__).parents[1]

CHILD = """
import hashlib, io, sys, tempfile
from dataclasses import replace
from pathlib import Path
import numpy as np
from groundviz import models
from groundviz.explain import explain
from tests.support.quick import quick_all
from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor
from groundviz.record import store
from groundviz.record.types import SourceImage

model = tiny_llava()
model.generation_config.max_new_tokens = 3
model.generation_config.do_sample = True
vlm = models.resolve(model, tiny_llava_processor(model))
pixels = np.random.default_rng(1).random((28, 28), dtype=np.float32)
source_image = SourceImage(pixels=pixels, source="array", raw_range=(0.0, 1.0), sha256="0" * 64)
for _ in range(int(sys.argv[1])):
    record = explain(vlm, source_image, "Is there a nodule?", methods=quick_all(), seed=5).record
    record = replace(record, provenance=replace(record.provenance, seconds=0.0))
    with tempfile.TemporaryDirectory() as folder:
        print(hashlib.sha256(store.write(record, Path(folder) / "x.gvz").read_bytes()).hexdigest())
"""


def hashes(runs, hash_seed):
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(runs)],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    return done.stdout.split()


def own_hashes(runs, monkeypatch, capsys):
    """The same in this process, which draws its own hash seed."""
    monkeypatch.setattr(sys, "argv", ["", str(runs)])
    capsys.readouterr()
    exec(compile(CHILD, "child", "exec"), {"__name__": "child"})  # noqa: S102
    return capsys.readouterr().out.split()


@pytest.mark.parametrize("seeds", [["4711"], pytest.param(["0", "4711"], marks=pytest.mark.slow)])
@pytest.mark.parametrize("runs", [1, pytest.param(20, marks=pytest.mark.slow)])
def test_every_run_in_every_process_gives_the_same_bytes(runs, seeds, monkeypatch, capsys):
    """20 runs in each: `python -m pytest -m slow tests/faults/test_determinism.py`."""
    found = own_hashes(runs, monkeypatch, capsys)
    for seed in seeds:
        found += hashes(runs, seed)
    assert len(found) == (1 + len(seeds)) * runs
    assert len(set(found)) == 1


@pytest.fixture(scope="module")
def vlm():
    model = tiny_llava()
    return groundviz.load(model, processor=tiny_llava_processor(model))


def bits(vlm, image, method, seed):
    recipe = quick(method)
    if method == "shapley":
        recipe[method]["cells"] = 16  # Of fewer places it takes all sets, and draws nothing.
    found = explain(vlm, image, QUESTION, methods=recipe, answer="left lung", seed=seed)
    return [maps.values.tobytes() for maps in found.record.heatmaps]


@pytest.mark.parametrize("method", list(groundviz.METHODS))
def test_another_seed_changes_only_what_rests_on_chance(vlm, image, method):
    first = bits(vlm, image, method, 0)
    assert bits(vlm, image, method, 0) == first
    assert (bits(vlm, image, method, 1) != first) == (method in STOCHASTIC)


@pytest.mark.parametrize("method", list(groundviz.METHODS))
def test_the_callers_random_streams_go_on_as_if_nothing_had_been(vlm, image, method):
    def drawn():
        return random.random(), np.random.random(), torch.rand(1).item()

    def start():
        random.seed(1)
        np.random.seed(1)
        torch.manual_seed(1)

    start()
    expected = drawn()
    start()
    bits(vlm, image, method, 3)
    assert drawn() == expected
