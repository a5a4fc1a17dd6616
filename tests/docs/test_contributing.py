"""CONTRIBUTING.md: what it shows to add passes as it stands, and what it names is there."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import transformers as hf

from groundviz.methods import METHODS
from groundviz.methods.toolkit import method as toolkit
from groundviz.models import FAMILIES, resolve
from groundviz.models.adapter.probe_images import noise
from groundviz.render.base.colour import COLOURS
from groundviz.testing import check_method, every_family
from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor
from tests.support import pages

PAGE = pages.ROOT / "CONTRIBUTING.md"
SHOWN = {
    name: pages.between(PAGE, name).split("```")[1].removeprefix("python\n")
    for name in ("method", "test of the method", "family")
}
MOST_LINES = 20
NEW = {"tower_gradient", "vip_llava"}


def run(name: str) -> dict[str, object]:
    """What a block defines."""
    names: dict[str, object] = {"__name__": name}
    exec(compile(SHOWN[name], name, "exec"), names)  # noqa: S102
    return names


@pytest.mark.parametrize("name", SHOWN)
def test_what_it_shows_is_short(name: str) -> None:
    assert len([line for line in SHOWN[name].splitlines() if line.strip()]) < MOST_LINES


@pytest.fixture
def registries(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a block registers is gone again after the test; whoever followed the page has it there already."""
    for registry in (METHODS, FAMILIES):
        for table in ("_entries", "_facts"):
            kept = {name: one for name, one in getattr(registry, table).items() if name not in NEW}
            monkeypatch.setattr(registry, table, kept)


def test_the_method_keeps_every_promise(registries: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """On one family; in a clone, the test that the page shows runs it on all."""
    monkeypatch.setattr(every_family, "TINY", {"llava": every_family.TINY["llava"]})
    method = run("method")["tower_gradient"]
    assert toolkit.METHODS["tower_gradient"] is method
    assert run("test of the method").keys() >= {"test_it_keeps_every_promise"}
    check_method("tower_gradient").raise_if_failed()


def test_the_family_is_that_of_its_models(registries: None) -> None:
    """Without a chat template, the question is put as the family says."""
    known: Any = run("family")["KNOWN"]
    FAMILIES.add("vip_llava", known["vip_llava"])
    like = tiny_llava(vision="clip")
    layers: Any = {"vision_feature_layers": [-2, -1], "image_token_index": like.config.image_token_id}
    config = hf.VipLlavaConfig(
        vision_config=like.config.vision_config, text_config=like.config.text_config, **layers
    )
    processor = tiny_llava_processor(like)
    processor.chat_template = None
    vlm = resolve(hf.VipLlavaForConditionalGeneration(config).eval(), processor)
    assert vlm.family_name == "vip_llava"
    prompt = vlm.encode((noise((61, 37)),), "Is there a nodule?").prompt
    assert prompt.text == "###Human: <image>\nIs there a nodule?###Assistant:"
    assert [(grid.rows, grid.cols) for grid in prompt.grids] == [(4, 4)]


def test_the_colour_maps_around_the_new_one_are_there() -> None:
    (block,) = [one for one in pages.fences(PAGE, "python") if one.startswith("COLOURS")]
    named = dict(re.findall(r'"(\w+)": (\w+),', block))
    new = re.findall(r'"(\w+)".*# the new line', block)
    assert len(new) == 1
    assert set(named) - set(new) <= set(COLOURS)


def test_every_stage_and_session_that_is_named_exists() -> None:
    stages = re.search(r"^STAGES=\((.*)\)$", (pages.ROOT / ".ci" / "run").read_text("utf-8"), re.MULTILINE)
    assert stages
    listed = re.findall(r"^\| `(\w+)` \|", PAGE.read_text("utf-8"), re.MULTILINE)
    assert listed == stages[1].split()
    noxfile = (pages.ROOT / "noxfile.py").read_text("utf-8")
    sessions = set(re.findall(r"^@nox\.session\ndef (\w+)", noxfile, re.MULTILINE))
    assert set(listed) <= sessions
    for line in "".join(pages.fences(PAGE, "console")).splitlines():
        program, *words = line.split(" -- ")[0].split()
        if program == "nox" and words[0] == "-s":
            assert set(words[1:]) <= sessions
        if program == ".ci/run":
            assert set(words) <= set(listed)


def test_every_file_that_is_named_exists_but_those_that_are_to_be_written() -> None:
    text = PAGE.read_text("utf-8")
    for name in re.findall(r"\b(?:groundviz|tests|scripts|benchmarks)/[\w/]+\.py\b", text):
        assert (pages.ROOT / name).is_file() or Path(name).stem.removeprefix("test_") in NEW, name


def test_nox_finds_every_session() -> None:
    pytest.importorskip("nox", reason="nox is not installed: pip install '.[dev]'")
    names = runpy.run_path(str(pages.ROOT / "noxfile.py"))
    for path in (*names["ON_TRANSFORMERS"], *names["BESIDES"]):
        assert (pages.ROOT / path).exists(), path
