"""A model that is named is loaded once."""

import gc
import json
import os
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

import groundviz
from groundviz import models
from groundviz.models.loading import cache
from groundviz.testing.fingerprint import difference, fingerprint
from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor


@pytest.fixture(autouse=True)
def nothing_kept():
    models.forget()
    yield
    models.forget()


@pytest.fixture
def loads(monkeypatch):
    """What was loaded, in order."""
    seen, real = [], models.load

    def counting(place, **options):
        seen.append(os.fspath(place))
        return real(place, **options)

    # The package has a function of the module's name.
    monkeypatch.setattr(sys.modules["groundviz.models.load"], "load", counting)
    return seen


def saved(place, seed=0):
    model = tiny_llava(seed=seed)
    model.generation_config.max_new_tokens = 3
    model.save_pretrained(place)
    tiny_llava_processor(model).save_pretrained(place)
    return place


def test_a_folder_is_loaded_once_and_comes_back_as_it_was(tmp_path, source_image, loads):
    place = saved(tmp_path / "one")
    first = models.resolve(place)
    before = fingerprint(first.model)
    for name in (place, str(place), f"{place}/"):
        groundviz.explain(name, source_image, "Is there a nodule?", methods="attention")
    assert len(loads) == 1
    assert difference(before, fingerprint(first.model)) == []


def test_the_demo_is_loaded_once_and_stays_beside_another(tmp_path, loads):
    demo = models.resolve("demo")
    models.resolve(saved(tmp_path / "one"))
    assert models.resolve("demo") is demo
    assert len(loads) == 2


def test_what_changed_on_disk_is_loaded_again(tmp_path, loads):
    place = saved(tmp_path / "one")
    first = models.resolve(place)
    saved(place, seed=1)
    second = models.resolve(place)
    assert second is not first
    assert not second.model.lm_head.weight.equal(first.model.lm_head.weight)
    config = place / "generation_config.json"
    config.write_text(json.dumps(json.loads(config.read_text("utf-8")) | {"max_new_tokens": 5}), "utf-8")
    assert models.resolve(place).model.generation_config.max_new_tokens == 5
    assert len(loads) == 3


def test_one_model_goes_before_another_is_loaded(tmp_path, monkeypatch):
    places = saved(tmp_path / "one"), saved(tmp_path / "two")
    first = weakref.ref(models.resolve(places[0]).model)
    alive = []

    def load(place, **options):
        gc.collect()
        alive.append(first() is not None)
        return models.load(place, **options)

    cache.loaded_once(places[1], load)
    assert alive == [False]


def test_forgetting_frees_the_memory(tmp_path):
    model = weakref.ref(models.resolve(saved(tmp_path / "one")).model)
    gc.collect()
    assert model() is not None
    models.forget()
    gc.collect()
    assert model() is None


def test_four_threads_load_once(tmp_path, loads):
    place = saved(tmp_path / "one")
    with ThreadPoolExecutor(4) as pool:
        found = set(map(id, pool.map(models.resolve, [place] * 8)))
    assert len(found) == len(loads) == 1


def test_a_processor_that_was_given_is_not_taken_for_the_models_own(tmp_path, loads):
    place = saved(tmp_path / "one")
    other = tiny_llava_processor(tiny_llava())
    assert models.resolve(place, other).processor is other
    own = models.resolve(place)
    assert own.processor is not other
    assert models.resolve(place, other).model is own.model
    assert len(loads) == 2


def test_what_load_returns_is_the_callers_own(tmp_path):
    place = saved(tmp_path / "one")
    assert models.load(place).model is not models.load(place).model
    assert models.load(place).model is not models.resolve(place).model
