"""What is the same for every data set, whoever published it."""

from __future__ import annotations

import json
import pickle
import random

import numpy as np
import pytest

from groundviz import datasets, images
from groundviz.datasets import DATASETS
from groundviz.datasets.regions import reference
from groundviz.datasets.sample import sample_id_of
from groundviz.errors import DataError, GroundvizError
from tests.support import publishers


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    home = tmp_path_factory.mktemp("published")
    publishers.everything(home)
    return home


def loaded(name, folders):
    return datasets.load("phantoms", limit=20) if name == "phantoms" else datasets.load(name, folders / name)


def test_there_is_a_fixture_for_each() -> None:
    assert set(publishers.WHOLE) | {"phantoms"} == set(DATASETS)


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_identities_follow_from_what_is_asked(name, folders) -> None:
    dataset = loaded(name, folders)
    assert dataset.samples
    for sample in dataset.samples:
        about = {key: getattr(sample, key) for key in ("question", "phrase", "finding", "language")}
        possible = {
            sample_id_of(sample.dataset, sample.version, sample.image, occurrence=count, **about)
            for count in range(5)
        }
        assert sample.sample_id in possible
        assert (sample.dataset, sample.version) == (dataset.name, dataset.version)


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_it_travels_to_another_process(name, folders) -> None:
    dataset = loaded(name, folders)
    sent = pickle.loads(pickle.dumps(dataset))  # noqa: S301
    assert sent.samples == dataset.samples == loaded(name, folders).samples
    first = dataset.samples[0]
    assert images.load(sent.image(first)).sha256 == images.load(dataset.image(first)).sha256


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_its_root_and_options_give_it_again(name, folders, monkeypatch) -> None:
    monkeypatch.chdir(folders)
    options = {}
    if name in ("ms_cxr", "llava_rad", "chest_imagenome", "reflacx", "chexlocalize"):
        options["images"] = name
    where = None if name == "phantoms" else folders / name
    dataset = datasets.load(name, where, limit=2, **options)
    # Another process has another current folder.
    monkeypatch.chdir(folders.parent)
    again = datasets.load(name, dataset.root, **dataset.options)
    assert again.samples == dataset.samples
    assert (
        images.load(again.image(again.samples[0])).shape
        == images.load(dataset.image(dataset.samples[0])).shape
    )


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_facts_can_be_written(name, folders) -> None:
    for sample in loaded(name, folders).samples:
        assert json.loads(json.dumps(sample.facts)) == sample.facts


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_every_reference_marks_something_and_images_fit(name, folders) -> None:
    dataset = loaded(name, folders)
    for sample in dataset.samples:
        shape = images.load(dataset.image(sample)).shape
        mask = reference(sample.regions, shape, root=dataset.root)
        assert mask.shape == shape
        assert mask.any() == any(region.role == "primary" for region in sample.regions)
    faults = [line for line in datasets.check(dataset).lines if (line.state, line.expected) == ("wrong", "0")]
    assert faults == []


def test_the_rows_of_an_image_are_one_mask(tmp_path) -> None:
    mask = publishers.siim_ptx(tmp_path)
    dataset = datasets.load("siim_ptx", tmp_path)
    (sample,) = dataset.samples
    assert np.array_equal(reference(sample.regions, (1024, 1024)), mask)
    # The same at half the size: the thin column stays.
    assert np.array_equal(reference(sample.regions, (512, 512)), mask[1::2, 1::2])
    assert dict(dataset.dropped) == {"no pneumothorax": 1}


JUNK = [None, 3, -1.5, "x", "", [], {}, [[]], [1, 2], {"a": 1}, True, 1e308, "../../etc/passwd", "NaN"]


def spoiled(content, rng):
    """JSON with one of its parts replaced or left out."""
    parts = []

    def walk(part):
        keys = part.keys() if isinstance(part, dict) else range(len(part))
        for key in list(keys):
            parts.append((part, key))
            if isinstance(part[key], dict | list):
                walk(part[key])

    walk(content)
    if not parts:
        return rng.choice(JUNK)
    part, key = rng.choice(parts)
    if rng.random() < 0.2:
        del part[key]
    else:
        part[key] = rng.choice(JUNK)
    return content


@pytest.mark.wide
@pytest.mark.parametrize("name", sorted(publishers.WHOLE))
def test_no_file_raises_anything_but_our_own_errors(name, tmp_path) -> None:
    """A part of a table or of a JSON file is replaced, 150 times, and the data set loaded and checked."""
    rng = random.Random(name)
    publishers.WHOLE[name](tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.suffix in (".csv", ".json", ".jsonl", ".txt")]
    if not files:
        pytest.skip("it has neither tables nor JSON")
    seen = set()
    for _ in range(150):
        path = rng.choice(files)
        before = path.read_text("utf-8")
        if path.suffix == ".json":
            path.write_text(json.dumps(spoiled(json.loads(before), rng)), "utf-8")
        else:
            lines = before.split("\n")
            at = rng.randrange(len(lines))
            cells = lines[at].split(",")
            cells[rng.randrange(len(cells))] = str(rng.choice(JUNK))
            lines[at] = ",".join(cells)
            path.write_text("\n".join(lines), "utf-8")
        try:
            dataset = datasets.load(name, tmp_path)
            str(datasets.check(dataset, opened=2))
            for sample in dataset.samples:
                reference(sample.regions, (40, 56), root=dataset.root)
        except GroundvizError as error:
            seen.add(str(error))
            assert str(tmp_path) not in str(error)
        finally:
            path.write_text(before, "utf-8")
    assert len(seen) > 3
    # What nobody thought of is told with the line that met it: that should be rare.
    assert sum("not in the form" in text for text in seen) <= len(seen) / 2


def test_what_nobody_thought_of_is_told_with_its_line(tmp_path) -> None:
    publishers.slake(tmp_path)
    publishers.as_json(tmp_path / "imgs" / "xmlab1" / "detection.json", [{"Liver": 5}])
    with pytest.raises(DataError, match=r"TypeError in slake\.py, line \d+") as caught:
        datasets.load("slake", tmp_path)
    assert caught.value.__context__ is None
