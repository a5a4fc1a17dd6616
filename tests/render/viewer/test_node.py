"""The parts of the viewer that need no page, under node: its own tests, and what it reads held against numpy.

Needs node, and for two tests the packages of package.json. Without them the tests are skipped, unless
GROUNDVIZ_REQUIRE_NODE is set.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from groundviz.record.targets import find
from groundviz.render.base.colour import COLOURS, scales, table
from groundviz.render.viewer import assets, modules, pack
from tests.support import records

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent / "js"
REQUIRED = bool(os.environ.get("GROUNDVIZ_REQUIRE_NODE"))
needs_node = pytest.mark.skipif(not shutil.which("node") and not REQUIRED, reason="not installed: node")
needs_packages = pytest.mark.skipif(
    not (ROOT / "node_modules").is_dir() and not REQUIRED, reason="not installed: packages of `npm ci`"
)


def run(*arguments) -> str:
    done = subprocess.run(
        ["node", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def read(folder, payload, *, layer=-1, head=-1, tokens=(0,)):
    """What the viewer's own modules read of a payload."""
    place = folder / "payload"
    place.write_bytes(payload)
    return json.loads(run(HERE / "read_payload.mjs", place, layer, head, ",".join(map(str, tokens))))


@needs_node
@pytest.mark.parametrize("place", sorted(HERE.glob("*.test.mjs")), ids=lambda place: place.name)
def test_the_tests_of_the_modules_pass(place):
    report = run("--test", "--test-reporter=tap", place)
    assert "\n# fail 0\n" in report
    assert "\n# pass 0\n" not in report


@needs_node
@needs_packages
def test_the_linter_has_no_complaint():
    run("node_modules/eslint/bin/eslint.js", "--max-warnings", "0", ".")


@needs_node
@needs_packages
def test_compacting_changes_no_token(tmp_path):
    program = modules.joined("main.js", assets._read, ending=assets._EXPORT)
    (tmp_path / "long.js").write_text(program + assets._EXPORT, "utf-8")
    (tmp_path / "short.js").write_text(assets.module(), "utf-8")
    long, short = json.loads(run(HERE / "tokens.mjs", tmp_path / "long.js", tmp_path / "short.js"))
    assert len(long) > 5000
    assert long == short


@needs_node
@pytest.mark.parametrize(("name", "text"), [("module.mjs", assets.module), ("program.cjs", assets.program)])
def test_both_forms_are_programs(tmp_path, name, text):
    # As a module this also refuses two declarations of one name.
    (tmp_path / name).write_text(text(), "utf-8")
    run("--check", tmp_path / name)


@needs_node
@pytest.mark.parametrize(
    ("layer", "head", "tokens"), [(-1, -1, (0,)), (1, -1, (4,)), (1, 0, (4,)), (-1, -1, (0, 3, 4))]
)
def test_maps_scales_and_colours_are_those_of_python(tmp_path, layer, head, tokens):
    record = records.record(96, 64)
    (found,) = read(tmp_path, pack.pack(record, detail="heads"), layer=layer, head=head, tokens=tokens)
    shown = {maps.method: maps for maps in record.heatmaps}
    assert {one["method"] for one in found["maps"]} == set(shown)
    for one in found["maps"]:
        maps = shown[one["method"]]
        # Occlusion tells neither layers nor heads apart.
        layers = layer if layer >= 0 and maps.layers else None
        heads = head if head >= 0 and maps.values.shape[2] > 1 else None
        parts = [maps.at(find(record.answer, token), layer=layers, head=heads) for token in tokens]
        stack = np.stack([part.values for part in parts])
        expected = stack.mean(axis=0) if maps.reduce[0] == "mean" else stack.sum(axis=0)
        values = np.array(one["values"], dtype=float).reshape(one["rows"], one["cols"])
        reach = np.nanmax(expected) - np.nanmin(expected)
        np.testing.assert_allclose(values, expected, atol=reach / 54)
        check_scale(one, parts[0] if len(parts) == 1 else None)


def check_scale(one, heatmap):
    """What JavaScript takes from its own values is what Python would take from them."""
    values = np.array(one["values"], dtype=float)
    scale = one["scale"]
    known = values[np.isfinite(values)]
    reach = np.abs(known) if scale["signed"] else known
    assert scale["high"] == pytest.approx(np.percentile(reach, 99.0) if scale["clipped"] else reach.max())
    if heatmap is not None:
        (ours,) = scales([heatmap])
        assert (scale["clipped"], scale["signed"]) == (ours.clipped, ours.signed)
        assert scale["high"] == pytest.approx(ours.high, rel=0.02)
        position = ours.position(np.array(heatmap.values, dtype=np.float64)).ravel()
        colours = table("managua_r" if ours.signed else "inferno").astype(float)
        expected = colours[np.minimum(255, np.nan_to_num(position) * 256).astype(int)]
        pixels = np.array(one["pixels"], dtype=float).reshape(-1, 4)
        seen = np.isfinite(position)
        assert np.abs(pixels[seen, :3] - expected[seen]).mean() < 3.0
        np.testing.assert_allclose(
            pixels[seen, 3], 127.5 * ours.strength(heatmap.values).ravel()[seen], atol=4
        )
        assert not pixels[~seen].any()


@needs_node
def test_words_images_and_colour_tables_arrive(tmp_path):
    record = records.record(60, 48)
    (found,) = read(tmp_path, pack.pack(record))
    assert found["words"] == [*(word.strip() for word in records.WORDS), "</s>"]
    assert found["images"] == [len(pack._png(record.source_image))]
    assert set(found["colours"]) == set(COLOURS)
    for name, colours in found["colours"].items():
        assert colours == table(name).ravel().tolist()


@needs_node
def test_several_payloads_arrive_side_by_side_and_heads_that_were_left_out_are_missed(tmp_path):
    one, other = records.record(60, 48), records.record(48, 48, cells=4)
    packs = [pack.pack(one, name="Prior", detail="layers"), pack.pack(other, name="Current", detail="heads")]
    found = read(tmp_path, pack.together(packs), layer=1, head=0)
    assert [record["name"] for record in found] == ["Prior", "Current"]
    first, second = (
        next(map_ for map_ in record["maps"] if map_["method"] == "attention") for record in found
    )
    assert first["why"] == "Single heads are not in this page. Use explanation.view()."
    expected = other.heatmaps[0].at(find(other.answer, 0), layer=1, head=0).values
    np.testing.assert_allclose(second["values"], expected.ravel(), atol=float(np.ptp(expected)) / 54)
