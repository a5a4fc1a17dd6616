"""Each published data set, from files in its publisher's form: where boxes lie, and what its quirks do."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from groundviz import datasets, images
from groundviz.datasets import Dataset
from groundviz.datasets.published import chexlocalize as chex
from groundviz.datasets.published import llava_rad as rad
from groundviz.datasets.published import reflacx as eyes
from groundviz.datasets.published.vindr_cxr import agreed
from groundviz.datasets.regions import reference
from groundviz.errors import DataError, OptionError
from tests.support import publishers

SHAPE = (40, 56)


def mask_of(dataset: Dataset, sample, shape=SHAPE, **options):
    return reference(sample.regions, shape, root=dataset.root, **options)


def by_hand(rows, cols, shape=SHAPE):
    mask = np.zeros(shape, bool)
    mask[rows, cols] = True
    return mask


def faults(dataset):
    """What a check finds wrong, but for how many there are of what."""
    return [line for line in datasets.check(dataset).lines if (line.state, line.expected) == ("wrong", "0")]


class TestMsCxr:
    def test_boxes_of_a_phrase_are_where_the_publisher_draws_them(self, tmp_path) -> None:
        publishers.ms_cxr(tmp_path)
        publishers.mimic_images(tmp_path, home="files")
        dataset = datasets.load("ms_cxr", tmp_path)
        assert len(dataset) == 4
        for sample in dataset.samples:
            expected = np.zeros(SHAPE, bool)
            for which, _, phrase, x, y, w, h, _ in publishers.MS_CXR_ROWS:
                same = publishers.MIMIC[which][2] == sample.facts["dicom_id"]
                if same and phrase.lower() == sample.phrase.lower():
                    expected[y : y + h, x : x + w] = True
            drawn = mask_of(dataset, sample)
            assert np.array_equal(drawn, expected)
            # Twice as large a file has the same region, twice as large.
            double = mask_of(dataset, sample, (80, 112))
            assert np.array_equal(double, expected.repeat(2, 0).repeat(2, 1))
        first = dataset.samples[0]
        wrong = np.zeros(SHAPE, bool)
        wrong[7:13, 5:11] = True
        assert not np.array_equal(mask_of(dataset, first), wrong), "mask[y:h, x:w] is a published mistake"
        assert (first.patient, first.study, first.split) == ("10000032", "50414267", "train")
        assert faults(dataset) == []

    def test_both_files_say_the_same(self, tmp_path) -> None:
        publishers.ms_cxr(tmp_path)
        assert (
            datasets.load("ms_cxr", tmp_path).samples
            == datasets.load("ms_cxr", tmp_path, annotations="json").samples
        )

    @pytest.mark.parametrize(
        ("ending", "home"), [(".jpg", "files"), (".jpg", ""), (".dcm", "files"), (".dcm", "")]
    )
    def test_images_with_and_without_files(self, tmp_path, ending, home) -> None:
        publishers.ms_cxr(tmp_path / "annotations")
        publishers.mimic_images(tmp_path / "mimic", ending, home)
        dataset = datasets.load("ms_cxr", tmp_path / "annotations", images=str(tmp_path / "mimic"))
        assert {images.load(dataset.image(sample)).shape for sample in dataset.samples} == {SHAPE}

    def test_columns_in_another_order(self, tmp_path) -> None:
        publishers.ms_cxr(tmp_path)
        before = datasets.load("ms_cxr", tmp_path).samples
        path = tmp_path / "MS_CXR_Local_Alignment_v1.1.0.csv"
        lines = [line.split(",")[::-1] for line in path.read_text().splitlines()]
        path.write_text("\n".join(map(",".join, lines)))
        assert datasets.load("ms_cxr", tmp_path).samples == before

    def test_splits_are_two_different_things(self, tmp_path) -> None:
        publishers.ms_cxr(tmp_path)
        with pytest.raises(DataError, match=r"mimic-cxr-2\.0\.0-split"):
            datasets.load("ms_cxr", tmp_path, mimic_split="test")
        publishers.mimic_tables(tmp_path)
        assert {s.facts["mimic_split"] for s in datasets.load("ms_cxr", tmp_path, split="val").samples} == {
            "train"
        }
        assert [s.split for s in datasets.load("ms_cxr", tmp_path, mimic_split="test").samples] == ["test"]
        with pytest.raises(OptionError, match="validate"):
            datasets.load("ms_cxr", tmp_path, mimic_split="val")

    def test_the_first_version_has_no_split(self, tmp_path) -> None:
        publishers.ms_cxr(tmp_path, version="1.0.0")
        dataset = datasets.load("ms_cxr", tmp_path)
        assert (dataset.version, {sample.split for sample in dataset.samples}) == ("1.0.0", {""})

    def test_its_check_compares_the_publishers_counts(self, tmp_path) -> None:
        publishers.ms_cxr(tmp_path)
        lines = {line.what: line for line in datasets.check(datasets.load("ms_cxr", tmp_path)).lines}
        assert (lines["samples"].found, lines["samples"].expected, lines["samples"].state) == (
            "4",
            "1162",
            "wrong",
        )
        assert (lines["regions of test"].found, lines["regions of test"].expected) == ("1", "216")
        # Of one split alone, where there is one.
        part = {
            line.what: line for line in datasets.check(datasets.load("ms_cxr", tmp_path, split="test")).lines
        }
        assert (part["regions of test"].expected, part["regions of test"].state) == ("216", "wrong")
        assert (part["samples"].expected, part["samples"].state) == ("", "note")
        first = {line.what: line for line in datasets.check(datasets.load("ms_cxr", tmp_path, limit=1)).lines}
        assert {line.expected for what, line in first.items() if what.startswith("regions of")} == {""}
        assert (lines["images that are missing"].found, lines["images that are missing"].state) == (
            "3",
            "wrong",
        )


def test_llava_rad_takes_what_its_evaluation_takes(tmp_path) -> None:
    publishers.llava_rad(tmp_path)
    publishers.mimic_images(tmp_path, home="files")
    dataset = datasets.load("llava_rad", tmp_path)
    asked, plain = dataset.samples
    start = "Provide a description of the findings in the radiology image"
    assert asked.question == f"{start} given the following indication: Cough, fever"
    assert plain.question == f"{start}."
    assert (plain.answer, plain.answer_type, plain.patient) == ("No effusion.", "report", "19985545")
    assert dict(dataset.dropped) == {"another view": 1, "findings cut in another way": 1, "no findings": 1}
    assert images.load(dataset.image(plain)).shape == SHAPE
    assert len(datasets.load("llava_rad", tmp_path, methods=None, views=None)) == 4
    lines = [{"id": "0", "query": "?", "reference": "No effusion.", "prediction": "Effusion."}]
    (tmp_path / "out.jsonl").write_text(json.dumps(lines[0]) + "\n")
    assert rad.predictions(tmp_path / "out.jsonl") == {asked.facts["id"]: "Effusion."}
    (tmp_path / "out.jsonl").write_text(2 * (json.dumps(lines[0]) + "\n"))
    with pytest.raises(DataError, match="second report"):
        rad.predictions(tmp_path / "out.jsonl")
    with pytest.raises(DataError, match="chat_dev"):
        datasets.load("llava_rad", tmp_path, split="dev")


class TestSlake:
    @pytest.mark.parametrize("mirror", [False, True])
    def test_regions_are_linked_by_name(self, tmp_path, mirror) -> None:
        publishers.slake(tmp_path, mirror)
        dataset = datasets.load("slake", tmp_path, split="test")
        liver = by_hand(slice(5, 15), slice(8, 20))
        kidney = by_hand(slice(20, 30), slice(30, 50))
        cancer = by_hand(slice(3, 8), slice(2, 6))
        nothing = np.zeros(SHAPE, bool)
        expected = [liver, liver | kidney, cancer, nothing, nothing, nothing]
        assert [s.facts["qid"] for s in dataset.samples] == [1, 2, 3, 4, 5, 6]
        for sample, mask in zip(dataset.samples, expected, strict=True):
            assert np.array_equal(mask_of(dataset, sample), mask), sample.question
        # The class that tables are made by: the one place that is asked for.
        assert [s.finding for s in dataset.samples] == ["liver", None, "lung cancer", None, None, None]
        assert images.load(dataset.image(dataset.samples[0])).shape == SHAPE
        assert faults(dataset) == []

    def test_boxes_alone(self, tmp_path) -> None:
        publishers.slake(tmp_path)
        dataset = datasets.load("slake", tmp_path, split="test", regions="box")
        # The box of [x, y, w, h] = [8, 5, 12, 10].
        assert np.array_equal(mask_of(dataset, dataset.samples[0]), by_hand(slice(5, 15), slice(8, 20)))
        assert {region.kind for sample in dataset.samples for region in sample.regions} == {"box"}
        drawn = datasets.load("slake", tmp_path, split="test")
        assert [s.sample_id for s in drawn.samples] == [s.sample_id for s in dataset.samples]

    def test_languages_and_splits(self, tmp_path) -> None:
        publishers.slake(tmp_path)
        (chinese,) = datasets.load("slake", tmp_path, language="zh").samples
        assert (chinese.language, chinese.answer, chinese.regions) == ("zh", "是", ())
        both = datasets.load("slake", tmp_path, language=["en", "zh"])
        assert len(both) == 8
        assert {sample.split for sample in both.samples} == {"train", "test"}
        with pytest.raises(OptionError, match="'zh'"):
            datasets.load("slake", tmp_path, language="de")


class TestVqa:
    def test_vqa_rad_as_published(self, tmp_path) -> None:
        publishers.vqa_rad(tmp_path)
        dataset = datasets.load("vqa_rad", tmp_path)
        number, blank, plain, _ = dataset.samples
        assert (number.answer, number.answer_type, number.split) == ("3", "open", "train")
        assert (blank.answer_type, blank.facts["answer_type"]) == ("closed", "CLOSED ")
        assert [s.split for s in dataset.samples] == ["train", "test", "test", "train"]
        # The same question of the same image twice.
        assert blank.sample_id != plain.sample_id
        assert images.load(dataset.image(plain)).shape == SHAPE
        assert len(datasets.load("vqa_rad", tmp_path, split="test")) == 2

    @pytest.mark.parametrize(("name", "splits"), [("vqa_rad", 2), ("pathvqa", 3)])
    def test_parquet_of_the_hub(self, tmp_path, name, splits) -> None:
        names = ("train", "validation", "test") if splits == 3 else ("train", "test")
        drawn = publishers.hub(tmp_path, names)
        dataset = datasets.load(name, tmp_path)
        assert len(dataset) == 4 * splits
        assert [s.answer_type for s in dataset.samples[:4]] == ["closed", "open", "closed", "closed"]
        test = datasets.load(name, tmp_path, split="test")
        opened = [test.image(sample) for sample in test.samples]
        pixels = [np.asarray(Image.open(io.BytesIO(content))) for content in drawn]
        expected = [0, 1, 0, 2]
        for content, which in zip(opened, expected, strict=True):
            assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), pixels[which])
        # Rows with the same bytes are one image.
        assert test.samples[0].cluster == test.samples[2].cluster != test.samples[1].cluster
        assert faults(test) == []

    def test_damaged_parquet(self, tmp_path) -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "test-0.parquet").write_bytes(b"PAR1 no")
        with pytest.raises(DataError, match="cannot be read"):
            datasets.load("pathvqa", tmp_path)

    @pytest.mark.parametrize(("name", "file"), [("pathvqa", "test_pvqa"), ("vqa_rad", "test_rad")])
    def test_conversations(self, tmp_path, name, file) -> None:
        publishers.conversations(tmp_path, file)
        (sample,) = datasets.load(name, tmp_path).samples
        assert (sample.question, sample.answer, sample.answer_type) == ("Is it a tumour?", "no", "closed")
        assert sample.facts["answer_type"] == "CLOSED"
        (tmp_path / f"{file}.json").unlink()
        dataset = datasets.load(name, tmp_path)
        (line,) = dataset.samples
        assert (line.question, line.answer, line.answer_type) == ("Is it a tumour?", None, "open")
        assert line.sample_id == sample.sample_id
        assert images.load(dataset.image(line)).shape == SHAPE

    def test_nothing_of_the_kind(self, tmp_path) -> None:
        with pytest.raises(DataError, match="parquet"):
            datasets.load("pathvqa", tmp_path)


class TestChexlocalize:
    def test_outlines_equal_the_publishers_masks(self, tmp_path) -> None:
        _, codes = publishers.chexlocalize(tmp_path)
        dataset = datasets.load("chexlocalize", tmp_path)
        assert [(s.patient, s.finding) for s in dataset.samples] == [
            ("patient1", "Airspace Opacity"),
            ("patient1", "Edema"),
            ("patient2", "Cardiomegaly"),
        ]
        for sample in dataset.samples:
            key = f"{sample.patient}_study1_view1_frontal"
            theirs = publishers.coco.decode(codes[key][sample.finding]).astype(bool)
            assert np.array_equal(mask_of(dataset, sample), theirs)
            # Also where img_size is missing.
            assert {region.size for region in sample.regions} == {SHAPE}
        assert dataset.samples[0].facts["chexpert_label"] == "Lung Opacity"
        assert dict(dataset.dropped) == {"an outline of fewer than 3 points": 1}
        assert faults(dataset) == []

    def test_codes_alone_say_the_same(self, tmp_path) -> None:
        publishers.chexlocalize(tmp_path)
        outlines = datasets.load("chexlocalize", tmp_path)
        (tmp_path / "CheXlocalize" / "gt_annotations_test.json").unlink()
        codes = datasets.load("chexlocalize", tmp_path)
        assert [s.sample_id for s in codes.samples] == [s.sample_id for s in outlines.samples]
        for one, other in zip(codes.samples, outlines.samples, strict=True):
            assert np.array_equal(mask_of(codes, one), mask_of(outlines, other))

    def test_the_human_benchmark_has_a_role_of_its_own(self, tmp_path) -> None:
        publishers.chexlocalize(tmp_path)
        dataset = datasets.load("chexlocalize", tmp_path / "CheXlocalize")
        edema = dataset.samples[1]
        human = by_hand(slice(10, 20), slice(10, 20)) | by_hand(6, 9) | by_hand(39, 50)
        assert np.array_equal(mask_of(dataset, edema, roles=("human_benchmark",)), human)
        assert {r.annotator for r in edema.regions if r.role == "human_benchmark"} == {
            "segmentation",
            "points",
        }
        # The images lie beside the annotations' folder.
        assert images.load(dataset.image(edema)).shape == SHAPE

    def test_predictions_come_as_json_and_pickles_are_not_opened(self, tmp_path) -> None:
        publishers.chexlocalize(tmp_path)
        masks = chex.segmentations(tmp_path / "CheXlocalize" / "gt_segmentations_test.json")
        assert len(masks) == 20
        assert masks["patient2_study1_view1_frontal", "Cardiomegaly"].any()
        (tmp_path / "map.pkl").write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
        with pytest.raises(DataError, match="run any code"):
            chex.segmentations(tmp_path / "map.pkl")

    def test_a_split_that_is_not_there(self, tmp_path) -> None:
        publishers.chexlocalize(tmp_path)
        with pytest.raises(DataError, match="gt_annotations_val"):
            datasets.load("chexlocalize", tmp_path, split="val")


class TestPadchest:
    def test_boxes_are_shares_of_the_image(self, tmp_path) -> None:
        publishers.padchest_gr(tmp_path)
        dataset = datasets.load("padchest_gr", tmp_path)
        first, second = dataset.samples
        # 0.25, 0.1, 0.5, 0.3 of 56 columns and 40 rows.
        assert np.array_equal(mask_of(dataset, first), by_hand(slice(4, 12), slice(14, 28)))
        extra = mask_of(dataset, first, roles=("extra",))
        assert np.array_equal(extra, by_hand(slice(4, 14), slice(16, 31)))
        assert (first.patient, first.split, second.patient, second.split) == ("p1", "train", "p2", "test")
        assert (first.phrase, first.finding) == ("Right nodule.", "nodule")
        assert dict(dataset.dropped) == {"a sentence without a box": 1}
        assert faults(dataset) == []

    def test_sixteen_bits_are_shown_from_darkest_to_brightest(self, tmp_path) -> None:
        publishers.padchest_gr(tmp_path)
        dataset = datasets.load("padchest_gr", tmp_path)
        deep, plain = (images.load(dataset.image(sample)) for sample in dataset.samples)
        assert (deep.pixels.min(), deep.pixels.max()) == (0.0, 1.0)
        assert plain.pixels.max() < 0.9
        set_by_hand = datasets.load("padchest_gr", tmp_path, window=(2000, 8000))
        assert images.load(set_by_hand.image(set_by_hand.samples[0])).window == (2000.0, 8000.0)

    def test_the_table_may_be_packed(self, tmp_path) -> None:
        publishers.padchest_gr(tmp_path)
        before = datasets.load("padchest_gr", tmp_path).samples
        with zipfile.ZipFile(tmp_path / "master_table.csv.zip", "w", zipfile.ZIP_DEFLATED) as packed:
            packed.write(tmp_path / "master_table.csv", "master_table.csv")
        (tmp_path / "master_table.csv").unlink()
        assert datasets.load("padchest_gr", tmp_path).samples == before

    def test_sentences_without_boxes_and_spanish(self, tmp_path) -> None:
        publishers.padchest_gr(tmp_path)
        dataset = datasets.load("padchest_gr", tmp_path, grounded=False, language="es")
        assert [s.phrase for s in dataset.samples] == ["Nódulo derecho.", "Sin derrame.", "Nódulo derecho."]
        assert dataset.samples[1].regions == ()


class TestVindr:
    @pytest.mark.parametrize("kaggle", [False, True])
    @pytest.mark.parametrize("readers", [1, 2, 3])
    def test_the_reference_is_what_readers_agree_on(self, tmp_path, kaggle, readers) -> None:
        publishers.vindr_cxr(tmp_path, kaggle)
        dataset = datasets.load("vindr_cxr", tmp_path, readers=readers, split="train")
        votes = np.zeros(SHAPE, int)
        for reader in ("R1", "R2", "R3"):
            own = np.zeros(SHAPE, bool)
            for _, who, name, *corners in publishers.VINDR:
                if who == reader and name == "Nodule/Mass":
                    left, top, right, bottom = corners
                    own[int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))] = True
            votes += own
        nodule = dataset.samples[0]
        assert np.array_equal(mask_of(dataset, nodule), votes >= readers)
        # All readers' own boxes are kept.
        extras = mask_of(dataset, nodule, roles=("extra",), agreement=readers)
        assert np.array_equal(extras, votes >= readers)
        alone = {s.finding for s in dataset.samples}
        assert ("Cardiomegaly" in alone) == (readers == 1)
        assert dataset.dropped["No finding"] == 2

    def test_agreement_on_random_boxes(self) -> None:
        rng = np.random.default_rng(3)
        for _ in range(60):
            by_reader, votes = [], np.zeros((30, 30), int)
            for _ in range(3):
                corners = np.sort(rng.integers(0, 31, (rng.integers(0, 4), 2, 2)), axis=1).reshape(-1, 4)
                boxes = [tuple(map(int, box)) for box in corners if box[0] < box[2] and box[1] < box[3]]
                by_reader.append(boxes)
                own = np.zeros((30, 30), bool)
                for left, top, right, bottom in boxes:
                    own[top:bottom, left:right] = True
                votes += own
            for readers in (1, 2, 3):
                drawn = np.zeros((30, 30), bool)
                for left, top, right, bottom in agreed(by_reader, readers):
                    drawn[top:bottom, left:right] = True
                assert np.array_equal(drawn, votes >= readers)

    def test_the_test_split_is_a_consensus(self, tmp_path) -> None:
        publishers.vindr_cxr(tmp_path)
        (sample,) = datasets.load("vindr_cxr", tmp_path, split="test").samples
        assert [(r.role, r.data) for r in sample.regions] == [("primary", (1.0, 2.0, 3.0, 4.0))]
        assert sample.cluster == "test/c"

    def test_images_are_dicom_with_low_values_bright(self, tmp_path) -> None:
        publishers.vindr_cxr(tmp_path)
        publishers.image(tmp_path / "test" / "c.dicom")
        for name in "ab":
            publishers.image(tmp_path / "train" / f"{name}.dicom")
        dataset = datasets.load("vindr_cxr", tmp_path)
        shown = images.load(dataset.image(dataset.samples[-1]))
        assert shown.inverted
        assert shown.shape == SHAPE
        assert faults(dataset) == []

    def test_a_box_that_ends_before_it_begins(self, tmp_path) -> None:
        publishers.vindr_cxr(tmp_path)
        path = tmp_path / "annotations" / "annotations_test.csv"
        path.write_text(path.read_text().replace("1,2,3,4", "3,2,1,4"))
        with pytest.raises(DataError, match="another order"):
            datasets.load("vindr_cxr", tmp_path, split="test")


def test_nih_boxes_have_a_broken_header_and_another_spelling(tmp_path) -> None:
    publishers.nih_boxes(tmp_path)
    dataset = datasets.load("nih_boxes", tmp_path)
    first, _, last = dataset.samples
    assert (first.finding, first.regions[0].label, first.patient) == (
        "Infiltration",
        "Infiltrate",
        "00000001",
    )
    mask = mask_of(dataset, first, (1024, 1024))
    # 225.5 + 86.75 and 547.25 + 79.5, rounded outwards.
    assert np.array_equal(mask, by_hand(slice(547, 627), slice(225, 313), (1024, 1024)))
    # On a file a sixteenth as large.
    small = mask_of(dataset, last, (64, 64))
    assert np.array_equal(small, by_hand(slice(62, 64), slice(62, 64), (64, 64)))
    assert images.load(dataset.image(first)).shape == (64, 64)
    assert faults(dataset) == []


def test_rsna_boxes_of_an_image_are_together(tmp_path) -> None:
    publishers.rsna_pneumonia(tmp_path)
    dataset = datasets.load("rsna_pneumonia", tmp_path)
    (sample,) = dataset.samples
    expected = np.zeros((1024, 1024), bool)
    for x, y, width, height in ((264, 152, 213, 379), (562, 152, 256, 453)):
        expected[y : y + height, x : x + width] = True
    assert np.array_equal(mask_of(dataset, sample, expected.shape), expected)
    assert dict(dataset.dropped) == {"no opacity": 1}


def test_chest_imagenome_takes_the_original_corners_by_name(tmp_path) -> None:
    publishers.chest_imagenome(tmp_path)
    publishers.mimic_images(tmp_path, ".jpg", "files")
    publishers.mimic_tables(tmp_path)
    dataset = datasets.load("chest_imagenome", tmp_path)
    first = dataset.samples[0]
    # x 10 to 30, y 20 to 32, although the file has them as 10, 30, 20, 32.
    assert np.array_equal(mask_of(dataset, first), by_hand(slice(20, 32), slice(10, 30)))
    assert (first.finding, first.patient, first.facts["mimic_split"]) == ("right lung", "10000032", "train")
    assert faults(dataset) == []
    assert [s.finding for s in datasets.load("chest_imagenome", tmp_path, mimic_split="test").samples] == [
        "trachea"
    ]
    (tmp_path / "utils" / "cxr-record-list_view.csv").unlink()
    with pytest.raises(DataError, match="table of images"):
        datasets.load("chest_imagenome", tmp_path)


class TestReflacx:
    def test_ellipses_that_are_possible_at_least(self, tmp_path) -> None:
        publishers.reflacx(tmp_path)
        publishers.mimic_images(tmp_path, ".jpg", "files")
        dataset = datasets.load("reflacx", tmp_path)
        consolidation = next(s for s in dataset.samples if s.finding == "Consolidation")
        rows, cols = np.indices(SHAPE) + 0.5
        first = ((cols - 20) / 10) ** 2 + ((rows - 18) / 10) ** 2 <= 1
        second = ((cols - 22) / 10) ** 2 + ((rows - 18) / 10) ** 2 <= 1
        assert np.array_equal(mask_of(dataset, consolidation), first | second)
        assert np.array_equal(mask_of(dataset, consolidation, agreement=2), first & second)
        assert consolidation.facts["with_gaze"] == ["P102R1"]
        assert len(dataset) == 3
        assert len(datasets.load("reflacx", tmp_path, readers=2)) == 1
        assert len(datasets.load("reflacx", tmp_path, phase="3")) == 1
        assert len(datasets.load("reflacx", tmp_path, split="test")) == 1
        unlikely = datasets.load("reflacx", tmp_path, certainty=2).samples[0]
        assert mask_of(dataset, unlikely)[5, 5]
        assert faults(dataset) == []

    def test_gaze_is_time_in_degrees_within_what_was_shown(self, tmp_path) -> None:
        publishers.reflacx(tmp_path)
        dataset = datasets.load("reflacx", tmp_path)
        looked = eyes.gaze(dataset.root, "P102R1", SHAPE)
        rows, cols = np.indices(SHAPE)

        def bell(x, y, seconds):
            exponent = -0.5 * (((cols - x) / 4) ** 2 + ((rows - y) / 5) ** 2)
            return seconds * np.exp(exponent) / (2 * np.pi * 4 * 5)

        expected = bell(20, 10, 0.5) + np.where((rows >= 20) & (cols >= 28), bell(45, 30, 2.0), 0)
        assert np.allclose(looked, expected / expected.sum(), atol=1e-12)
        assert looked.sum() == pytest.approx(1)
        with pytest.raises(DataError, match="discarded"):
            eyes.gaze(dataset.root, "P102R2", SHAPE)


@pytest.mark.parametrize(
    ("name", "file", "content"),
    [
        ("ms_cxr", "MS_CXR_Local_Alignment_v1.1.0.csv", "dicom_id,path\nsecret,files/p10/p1/s1/x.jpg"),
        ("ms_cxr", "MS_CXR_Local_Alignment_v1.1.0.csv", ""),
        ("slake", "test.json", "{}"),
        ("vqa_rad", "VQA_RAD Dataset Public.json", '[{"image_name": "secret"}]'),
        ("vqa_rad", "VQA_RAD Dataset Public.json", "[[["),
        ("pathvqa", "test_pvqa.json", '[{"image": "secret", "conversations": 3}]'),
        (
            "llava_rad",
            "chat_test_MIMIC_CXR_all_gpt4extract_rulebased_v1.json",
            json.dumps([{"id": "secret"}]),
        ),
        ("chexlocalize", "gt_annotations_val.json", '{"secret": {"Edema": [[[1, 2], [3, 4], [5, 6]]]}}'),
        ("chexlocalize", "gt_annotations_val.json", '["secret"]'),
        ("nih_boxes", "BBox_List_2017.csv", "Image Index,Finding Label\nsecret,Mass"),
        (
            "vindr_cxr",
            "annotations_train.csv",
            "image_id,class_name,x_min,y_min,x_max,y_max\nsecret,Mass,a,b,c,d",
        ),
        ("padchest_gr", "grounded_reports_20240819.json", "[]"),
        ("chest_imagenome", "gold_bbox_coordinate_annotations_1000images.csv", "image_id\nsecret"),
        ("reflacx", "metadata_phase_1.csv", "id,image\nsecret,x"),
    ],
)
def test_a_damaged_file_is_told_without_its_content(tmp_path, name, file, content) -> None:
    (tmp_path / file).write_text(content)
    with pytest.raises(DataError) as caught:
        datasets.load(name, tmp_path)
    assert "secret" not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("name", sorted(datasets.DATASETS))
def test_an_empty_folder_is_told_what_it_lacks(tmp_path, name) -> None:
    if datasets.DATASETS.facts(name).folder:
        with pytest.raises(DataError, match=r"Looked for|holds no table"):
            datasets.load(name, tmp_path)
