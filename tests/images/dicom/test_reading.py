"""DICOM files and data sets, from small headers written here and from the files pydicom ships."""

from __future__ import annotations

import io
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from groundviz import images
from groundviz.errors import ImageError
from groundviz.images.dicom import reading

pydicom = pytest.importorskip("pydicom")

RAMP = np.arange(12, dtype=np.uint16).reshape(3, 4) * 100
UNIT = (np.arange(12) / 11.0).reshape(3, 4)


def wheel(name: str) -> str:
    """A file of pydicom's own package; nothing is downloaded."""
    return str(pydicom.data.get_testdata_file(name, download=False))


@pytest.mark.parametrize(
    "syntax",
    [
        "ImplicitVRLittleEndian",
        "ExplicitVRLittleEndian",
        "ExplicitVRBigEndian",
        "DeflatedExplicitVRLittleEndian",
    ],
)
@pytest.mark.parametrize("kind", ["u1", "u2", "i2", "u4", "i4"])
def test_uncompressed_syntaxes_and_types(make_dicom: Any, syntax: str, kind: str) -> None:
    stored = (np.arange(12).reshape(3, 4) * 10 - (50 if kind[0] == "i" else 0)).astype(kind)
    source_image = images.load(make_dicom(stored, syntax=syntax, WindowCenter=60, WindowWidth=111))
    low = 60 - 0.5 - 55
    np.testing.assert_allclose(source_image.pixels, np.clip((stored - low) / 110.0, 0, 1), atol=1e-6)
    assert (source_image.source, source_image.window) == ("dicom", (60.0, 111.0))
    assert source_image.raw_range == (float(stored.min()), float(stored.max()))


def test_source_image_carries_what_the_header_says(make_dicom: Any) -> None:
    path = make_dicom(RAMP, PixelSpacing=[0.7, 0.35], RescaleSlope=2, RescaleIntercept=-1000)
    source_image = images.load(path)
    assert source_image.spacing_mm == (0.7, 0.35)
    assert source_image.raw_range == (-1000.0, 1200.0)
    np.testing.assert_allclose(source_image.pixels, UNIT, atol=1e-6)
    assert source_image.notes[0] == "Stored values were rescaled: times 2, plus -1000."


def test_window_given_wins(make_dicom: Any) -> None:
    path = make_dicom(RAMP, WindowCenter=1, WindowWidth=2, VOILUTFunction="LINEAR_EXACT")
    source_image = images.load(path, window=(550, 1100))
    np.testing.assert_allclose(source_image.pixels, UNIT, atol=1e-6)
    assert source_image.window == (550.0, 1100.0)


def test_file_and_data_set_give_the_same_source_image(make_dicom: Any) -> None:
    path = make_dicom(RAMP)
    dataset = pydicom.dcmread(path)
    before = dataset.to_json()
    source_image = images.load(dataset)
    assert (source_image.sha256, source_image.notes, source_image.source) == (
        images.load(path).sha256,
        images.load(path).notes,
        "dicom",
    )
    assert dataset.to_json() == before


def test_data_set_made_in_memory() -> None:
    dataset = pydicom.Dataset()
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = 3, 4, 1
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.PixelRepresentation, dataset.PhotometricInterpretation = 0, "MONOCHROME2"
    dataset.PixelData = RAMP.tobytes()
    np.testing.assert_allclose(images.load(dataset).pixels, UNIT, atol=1e-6)


def test_frames(make_dicom: Any) -> None:
    frames = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1]])
    path = make_dicom(frames)
    with pytest.raises(ImageError, match=r"holds 3 frames and one must be chosen"):
        images.load(path)
    for index, expected in enumerate((UNIT, UNIT[::-1], UNIT[:, ::-1])):
        source_image = images.load(path, frame=index)
        np.testing.assert_allclose(source_image.pixels, expected, atol=1e-6)
        assert source_image.notes[0] == f"Frame {index} of 3 is shown (counting from 0)."
    with pytest.raises(ImageError, match="no frame of that number"):
        images.load(path, frame=3)


@pytest.mark.parametrize("syntax", ["ExplicitVRLittleEndian", "ExplicitVRBigEndian"])
@pytest.mark.parametrize("planar", [0, 1])
def test_colour_planes(make_dicom: Any, planar: int, syntax: str) -> None:
    colour = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    stored = colour if planar == 0 else np.moveaxis(colour, 2, 0)
    path = make_dicom(
        np.ascontiguousarray(stored).tobytes(),
        syntax=syntax,
        Rows=4,
        Columns=6,
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=planar,
        BitsAllocated=8,
        BitsStored=8,
        PixelRepresentation=0,
    )
    np.testing.assert_allclose(images.load(path).pixels, colour / 255.0, atol=1e-6)


def test_ybr_becomes_rgb(make_dicom: Any) -> None:
    ybr = np.array([[[76, 85, 255], [29, 255, 107], [255, 128, 128]]], np.uint8)
    path = make_dicom(ybr, PhotometricInterpretation="YBR_FULL")
    np.testing.assert_allclose(images.load(path).pixels, [[(1, 0, 0), (0, 0, 1), (1, 1, 1)]], atol=1.5 / 255)


def test_palette(make_dicom: Any) -> None:
    tables: dict[str, Any] = {}
    for colour, values in (("Red", [0, 65535]), ("Green", [65535, 0]), ("Blue", [13107, 26214])):
        tables[f"{colour}PaletteColorLookupTableDescriptor"] = [2, 0, 16]
        tables[f"{colour}PaletteColorLookupTableData"] = np.array(values, "<u2").tobytes()
    path = make_dicom(np.array([[0, 1]], np.uint8), PhotometricInterpretation="PALETTE COLOR", **tables)
    np.testing.assert_allclose(images.load(path).pixels, [[(0, 1, 0.2), (1, 0, 0.4)]], atol=1e-6)


def test_modality_and_voi_tables(make_dicom: Any) -> None:
    def table(first: int, values: list[int]) -> Any:
        item = pydicom.Dataset()
        item.LUTDescriptor = [len(values), first, 16]
        item.add_new("LUTData", "OW", np.array(values, "<u2").tobytes())
        return pydicom.Sequence([item])

    stored = np.array([[0, 1, 2, 3]], np.uint8)
    by_modality = images.load(make_dicom(stored, ModalityLUTSequence=table(1, [10, 30])))
    assert by_modality.pixels.tolist() == [[0, 0, 1, 1]]
    assert by_modality.raw_range == (10.0, 30.0)
    by_voi = images.load(
        make_dicom(stored, VOILUTSequence=table(0, [65535, 0, 13107, 26214]), WindowCenter=1, WindowWidth=1)
    )
    np.testing.assert_allclose(by_voi.pixels, [[1, 0, 0.2, 0.4]], atol=1e-6)
    assert by_voi.window is None


def test_unused_bits_do_not_count(make_dicom: Any) -> None:
    stored = (np.array([[0, 100, 4095]], np.uint16)) | 0xF000
    source_image = images.load(make_dicom(stored, BitsStored=12, HighBit=11))
    assert source_image.raw_range == (0.0, 4095.0)


def test_monochrome1_twin(make_dicom: Any) -> None:
    stored = np.random.default_rng(1).integers(0, 4096, (32, 40)).astype(np.uint16)
    for window, twin_window in (
        ({}, {}),
        ({"WindowCenter": 2000, "WindowWidth": 801}, {"WindowCenter": 2096, "WindowWidth": 801}),
    ):
        source_image = images.load(make_dicom(stored, BitsStored=12, HighBit=11, **window))
        twin = images.load(
            make_dicom(
                (4095 - stored).astype(np.uint16),
                PhotometricInterpretation="MONOCHROME1",
                BitsStored=12,
                HighBit=11,
                **twin_window,
            )
        )
        assert twin.sha256 == source_image.sha256


def test_float_pixels(make_dicom: Any) -> None:
    path = make_dicom(
        bytes(16),
        Rows=2,
        Columns=2,
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        BitsAllocated=32,
    )
    dataset = pydicom.dcmread(path)
    del dataset.PixelData
    dataset.FloatPixelData = np.array([0.0, 0.5, 1.5, 2.0], "<f4").tobytes()
    np.testing.assert_allclose(images.load(dataset).pixels, [[0, 0.25], [0.75, 1]], atol=1e-6)
    dataset.FloatPixelData = np.array([0.0, np.nan, 1.5, 2.0], "<f4").tobytes()
    with pytest.raises(ImageError, match="NaN"):
        images.load(dataset)


def test_run_length_round_trip(make_dicom: Any) -> None:
    dataset = pydicom.dcmread(make_dicom(RAMP))
    plain = images.load(dataset)
    dataset.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
    assert images.load(dataset).sha256 == plain.sha256


def encapsulated(make_dicom: Any, image: Image.Image, kind: str, syntax: str, **more: Any) -> Path:
    stream = io.BytesIO()
    image.save(stream, kind, **more.pop("save", {}))
    facts = {
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 8,
        "BitsStored": 8,
    }
    return make_dicom(
        pydicom.encaps.encapsulate([stream.getvalue()]),
        syntax=syntax,
        **(facts | {"Rows": image.height, "Columns": image.width, "PixelRepresentation": 0} | more),
    )


def test_jpeg_and_jpeg_2000(make_dicom: Any) -> None:
    grey = Image.fromarray((np.arange(64 * 48, dtype=np.uint32) % 64 * 4).astype(np.uint8).reshape(48, 64))
    lossless = images.load(
        encapsulated(make_dicom, grey, "JPEG2000", "JPEG2000Lossless", save={"irreversible": False})
    )
    np.testing.assert_allclose(lossless.pixels, np.asarray(grey) / 255.0, atol=1e-6)
    lossy = images.load(encapsulated(make_dicom, grey, "JPEG", "JPEGBaseline8Bit", save={"quality": 100}))
    np.testing.assert_allclose(lossy.pixels, np.asarray(grey) / 255.0, atol=4 / 255)


def test_compressed_data_of_another_size(make_dicom: Any) -> None:
    path = encapsulated(make_dicom, Image.new("L", (64, 48)), "JPEG", "JPEGBaseline8Bit", Rows=40)
    with pytest.raises(ImageError, match="48 rows and 64 columns, its header says 40 and 64"):
        images.load(path)


@pytest.mark.parametrize(
    ("name", "packages"),
    [
        ("JPEGLSNearLossless_08.dcm", "pyjpegls"),
        ("SC_rgb_jpeg_gdcm.dcm", "pylibjpeg pylibjpeg-libjpeg"),
        ("JPEG-lossy.dcm", "pylibjpeg pylibjpeg-libjpeg"),
    ],
)
def test_a_missing_decoder_names_its_package(
    name: str, packages: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for decoder in (
        pydicom.pixels.decoders.JPEGLSNearLosslessDecoder,
        pydicom.pixels.decoders.JPEGLosslessSV1Decoder,
    ):
        monkeypatch.setattr(decoder, "_available", {})
    monkeypatch.setattr("groundviz.images.dicom.decoding.find_spec", lambda name: None)
    with pytest.raises(ImageError, match=f"pip install {packages}"):
        images.load(wheel(name))


def test_video_is_refused_without_quoting_the_syntax(make_dicom: Any) -> None:
    for syntax in ("1.2.840.10008.1.2.4.100", "1.2.3.4.5.6.7.8"):
        dataset = pydicom.dcmread(make_dicom(RAMP))
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
        with pytest.raises(ImageError, match="compressed in a way that is not read") as caught:
            images.load(dataset)
        assert syntax not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"RescaleSlope": 0}, "rescaling makes no sense"),
        ({"Rows": 65535, "Columns": 65535}, "too large"),
        ({"Rows": 400}, "damaged, cut short"),
        ({"NumberOfFrames": 2_000_000_000}, "holds 2000000000 frames"),
        ({"PhotometricInterpretation": "HSV"}, "not read"),
    ],
)
def test_headers_that_are_refused(make_dicom: Any, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ImageError, match=says):
        images.load(make_dicom(RAMP, **changes))


def test_description_without_pixels(make_dicom: Any) -> None:
    dataset = pydicom.dcmread(make_dicom(RAMP))
    del dataset.PixelData
    with pytest.raises(ImageError, match="holds no pixel data"):
        images.load(dataset)


@pytest.mark.parametrize("keep", ["meta", "data set"])
@pytest.mark.parametrize(
    "syntax", ["ImplicitVRLittleEndian", "ExplicitVRLittleEndian", "ExplicitVRBigEndian"]
)
def test_files_without_preamble_or_meta(make_dicom: Any, tmp_path: Path, syntax: str, keep: str) -> None:
    path = make_dicom(RAMP, syntax=syntax)
    content = path.read_bytes()[132:]
    if keep == "data set":
        first = b"\x00\x08\x00\x16" if syntax == "ExplicitVRBigEndian" else b"\x08\x00\x16\x00"
        content = content[content.index(first) :]
    (tmp_path / "bare").write_bytes(content)
    assert images.load(tmp_path / "bare").sha256 == images.load(path).sha256


def test_pixels_cut_off(make_dicom: Any, tmp_path: Path) -> None:
    (tmp_path / "cut").write_bytes(make_dicom(RAMP).read_bytes()[:-4])
    with pytest.raises(ImageError):
        images.load(tmp_path / "cut")


def test_deflated_file_reads_as_its_plain_twin(make_dicom: Any) -> None:
    plain = make_dicom(RAMP)
    packed = make_dicom(RAMP, syntax="DeflatedExplicitVRLittleEndian")
    assert packed.read_bytes() != plain.read_bytes()
    assert images.load(packed).sha256 == images.load(plain).sha256


def test_enhanced_frames_have_their_own_rescaling_and_spacing(make_dicom: Any) -> None:
    def group(gradient: float) -> Any:
        transform, voi, measures, group = (pydicom.Dataset() for _ in range(4))
        transform.RescaleSlope, transform.RescaleIntercept = gradient, 0
        voi.WindowCenter, voi.WindowWidth, voi.VOILUTFunction = 550, 1100, "LINEAR_EXACT"
        measures.PixelSpacing = [gradient, gradient]
        group.PixelValueTransformationSequence = pydicom.Sequence([transform])
        group.FrameVOILUTSequence = pydicom.Sequence([voi])
        group.PixelMeasuresSequence = pydicom.Sequence([measures])
        return group

    path = make_dicom(
        np.stack([RAMP, RAMP]), PerFrameFunctionalGroupsSequence=pydicom.Sequence([group(1.0), group(0.5)])
    )
    first, second = images.load(path, frame=0), images.load(path, frame=1)
    np.testing.assert_allclose(first.pixels, UNIT, atol=1e-6)
    np.testing.assert_allclose(second.pixels, UNIT / 2, atol=1e-6)
    assert (first.spacing_mm, second.spacing_mm) == ((1.0, 1.0), (0.5, 0.5))
    assert second.window == (550.0, 1100.0)


def decodable() -> list[Any]:
    """The files of pydicom's package that it can decode here: (path, header, first frame in its units)."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in sorted(Path(wheel("CT_small.dcm")).parent.rglob("*")):
            try:
                header = pydicom.dcmread(path)
                frames = pydicom.pixels.apply_rescale(header.pixel_array, header)
            except Exception:  # noqa: S112
                continue
            values = frames[0] if int(header.get("NumberOfFrames", 1) or 1) > 1 else frames
            found.append((path, header, values))
    return found


def test_pydicom_agrees_on_every_image_it_can_decode() -> None:
    drawn = decodable()
    assert len(drawn) >= 75
    for path, header, values in drawn:
        source_image = images.load(path, frame=0)
        if header.PhotometricInterpretation == "PALETTE COLOR":
            values = pydicom.pixels.apply_color_lut(values, header)
        if "PixelPaddingValue" not in header:
            assert source_image.raw_range == (float(values.min()), float(values.max()))
        if values.ndim == 3:
            # Decoders of lossy JPEG may differ by a few levels where several are installed.
            lossy = header.file_meta.TransferSyntaxUID == pydicom.uid.JPEGBaseline8Bit
            bound = 3.5 / 255 if lossy else 1e-6
            np.testing.assert_allclose(
                source_image.pixels, values / float(np.iinfo(values.dtype).max), atol=bound
            )
        else:
            rises = np.diff(source_image.pixels.ravel()[np.argsort(values, axis=None)])
            inverted = header.PhotometricInterpretation == "MONOCHROME1"
            assert (rises <= 0 if inverted else rises >= 0).all()


def test_is_dataset_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reading.is_dataset(pydicom.Dataset())
    assert not reading.is_dataset(object())
    monkeypatch.delitem(sys.modules, "pydicom.dataset")
    assert not reading.is_dataset(pydicom.Dataset())
