"""One door to every data set: its name, its folder, its options."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import groundviz
from groundviz import datasets
from groundviz.datasets import DATASETS
from groundviz.datasets.card import NOT_STATED
from groundviz.datasets.image_files import ImageFolder
from groundviz.errors import DataError, OptionError, UnknownName
from tests.support import publishers


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_every_card_is_filled_in(name) -> None:
    card = DATASETS.facts(name)
    for field in ("shows", "publisher", "version", "license", "access", "files", "contamination", "citation"):
        assert getattr(card, field) not in ("", NOT_STATED), field
    assert card.quirks
    assert DATASETS[name].__doc__


def test_names_and_options_that_are_not_there() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'phantoms'"):
        datasets.load("phantom")
    with pytest.raises(OptionError, match=r"no option called 'seed'.*first_seed"):
        datasets.load("phantoms", seed=3)
    with pytest.raises(OptionError, match="needs no folder"):
        datasets.load("phantoms", "here")
    with pytest.raises(OptionError, match="twice"):
        datasets.load("folder:here", "there")
    with pytest.raises(OptionError, match="none was named"):
        datasets.load("folder")
    with pytest.raises(OptionError, match="above 0"):
        datasets.load("phantoms", limit=0)


def test_a_path_without_a_name_is_told_how_to_be_named(tmp_path) -> None:
    (tmp_path / "samples.csv").write_text("image\n")
    for place in (tmp_path, tmp_path / "samples.csv"):
        with pytest.raises(UnknownName, match=f"name it 'folder:{place}'"):
            datasets.load(str(place))
    with pytest.raises(UnknownName, match="Did you mean 'folder'"):
        datasets.load("foldr:/nowhere")


def test_options_are_kept_and_the_limit_is_of_samples() -> None:
    dataset = datasets.load("phantoms", limit=3, kinds="side")
    assert len(dataset) == 3
    assert dataset.options == {"kinds": "side", "limit": 3}


def test_check_counts_what_is_missing_and_unreadable(tmp_path) -> None:
    Image.fromarray(np.zeros((6, 8), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no image")
    rows = ["a.png,", "b.png,", "secret.png,", 'a.png,"[[1, 1, 60, 70]]"']
    (tmp_path / "samples.csv").write_text("\n".join(["image,boxes", *rows]))
    report = datasets.check(datasets.load("folder", tmp_path))
    found = {line.what: (line.state, line.found, line.where) for line in report.lines}
    assert not report.passed
    assert found["images that are missing"] == ("wrong", "1", "line 4")
    assert found["of these, unreadable"] == ("wrong", "2", "line 3; line 4")
    assert found["samples without a patient (drawn by image)"] == ("note", "3", "")
    assert "secret" not in str(report)
    assert str(tmp_path) not in str(report)


def test_a_report_is_a_table_in_a_notebook() -> None:
    # Who draws tables is imported with the front door.
    assert groundviz.Explanation
    report = datasets.check(datasets.load("phantoms", limit=3), opened=1)
    page = report._repr_html_()
    assert "images that were opened" in page
    assert "<table" in page


def test_check_finds_regions_outside_their_image(tmp_path) -> None:
    Image.fromarray(np.zeros((6, 8), np.uint8)).save(tmp_path / "a.png")
    table = 'image,boxes,width,height\na.png,"[[1, 1, 60, 70]]",8,6\n'
    (tmp_path / "samples.csv").write_text(table)
    stated, opened = (
        "regions outside the image size that is stated",
        "samples of these, whose regions do not fit",
    )
    found = {line.what: line for line in datasets.check(datasets.load("folder", tmp_path)).lines}
    assert (found[stated].state, found[stated].where) == ("wrong", "line 2")
    # Each of an image's samples is laid on it.
    rows = ["a.png,why,[]", 'a.png,,"[[1, 1, 60, 70]]"', 'a.png,where,"[1, 1, 2, 2]"']
    (tmp_path / "samples.csv").write_text("\n".join(["image,question,boxes", *rows]))
    found = {line.what: line for line in datasets.check(datasets.load("folder", tmp_path)).lines}
    assert (found[opened].state, found[opened].where) == ("wrong", "line 3")
    # Nobody has looked whether they lie in an image whose size is not stated.
    assert stated not in found
    assert found["regions whose image size is not stated"].found == "2"


def test_check_names_the_first_faults_and_counts_the_others(tmp_path) -> None:
    rows = [f"secret-{number}.png,m.png,yes" for number in range(5)]
    (tmp_path / "samples.csv").write_text("\n".join(["image,mask,answer", *rows]))
    found = {line.what: line for line in datasets.check(datasets.load("folder", tmp_path), opened=0).lines}
    first = "line 2; line 3; line 4 and 2 more"
    for what in (
        "images that are missing",
        "mask files that are missing",
        "answers whose question is not there",
    ):
        assert (found[what].state, found[what].where) == ("wrong", first)
    publishers.nih_boxes(tmp_path)
    dataset = datasets.load("nih_boxes", tmp_path, limit=1)
    dataset = replace(dataset, opened=ImageFolder(tmp_path / "no"))
    found = {line.what: line for line in datasets.check(dataset, opened=0).lines}
    assert found["images that are missing"].where == f"sample {dataset.samples[0].sample_id}"


def test_an_answer_needs_its_question_unless_it_is_a_report_or_there_is_a_phrase(tmp_path) -> None:
    rows = ["yes,,,closed", "Clear lungs.,,,report", "yes,,mass,", "yes,why,,", ",,,"]
    cells = "\n".join(f"{number}.png,{row}" for number, row in enumerate(rows))
    (tmp_path / "samples.csv").write_text(f"image,answer,question,phrase,answer_type\n{cells}\n")
    lacking = [sample.lacks_question for sample in datasets.load("folder", tmp_path).samples]
    assert lacking == [True, False, False, False, False]


def test_two_samples_of_one_identity_are_refused(monkeypatch) -> None:
    loader = DATASETS["phantoms"]

    def twice(root, **options):
        dataset = loader(root, **options)
        return datasets.Dataset(
            name="phantoms", version="1", samples=dataset.samples * 2, root=None, opened=dataset.opened
        )

    monkeypatch.setitem(DATASETS._entries, "phantoms", twice)
    with pytest.raises(DataError, match="share their identity"):
        datasets.load("phantoms")
