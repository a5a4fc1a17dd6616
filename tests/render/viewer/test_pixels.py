"""An image's numbers: what a payload holds of them, and what a window makes of them on the screen."""

import base64
import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from groundviz import images
from groundviz.record.types import StoredValues
from groundviz.render.viewer import pack
from groundviz.render.viewer.pixels import Pixels, coded
from groundviz.render.viewer.presets import presets
from tests.support import records
from tests.support.browser import HOST, LIVE, SIDE, canvas, drawn, live, needs_browser, page_of, shown
from tests.support.tiles import decoded, images_of

RECORD = records.record()


def _ct(side: int = SIDE, *, window=(40.0, 400.0), factor: float = 1.0):
    """Air, lung, water and bone in a pattern with 2-pixel calcifications, read at a window of soft tissue."""
    rng = np.random.default_rng(3)
    row, col = np.mgrid[:side, :side] / side
    values = np.rint(
        -1000 + 2600 * (0.5 + 0.5 * np.sin(9 * row) * np.cos(7 * col)) + rng.normal(0, 9, (side, side))
    )
    values[side // 3 : side // 3 + 2, side // 3 : side // 3 + 2] = 3000
    dataset = images_dataset(values.astype(np.int16), window, factor)
    return images.load(dataset), values * factor


def images_dataset(stored, window, factor):
    pydicom = pytest.importorskip("pydicom")
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

    made = pydicom.Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.Modality = CTImageStorage, "CT"
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.Rows, made.Columns = stored.shape
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 16, 15, 0
    made.RescaleSlope, made.RescaleIntercept = factor, -1100.0 * factor
    made.PixelSpacing, made.ImageOrientationPatient = [0.5, 0.5], [1, 0, 0, 0, 1, 0]
    made.Laterality = "L"
    made.WindowCenter, made.WindowWidth = window
    made.PixelData = (stored.astype(np.int32) + 1100).astype(np.uint16).tobytes()
    return made


@pytest.mark.parametrize(("shape", "kind"), list(product([(1, 1), (3, 5), (2, 40)], [np.uint8, np.uint16])))
def test_a_tile_comes_back_as_it_was(shape, kind):
    rng = np.random.default_rng(1)
    codes = rng.integers(0, np.iinfo(kind).max, (*shape, 3 if kind is np.uint8 else 1), endpoint=True).astype(
        kind
    )
    np.testing.assert_array_equal(decoded(coded(codes), codes.shape, wide=kind is np.uint16), codes)


def test_stored_values_are_kept_exactly_and_what_was_shown_follows_from_them():
    source_image, values = _ct(64)
    stored = source_image.stored
    assert stored is not None and stored.unit == "HU"
    np.testing.assert_array_equal(stored.low + stored.step * stored.codes, values)
    (told,), ((codes,),) = images_of(pack.pack(replace(RECORD, source_images=(source_image,), heatmaps=())))
    np.testing.assert_array_equal(codes[..., 0], stored.codes)
    black, white = told["read"]
    np.testing.assert_allclose(
        np.clip((codes[..., 0] - black) / (white - black), 0, 1), source_image.pixels, atol=1e-4
    )
    assert (told["edges"], told["laterality"]) == (["R", "A", "L", "P"], "L")
    assert told["millimetres"] == [0.5, 0.5, "mm"]
    # Nothing else of the file travels with it.
    assert set(told) <= {
        "name",
        "place",
        "number",
        "source",
        "aspect",
        "millimetres",
        "edges",
        "laterality",
        "window",
        "presets",
        "channels",
        "tile",
        "levels",
        "top",
        "read",
        "value",
        "curve",
    }


def test_lung_and_bone_are_offered_of_a_ct_that_was_read_for_soft_tissue():
    source_image, _ = _ct(64)
    offered = {name.split(" (")[0]: (level, width) for name, level, width in told_presets(source_image)}
    assert {"Lung", "Mediastinum", "Bone", "Brain", "Liver", "All values"} <= set(offered)
    level, width = offered["Lung"]
    # DICOM's LINEAR spreads 399 values over the window of 400, and 1499 over one of 1500.
    assert (39.5 + (level - 0.5) * 399, width * 399) == pytest.approx((-600.5, 1499))
    level, width = offered["All values"]
    low, high = source_image.raw_range
    assert (39.5 + (level - 0.5) * 399, width * 399) == pytest.approx(((low + high) / 2, high - low))


def test_a_window_is_told_as_it_was_given():
    source_image, _ = _ct(64)
    meaning = Pixels(source_image).meaning()
    black, white = (meaning["value"]["low"] + meaning["value"]["step"] * code for code in meaning["read"])
    more, wider = meaning["value"]["shift"]
    assert ((black + white) / 2 + more, abs(white - black) + wider) == pytest.approx(source_image.window)
    assert (more, wider) == pytest.approx((0.5, 1.0), abs=1e-3)
    bare = Pixels(replace(source_image, window=None)).meaning()
    assert bare["value"]["shift"] == [0.0, 0.0]


def told_presets(source_image):
    return presets(source_image, Pixels(source_image).meaning())


def test_brightness_that_does_not_rise_evenly_has_a_curve():
    codes = np.arange(256, dtype=np.uint16).reshape(16, 16)
    bent = (codes / 255.0).astype(np.float32) ** 2
    base = replace(RECORD.source_image, pixels=bent, stored=StoredValues(codes=codes, low=0.0, step=1.0))
    meaning = Pixels(base).meaning()
    np.testing.assert_allclose(meaning["curve"], bent.ravel(), atol=1e-4)
    assert meaning["read"] == [0, 255]


def test_sizes_halve_and_a_smaller_one_is_the_mean_of_the_larger():
    rng = np.random.default_rng(2)
    codes = rng.integers(0, 4096, (2048, 1200)).astype(np.uint16)
    large = replace(
        RECORD.source_image,
        pixels=(codes / 4095.0).astype(np.float32),
        stored=StoredValues(codes=codes, low=0.0, step=1.0),
    )
    small, whole = Pixels(large).levels
    assert (small.shape, whole.shape) == ((1024, 600, 1), (2048, 1200, 1))
    means = codes.reshape(1024, 2, 600, 2).mean(axis=(1, 3))
    assert np.abs(small[..., 0] - means).max() <= 0.51
    sizes = {
        kind: [len(level["tiles"] or ()) for level in pack.read(packed)[0]["images"][0]["levels"]]
        for kind in ("all", "first", "ask")
        for packed in [pack.pack(replace(RECORD, source_images=(large,), heatmaps=()), sizes=kind)]
    }
    assert sizes == {"all": [4, 12], "first": [4], "ask": [4, 0]}


def test_what_may_not_leave_in_full_takes_its_values_along(monkeypatch):
    from groundviz.render.base.embedding import embedded
    from groundviz.render.base.options import options

    source_image, _ = _ct(64)
    record = replace(RECORD, source_images=(source_image,), heatmaps=())
    for kind in ("small", "none"):
        monkeypatch.setattr(options, "_embed", kind)
        assert embedded(record).source_image.stored is None


@needs_browser
@pytest.mark.parametrize(("level", "width"), [(0.5, 1.0), (-1.1, 3.75), (0.2, 0.02), (2.4, 0.02)])
def test_a_window_shows_what_numpy_makes_of_all_bits(browser, tmp_path, level, width):
    source_image, values = _ct()
    record = replace(RECORD, source_images=(source_image,), heatmaps=())
    with shown(browser, tmp_path, HOST, wait="body", bypass_csp=True) as page:
        live(page, record, level=level, window=width)
        low = -160.0 + (level - width / 2) * 399
        expected = 255 * np.clip((values - low) / (399 * width), 0, 1)
        error = np.abs(canvas(page).mean(axis=2) - expected)
        assert error.mean() < 1.0
        assert error.max() < 1.6


@needs_browser
def test_the_value_under_the_pointer_is_that_of_the_file(browser, tmp_path):
    source_image, values = _ct(factor=0.5)
    pages = page_of(replace(RECORD, source_images=(source_image,), heatmaps=()))
    with shown(browser, tmp_path, pages) as page:
        box = page.locator(".gv-frame canvas").bounding_box()
        third = SIDE // 3
        for row, col in ((10, 20), (third, third + 1), (SIDE - 5, 400)):
            with drawn(page):
                # A pointer is on whole pixels of the screen in some browsers.
                page.mouse.move(math.ceil(box["x"]) + col, math.ceil(box["y"]) + row)
            lines = page.inner_text(".gv-tip").replace("\u2212", "-").splitlines()
            assert lines == [f"{values[row, col]:g} HU", f"row {row + 1}, column {col + 1} of the image"]
        texts = page.locator(".gv-edge").all_inner_texts()
        assert texts == ["R", "A", "L", "P"]
        assert page.inner_text(".gv-shown") == "C 40  W 400  L"
        assert page.inner_text(".gv-length") == "50 mm"
        assert page.locator(".gv-length").evaluate(
            "one => one.getBoundingClientRect().width"
        ) == pytest.approx(100, 0.01)
        with drawn(page):
            page.get_by_label("Window", exact=True).select_option(label="Lung (C -600 W 1500)")
        assert page.inner_text(".gv-shown").replace("\u2212", "-") == "C -600  W 1500  L"


@needs_browser
def test_calcifications_of_two_pixels_and_line_pairs_survive_in_a_large_radiograph(browser, tmp_path):
    rng = np.random.default_rng(5)
    values = np.rint(3000 + 60 * np.sin(np.arange(2500) / 90) + rng.normal(0, 12, (2048, 2500))).astype(
        np.uint16
    )
    values[1000:1002, 1300:1302] = 3600
    values[1010:1030, 1300:1340:2] = 2600
    record = replace(RECORD, source_images=(images.load(values),), heatmaps=())
    across, down, zoom = 1315 / 2500, 1012 / 2048, 16.0
    level, width = 3100 / 65535, 1200 / 65535
    with shown(browser, tmp_path, HOST, wait="body", bypass_csp=True) as page:
        live(page, record, view=[across, down, zoom], level=level, window=width)
        page.wait_for_timeout(500)
        seen = canvas(page)[..., 0]
        room = page.locator(".gv-frame").evaluate("one => [one.clientWidth / 2500, one.clientHeight / 2048]")
    scale = min(room) * zoom
    rows, cols = np.arange(998, 1028), np.arange(1290, 1342)
    at_row = ((rows + 0.5 - down * 2048) * scale + seen.shape[0] / 2).astype(int)
    at_col = ((cols + 0.5 - across * 2500) * scale + seen.shape[1] / 2).astype(int)
    expected = 255 * np.clip((values[np.ix_(rows, cols)] - 2500) / 1200, 0, 1)
    assert np.abs(seen[np.ix_(at_row, at_col)] - expected).max() < 1.01


@pytest.mark.wide
@needs_browser
def test_a_live_viewer_asks_for_what_it_is_to_show_in_full(browser, tmp_path):
    codes = np.random.default_rng(6).integers(0, 4096, (1500, 1500)).astype(np.uint16)
    record = replace(RECORD, source_images=(images.load(codes),), heatmaps=())
    pixels = Pixels(record.source_image)
    packed = base64.b64encode(pack.pack(record, sizes="ask")).decode()
    with shown(browser, tmp_path, HOST, wait="body", bypass_csp=True) as page:
        page.evaluate(LIVE, [packed, {"view": [0.1, 0.1, 8.0]}])
        page.wait_for_selector(".gv-root[data-drawn]")
        coarse = canvas(page)
        assert page.evaluate("model.sent") == [{"need": "tile", "side": 0, "image": 0, "level": 1, "tile": 0}]
        with drawn(page):
            blob = base64.b64encode(pixels.tile(1, 0)).decode()
            place = {"side": 0, "image": 0, "level": 1, "tile": 0}
            page.evaluate("([tile, blob]) => model.hear({ tile }, blob)", [place, blob])
        assert np.abs(canvas(page) - coarse).mean() > 1
