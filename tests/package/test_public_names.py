"""The package's front door: every name is there, and stays what it is."""

from __future__ import annotations

import inspect
import subprocess
import sys
from types import ModuleType

import pytest

import groundviz


def test_every_public_name_resolves() -> None:
    for name in groundviz.__all__:
        assert getattr(groundviz, name) is not None


def test_dir_lists_the_public_names_and_nothing_else() -> None:
    assert dir(groundviz) == sorted(groundviz.__all__)


def test_a_name_is_the_same_object_everywhere() -> None:
    from groundviz import explanation, methods, models
    from groundviz.record import types

    assert groundviz.open is explanation.open
    assert groundviz.METHODS is methods.METHODS
    assert groundviz.load is models.load
    assert groundviz.Heatmap is types.Heatmap


@pytest.mark.wide
def test_explain_stays_a_function_although_a_module_has_its_name() -> None:
    code = (
        "from groundviz.explain import explain; import groundviz; "
        "from groundviz import explain as same; print(groundviz.explain is explain is same)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "True"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'explian'"):
        groundviz.explian  # noqa: B018


def test_the_list_for_type_checkers_is_complete() -> None:
    source = inspect.getsource(groundviz)
    block = source.split("if TYPE_CHECKING:")[1].split("__version__")[0]
    told = {line.split(" as ")[-1] for line in block.splitlines() if " import " in line}
    assert told == set(groundviz.__all__) - {"__version__"}


def test_every_error_is_a_groundviz_error() -> None:
    own = groundviz.errors.__name__
    classes = [
        kind for _, kind in inspect.getmembers(groundviz.errors, inspect.isclass) if kind.__module__ == own
    ]
    assert len(classes) > 5
    assert all(issubclass(kind, groundviz.errors.GroundvizError) for kind in classes)
    assert isinstance(groundviz.errors, ModuleType)
