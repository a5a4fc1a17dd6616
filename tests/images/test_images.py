"""What load() takes, gives and refuses, whatever the kind of image."""

from __future__ import annotations

import builtins
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from groundviz import images
from groundviz.errors import ImageError, MissingExtra
from groundviz.types import Study

PIXELS = np.array([[0, 51], [102, 255]], np.uint8)


def test_every_source_of_the_same_pixels_has_the_same_hash(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    Image.fromarray(PIXELS).save(path, "PNG")
    studies = [images.load(source) for source in (str(path), path, Image.fromarray(PIXELS), PIXELS)]
    assert len({study.sha256 for study in studies}) == 1
    assert [study.source for study in studies] == ["png", "png", "pil", "array"]
    assert all(study.raw_range == (0.0, 255.0) for study in studies)


def test_a_study_comes_back_as_it_is() -> None:
    study = images.load(PIXELS)
    assert images.load(study) is study
    for options in ({"frame": 0}, {"window": (1, 2)}):
        with pytest.raises(ImageError, match="already one picture"):
            images.load(study, **options)


@pytest.mark.parametrize("source", [None, 3, b"bytes", [[1, 2]], object()])
def test_other_things_are_no_images(source: object) -> None:
    with pytest.raises(ImageError, match="not an image"):
        images.load(source)  # type: ignore[arg-type]


def test_a_list_or_tuple_is_several_images_and_anything_else_one(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    Image.fromarray(PIXELS).save(path)
    stack = np.zeros((2, 4, 3), np.uint8)
    for several in ([path, stack], (path, stack)):
        assert [study.shape for study in images.load_each(several)] == [(2, 2), (2, 4)]
    for one in (path, str(path), stack, Image.fromarray(PIXELS), images.load(PIXELS), [PIXELS]):
        assert len(images.load_each(one)) == 1


@pytest.mark.parametrize(
    ("sources", "says"),
    [([], "an empty list"), ((), "an empty list"), ([PIXELS, None], "'NoneType'"), ([[PIXELS]], "'list'")],
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
    assert isinstance(images.load(path), Study)


def test_decoder_complaints_become_a_note(tmp_path: Path) -> None:
    path = tmp_path / "file"
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x0e\x01\x02\0\xff\0\0\0\xff\xff\0\0\0\0\0\0"
    Image.fromarray(PIXELS).save(path, "PNG", exif=exif)
    study = images.load(path)
    assert study.notes[-1].startswith("The decoder found irregularities in the file (")


def test_window_must_be_two_numbers() -> None:
    with pytest.raises(ImageError, match="window cannot be used"):
        images.load(PIXELS, window=(1, 0))
