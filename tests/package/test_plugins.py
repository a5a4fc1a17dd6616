"""A package with methods and families of its own, built, installed beside others and used."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDES = {"method": ROOT / "docs" / "extending.md", "family": ROOT / "docs" / "adding_a_family.md"}

PROJECT = """
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "theirs-for-groundviz"
version = "1.0"

[tool.setuptools]
packages = ["theirs"]

[project.entry-points."groundviz.methods"]
cell_gradient = "theirs.documented:cell_gradient"
plain = "theirs.plain:plain"
several = "theirs.several"
attention = "theirs.plain:plain"
missing = "theirs.nowhere:method"
needs_more = "theirs.needs_more:method"
raises = "theirs.raises"
leaves = "theirs.leaves"
number = "theirs.plain:NUMBER"
too_few = "theirs.plain:too_few"

[project.entry-points."groundviz.families"]
vipllava = "theirs.family:VIP_LLAVA"
undecided = "theirs.plain:UNDECIDED"
nothing = "theirs.plain:plain"
"""
FILES = {
    "__init__": "",
    "plain": """
from groundviz.methods import METHODS

NUMBER = 3

def plain(live, prompt, answer, targets):
    return METHODS["attention"](live, prompt, answer, targets)

def too_few(live):
    return []

class Undecided:
    checkpoints = ()
    def matches(self, config):
        raise AttributeError("/home/ZZPHI")
    def encode(self, vlm, studies, question): ...
    def parts(self, model): ...

UNDECIDED = Undecided()
""",
    "several": """
from groundviz.methods import METHODS

@METHODS.register("one_of_two")
def one(live, prompt, answer, targets): ...

@METHODS.register("two_of_two")
def two(live, prompt, answer, targets): ...
""",
    "needs_more": "import a_package_that_nobody_has",
    "raises": """
from groundviz.methods import METHODS

@METHODS.register("half_way")
def half_way(live, prompt, answer, targets): ...

raise RuntimeError("/home/ZZPHI")
""",
    "leaves": "raise SystemExit(3)",
}
SCRIPT = """
import json, sys, warnings
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    import groundviz
    from groundviz import models
    from groundviz.demo.phantoms import phantom
    listed = list(groundviz.METHODS), list(models.FAMILIES)
    image = phantom(3, findings=["nodule"]).pixels
    ask = dict(methods=["plain", "cell_gradient", "attention"], certify=False)
    explanation = groundviz.explain("demo", image, "Is there a nodule?", **ask)
    again = list(groundviz.METHODS), list(models.FAMILIES)
    maps = {name: explanation.heatmap(name).values.tolist() for name in explanation.methods}
    groundviz.METHODS["attention"]
    from types import SimpleNamespace
    described = models.adapter.vlm.family_of(SimpleNamespace(model_type="vipllava"))
home = groundviz.METHODS["attention"].__module__
print(json.dumps({"listed": listed, "again": again, "maps": maps, "home": home, "described": described,
                  "warned": [str(one.message) for one in warned if one.category is RuntimeWarning]}))
"""


def documented(kind):
    """The first example of a guide, as it stands."""
    return re.search(r"```python\n(.*?)```", GUIDES[kind].read_text("utf-8"), re.DOTALL)[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder that pip installed the package into."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("target")
    (source / "pyproject.toml").write_text(PROJECT, "utf-8")
    (source / "theirs").mkdir()
    files = {**FILES, "documented": documented("method"), "family": documented("family")}
    for name, text in files.items():
        (source / "theirs" / f"{name}.py").write_text(text, "utf-8")
    options = "install --no-index --no-deps --no-build-isolation --no-compile --quiet --target".split()
    subprocess.run([sys.executable, "-m", "pip", *options, str(target), str(source)], check=True)
    return target


@pytest.fixture(scope="module")
def found(installed):
    """What groundviz makes of it, in a process of its own."""
    where = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(installed)])}
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, **where},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.wide
def test_plugins_written_as_documented_load_once(found):
    methods, families = found["listed"]
    assert found["again"] == found["listed"]
    for name in ("cell_gradient", "plain", "one_of_two", "two_of_two"):
        assert methods.count(name) == 1
    assert families.count("vipllava") == 1
    assert "undecided" in families
    assert not [one for one in found["warned"] if re.match("The (method|model family) '(cell|vip)", one)]


def test_their_methods_make_maps_beside_ours(found):
    assert found["maps"]["plain"] == found["maps"]["attention"]
    assert found["maps"]["cell_gradient"] != found["maps"]["attention"]
    assert found["home"] == "groundviz.methods.attention"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("missing", "loading it raises ModuleNotFoundError"),
        ("needs_more", "loading it raises ModuleNotFoundError"),
        ("raises", "loading it raises RuntimeError"),
        ("leaves", "loading it raises SystemExit"),
        ("number", "'number' is no function"),
        ("too_few", "'too_few' does not take (live, prompt, answer, targets)"),
        ("nothing", "'nothing' lacks matches and encode and parts and checkpoints"),
    ],
)
def test_a_broken_plugin_is_named_once_and_left_out(found, name, why):
    told = [one for one in found["warned"] if f" {name!r} of the package theirs-for-groundviz" in one]
    assert len(told) == 1 and why in told[0]
    assert name not in found["listed"][0] + found["listed"][1]


def test_what_a_broken_plugin_registered_is_left_out_with_it(found):
    assert "half_way" not in found["listed"][0]


def test_a_family_that_cannot_say_what_is_its_own_is_passed_over(found):
    (told,) = [one for one in found["warned"] if "'undecided'" in one]
    assert found["described"] == "vipllava"
    assert "is passed over" in told and "AttributeError" in told
    assert "ZZPHI" not in " ".join(found["warned"])


@pytest.mark.wide
@pytest.mark.parametrize("command", ["methods", "models"])
def test_the_command_line_lists_what_works(installed, command):
    where = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(installed)]), "PYTHONWARNINGS": "ignore"}
    run = subprocess.run(
        [sys.executable, "-m", "groundviz", command],
        env={**os.environ, **where},
        capture_output=True,
        text=True,
        check=True,
    )
    assert {"methods": "\ncell_gradient\n", "models": "\nvipllava (family)\n"}[command] in run.stdout
    assert "Traceback" not in run.stderr
