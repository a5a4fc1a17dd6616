"""Settings have defaults, take what they know and refuse the rest."""

from __future__ import annotations

import pytest

import groundviz
from groundviz.errors import UnknownName
from groundviz.render.base.options import Options


def test_settings_have_defaults_and_refuse_what_they_do_not_know():
    options = Options()
    assert repr(options) == "<groundviz.options: display='viewer', embed='image'>"
    with pytest.raises(UnknownName, match=r"options.display cannot be 'html': known are 'viewer', 'png'"):
        options.display = "html"
    with pytest.raises(
        UnknownName, match=r"options.embed cannot be None: known are 'image', 'small', 'none'"
    ):
        options.embed = None
    with pytest.raises(AttributeError):
        options.dispaly = "png"
    assert (options.display, options.embed) == ("viewer", "image")
    options.display, options.embed = "png", "none"
    assert repr(options) == "<groundviz.options: display='png', embed='none'>"


def test_one_object_holds_them_for_everybody() -> None:
    assert isinstance(groundviz.options, Options)
