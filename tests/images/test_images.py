"""What load() takes, gives and refuses, whatever the kind of image."""

from __future__ import annotations

import builtins
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from groundviz import images
from groundviz.errors import ImageError, MissingExtra
from groundviz.record.types import SourceImage

PIXELS = np.array([[0, 51], [102, 255]], np.uint8)


def test_every_source_of_the_same_pixels_has_the_same_hash(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    Image.fromarray(PIXELS).save(path, "PNG")
    source_images = [images.load(source) for source in (str(path), path, Image.fromarray(PIXELS), PIXELS)]
    assert len({source_image.sha256 for source_image in source_images}) == 1
    assert [source_image.source for source_image in source_images] == ["png", "png", "pil", "array"]
    assert all(source_image.raw_range == (0.0, 255.0) for source_image in source_images)


def test_a_source_image_comes_back_as_it_is() -> None:
    source_image = images.load(PIXELS)
    assert images.load(source_image) is source_image
    for options in ({"frame": 0}, {"window": (1, 2)}):
        with pytest.raises(ImageError, match="already one image"):
            images.load(source_image, **options)


@pytest.mark.parametrize("source", [None, 3, [[1, 2]], {"image": "x.png"}, {1, 2}, object()])
def test_other_things_are_no_images(source: object) -> None:
    with pytest.raises(ImageError, match="not an image") as caught:
        images.load(source)
    assert f"{type(source).__name__!r} was given. Give a path, the bytes of a file" in str(caught.value)
    assert "a torch tensor" in str(caught.value)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "WEBP", "BMP"])
def test_the_content_of_a_file_is_as_good_as_the_file(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 7), dtype=np.uint8)).save(path, kind)
    content, right = path.read_bytes(), images.load(path)
    written = io.BytesIO()
    written.write(content)
    with path.open("rb") as file:
        file.read(3)
        for source in (content, bytearray(content), memoryview(content), written, file):
            source_image = images.load(source)
            assert (source_image.sha256, source_image.source, source_image.notes) == (
                right.sha256,
                right.source,
                right.notes,
            )
        assert (file.tell(), written.tell()) == (3, len(content))
        assert not file.closed


def test_the_content_of_a_dicom_file(make_dicom: Any) -> None:
    path = make_dicom(PIXELS)
    assert images.load(path.read_bytes()).sha256 == images.load(path).sha256


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (b"", "0 bytes"),
        (io.BytesIO(), "0 bytes"),
        (io.StringIO("text"), "open as text"),
        (b"not an image", "not an image of a known kind"),
        (b"x.png", "not an image of a known kind"),
        (bytes(256_000_001), "too large"),
    ],
)
def test_content_that_is_no_image(source: Any, says: str) -> None:
    with pytest.raises(ImageError, match=says):
        images.load(source)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float16", "bfloat16", "float64"])
@pytest.mark.parametrize("layout", ["CHW", "HWC", "1CHW", "HW"])
def test_torch_tensors(dtype: str, layout: str) -> None:
    torch = pytest.importorskip("torch")
    levels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    right = levels[:, :, 0] if layout == "HW" else levels
    tensor = torch.from_numpy(right.copy() if layout in ("HW", "HWC") else np.moveaxis(right, 2, 0).copy())
    if dtype != "uint8":
        tensor = (tensor / 255).to(getattr(torch, dtype)).requires_grad_()
    source_image = images.load(tensor[None] if layout == "1CHW" else tensor)
    bound = {"bfloat16": 1 / 255, "float16": 1e-3}.get(dtype, 1e-6)
    np.testing.assert_allclose(source_image.pixels, right / 255, atol=bound)


def test_tensors_that_are_no_image() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(ImageError, match="several images as a list"):
        images.load(torch.zeros(2, 3, 8, 8))
    with pytest.raises(ImageError, match=r"from -2 to 2"):
        images.load(torch.tensor([[-2.0, 2.0]]))
    with pytest.raises(ImageError):
        images.load(torch.zeros(3, 8, 8, device="meta"))


def test_windows_and_frames_for_one_or_each() -> None:
    first, second = np.arange(12).reshape(3, 4), np.arange(6.0).reshape(2, 3)
    for window, expected in (
        ((2, 4), [(2.0, 4.0), (2.0, 4.0)]),
        ([2, 4], [(2.0, 4.0), (2.0, 4.0)]),
        ([(2, 4), (3, 6)], [(2.0, 4.0), (3.0, 6.0)]),
        ([None, (3, 6)], [None, (3.0, 6.0)]),
    ):
        source_images = images.load_each([first, second], window=window, frame=[0, None])
        assert [source_image.window for source_image in source_images] == expected
    assert images.load_each(first, window=(2, 4), frame=0)[0].window == (2.0, 4.0)
    pages = io.BytesIO()
    shown = [Image.fromarray(PIXELS), Image.fromarray(255 - PIXELS)]
    shown[0].save(pages, "TIFF", save_all=True, append_images=shown[1:])
    chosen = images.load_each([pages, pages, PIXELS], frame=[0, 1, None])
    assert [source_image.pixels[0, 0] for source_image in chosen] == [0.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"window": [(2, 4)]}, "1 values were given as window= for 2 images"),
        ({"frame": [0, 0, 0]}, "3 values were given as frame= for 2 images"),
        ({"window": 40}, "Image 1 of 2: The window cannot be used"),
        ({"window": "soft tissue"}, "Image 1 of 2: The window cannot be used"),
        ({"frame": "first"}, "Image 1 of 2: There is no frame of that number"),
        ({"frame": 1}, "Image 1 of 2: There is no frame of that number"),
        ({"window": [None, (0, 0)]}, "Image 2 of 2: The window cannot be used"),
    ],
)
def test_windows_and_frames_that_do_not_fit(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ImageError, match=says) as caught:
        images.load_each([PIXELS, PIXELS], **options)
    assert caught.value.__context__ is None


def test_a_list_or_tuple_is_several_images_and_anything_else_one(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    Image.fromarray(PIXELS).save(path)
    stack = np.zeros((2, 4, 3), np.uint8)
    for several in ([path, stack], (path, stack)):
        assert [source_image.shape for source_image in images.load_each(several)] == [(2, 2), (2, 4)]
    for one in (path, str(path), stack, Image.fromarray(PIXELS), images.load(PIXELS), [PIXELS]):
        assert len(images.load_each(one)) == 1


@pytest.mark.parametrize(
    ("sources", "says"),
    [
        ([], "an empty list"),
        ((), "an empty list"),
        ([PIXELS, None], "'NoneType'"),
        ([[None]], "'NoneType'"),
        ([[[PIXELS]]], "'list'"),
    ],
)
def test_a_list_that_is_not_all_images_is_refused(sources: object, says: str) -> None:
    with pytest.raises(ImageError, match=says):
        images.load_each(sources)  # type: ignore[arg-type]


def test_missing_pydicom_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(128) + b"DICM" + bytes(100))
    monkeypatch.setitem(sys.modules, "pydicom", None)
    for name in [name for name in sys.modules if name.startswith("pydicom.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingExtra, match=r'pip install "groundviz\[dicom\]"') as caught:
        images.load(path)
    assert caught.value.__context__ is None


def test_rasters_and_arrays_need_no_pydicom() -> None:
    code = (
        "import sys; sys.modules['pydicom'] = None\n"
        "import numpy as np\n"
        "from PIL import Image\n"
        "from groundviz import images\n"
        "images.load(np.zeros((2, 2), np.uint8)), images.load(Image.new('L', (2, 2)))\n"
        "loaded = {name.split('.')[0] for name in sys.modules}\n"
        "assert not loaded & {'torch', 'transformers', 'matplotlib'}\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_file_is_opened_for_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    Image.fromarray(PIXELS).save(path, "TIFF", compression="tiff_lzw")
    real = builtins.open

    def reading_only(file: object, mode: str = "r", *rest: object, **more: object) -> object:
        assert not set(mode) & set("wax+")
        return real(file, mode, *rest, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(builtins, "open", reading_only)
    assert isinstance(images.load(path), SourceImage)


def test_decoder_complaints_become_a_note(tmp_path: Path) -> None:
    path = tmp_path / "file"
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x0e\x01\x02\0\xff\0\0\0\xff\xff\0\0\0\0\0\0"
    Image.fromarray(PIXELS).save(path, "PNG", exif=exif)
    source_image = images.load(path)
    assert source_image.notes[-1].startswith("The decoder found irregularities in the file (")


def test_window_must_be_two_numbers() -> None:
    with pytest.raises(ImageError, match="window cannot be used"):
        images.load(PIXELS, window=(1, 0))
