"""The parts of the viewer that need no page, under node: its own tests, and what it reads held against numpy.

Needs node, and for two tests the packages of package.json. Without them the tests are skipped, unless
GROUNDVIZ_REQUIRE_NODE is set.
"""

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from groundviz.record.mass import heaviest
from groundviz.record.targets import find
from groundviz.render.base.colour import COLOURS, OPACITY, bar, paint, printed, scales, table
from groundviz.render.base.overlay import OUTLINED
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


def read(folder, payload, *, layer=-1, head=-1, tokens=(0,), curve="root"):
    """What the viewer's own modules read of a payload."""
    place = folder / "payload"
    place.write_bytes(payload)
    words = ",".join(map(str, tokens))
    return json.loads(run(HERE / "read_payload.mjs", place, layer, head, words, curve))


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
    assert one["scale"]["highest"] == pytest.approx(np.nanmax(np.abs(values)))
    if heatmap is not None:
        (ours,) = scales([heatmap])
        assert one["scale"]["signed"] == ours.signed
        assert one["scale"]["top"] == pytest.approx(ours.top, rel=0.02)
        strength = ours.strength(heatmap.values).ravel()
        seen = np.isfinite(strength)
        pixels = np.array(one["pixels"], dtype=float).reshape(-1, 4)
        colours = 255.0 * paint(ours.position(heatmap.values), ours.colours).reshape(-1, 3)
        assert np.abs(pixels[seen, :3] - colours[seen]).mean() < 3.0
        np.testing.assert_allclose(pixels[seen, 3], 255.0 * OPACITY * strength[seen], atol=8)
        assert not pixels[~seen].any()


def _noisy(unit, signed, size, seed):
    """A record of one map of noise with a few high cells, some cells without a value, and a tie."""
    rng = np.random.default_rng(seed)
    plain, other = records.record(96, 96, words=("nodule",)).heatmaps
    values = rng.exponential(size / 20, (1, 1, 1, 14, 14))
    values[..., 3, 4:6] = size
    values[..., 9, :5] = np.nan
    if signed:
        values *= rng.choice([-1.0, 1.0], values.shape)
    template = other if signed else plain
    maps = replace(template, values=values.astype(np.float32), layers=(), unit=unit, signed=signed)
    return replace(records.record(96, 96, words=("nodule",)), heatmaps=(maps,))


@needs_node
@pytest.mark.parametrize("curve", ["root", "linear", "log"])
@pytest.mark.parametrize(
    ("unit", "signed", "size"),
    [
        ("share of attention", False, 0.3),
        ("share of attention", False, 0.002),
        ("nats", True, 2.0),
        ("nats", True, 0.004),
        ("relevancy", False, 7e-6),
    ],
)
def test_same_value_same_colour_same_outline_same_words(tmp_path, curve, unit, signed, size):
    record = _noisy(unit, signed, size, seed=len(unit) + int(signed))
    (found,) = read(tmp_path, pack.pack(record, detail="heads"), curve=curve)
    (one,) = found["maps"]
    # Of the very values that the viewer holds.
    values = np.array(one["values"], dtype=float).astype(np.float32).reshape(14, 14)
    heatmap = replace(record.heatmaps[0].at(record.heatmaps[0].targets[0]), values=values)
    (scale,) = scales([heatmap], curve)
    assert (one["scale"]["top"], one["scale"]["highest"]) == pytest.approx((scale.top, scale.highest))
    assert scale.negligible == (size in (0.002, 0.004))
    assert (one["rule"], one["summit"]) == (scale.rule, scale.summit)
    for (at, value), (position, text) in zip(one["ticks"], scale.ticks, strict=True):
        assert at == pytest.approx(position, abs=1e-6)
        assert printed(value) == text
    pixels = np.array(one["pixels"], dtype=float).reshape(14, 14, 4)
    seen = np.isfinite(values)
    colours = 255.0 * paint(scale.position(values), scale.colours)
    strength = scale.strength(values)
    assert np.abs(pixels[..., :3] - colours)[seen & (strength > 0)].max() <= 2.0
    np.testing.assert_allclose(pixels[seen, 3], 255.0 * OPACITY * strength[seen], atol=0.51)
    assert not pixels[~seen].any()
    bare = np.array(one["bar"], dtype=float).reshape(256, 4)[:, :3]
    np.testing.assert_allclose(bare, 255.0 * bar(scale, 1, 256)[0], atol=1.01)
    for name, share in (("half", OUTLINED[0]), ("most", OUTLINED[1])):
        np.testing.assert_array_equal(np.reshape(one[name], (14, 14)), heaviest(values, share))


@needs_node
def test_words_images_and_colour_tables_arrive(tmp_path):
    record = records.record(60, 48)
    (found,) = read(tmp_path, pack.pack(record))
    assert found["words"] == [*(word.strip() for word in records.WORDS), "</s>"]
    codes = np.rint(65535.0 * record.source_image.pixels.astype(np.float64)).astype(int)
    assert found["images"] == [codes.ravel().tolist()]
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
