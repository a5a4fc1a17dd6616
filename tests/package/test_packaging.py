"""What is shipped, and that everything that states a version states the same one."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import groundviz

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
CONDA_NAMES = {"py-opencv": "opencv-python-headless", "pytorch": "torch", "matplotlib-base": "matplotlib"}
# conda-forge has had no newer one than this.
CONDA_LATE = {"captum"}
README_TESTS = 'pip install ".[test]" && pytest'


def requirements(*lines: str) -> dict[str, SpecifierSet]:
    return {Requirement(line).name: Requirement(line).specifier for line in lines}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a wheel, built from a copy so that nothing is left in the source."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT / "groundviz", source / "groundviz", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests", source / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = f"from setuptools import build_meta; build_meta.build_wheel({str(out)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    assert f"-{groundviz.__version__}-" in built.name
    with zipfile.ZipFile(built) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_holds_the_package_whole_and_nothing_else(wheel: dict[str, bytes]) -> None:
    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "groundviz").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in wheel if ".dist-info/" not in name} == package


@pytest.mark.parametrize("name", ["py.typed", "demo/weights/model.safetensors", "demo/weights/README.md"])
def test_the_wheel_holds_what_is_not_code(wheel: dict[str, bytes], name: str) -> None:
    assert f"groundviz/{name}" in wheel


def test_the_quickstart_of_the_wheel_is_the_first_notebook(wheel: dict[str, bytes]) -> None:
    """The package has a link to it, so that it is written once; the wheel has a copy."""
    first = ROOT / "notebooks" / "01_quickstart.ipynb"
    assert (ROOT / "groundviz" / "demo" / "quickstart.ipynb").resolve() == first
    assert wheel["groundviz/demo/quickstart.ipynb"] == first.read_bytes()


def test_the_demo_weights_are_small() -> None:
    weights = ROOT / "groundviz" / "demo" / "weights"
    assert sum(path.stat().st_size for path in weights.iterdir()) < 10_000_000


def test_the_wheel_holds_the_licence(wheel: dict[str, bytes]) -> None:
    assert any(name.endswith("/licenses/LICENSE") for name in wheel)
    assert (ROOT / "LICENSE").read_text().lstrip().startswith("Apache License")
    assert PROJECT["license"] == "Apache-2.0"


def test_the_environment_for_conda_asks_for_the_same_versions() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))["dependencies"]
    asked = requirements(*(line for line in environment if isinstance(line, str)))
    assert asked.pop("python") == SpecifierSet(PROJECT["requires-python"])
    asked.pop("pip")
    (own,) = (Requirement(f"groundviz{line[1:]}") for line in environment[-1]["pip"])
    extras = PROJECT["optional-dependencies"]
    names = ("dicom", "jupyter", "charts", "opencv", "captum", "tables", "eval")
    wanted = [requirement for name in names for requirement in extras[name]]
    expected = requirements(*PROJECT["dependencies"], *wanted)
    found = {CONDA_NAMES.get(name, name): versions for name, versions in asked.items()}
    assert found.keys() == expected.keys()
    assert {name for name in found if found[name] != expected[name]} == CONDA_LATE
    assert {*names, *own.extras} == set(extras) - {"all", "test", "browser", "docs", "dev", "ray"}


def test_transformers_is_taken_from_the_oldest_supported_to_the_newest() -> None:
    versions = requirements(*PROJECT["dependencies"])
    assert all(version in versions["transformers"] for version in ("5.17.0", "5.23.0"))
    assert all(version in versions["torch"] for version in ("2.9.0", "2.13.0"))
    oldest = re.search(r"transformers==([\d.]+)", (ROOT / "noxfile.py").read_text("utf-8"))
    assert oldest is not None
    assert f">={oldest[1]}".removesuffix(".0") in str(versions["transformers"])


def test_the_extra_called_all_names_every_extra_for_users() -> None:
    # Ray is for those who have a cluster: it is as large as all else together.
    extras = PROJECT["optional-dependencies"]
    (everything,) = (Requirement(line) for line in extras["all"])
    assert everything.extras == set(extras) - {"all", "test", "browser", "docs", "dev", "ray"}


def test_python_versions_agree() -> None:
    told = {line.split(" :: ")[-1] for line in PROJECT["classifiers"] if "Python :: 3." in line}
    assert told == {"3.11", "3.12", "3.13"}
    assert all(version in SpecifierSet(PROJECT["requires-python"]) for version in told)
    assert "3.14" not in SpecifierSet(PROJECT["requires-python"])


def test_citation_and_changelog_state_the_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == groundviz.__version__
    assert citation["license"] == PROJECT["license"]
    assert f"\n## {groundviz.__version__} " in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_ci_runs_the_test_command_of_the_readme() -> None:
    assert f"\n{README_TESTS}\n" in (ROOT / "README.md").read_text("utf-8")
    assert f"'{README_TESTS}'" in (ROOT / ".ci" / "run").read_text("utf-8")


def test_no_file_fixes_where_packages_come_from() -> None:
    for name in ("pyproject.toml", "environment.yml", ".ci/run", "noxfile.py"):
        assert not re.search(r"https?://|index-url|find-links", (ROOT / name).read_text("utf-8"))
    # npm needs a lock file to install what eslint stands on; it names versions and checksums, and no address.
    locks = [path for path in ROOT.glob("*lock*") if path.is_file()]
    assert [path.name for path in locks] == ["package-lock.json"]
    assert '"resolved"' not in locks[0].read_text("utf-8")
