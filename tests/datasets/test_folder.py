"""A folder of one's own: what each column of its table means."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from groundviz import datasets, images
from groundviz.datasets.regions import reference
from groundviz.datasets.sample import sample_id_of
from groundviz.errors import DataError, OptionError

CSV = """image,question,answer,answer_type,finding,patient,split,boxes,scanner
a.png,Is there a mass?,yes,closed,mass,p1,test,"[[2, 1, 5, 3]]",X
a.png,Is there a mass?,yes,closed,mass,p1,test,"[6, 4, 8, 5]",X
b.png,"Where, if anywhere?",not seen,OPEN,mass,p2,train,,Y
"""


@pytest.fixture
def home(tmp_path):
    for name in ("a.png", "b.png"):
        Image.fromarray(np.full((6, 8), 90, np.uint8)).save(tmp_path / name)
    return tmp_path


def test_rows_become_samples(home) -> None:
    (home / "samples.csv").write_text(CSV)
    dataset = datasets.load(f"folder:{home}")
    first, second = dataset.samples
    assert (first.question, first.answer, first.answer_type) == ("Is there a mass?", "yes", "closed")
    assert (first.finding, first.patient, first.split, first.cluster) == ("mass", "p1", "test", "p1")
    assert first.facts == {"scanner": "X"}
    mask = np.zeros((6, 8), bool)
    # Rows that differ in their boxes alone are one sample.
    mask[1:3, 2:5] = mask[4:5, 6:8] = True
    assert np.array_equal(reference(first.regions, (6, 8)), mask)
    assert (second.regions, second.answer_type) == ((), "open")
    assert images.load(dataset.image(first)).shape == (6, 8)
    assert datasets.load("folder", home, split="train").samples == (second,)
    assert datasets.check(dataset).passed


def test_json_lines_say_the_same(home) -> None:
    (home / "samples.csv").write_text(CSV)
    rows = [
        {
            "image": "a.png",
            "question": "Is there a mass?",
            "answer": "yes",
            "answer_type": "closed",
            "finding": "mass",
            "patient": "p1",
            "split": "test",
            "boxes": [[2, 1, 5, 3], [6, 4, 8, 5]],
            "scanner": "X",
        }
    ]
    (home / "other.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (same,) = datasets.load("folder", home / "other.jsonl").samples
    assert same == datasets.load("folder", home).samples[0]


@pytest.mark.parametrize(
    ("form", "numbers"),
    [("xyxy", [2, 1, 5, 3]), ("xywh", [2, 1, 3, 2]), ("shares", [2 / 8, 1 / 6, 5 / 8, 3 / 6])],
)
def test_three_forms_of_boxes(home, form, numbers) -> None:
    (home / "samples.jsonl").write_text(json.dumps({"image": "a.png", "boxes": [numbers]}))
    (sample,) = datasets.load("folder", home, boxes=form).samples
    mask = np.zeros((6, 8), bool)
    mask[1:3, 2:5] = True
    assert np.array_equal(reference(sample.regions, (6, 8)), mask)


def test_masks_polygons_and_another_size(home) -> None:
    values = np.zeros((6, 8), np.uint8)
    values[2:4, 2:4], values[4:, 6:] = 1, 2
    Image.fromarray(values).save(home / "m.png")
    rows = [
        {"image": "a.png", "phrase": "all", "mask": "m.png"},
        {"image": "a.png", "phrase": "two", "mask": "m.png", "mask_value": 2},
        {
            "image": "a.png",
            "phrase": "drawn",
            "polygons": [[[0, 0], [8, 0], [8, 4]]],
            "width": 16,
            "height": 12,
        },
    ]
    (home / "samples.jsonl").write_text("\n".join(map(json.dumps, rows)))
    dataset = datasets.load("folder", home)
    everything, two, drawn = [reference(s.regions, (6, 8), root=dataset.root) for s in dataset.samples]
    assert np.array_equal(everything, values > 0)
    assert np.array_equal(two, values == 2)
    assert drawn[0, 4]
    assert not drawn[3, 0]
    assert datasets.check(dataset).passed


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("", "empty"),
        ("photo_file,question\na.png,why", "lacks the column 'image'"),
        ("photo_file,question\na.png,why", "it has 'photo_file', 'question'"),
        ("Image,question\na.png,why", "There is a column 'Image'; the one that is read is 'image'. Rename"),
        ("image,questions\na.png,why", "There is a column 'questions'; the one that is read is 'question'"),
        ("image,qestion\na.png,why", "is read is 'question'"),
        ("image,Patient ID\na.png,1", "is read is 'patient'"),
        ("image,box\na.png,1", "is read is 'boxes'"),
        ("a.png,Meier", "no row of names"),
        ("image,question\na.png", "Line 2 of a table has 1 cells"),
        ("image,question\n,why", "Line 2 of the table has no text as its image"),
        ("image,boxes\na.png,5", "no list"),
        ('image,question,boxes\na.png,"why\nnot",\n\na.png,why,5', "The boxes of line 5 are no list"),
        ('image,boxes\na.png,"[[5, 5, 1, 1]]"', "boxes='xywh'"),
        ('image,boxes\na.png,"[[5, 5, 1]]"', "other than 4 numbers"),
        ('image,boxes\na.png,"[[0, 0, 1, NaN]]"', "no finite number"),
        ('image,boxes,width\na.png,"[[5, 5, 6, 7]]",8', "Line 2 has one of 'width' and 'height'"),
        ("image,patient,patient\na.png,P1,P2", "two columns 'patient'"),
        ("image,scanner,scanner \na.png,X,Y", "two columns 'scanner'"),
        ("image,answer_type\na.png,perhaps", "The answer_type of line 2 is none of"),
    ],
)
def test_a_table_with_a_fault_is_refused(home, table, says) -> None:
    (home / "samples.csv").write_text(table)
    with pytest.raises(DataError, match=says) as caught:
        datasets.load("folder", home)
    assert "Meier" not in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ('{"image": "a.png"}\n\n{"image": "a.png", "boxes": 5}', "The boxes of line 3 are no list"),
        ('{"image": "a.png"}\n{"questions": "why"}', "is read is 'question'"),
        ('{"image": "a.png"}\n{"question": "why"}', "Line 2 of the table has no text as its image"),
        ('{"image": "a.png", "finding": ["mass"]}', "The finding of line 1 is a list"),
        (
            '{"image": "a.png"}\n{"image": "a.png", "patient": 1, "patient": 2}',
            "Line 2 .* two values of one name",
        ),
        ('{"image": "a.png"}\n5', "Line 2 of the table is no JSON object"),
    ],
)
def test_json_lines_with_a_fault_are_refused(home, rows, says) -> None:
    (home / "samples.jsonl").write_text(rows)
    with pytest.raises(DataError, match=says):
        datasets.load("folder", home)


def test_other_columns_are_kept_as_facts(home) -> None:
    # Alike to columns that are read, or beside them.
    (home / "samples.csv").write_text("image,weight,question,question_id\na.png,70,why,3\n")
    (sample,) = datasets.load("folder", home).samples
    assert sample.facts == {"weight": "70", "question_id": "3"}


@pytest.mark.parametrize(
    ("name", "table", "patients"),
    [
        ("samples.csv", "image, patient\na.png,P1\n b.png,P1 \n", ["P1", "P1"]),
        # A cell of blanks names nobody: each image is drawn by itself.
        ("samples.csv", "image,patient\na.png, \nb.png,\t\n", ["a.png", "b.png"]),
        ("samples.jsonl", '{"image": "a.png", "patient": NaN}\n{"image": "b.png"}', ["a.png", "b.png"]),
        (
            "samples.jsonl",
            '{"image": "a.png", "patient": 1}\n{"image": "b.png", "patient": 1.0}',
            ["1", "1"],
        ),
    ],
)
def test_patients_are_neither_split_nor_merged_by_how_they_are_written(home, name, table, patients) -> None:
    (home / name).write_text(table)
    dataset = datasets.load("folder", home)
    assert [sample.cluster for sample in dataset.samples] == patients
    assert [images.load(dataset.image(sample)).shape for sample in dataset.samples] == [(6, 8)] * 2


def test_rows_that_differ_in_blanks_around_a_code_are_one_sample(home) -> None:
    (home / "samples.csv").write_text("image,question,patient\na.png,why? ,P1\na.png,why? ,P1 \n")
    (sample,) = datasets.load("folder", home).samples
    # What is asked is a part of the identity.
    assert (sample.question, sample.patient) == ("why? ", "P1")


def test_texts_that_hold_the_sign_between_them_are_two_samples(home) -> None:
    (home / "samples.csv").write_text("image,question,phrase\na.png,a|b,\na.png,a,b|\n")
    first, second = datasets.load("folder", home).samples
    assert first.sample_id == sample_id_of("folder", "1", "a.png", question="a|b")
    assert first.sample_id != second.sample_id


def test_a_name_that_no_file_can_have_is_a_missing_image(home) -> None:
    (home / "samples.csv").write_text(f"image,mask\n{'a' * 5000}.png,{'b' * 5000}.png\n")
    dataset = datasets.load("folder", home)
    with pytest.raises(DataError, match="not in the data set's folder"):
        dataset.image(dataset.samples[0])
    with pytest.raises(DataError, match="missing, damaged"):
        reference(dataset.samples[0].regions, (6, 8), root=home)
    assert not datasets.check(dataset).passed


def test_half_of_a_surrogate_pair_is_refused(home) -> None:
    (home / "samples.jsonl").write_text('{"image": "a.png", "finding": "\\ud800"}')
    with pytest.raises(DataError, match="surrogate pair"):
        datasets.load("folder", home)


def test_no_table_two_tables_no_folder_no_split(home) -> None:
    with pytest.raises(DataError, match=r"samples\.csv"):
        datasets.load("folder", home)
    for name in ("x.csv", "y.csv"):
        (home / name).write_text(CSV)
    with pytest.raises(DataError, match="2 tables"):
        datasets.load("folder", home)
    named = datasets.load("folder", home / "x.csv")
    assert datasets.load("folder", home, **named.options).samples == named.samples
    assert datasets.load("folder", home, table="y.csv").samples == named.samples
    for table in (str(home / "y.csv"), "../y.csv", "", 3):
        with pytest.raises(OptionError, match="expected the name of a file in the data set's folder"):
            datasets.load("folder", home, table=table)
    for table, says in (("z.csv", "lacks the table 'z.csv'"), ("**", "lacks"), ("y\0", "outside")):
        with pytest.raises(DataError, match=says):
            datasets.load("folder", home, table=table)
    with pytest.raises(OptionError, match="'test', 'train'"):
        datasets.load("folder", home / "x.csv", split="dev")
    with pytest.raises(DataError, match="does not exist"):
        datasets.load("folder", home / "nowhere")


def test_an_image_outside_the_folder_is_not_opened(home) -> None:
    (home / "in").mkdir()
    (home / "in" / "samples.csv").write_text("image\n../a.png\n")
    dataset = datasets.load("folder", home / "in")
    with pytest.raises(DataError, match="outside the data set's folder"):
        dataset.image(dataset.samples[0])
    assert not datasets.check(dataset).passed
