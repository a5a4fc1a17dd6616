"""Image-text-to-text types of transformers: explained, or refused by the reason that docs/models.md gives."""

import io

import numpy as np
import pytest
from PIL import Image

import groundviz
from groundviz.errors import ImageError, PromptError, UnsupportedMethod, UnsupportedModel
from groundviz.models import certify, resolve
from groundviz.record.geometry import held_cells
from groundviz.testing.fingerprint import difference, fingerprint
from scripts import model_types
from scripts.model_types import CERTIFIED, FIVE, PAGE
from tests.support.newest import newest
from tests.support.pages import assert_up_to_date, between
from tests.support.quick import quick
from tests.support.types_at_hand import builder_of, classes_of
from tests.zoo import UNBUILT
from tests.zoo.refusals import FAILING, INSIDE, REASONS, WHOLE, short_reason

QUESTION = "Is there a nodule?"
ANSWER = "left lung nodule"
AT_HAND = classes_of()
BUILT = [name for name in AT_HAND if builder_of(name) is not None]
# One of each kind.
SAMPLE = {
    "vipllava": "like LLaVA",
    "cohere2_vision": "tiles and an overview",
    "glm4v": "flat patches",
    "gemma4": "padded patches",
    "fast_vlm": "overlapping convolutions",
    "qwen3_5": "a decoder with linear attention",
    "deepseek_vl_hybrid": "several image inputs",
    "idefics": "summaries of the whole image",
}
# Shapes that processors have trouble with.
ODD = {"wide": (1, 5000), "tiny": (17, 3), "high": (4096, 33)}
# Few windows: tiny models need no finer look.
HALF = {"window": 0.5, "stride": 0.5}
quiet = [
    # A random model may have an empty map, and a warning tells of it.
    pytest.mark.filterwarnings("ignore:.*found no evidence:RuntimeWarning"),
    # Of a processor of transformers about its own output.
    pytest.mark.filterwarnings("ignore:.*image_patches.*deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*pixel_values_images.*deprecated:FutureWarning"),
    # Of a model of transformers about its own configuration.
    pytest.mark.filterwarnings("ignore:.*torch_dtype.*deprecated:FutureWarning"),
]
pytestmark = [newest, *quiet]
MADE = {}


def of_type(name):
    """A model of a type, made once in a run."""
    if name not in AT_HAND:
        pytest.skip(f"transformers has no type {name} yet")
    if name not in MADE:
        # One at a time: that of the last test is not needed any more.
        MADE.clear()
        MADE[name] = resolve(*builder_of(name)())
    return MADE[name]


def noise(shape=(61, 45), seed=3):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


def explained(vlm, image, method):
    """The maps of one method, or the error that it refuses with."""
    recipe = {"occlusion": HALF} if method == "occlusion" else quick(method)
    try:
        return groundviz.explain(vlm, image, QUESTION, methods=recipe, answer=ANSWER, certify=False)
    except UnsupportedMethod as error:
        return error


def check_method_on(vlm, method, expected):
    """A method does what is expected of it: finite maps of the right grids, or a refusal for that reason."""
    found = explained(vlm, noise(), method)
    if expected:
        assert isinstance(found, UnsupportedMethod), method
        assert REASONS[expected].phrase in str(found)
        return
    assert not isinstance(found, UnsupportedMethod), str(found)
    encoded = vlm.encode((groundviz.images.load(noise()),), QUESTION)
    for maps in found.record.heatmaps:
        assert np.isfinite(maps.values[..., maps.grid.valid]).all()
        assert maps.values.shape[-2:] == (maps.grid.rows, maps.grid.cols)
    if method in ("attention", "gradient_attention", "relevancy"):
        grids = encoded.prompt.grids
        assert [(one.grid.rows, one.grid.cols) for one in found.record.heatmaps] == [
            (one.rows, one.cols) for one in grids
        ]
        # Every image token is in one cell of one map.
        placed = np.concatenate([one.positions[held_cells(one)] for one in grids])
        assert len(set(placed.tolist())) == len(placed)


@pytest.mark.parametrize("method", FIVE)
@pytest.mark.parametrize("name", SAMPLE)
def test_a_method_explains_a_type_or_refuses(name, method):
    vlm = of_type(name)
    before = fingerprint(vlm.model)
    check_method_on(vlm, method, INSIDE.get(name, {}).get(method, ""))
    assert difference(before, fingerprint(vlm.model)) == []


def test_every_token_has_rows_where_layers_share_keys():
    """Such a model runs its last layers on as few tokens as it is asked for logits."""
    vlm = of_type("gemma4")
    (rolled,) = groundviz.explain(
        vlm, noise(), QUESTION, methods="attention_rollout", answer=ANSWER, certify=False
    ).record.heatmaps
    assert np.isfinite(rolled.values[..., rolled.grid.valid]).all()
    generated = groundviz.explain(vlm, noise(), QUESTION, methods="attention", certify=False).record
    given = groundviz.explain(
        vlm, noise(), QUESTION, methods="attention", answer=generated.answer.text, certify=False
    ).record
    assert [len(one.heatmaps[0].values) - len(one.answer.token_ids) for one in (generated, given)] == [5, 5]


@pytest.mark.parametrize("name", [name for name in SAMPLE if name not in INSIDE])
def test_the_cells_are_the_image_tokens_that_the_processor_writes(name):
    """As many as in what the processor alone makes of the prompt, and at the same positions."""
    vlm = of_type(name)
    prompt = vlm.encode((groundviz.images.load(noise()),), QUESTION).prompt
    written = np.flatnonzero(prompt.token_ids == vlm.processor.image_token_id)
    placed = np.concatenate([one.positions[held_cells(one)] for one in prompt.grids])
    assert len(written) >= 9
    assert set(placed.tolist()) == set(written.tolist())


def test_the_grid_of_a_squashed_image_is_that_of_the_tower_s_patches():
    vision = of_type("vipllava").model.config.vision_config
    across = vision.image_size // vision.patch_size
    (maps,) = explained(of_type("vipllava"), noise(), "attention").record.heatmaps
    assert maps.values.shape[-2:] == (across, across)


@pytest.mark.slow
@pytest.mark.parametrize("name", BUILT)
def test_every_type_is_explained_or_refused_by_the_reason_of_the_page(name):
    if name in WHOLE:
        with pytest.raises(UnsupportedModel, match=REASONS[WHOLE[name]].phrase):
            of_type(name).encode((groundviz.images.load(noise()),), QUESTION)
        return
    vlm = of_type(name)
    before = fingerprint(vlm.model)
    for method in FIVE:
        check_method_on(vlm, method, INSIDE.get(name, {}).get(method, ""))
    assert difference(before, fingerprint(vlm.model)) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in BUILT if name not in WHOLE])
def test_every_type_is_certified_or_the_page_tells_why_not(name):
    try:
        verdict = certify(of_type(name)).verdict
    except UnsupportedModel as error:
        verdict = str(error)
    assert FAILING.get(name, CERTIFIED) in verdict


def odd_images():
    for name, shape in ODD.items():
        yield pytest.param(noise(shape), id=name)
    for kind in ("PNG", "JPEG"):
        yield pytest.param(turned(kind), id=f"turned {kind}")
    yield pytest.param([noise(), noise((40, 70), 5)], id="two")


def turned(kind):
    """A file whose EXIF data say that it lies on its side."""
    image, held = Image.fromarray(noise((61, 37))), io.BytesIO()
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(held, kind, exif=exif)
    return held.getvalue()


def check_odd(name, image):
    """Occlusion gives finite maps over the whole image, or the image is refused by name."""
    vlm = of_type(name)
    try:
        found = groundviz.explain(
            vlm, image, QUESTION, methods={"occlusion": HALF}, answer="yes", certify=False
        )
    except (ImageError, PromptError) as error:
        # What was found, what was expected and what to do take more than a few words.
        assert len(str(error)) > 40
        return
    for maps in found.record.heatmaps:
        assert np.isfinite(maps.values[..., maps.grid.valid]).all()
    assert {maps.grid.image for maps in found.record.heatmaps} == set(range(len(found.source_images)))


@pytest.mark.parametrize("image", list(odd_images()))
@pytest.mark.parametrize("name", ["vipllava", "fast_vlm"])
def test_an_odd_image_is_explained_or_refused_by_name(name, image):
    check_odd(name, image)


@pytest.mark.slow
@pytest.mark.parametrize("image", list(odd_images()))
@pytest.mark.parametrize("name", [name for name in BUILT if name not in WHOLE])
def test_every_type_explains_an_odd_image_or_refuses_it_by_name(name, image):
    check_odd(name, image)


def test_an_image_that_was_turned_is_shown_upright():
    found = explained(of_type("vipllava"), turned("JPEG"), "attention")
    assert found.source_images[0].shape == (37, 61)


@pytest.mark.parametrize("name", AT_HAND)
def test_a_type_has_a_model_or_a_reason_and_the_page_tells_it(name):
    """The page may be older than the code, but not than what is expected of it."""
    (row,) = [
        line for line in between(PAGE, model_types.NAME).splitlines() if line.startswith(f"| `{name}` |")
    ]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1] == f"`{AT_HAND[name]}`"
    if builder_of(name) is None:
        assert UNBUILT[name].rstrip(".").lower() in cells[2].lower()
    elif name in WHOLE:
        assert cells[2] == f"none: {REASONS[WHOLE[name]].short}"
    else:
        assert cells[2].startswith(short_reason(FAILING.get(name, CERTIFIED)))
        for method, reason in INSIDE.get(name, {}).items():
            assert f"`{method}`" in cells[-1]
            assert REASONS[reason].short in cells[-1]
        for method in set(FIVE) - set(INSIDE.get(name, {})):
            assert f"`{method}`" not in cells[-1]


def test_the_counts_of_the_page_are_those_of_its_table():
    text = between(PAGE, model_types.NAME)
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    certified = [line for line in rows if f"| {CERTIFIED} |" in line]
    refusing = [line for line in certified if "`attention`" in line.split("|")[-2]]
    absent = [line for line in rows if "| not explained |" in line]
    others = len(rows) - len(certified) - len(absent)
    whole = len(certified) - len(refusing)
    stated = (
        f"Of {len(rows)} image-text-to-text types of transformers, {whole} are "
        f"certified with their attention, {len(refusing)} are certified and refuse some methods by name, "
        f"{others} are explained and **not** certified, and {len(absent)} are not explained"
    )
    found = [line for line in certified if line not in refusing and "% |" in line]
    assert f"Of the {whole}, {len(found)} were also tested with inverted blocks" in text
    assert stated in text


def test_the_part_of_the_families_can_be_made_again_alone(tmp_path):
    page = tmp_path / "models.md"
    page.write_text(PAGE.read_text("utf-8").replace("## Families", "## Other families"), "utf-8")
    model_types.write_families(page)
    assert_up_to_date(
        page.read_text("utf-8"), PAGE.read_text("utf-8"), page=page, command=model_types.COMMAND
    )
