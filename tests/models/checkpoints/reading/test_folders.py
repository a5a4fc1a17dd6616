import json
import shutil
import sys

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from groundviz import models
from groundviz.errors import UnsupportedModel
from groundviz.models.checkpoints.reading import folders
from tests.models.checkpoints.originals import Reference

PLACE = Reference("llavamed15").place
COMMIT = "91bb16c1f0a2000000000000000000000000ffff"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub of two checkpoints; a list of what was asked of it."""
    asked = []
    places = {"lab/med": "checkpoint", "lab/clip": "hub_clip"}

    def snapshot(name, *, revision=None, allow_patterns, ignore_patterns):
        if name not in places:
            raise LocalEntryNotFoundError("no way")
        asked.append((name, revision, tuple(allow_patterns)))
        here = tmp_path / name / COMMIT
        here.mkdir(parents=True, exist_ok=True)
        for file in (PLACE / places[name]).iterdir():
            if any(file.match(pattern) for pattern in allow_patterns):
                shutil.copy(file, here)
        return str(here)

    def config(name, revision=None):
        return json.loads((PLACE / places[name] / "config.json").read_text("utf-8"))

    monkeypatch.setattr(folders, "snapshot_download", snapshot)
    # The package has a function of the module's name.
    monkeypatch.setattr(sys.modules["groundviz.models.load"], "config_at", config)
    return asked


def test_a_hub_id_is_fetched_as_far_as_needed_and_named_with_its_commit(hub):
    vlm = models.load("lab/med", vision="lab/clip", revision="v1")
    assert (vlm.name, vlm.revision) == ("lab/med", "v1")
    assert vlm.sources["weights"] == f"lab/med at {COMMIT[:12]}"
    assert vlm.sources["vision"] == f"lab/clip at {COMMIT[:12]}"
    assert [(name, revision) for name, revision, _ in hub] == [("lab/med", "v1"), ("lab/clip", None)]
    assert not any("bin" in pattern for _, _, patterns in hub for pattern in patterns)


def test_pickles_are_fetched_where_there_are_no_safetensors(monkeypatch, tmp_path):
    asked = []

    def snapshot(name, *, allow_patterns, **options):
        asked.append("*.safetensors" in allow_patterns)
        return str(tmp_path)

    monkeypatch.setattr(folders, "snapshot_download", snapshot)
    assert folders.beside("lmsys/vicuna-7b-v1.5", "base") == tmp_path
    assert asked == [True, False]


def test_copies_of_the_weights_in_other_layouts_are_left_where_they_are(monkeypatch, tmp_path):
    seen = {}
    monkeypatch.setattr(
        folders, "snapshot_download", lambda name, **options: seen.update(options) or tmp_path
    )
    folders.fetched("lab/med", ["*.safetensors"], "v1")
    assert "*.safetensors" in seen["allow_patterns"]
    assert "consolidated*" in seen["ignore_patterns"]
    assert seen["revision"] == "v1"


def test_nothing_is_fetched_for_a_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(folders, "snapshot_download", None)
    assert folders.fetched(tmp_path, []) == tmp_path
    assert folders.beside(None, "base") is None
    assert folders.called(tmp_path, tmp_path) == "local folder"


def test_a_tower_that_the_hub_does_not_have_is_named_as_what_it_was_given_as(hub):
    with pytest.raises(UnsupportedModel, match="given as vision was not found"):
        models.load("lab/med", vision="lab/none")
