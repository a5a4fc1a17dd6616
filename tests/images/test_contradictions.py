"""DICOM files that are odd, empty or at odds with themselves: the right image, or a word about it."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from groundviz import images
from groundviz.errors import ImageError

pydicom = pytest.importorskip("pydicom")
encapsulate = pydicom.encaps.encapsulate

RAMP = (np.arange(4096).reshape(64, 64) % 256).astype(np.uint8)
WIDE = np.arange(4096).reshape(64, 64).astype(np.uint16)
SHAPE = {"Rows": 64, "Columns": 64, "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2"}
WORDS = {**SHAPE, "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15, "PixelRepresentation": 0}
BYTES = {**SHAPE, "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PixelRepresentation": 0}


def item(**elements: Any) -> Any:
    made = pydicom.Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def table(values: list[int], *, bits: int = 16, count: int | None = None) -> Any:
    made = pydicom.Dataset()
    made.add_new("LUTDescriptor", "US", [len(values) if count is None else count, 0, bits])
    made.add_new("LUTData", "US", values)
    return made


def linear(values: Any, centre: float, width: float) -> Any:
    return np.clip((np.asarray(values, float) - (centre - 0.5)) / (width - 1.0) + 0.5, 0.0, 1.0)


def close(found: Any, right: Any, levels: float = 1.0) -> None:
    np.testing.assert_allclose(found, right, atol=levels / 255)


def notes_of(source_image: Any) -> str:
    return " ".join(source_image.notes)


def jpeg2000(values: np.ndarray, *, signed: bool = False) -> bytes:
    """A lossless codestream; of negative values where the header says signed."""
    made = io.BytesIO()
    lift = 1 << (8 * values.dtype.itemsize - 1) if signed else 0
    Image.fromarray((values.astype(int) + lift).astype(f"u{values.dtype.itemsize}")).save(
        made, "JPEG2000", no_jp2=True
    )
    stream = bytearray(made.getvalue())
    if signed:
        stream[42] |= 0x80
    return bytes(stream)


def jpeg(colours: np.ndarray, **options: Any) -> bytes:
    made = io.BytesIO()
    Image.fromarray(colours).save(made, "JPEG", quality=95, subsampling=0, **options)
    return made.getvalue()


# Optional elements that are empty, short or damaged.


@pytest.mark.parametrize("bad", [item(LUTExplanation="none"), table([1, 2], count=4096), table([1], bits=40)])
def test_tables_that_cannot_be_used_are_left_out_with_a_note(make_dicom: Any, bad: Any) -> None:
    source_image = images.load(make_dicom(RAMP, VOILUTSequence=[bad], ModalityLUTSequence=[bad]))
    close(source_image.pixels, RAMP / 255.0)
    assert "The modality table in the file cannot be used." in source_image.notes
    assert "The grey curve in the file cannot be used." in source_image.notes
    windowed = images.load(make_dicom(RAMP, VOILUTSequence=[bad], WindowCenter=64, WindowWidth=64))
    close(windowed.pixels, linear(RAMP, 64, 64))


def test_the_first_usable_table_and_window_are_used(make_dicom: Any) -> None:
    curve = table([255 - level for level in range(256)], bits=8)
    source_image = images.load(make_dicom(RAMP, VOILUTSequence=[item(LUTExplanation="none"), curve]))
    close(source_image.pixels, 1.0 - RAMP / 255.0)
    windows = images.load(make_dicom(RAMP, WindowCenter=[40, 128], WindowWidth=[0, 256]))
    close(windows.pixels, linear(RAMP, 128, 256))


@pytest.mark.parametrize(
    "empty",
    [
        {"WindowCenter": None, "WindowWidth": ""},
        {"RescaleSlope": "", "RescaleIntercept": ""},
        {"PixelSpacing": "", "PixelAspectRatio": ""},
        {"BurnedInAnnotation": "", "Modality": ""},
        {"PresentationLUTShape": "", "VOILUTFunction": "", "ConversionType": ""},
        {"VOILUTSequence": [], "ModalityLUTSequence": []},
        {"PerFrameFunctionalGroupsSequence": [pydicom.Dataset()], "SharedFunctionalGroupsSequence": []},
    ],
)
def test_empty_elements_are_as_good_as_absent(make_dicom: Any, empty: dict[str, Any]) -> None:
    source_image = images.load(make_dicom(RAMP, **empty))
    close(source_image.pixels, RAMP / 255.0)


def test_padding_that_is_no_number_is_left_out_with_a_note(make_dicom: Any) -> None:
    dataset = pydicom.dcmread(make_dicom(RAMP))
    dataset.add_new("PixelPaddingValue", "OB", b"\1\2\3\4")
    source_image = images.load(dataset)
    close(source_image.pixels, RAMP / 255.0)
    assert "The padding value in the file cannot be used." in source_image.notes


# Compressed data against the header.


def test_jpeg_2000_that_is_signed_against_an_unsigned_header(make_dicom: Any) -> None:
    values = (np.arange(4096).reshape(64, 64) % 3000 - 1000).astype(np.int16)
    source_image = images.load(
        make_dicom(
            encapsulate([jpeg2000(values, signed=True)]),
            syntax="JPEG2000Lossless",
            **WORDS,
            WindowCenter=500,
            WindowWidth=3000,
        )
    )
    assert source_image.raw_range == (-1000.0, 1999.0)
    close(source_image.pixels, linear(values, 500, 3000))
    assert "signed, where the header says unsigned" in notes_of(source_image)


def test_eight_bits_signed_in_jpeg_2000(make_dicom: Any) -> None:
    values = (RAMP.astype(int) - 128).astype(np.int8)
    source_image = images.load(
        make_dicom(
            encapsulate([jpeg2000(values, signed=True)]),
            syntax="JPEG2000Lossless",
            **BYTES | {"PixelRepresentation": 1},
        )
    )
    assert source_image.raw_range == (-128.0, 127.0)
    assert "contradict" not in notes_of(source_image)


def wide_streams() -> dict[str, bytes]:
    """12-bit words in streams of 16 bits, without their signs carried on."""
    words = ((np.arange(4096).reshape(64, 64) - 2048) & 0x0FFF).astype(np.uint16)
    streams = {"JPEG2000Lossless": jpeg2000(words)}
    if importlib.util.find_spec("jpeg_ls"):
        import jpeg_ls

        words[0, 0] |= 0x8000  # makes the encoder choose 16 bits
        streams["JPEGLSLossless"] = bytes(jpeg_ls.encode_array(words))
    return streams


@pytest.mark.parametrize("signed", [0, 1])
def test_unused_high_bits_of_compressed_data_do_not_count(make_dicom: Any, signed: int) -> None:
    values = np.arange(4096).reshape(64, 64) - 2048
    right = values if signed else values & 0x0FFF
    for syntax, stream in wide_streams().items():
        path = make_dicom(
            encapsulate([stream]),
            syntax=syntax,
            **WORDS | {"BitsStored": 12, "HighBit": 11, "PixelRepresentation": signed},
        )
        source_image = images.load(path, window=(float(right.mean()), 4096))
        assert source_image.raw_range == (float(right.min()), float(right.max()))
        assert "hold 16 bits per value, where the header says 12" in notes_of(source_image)


def test_fewer_bits_than_the_header_says_are_noted(make_dicom: Any) -> None:
    source_image = images.load(make_dicom(encapsulate([jpeg2000(RAMP)]), syntax="JPEG2000Lossless", **WORDS))
    assert source_image.raw_range == (0.0, 255.0)
    assert "hold 8 bits per value, where the header says 16" in notes_of(source_image)


@pytest.mark.parametrize(
    ("values", "header", "found"),
    [
        (WIDE, BYTES, "16 bits per value, its header says 8 at most"),
        (RAMP[:32], BYTES, "32 rows and 64 columns, its header says 64 and 64"),
        (np.stack([RAMP] * 3, -1), BYTES, "3 values per pixel, its header says 1"),
    ],
)
def test_compressed_data_of_another_image_are_refused(
    make_dicom: Any, values: np.ndarray, header: dict[str, Any], found: str
) -> None:
    path = make_dicom(encapsulate([jpeg2000(values)]), syntax="JPEG2000Lossless", **header)
    with pytest.raises(ImageError, match=found):
        images.load(path)


COLOURS = np.zeros((64, 64, 3), np.uint8)
COLOURS[:32, :, 0], COLOURS[32:, :, 2], COLOURS[:, 32:, 1] = 220, 180, 60
COLOUR = {**BYTES, "SamplesPerPixel": 3, "PlanarConfiguration": 0}


def without_marker(stream: bytes, marker: int) -> bytes:
    at = stream.index(bytes((0xFF, marker)))
    return stream[:at] + stream[at + 2 + int.from_bytes(stream[at + 2 : at + 4], "big") :]


ADOBE = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0"


@pytest.mark.parametrize("header", ["RGB", "YBR_FULL", "YBR_FULL_422"])
@pytest.mark.parametrize("marker", ["JFIF", "Adobe"])
def test_colours_of_a_jpeg_that_names_them(make_dicom: Any, header: str, marker: str) -> None:
    stream = jpeg(COLOURS)
    if marker == "Adobe":
        bare = without_marker(stream, 0xE0)
        stream = bare[:2] + ADOBE + b"\1" + bare[2:]
    source_image = images.load(
        make_dicom(
            encapsulate([stream]),
            syntax="JPEGBaseline8Bit",
            **COLOUR | {"PhotometricInterpretation": header},
        )
    )
    assert np.abs(source_image.pixels - COLOURS / 255).mean() < 2 / 255
    assert ("where the header says RGB" in notes_of(source_image)) == (header == "RGB")


@pytest.mark.parametrize("names", [b"RGB", b"", ADOBE + b"\0"])
@pytest.mark.parametrize("header", ["RGB", "YBR_FULL"])
def test_colours_of_a_jpeg_that_is_rgb(make_dicom: Any, header: str, names: bytes) -> None:
    """Its values are RGB: by name, by Adobe's marker, or by the header alone."""
    raw = io.BytesIO()
    Image.merge("YCbCr", Image.fromarray(COLOURS).split()).save(raw, "JPEG", quality=95, subsampling=0)
    stream = bytearray(without_marker(raw.getvalue(), 0xE0))
    if names == b"RGB":
        frame, scan = stream.index(b"\xff\xc0"), stream.index(b"\xff\xda")
        for number, letter in enumerate(names):
            stream[frame + 10 + 3 * number] = stream[scan + 5 + 2 * number] = letter
    elif names:
        stream[2:2] = names
    elif header != "RGB":
        pytest.skip("nothing says that it is RGB")
    source_image = images.load(
        make_dicom(
            encapsulate([bytes(stream)]),
            syntax="JPEGBaseline8Bit",
            **COLOUR | {"PhotometricInterpretation": header},
        )
    )
    assert np.abs(source_image.pixels - COLOURS / 255).mean() < 2 / 255
    assert ("are RGB, where the header says YBR" in notes_of(source_image)) == (header != "RGB")


@pytest.mark.parametrize("header", ["RGB", "YBR_RCT", "YBR_FULL"])
def test_colours_of_jpeg_2000(make_dicom: Any, header: str) -> None:
    made = io.BytesIO()
    Image.fromarray(COLOURS).save(made, "JPEG2000", no_jp2=True, mct=1)
    source_image = images.load(
        make_dicom(
            encapsulate([made.getvalue()]),
            syntax="JPEG2000Lossless",
            **COLOUR | {"PhotometricInterpretation": header},
        )
    )
    close(source_image.pixels, COLOURS / 255)
    assert ("where the header says YBR" in notes_of(source_image)) == (header == "YBR_FULL")


# What else a header says of the values.


@pytest.mark.parametrize("kind", ["", "Double"])
def test_float_padding_is_left_out_of_the_range(make_dicom: Any, kind: str) -> None:
    dataset = pydicom.dcmread(make_dicom(bytes(4096), **WORDS | {"BitsAllocated": 64 if kind else 32}))
    del dataset.PixelData, dataset.BitsStored, dataset.HighBit
    values = np.linspace(0.0, 1.0, 4096).reshape(64, 64)
    for padding in (-9999.0, float("nan")):
        values[:8] = padding
        setattr(dataset, f"{kind}FloatPixelData", values.astype("<f8" if kind else "<f4").tobytes())
        setattr(dataset, f"{kind}FloatPixelPaddingValue", padding)
        source_image = images.load(dataset)
        assert source_image.raw_range == (pytest.approx(values[8, 0]), 1.0)
        assert np.unique(source_image.pixels[8:]).size > 1000


def test_values_stored_in_the_high_bits(make_dicom: Any) -> None:
    header = {"BitsStored": 12, "HighBit": 15, "WindowCenter": 2048, "WindowWidth": 4096}
    source_image = images.load(make_dicom(WIDE << 4, **header))
    assert source_image.raw_range == (0.0, 4095.0)
    close(source_image.pixels, linear(WIDE, 2048, 4096))
    assert "moved down by 4 bits" in notes_of(source_image)
    signed = (WIDE.astype(np.int16) - 2048) << 4
    low = images.load(make_dicom(signed, **header, PixelRepresentation=1))
    assert low.raw_range == (-2048.0, 2047.0)


@pytest.mark.parametrize(
    ("high", "says"), [(15, "contradicts its pixels"), (3, "cannot be used"), (40, "cannot")]
)
def test_a_high_bit_that_contradicts_the_pixels(make_dicom: Any, high: int, says: str) -> None:
    source_image = images.load(
        make_dicom(WIDE, BitsStored=12, HighBit=high, WindowCenter=2048, WindowWidth=4096)
    )
    assert source_image.raw_range == (0.0, 4095.0)
    assert f"High Bit in the file {says}" in notes_of(source_image)


@pytest.mark.parametrize(
    ("elements", "spacing", "says"),
    [
        ({"PixelAspectRatio": [2, 1]}, (2.0, 1.0), "a ratio, not millimetres"),
        ({"PixelAspectRatio": [1, 1]}, None, ""),
        ({"PixelAspectRatio": [0, 1]}, None, "spacing in the file cannot be used"),
        ({"PixelAspectRatio": [2, 1], "PixelSpacing": [0.5, 0.5]}, (0.5, 0.5), ""),
        (
            {"PixelAspectRatio": [2, 1], "PixelSpacing": [0.5]},
            (2.0, 1.0),
            "spacing in the file cannot be used",
        ),
        ({"NominalScannedPixelSpacing": [0.2, 0.1]}, (0.2, 0.1), "scanned film"),
        ({"ImagerPixelSpacing": [0.2, 0.1], "PixelSpacing": ""}, (0.2, 0.1), "magnification"),
        ({"PixelSpacing": [1e-300, 1]}, None, "cannot be used"),
    ],
)
def test_spacing_and_the_shape_of_pixels(
    make_dicom: Any, elements: dict[str, Any], spacing: Any, says: str
) -> None:
    source_image = images.load(make_dicom(RAMP, **elements))
    assert source_image.spacing_mm == spacing
    assert says in notes_of(source_image)


@pytest.mark.parametrize(
    ("kind", "shape", "bright", "noted"),
    [
        ("MONOCHROME2", "INVERSE", True, True),
        ("MONOCHROME1", "IDENTITY", False, True),
        ("MONOCHROME1", "INVERSE", True, False),
        ("MONOCHROME2", "IDENTITY", False, False),
    ],
)
def test_presentation_lut_shape(make_dicom: Any, kind: str, shape: str, bright: bool, noted: bool) -> None:
    source_image = images.load(make_dicom(RAMP, PhotometricInterpretation=kind, PresentationLUTShape=shape))
    close(source_image.pixels, 1.0 - RAMP / 255.0 if bright else RAMP / 255.0)
    assert source_image.inverted == bright
    assert ("contradicts itself" in notes_of(source_image)) == noted


def test_a_supplemental_palette_is_mentioned(make_dicom: Any) -> None:
    source_image = images.load(make_dicom(RAMP, RedPaletteColorLookupTableDescriptor=[16, 240, 16]))
    assert "supplemental palette, which is not applied" in notes_of(source_image)


@pytest.mark.parametrize(
    "elements",
    [
        {"RescaleSlope": "1e308"},
        {"RescaleSlope": "1e306", "WindowCenter": "1e308", "WindowWidth": "1e308"},
        {"RescaleIntercept": "-1.7e308", "RescaleSlope": "1e308"},
    ],
)
def test_values_that_overflow_are_refused(make_dicom: Any, elements: dict[str, Any]) -> None:
    with pytest.raises(ImageError, match="overflow when rescaled"):
        images.load(make_dicom(WIDE, **elements, RescaleType="US"))


# What is hardly to be seen.


@pytest.mark.parametrize(
    ("elements", "says"),
    [
        ({"WindowCenter": -5000, "WindowWidth": 100}, "one level alone, 100% of white"),
        ({"WindowCenter": 2000, "WindowWidth": 1}, "two levels alone"),
        ({"WindowCenter": 30000, "WindowWidth": 60000}, "looks dark"),
        ({"WindowCenter": -30000, "WindowWidth": 68200}, "looks washed out"),
        ({"VOILUTSequence": [table(list(range(4096)), bits=16)]}, "looks dark"),
    ],
)
def test_a_image_of_hardly_any_levels_is_noted(make_dicom: Any, elements: dict[str, Any], says: str) -> None:
    source_image = images.load(make_dicom(WIDE, BitsStored=12, HighBit=11, **elements))
    assert says in notes_of(source_image)


# Functional groups of many frames.


def groups(count: int, *, private: int = 0, endless: bool = False) -> list[Any]:
    made = []
    for number in range(count):
        one = item(
            PixelValueTransformationSequence=[item(RescaleSlope="1", RescaleIntercept=str(number))],
            FrameVOILUTSequence=[item(WindowCenter="900", WindowWidth="1000")],
        )
        if private:
            one.add_new(0x20050010, "LO", "PRIVATE")
            one.add_new(0x20051001, "OB", bytes(private))
        for extra in range(12 if endless else 0):
            one.add_new((0x0019, 0x1010 + extra), "SQ", [item(FlipAngle="9", EffectiveEchoTime=1.0)])
        if endless:
            open_ended(one)
        made.append(one)
    return made


def open_ended(one: Any) -> None:
    """Sequences and items that end where a mark says so, as many scanners write them."""
    one.is_undefined_length_sequence_item = True
    for element in one:
        if element.VR == "SQ":
            element.value.is_undefined_length = element.is_undefined_length = True
            for inner in element.value:
                inner.is_undefined_length_sequence_item = True


@pytest.mark.wide
@pytest.mark.parametrize(
    "syntax", ["ExplicitVRLittleEndian", "ImplicitVRLittleEndian", "ExplicitVRBigEndian"]
)
@pytest.mark.parametrize("endless", [False, True])
def test_functional_groups_of_many_frames(make_dicom: Any, syntax: str, endless: bool) -> None:
    frames = np.tile((np.arange(64).reshape(1, 8, 8) * 10).astype(np.uint16), (1200, 1, 1))
    right = linear(frames[600] + 600.0, 900, 1000)
    shape = {"Rows": 8, "Columns": 8}
    path = make_dicom(frames, syntax=syntax, **shape)
    dataset = pydicom.dcmread(path)
    dataset.PerFrameFunctionalGroupsSequence = groups(1200, private=0 if endless else 2000, endless=endless)
    dataset["PerFrameFunctionalGroupsSequence"].is_undefined_length = endless
    dataset.save_as(path)
    for source in (path, pydicom.dcmread(path)):
        close(images.load(source, frame=600).pixels, right, levels=0.01)


def test_shared_groups_stand_in_for_empty_ones_of_a_frame(make_dicom: Any) -> None:
    frames = np.stack([WIDE, WIDE])
    shared = item(FrameVOILUTSequence=[item(WindowCenter="900", WindowWidth="1000")])
    hollow = item(FrameVOILUTSequence=[pydicom.Dataset()])
    path = make_dicom(
        frames, SharedFunctionalGroupsSequence=[shared], PerFrameFunctionalGroupsSequence=[hollow]
    )
    for frame, missing in ((0, False), (1, True)):
        source_image = images.load(path, frame=frame)
        close(source_image.pixels, linear(WIDE, 900, 1000))
        assert ("describes fewer frames than it has" in notes_of(source_image)) == missing


@pytest.mark.wide
def test_sequences_that_nobody_asks_for_may_be_long_and_open_ended(make_dicom: Any, tmp_path: Path) -> None:
    dataset = pydicom.dcmread(make_dicom(RAMP))
    others = [item(ReferencedSOPInstanceUID=f"2.25.{number}") for number in range(40_000)]
    for other in others:
        other.is_undefined_length_sequence_item = True
    dataset.SourceImageSequence = others
    dataset["SourceImageSequence"].is_undefined_length = True
    dataset.ICCProfile = bytes(4_000_000)
    dataset.save_as(tmp_path / "long.dcm")
    source_image = images.load(tmp_path / "long.dcm")
    close(source_image.pixels, RAMP / 255.0)
    assert "colour profile (ICC) was not applied" in notes_of(source_image)


# Advice.


def test_advice_never_names_an_installed_package(make_dicom: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = bytearray(jpeg(RAMP))
    frame, scan = stream.index(b"\xff\xc0"), stream.index(b"\xff\xda")
    stream[frame + 1], stream[frame + 4], stream[scan + 8] = 0xC1, 12, 0
    path = make_dicom(
        encapsulate([bytes(stream)]),
        syntax="JPEGExtended12Bit",
        **WORDS | {"BitsStored": 12, "HighBit": 11},
    )
    for installed, advice in (
        (set(), "pip install pylibjpeg pylibjpeg-libjpeg"),
        ({"pylibjpeg"}, "pip install pylibjpeg-libjpeg"),
        ({"pylibjpeg", "libjpeg"}, "installed decoders do not know"),
    ):
        monkeypatch.setattr(
            "groundviz.images.dicom.decoding.find_spec", lambda name, all=installed: name in all or None
        )
        with pytest.raises(ImageError) as caught:
            images.load(path)
        assert advice in str(caught.value)
        assert ("pip" in str(caught.value)) == (advice.startswith("pip"))


@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_compressed_data_that_end_early_are_noted_or_refused(make_dicom: Any, kept: float) -> None:
    stream = jpeg2000(np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8))
    whole = images.load(make_dicom(encapsulate([stream]), syntax="JPEG2000Lossless", **BYTES))
    assert "end early" not in notes_of(whole)
    short = make_dicom(encapsulate([stream[: int(kept * len(stream))]]), syntax="JPEG2000Lossless", **BYTES)
    try:
        source_image = images.load(short)
    except ImageError:
        return
    assert "compressed data end early" in notes_of(source_image)
