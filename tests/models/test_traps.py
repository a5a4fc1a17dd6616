"""What goes wrong unseen in maps of vision-language models, and must not in any family."""

from contextlib import contextmanager
from dataclasses import fields

import numpy as np
import pytest
import torch

from groundviz import explain, images, models
from groundviz.errors import PromptError, UnsupportedMethod
from groundviz.methods.toolkit.gradients import cell_gradients
from groundviz.record.geometry import held_cells
from groundviz.record.types import Target
from groundviz.runtime import borrow
from groundviz.runtime.inputs.encoded import PIXELS
from groundviz.runtime.loan.device import on_device
from groundviz.testing.families import TINY
from tests.models.probes import check_path, noise, places
from tests.support.kinds import EVERY_KIND

QUESTION = "Is there a nodule?"
ANSWER = (5, 9, 7)
IMAGE = np.random.default_rng(3).random((61, 37), dtype=np.float32)
SOURCE_IMAGE = images.load(IMAGE)
OF_EVERY_FAMILY = pytest.mark.parametrize("family", EVERY_KIND)

pytestmark = [
    pytest.mark.filterwarnings("ignore:`hidden_state` is deprecated:FutureWarning"),
    # Its new name is unknown to older versions of transformers.
    pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning"),
]


def vlm_of(family, tokens=4):
    model, processor = TINY[family]()
    model.generation_config.max_new_tokens = tokens
    return models.resolve(model, processor)


@contextmanager
def answered(vlm, given=ANSWER):
    """The borrowed model, with an answer about an image."""
    with borrow(vlm) as live:
        answer = live.answer(live.encode(SOURCE_IMAGE, QUESTION), given=given)
        yield live, answer


def narrow(live):
    """Which of the layers that look at the image have a window that ends before it, bool (layer,)."""
    text = live.vlm.model.config.get_text_config()
    kinds = getattr(text, "layer_types", None) or ["full_attention"] * len(live.vlm.parts().decoder_layers)
    distance = len(live.prompt.token_ids) - max(
        (span.stop for span in live.prompt.spans if span.kind == "image"), default=0
    )
    far = distance > (getattr(text, "sliding_window", None) or np.inf)
    return np.array([kinds[layer] == "sliding_attention" and far for layer in live.attending_layers])


def map_of(vlm, method, **options):
    """The maps of one method for an answer, joined."""
    found = explain(vlm, SOURCE_IMAGE, QUESTION, answer="left lung nodule", methods={method: options})
    return np.concatenate([one.values.ravel() for one in found.heatmaps(method)])


@OF_EVERY_FAMILY
def test_attention_read_beside_the_models_own_kernel_is_that_of_the_eager_one(family):
    vlm, eager = vlm_of(family), vlm_of(family)
    eager.model.set_attn_implementation("eager")
    if vlm.model.config.get_text_config()._attn_implementation == "sdpa":
        without_caps(eager.model)
    with answered(vlm) as (live, _), answered(eager) as (other, _):
        ours, theirs = live.attention(), other.attention()
    assert ours.shape[1] == len(live.attending_layers) > 0
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def without_caps(model):
    """Bounds on attention scores, which torch's own kernel leaves out and the eager one does not."""
    for module in model.modules():
        if hasattr(module, "attn_logit_softcapping"):
            module.attn_logit_softcapping = None


@OF_EVERY_FAMILY
def test_the_answer_is_that_of_plain_generate_with_the_models_own_kernel(family, monkeypatch):
    vlm = vlm_of(family)
    inputs = on_device(vlm.model, vlm.encode([SOURCE_IMAGE], QUESTION).inputs)
    plain = vlm.model.generate(**inputs, do_sample=False)[0, inputs["input_ids"].shape[1] :].tolist()
    kernels = []
    sdpa = torch.nn.functional.scaled_dot_product_attention

    def counted(*args, **options):
        kernels.append(vlm.model.config._attn_implementation)
        return sdpa(*args, **options)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", counted)
    with answered(vlm, None) as (live, answer):
        assert set(kernels) == {"sdpa"}
        live.attention()
    assert answer.token_ids.tolist() == plain
    assert vlm.model.config._attn_implementation == "sdpa"


@OF_EVERY_FAMILY
def test_a_prompt_of_two_images_is_continued_as_generate_does(family):
    vlm = vlm_of(family)
    try:
        inputs = vlm.encode([SOURCE_IMAGE, SOURCE_IMAGE], QUESTION).inputs
    except PromptError:
        pytest.skip("the model is shown one image at a time")
    with torch.no_grad():
        logits = vlm.model(**inputs).logits[0, -1]
        made = vlm.model.generate(**inputs, output_logits=True, return_dict_in_generate=True)
    torch.testing.assert_close(made.logits[0][0], logits, atol=1e-5, rtol=0)


@OF_EVERY_FAMILY
def test_each_cell_of_several_images_goes_where_the_adapter_says(family):
    vlm = vlm_of(family)
    source_images = noise((90, 20)), noise((61, 37), seed=1)
    try:
        encoded = vlm.encode(source_images, QUESTION)
    except PromptError:
        encoded = vlm.encode(source_images[:1], QUESTION)
    images = [grid.image for grid in encoded.prompt.grids]
    assert images == sorted(images)
    check_path(vlm, encoded)


@OF_EVERY_FAMILY
def test_exactly_one_family_knows_a_model_as_its_own(family):
    config = TINY[family]()[0].config
    assert sum(models.FAMILIES[name].matches(config) for name in models.FAMILIES) == 1
    assert not any(models.FAMILIES[name].matches(config.get_text_config()) for name in models.FAMILIES)


@OF_EVERY_FAMILY
def test_a_token_is_explained_by_the_row_that_predicts_it_and_not_by_its_own(family):
    vlm = vlm_of(family)
    with answered(vlm, (5, 9)) as (live, _):
        first = live.attention()
    with answered(vlm, (6, 9)) as (live, _):
        second = live.attention()
    # What it reads was fixed before the token was chosen; what the next one reads was not.
    np.testing.assert_array_equal(first[0], second[0])
    assert np.abs(first[1] - second[1]).max() > 1e-4


@OF_EVERY_FAMILY
def test_the_only_token_of_an_answer_has_gradients_where_it_looks(family):
    with answered(vlm_of(family), (5,)) as (live, _):
        shares, gradients = live.attention_gradients()
        near = narrow(live)
    assert shares.shape[0] == gradients.shape[0] == 1
    assert ((np.abs(shares * gradients).max(axis=(0, 2, 3)) > 0) | near).all()


@OF_EVERY_FAMILY
def test_gradients_reach_every_layer_of_the_tower_that_is_named_and_stop_behind_the_last(family):
    target = Target(tokens=(0, 1, 2), text="")
    with answered(vlm_of(family)) as (live, _):
        used = [site for site in live.sites if site.stage == "vision"]
        assert used
        for (_, gradients), site in zip(live.gradients([target], *used), used, strict=True):
            assert gradients.abs().sum() > 0, site
        if live.sites[-1].stage == "language":
            with pytest.raises(UnsupportedMethod, match="no gradient at language"):
                cell_gradients(live, [target], live.sites[-1])


@OF_EVERY_FAMILY
def test_gradients_of_tokens_do_not_add_up_from_one_to_the_next(family):
    vlm, found = vlm_of(family), []
    targets = [Target(tokens=(index,), text="") for index in (0, 2)]
    for order in (targets, targets[::-1]):
        with answered(vlm) as (live, _):
            at = next(site for site in live.sites if site.stage == "projector")
            found.append([live.gradients([target], at)[0][1] for target in order])
    for one, other in zip(found[0], found[1][::-1], strict=True):
        torch.testing.assert_close(one, other, atol=0, rtol=0)
    assert not torch.equal(found[0][0], found[0][1])


@OF_EVERY_FAMILY
def test_each_layer_shows_the_image_unless_its_window_ends_before_it(family):
    with answered(vlm_of(family)) as (live, _):
        shares, near = live.attention(), narrow(live)
    assert ((shares.max(axis=(0, 2, 3)) > 0) == ~near).all()


@OF_EVERY_FAMILY
def test_a_image_in_a_mirror_is_a_mirror_of_what_the_model_sees(family):
    vlm = vlm_of(family)
    lit = np.zeros(IMAGE.shape, dtype=np.float32)
    lit[:, :12] = 1.0
    left, right = (left_minus_right(vlm, images.load(one)) for one in (lit, lit[:, ::-1].copy()))
    assert left > 0.2
    assert right < -0.2
    assert abs(left + right) < 0.1


def left_minus_right(vlm, source_image):
    """How much brighter the pixels are that show the left third of an image than those of its right."""
    encoded = vlm.encode([source_image], QUESTION)
    cells, third = encoded.cells["pixels"], source_image.shape[1] / 3
    # Pixels in any order, found through the cells alone.
    values = encoded.inputs[PIXELS].reshape(-1)[torch.from_numpy(cells.index)].mean(dim=(0, 2)).numpy()
    rows, cols = np.concatenate([places(one).reshape(-1, 2)[held_cells(one)] for one in cells.grids]).T
    inside = (rows >= 0) & (rows < source_image.shape[0])
    on_the_left, on_the_right = (
        inside & (low < cols) & (cols < low + third) for low in (0, source_image.shape[1] - third)
    )
    return float(values[on_the_left].mean() - values[on_the_right].mean())


@OF_EVERY_FAMILY
@pytest.mark.parametrize("side", ["left", "right"])
def test_nothing_is_padded_on_whichever_side_the_tokenizer_pads(family, side):
    vlm = vlm_of(family)
    plain = vlm.encode([SOURCE_IMAGE], QUESTION)
    vlm.processor.tokenizer.padding_side = side
    encoded = vlm.encode([SOURCE_IMAGE], QUESTION)
    assert bool(encoded.inputs["attention_mask"].all())
    assert encoded.prompt.token_ids.tolist() == plain.prompt.token_ids.tolist()
    assert encoded.columns.tolist() == plain.columns.tolist()


@pytest.mark.wide
@OF_EVERY_FAMILY
def test_a_model_in_training_that_computes_its_layers_twice_gives_the_same_maps(family):
    vlm, training = vlm_of(family), vlm_of(family)
    training.model.gradient_checkpointing_enable()
    training.model.train()
    for module in training.model.modules():
        for name in {"p", "dropout", "attention_dropout"} & vars(module).keys():
            if isinstance(getattr(module, name), float):
                setattr(module, name, 0.3)
    for method in ("attention", "gradient_attention", "gradient_norm"):
        np.testing.assert_array_equal(map_of(vlm, method), map_of(training, method))
    assert training.model.training and training.model.is_gradient_checkpointing


# Large random weights round more than trained ones do, and certification may say so.
@pytest.mark.filterwarnings("ignore:Maps of this model cannot be trusted:RuntimeWarning")
@OF_EVERY_FAMILY
def test_gradients_of_a_model_in_bfloat16_do_not_vanish(family):
    vlm, short = vlm_of(family), vlm_of(family)
    short.model.to(torch.bfloat16)
    for method in ("gradient_attention", "gradient_norm"):
        exact, found = map_of(vlm, method), map_of(short, method)
        seen = np.isfinite(exact)
        assert np.corrcoef(exact[seen], found[seen])[0, 1] > 0.9, method


@OF_EVERY_FAMILY
@pytest.mark.parametrize("wrapped", ["compiled", "adapted"])
def test_parts_are_found_inside_wrappers(family, wrapped):
    model, processor = TINY[family]()
    bare = models.resolve(model, processor).parts()
    if wrapped == "compiled":
        outer = torch.compile(model, backend="eager")
    else:
        peft = pytest.importorskip("peft")
        outer = peft.get_peft_model(model, peft.LoraConfig(target_modules="all-linear"))
    vlm = models.resolve(outer, processor)
    assert vlm.model is model
    for field in fields(bare):
        found, wanted = getattr(vlm.parts(), field.name), getattr(bare, field.name)
        # A projector that is one linear layer has an adapter of its own around it.
        assert getattr(found, "base_layer", found) == wanted, field.name
