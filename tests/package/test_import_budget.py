"""What importing groundviz brings along, each time in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

NO_TORCH = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "transformers"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
"""


def fresh(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_importing_groundviz_imports_the_standard_library_alone() -> None:
    """What makes an import slow is what it imports; how long that takes depends on the machine."""
    code = (
        "import sys; before = set(sys.modules); import groundviz; "
        "print(*{name.split('.')[0] for name in set(sys.modules) - before})"
    )
    assert set(fresh(code).split()) - sys.stdlib_module_names == {"groundviz"}


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["explain", "--help"]])
def test_asking_the_command_for_help_imports_no_torch(arguments: list[str]) -> None:
    code = f"""
import contextlib, io, sys
from groundviz.cli import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main({arguments!r})
print(*sorted({{name.split('.')[0] for name in sys.modules}}))
"""
    assert set(fresh(code).split()) & {"torch", "transformers", "matplotlib"} == set()


def test_reading_images_needs_no_torch() -> None:
    code = NO_TORCH + "import numpy, groundviz; print(groundviz.images.load(numpy.zeros((2, 3), 'u1')).shape)"
    assert fresh(code).strip() == "(2, 3)"


@pytest.mark.parametrize("name", ["Explanation", "Heatmap", "SourceImage", "errors", "images", "open"])
def test_what_holds_results_is_there_without_torch(name: str) -> None:
    assert fresh(NO_TORCH + f"import groundviz; print(groundviz.{name} is not None)").strip() == "True"


@pytest.mark.wide
def test_a_test_that_needs_no_torch_does_not_wait_for_it() -> None:
    """What every test starts from, tests/conftest.py, imports nothing heavy."""
    code = (
        "import sys, pytest; pytest.main(sys.argv[1:]); "
        "print(sorted(sys.modules.keys() & {'torch', 'transformers', 'matplotlib'}))"
    )
    asked = ["-q", "-p", "no:cacheprovider", "tests/package/test_layers.py", "-k", "heavy or layer"]
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", code, *asked]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert " passed" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]", done.stdout
