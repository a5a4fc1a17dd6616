"""Pages, orientation and completeness of raster files and live Pillow images."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageSequence

from groundviz import images
from groundviz.errors import ImageError
from groundviz.images.raster.files import require_few_scans

ORIENTATION = 0x0112

# Upright: the top left corner is white, the rest of the top row grey. What has to be stored for each
# orientation follows from the EXIF definition of where row 0 and column 0 of the stored image lie.
UPRIGHT = np.full((16, 24), 40, np.uint8)
UPRIGHT[:8] = 120
UPRIGHT[:8, :8] = 255
STORED = {
    1: UPRIGHT,
    2: UPRIGHT[:, ::-1],
    3: UPRIGHT[::-1, ::-1],
    4: UPRIGHT[::-1],
    5: UPRIGHT.T,
    6: UPRIGHT.T[::-1],
    7: UPRIGHT.T[::-1, ::-1],
    8: UPRIGHT.T[:, ::-1],
}


def oriented(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def stripes(*levels: int) -> list[Image.Image]:
    return [Image.new("L", (4, 3), level) for level in levels]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_applied(kind: str, orientation: int, tmp_path: Path) -> None:
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation]))
    options = {
        "JPEG": {"quality": 100},
        "WEBP": {"lossless": True},
        "TIFF": {"tiffinfo": {ORIENTATION: orientation}},
    }
    extra = options.get(kind, {}) | ({} if kind == "TIFF" else {"exif": oriented(orientation)})
    stored.save(tmp_path / "file", kind, **extra)
    source_image = images.load(tmp_path / "file")
    shown = source_image.pixels if source_image.pixels.ndim == 2 else source_image.pixels[..., 0]
    assert source_image.shape == (16, 24)
    np.testing.assert_allclose(shown, UPRIGHT / 255.0, atol=3 / 255)
    assert any(f"orientation ({orientation})" in note for note in source_image.notes) == (orientation > 1)


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_orientation_of_a_live_image(orientation: int) -> None:
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(STORED[orientation])).save(stream, "PNG", exif=oriented(orientation))
    live = Image.open(stream)
    np.testing.assert_allclose(images.load(live).pixels, UPRIGHT / 255.0, atol=1e-6)
    assert live.size == STORED[orientation].shape[::-1]


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_orientation_that_means_nothing(orientation: int, tmp_path: Path) -> None:
    Image.fromarray(UPRIGHT).save(tmp_path / "file", "PNG", exif=oriented(orientation))
    source_image = images.load(tmp_path / "file")
    assert source_image.shape == (16, 24)
    assert source_image.notes == ()


def test_unreadable_exif_is_noted(tmp_path: Path) -> None:
    Image.fromarray(UPRIGHT).save(tmp_path / "file", "PNG", exif=b"Exif\0\0garbage")
    source_image = images.load(tmp_path / "file")
    assert source_image.shape == (16, 24)
    assert source_image.notes == ("The EXIF block could not be read, so the image may not be upright.",)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("PNG", {}), ("WEBP", {"lossless": True})],
)
def test_several_pages_need_a_choice(kind: str, options: dict[str, object], tmp_path: Path) -> None:
    first, *rest = stripes(51, 102, 153)
    path = tmp_path / "file"
    first.save(path, kind, save_all=True, append_images=rest, **options)
    with pytest.raises(
        ImageError, match=r"holds 3 frames and one must be chosen\. Pass frame=, a number from 0 to 2"
    ):
        images.load(path)
    for frame, level in enumerate((0.2, 0.4, 0.6)):
        source_image = images.load(path, frame=frame)
        np.testing.assert_allclose(
            source_image.pixels, np.broadcast_to(level, source_image.pixels.shape), atol=1e-6
        )
        assert source_image.notes[0] == f"Frame {frame} of 3 is shown (counting from 0)."
    with pytest.raises(ImageError, match="no frame of that number"):
        images.load(path, frame=3)


def test_pages_of_other_sizes_are_checked_too(tmp_path: Path) -> None:
    Image.new("1", (4, 3)).save(
        tmp_path / "a", "TIFF", save_all=True, append_images=[Image.new("1", (9000, 9000))]
    )
    assert images.load(tmp_path / "a", frame=0).shape == (3, 4)
    with pytest.raises(ImageError, match="9000 rows by 9000 columns"):
        images.load(tmp_path / "a", frame=1)


@pytest.mark.parametrize("size", [(9000, 9000), (10_000, 10_000), (12_000, 14_000)])
def test_sizes_that_pillow_allows_or_only_warns_about_are_refused(
    size: tuple[int, int], tmp_path: Path
) -> None:
    Image.new("1", size).save(tmp_path / "file", "PNG")
    with pytest.raises(ImageError, match=f"too large: {size[1]} rows by {size[0]} columns"):
        images.load(tmp_path / "file")


def test_live_image_stays_on_its_page() -> None:
    stream = io.BytesIO()
    first, *rest = stripes(51, 102, 153)
    first.save(stream, "TIFF", save_all=True, append_images=rest)
    live = Image.open(stream)
    live.seek(1)
    with pytest.raises(ImageError, match="holds 3 frames"):
        images.load(live)
    assert images.load(live, frame=2).pixels[0, 0] == pytest.approx(0.6)
    assert live.tell() == 1
    assert [page.getpixel((0, 0)) for page in ImageSequence.Iterator(live)] == [51, 102, 153]


def test_single_page_may_be_named(tmp_path: Path) -> None:
    Image.fromarray(UPRIGHT).save(tmp_path / "file", "PNG")
    assert images.load(tmp_path / "file", frame=0).notes == ()


@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_a_file_without_its_end_says_so(kind: str, tmp_path: Path) -> None:
    stream = io.BytesIO()
    levels = np.arange(15, dtype=np.uint8).reshape(3, 5) * 17
    Image.fromarray(levels).save(stream, kind)
    path = tmp_path / "file"
    path.write_bytes(stream.getvalue()[:-1])
    source_image = images.load(path)
    np.testing.assert_allclose(source_image.pixels, levels / 255, atol=1e-6)
    assert source_image.notes == ("The file ends early: its last bytes are missing.",)


def test_a_tiff_without_its_last_tags_is_noted_and_without_pixels_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 31), dtype=np.uint8))
    image.save(stream, "TIFF", compression="tiff_deflate")
    whole = images.load(_written(tmp_path, stream.getvalue()))
    cut = images.load(_written(tmp_path, stream.getvalue()[:-2]))
    assert cut.sha256 == whole.sha256
    assert cut.notes[-1].startswith("The decoder found irregularities in the file")
    with pytest.raises(ImageError):
        images.load(_written(tmp_path, stream.getvalue()[:-40]))


def test_lenient_pillow_is_pointed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    stream = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(stream, "JPEG")
    source_image = images.load(_written(tmp_path, stream.getvalue()[:-200]))
    assert any("LOAD_TRUNCATED_IMAGES" in note for note in source_image.notes)


def test_scans_are_limited_by_the_work_they_make() -> None:
    require_few_scans(10, 64_000_000)
    require_few_scans(2000, 500_000)
    with pytest.raises(ImageError, match="64 megapixels 21 times"):
        require_few_scans(21, 64_000_000)


def test_run_length_bmp(tmp_path: Path) -> None:
    rows = b"\x02\x33\x01\x66\x00\x00" + b"\x00\x03\x99\xcc\xff\x00\x00\x00" + b"\x00\x01"
    header = struct.pack("<IiiHHIIiiII", 40, 3, 2, 1, 8, 1, len(rows), 1, 1, 256, 0)
    palette = b"".join(bytes((n, n, n, 0)) for n in range(256))
    offset = 14 + len(header) + len(palette)
    head = b"BM" + struct.pack("<IHHI", offset + len(rows), 0, 0, offset)
    source_image = images.load(_written(tmp_path, head + header + palette + rows))
    np.testing.assert_allclose(source_image.pixels, [[0.6, 0.8, 1.0], [0.2, 0.2, 0.4]], atol=1e-6)


def test_pillow_is_not_reconfigured(tmp_path: Path) -> None:
    Image.fromarray(UPRIGHT).save(tmp_path / "file", "TIFF")
    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(Image.ID))
    images.load(tmp_path / "file")
    assert (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(Image.ID)) == before


def test_closed_image_is_an_image_error(tmp_path: Path) -> None:
    Image.fromarray(UPRIGHT).save(tmp_path / "file", "PNG")
    with Image.open(tmp_path / "file") as image:
        pass
    with pytest.raises(ImageError):
        images.load(image)


def test_empty_live_image() -> None:
    with pytest.raises(ImageError, match="empty"):
        images.load(Image.new("L", (0, 0)))


def _written(folder: Path, content: bytes) -> Path:
    path = folder / "written"
    path.write_bytes(content)
    return path


def test_a_frame_far_into_an_animation_is_refused_before_all_before_it_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    frames = [Image.new("L", (20, 20), level) for level in range(0, 200, 20)]
    frames[0].save(path, "PNG", save_all=True, append_images=frames[1:])
    monkeypatch.setattr("groundviz.images.raster.files._MAX_SCANNED_PIXELS", 5 * 400)
    assert images.load(path, frame=4).raw_range == (80.0, 80.0)
    with pytest.raises(ImageError, match="Frame 5 of the animation takes minutes to reach"):
        images.load(path, frame=5)
