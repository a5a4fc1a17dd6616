"""The gallery holds a figure of every type; the images of the documentation come from it."""

import pytest

from scripts import demo_gallery


@pytest.mark.slow
def test_every_figure_is_written_as_pdf_and_png_with_its_caption(tmp_path):
    """Run with `pytest -m slow tests/test_demo_gallery.py`."""
    demo_gallery.main([str(tmp_path / "figures")])
    written = {path.name: path.stat().st_size for path in (tmp_path / "figures").iterdir()}
    names = (
        "single_column methods layers findings words llava_rad prior_and_current several_images contrast"
    ).split()
    assert set(written) == {"captions.txt", *(f"{name}.{kind}" for name in names for kind in ("pdf", "png"))}
    assert all(size < 2_000_000 for size in written.values())
    captions = (tmp_path / "figures" / "captions.txt").read_text()
    assert [captions.count(f"{name}\n") for name in names] == [1] * len(names)
