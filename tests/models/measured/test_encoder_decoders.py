"""Models that answer in a decoder of their own, or whose prompt has no image token: how they are asked."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

import groundviz
from groundviz.errors import ImageError, UnsupportedMethod, UnsupportedModel
from groundviz.models import resolve
from groundviz.models.adapter.vlm import VLM
from groundviz.models.certification.kernel_check import compare
from groundviz.models.prompting.markers import marker_of
from groundviz.models.prompting.own_decoder import for_forward
from groundviz.record.types import Target
from groundviz.runtime.borrowing import borrow
from groundviz.runtime.loan import guard
from groundviz.runtime.passes.forward import is_per_token, teacher_forced_inputs
from groundviz.testing.fingerprint import difference, fingerprint
from tests.support.quick import quick
from tests.zoo import ZOO

QUESTION = "What is this ?"
SHORT = {"max_new_tokens": 3}
# A rounding of float32 through a tiny model.
CLOSE = 1e-4
# The type's marker of an image, if the prompt must hold one, and whether its pixels are known.
ASKED = {
    "t5gemma2": ("<start_of_image>", True),
    "donut": ("", True),
    "blip": ("", True),
    "git": ("", True),
    "pix2struct": ("", False),
    "florence2": ("", True),
    "kosmos_2": ("", True),
    "kosmos_2_5": ("", False),
    "idefics": ("", True),
    "instructblipvideo": ("", True),
    "fuyu": ("", True),
}
NARROW = ("t5gemma2", "donut", "blip", "git", "pix2struct")
EACH = [pytest.param(name, marks=() if name in NARROW else pytest.mark.wide) for name in ASKED]
ATTENTIVE = ("attention", "attention_rollout", "relevancy", "gradient_attention")
quiet = pytest.mark.filterwarnings("ignore:.*image_patches.*deprecated:FutureWarning")


@pytest.fixture(scope="module")
def asked():
    """Each model once, whoever asks for it."""
    made = {}

    def of(name):
        if name not in made:
            made[name] = resolve(*ZOO[name]())
        return made[name]

    return of


@pytest.fixture(scope="module")
def shown():
    return np.random.default_rng(3).integers(0, 256, (61, 45, 3), dtype=np.uint8)


@quiet
@pytest.mark.parametrize("name", EACH)
def test_a_pass_over_the_answer_scores_it_as_the_steps_of_generate_do(asked, shown, name):
    vlm = asked(name)
    before = fingerprint(vlm.model)
    image = groundviz.images.load(shown)
    with borrow(vlm) as live:
        prompt = live.encode(image, QUESTION)
        answer = live.answer(prompt, generation=SHORT)
        targets = [Target(tokens=(at,), text=str(at)) for at in range(len(answer.token_ids))]
        with torch.no_grad():
            passed = live.scores(targets)[0]
        given = live.answer(prompt, given=answer.token_ids.tolist())
    assert len(answer.token_ids) == 3
    np.testing.assert_allclose(passed.numpy(), answer.logprobs, atol=CLOSE)
    np.testing.assert_allclose(given.logprobs, answer.logprobs, atol=CLOSE)
    assert difference(before, fingerprint(vlm.model)) == []


@quiet
@pytest.mark.parametrize("name", EACH)
def test_the_answer_is_that_of_the_model_and_its_processor_alone(asked, shown, name):
    """As transformers is called without groundviz, for the first token's scores too."""
    vlm, marker = asked(name), ASKED[name][0]
    plain = vlm.processor(images=[Image.fromarray(shown)], text=[marker + QUESTION], return_tensors="pt")
    plain.pop("labels", None)
    with torch.no_grad():
        made = vlm.model.generate(**plain, **SHORT, return_dict_in_generate=True, output_logits=True)
    expected = made.sequences[0, -3:]
    scores = torch.stack([step[0] for step in made.logits]).log_softmax(dim=-1)
    explanation = groundviz.explain(
        vlm, shown, QUESTION, methods=quick("rise"), generation=SHORT, certify=False
    )
    answer = explanation.record.answer
    assert answer.token_ids.tolist() == expected.tolist()
    np.testing.assert_allclose(answer.logprobs, scores.gather(1, expected[:, None])[:, 0], atol=CLOSE)


@quiet
@pytest.mark.parametrize("name", EACH)
def test_perturbation_explains_it_and_gradients_do_where_pixels_are_known(asked, shown, name):
    vlm, (_, known) = asked(name), ASKED[name]
    before = fingerprint(vlm.model)
    methods = ["occlusion", "rise", "shapley"]
    if known:
        methods += ["input_gradient", "smooth_grad"]
    recipes = {each: quick(each)[each] for each in methods}
    if known:
        recipes["integrated_gradients"] = {"steps": 4, "at": "pixels"}
    found = groundviz.explain(vlm, shown, QUESTION, methods=recipes, generation=SHORT, certify=False)
    for method in recipes:
        maps = found.heatmap(method)
        inside = maps.values[..., maps.grid.valid]
        assert np.isfinite(inside).all(), method
        assert np.ptp(inside) > 0, method
    if not known:
        with pytest.raises(UnsupportedMethod, match=r"cannot be measured.*occlusion, rise or shapley"):
            groundviz.explain(vlm, shown, QUESTION, methods="input_gradient", generation=SHORT, certify=False)
    assert difference(before, fingerprint(vlm.model)) == []


def test_what_occlusion_finds_is_what_hiding_by_hand_does(asked):
    """Pix2Struct, whose text is read by the decoder: quarters of the source image are blackened in turn."""
    vlm = asked("pix2struct")
    square = np.random.default_rng(5).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    ask = {"occlusion": {"window": 0.5, "stride": 0.5, "fill": "black"}}
    found = groundviz.explain(vlm, square, QUESTION, methods=ask, generation=SHORT, certify=False)
    ids = found.record.answer.token_ids.tolist()
    typed = vlm.processor.tokenizer(QUESTION).input_ids

    def logprobs(pixels):
        inputs = vlm.processor(images=Image.fromarray(pixels), return_tensors="pt")
        start = vlm.model.generation_config.decoder_start_token_id
        read = torch.tensor([[start, *typed, *ids]])
        with torch.no_grad():
            logits = vlm.model(**inputs, decoder_input_ids=read).logits[0].log_softmax(dim=-1)
        rows = logits[len(typed) : len(typed) + len(ids)]
        return rows.gather(1, torch.tensor(ids)[:, None])[:, 0].numpy()

    lost = np.empty((len(ids), 2, 2))
    for row in range(2):
        for col in range(2):
            hidden = square.copy()
            hidden[20 * row : 20 * (row + 1), 20 * col : 20 * (col + 1)] = 0
            lost[:, row, col] = logprobs(square) - logprobs(hidden)
    values = found.record.heatmaps[0].values
    assert values.shape == (len(ids), 1, 1, 2, 2)
    np.testing.assert_allclose(values[:, 0, 0], lost, atol=CLOSE)
    assert np.abs(lost).max() > 0.01


def test_a_gradient_predicts_the_answers_score(asked, shown):
    """Donut: along a random direction of the pixels, gradients predict what a small step changes."""
    vlm = asked("donut")
    with borrow(vlm) as live:
        prompt = live.encode(groundviz.images.load(shown), QUESTION)
        live.answer(prompt, given=[7, 9])
        target, site = Target(tokens=(0, 1), text="all"), live.site("pixels")
        ((pixels, gradients),) = live.gradients([target], site)
        step = 1e-2 * torch.randn(pixels.shape, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            there, back = live.scores([target], site, torch.stack([pixels + step, pixels - step]))[:, 0]
    predicted = float((gradients[0] * step).sum())
    assert abs(predicted) > 1e-3
    assert float(there - back) / 2 == pytest.approx(predicted, rel=0.02)


@pytest.mark.parametrize("method", [*ATTENTIVE, "logit_lens", "token_activation_map"])
def test_no_attention_and_no_word_is_read_off_an_encoder(asked, shown, method):
    with pytest.raises(UnsupportedMethod, match="a decoder of its own writes the answer"):
        groundviz.explain(
            asked("t5gemma2"), shown, QUESTION, methods=quick(method), generation=SHORT, certify=False
        )


def test_length_and_first_steps_are_checked_in_the_decoder(asked, shown):
    """T5Gemma 2: the decoder reads its start and two tokens of the answer, and no prompt."""
    vlm = asked("t5gemma2")
    encoded = vlm.encode((groundviz.images.load(shown),), QUESTION)
    with guard.borrow(vlm.model) as loan:
        checks = {check.name: check for check in compare(vlm, loan, encoded)}
    length, steps = checks["length"], checks["first steps"]
    assert (length.value, length.reference, length.verdict) == (3, 3, "passed")
    assert steps.verdict == "passed"
    assert steps.value < CLOSE


def test_gradients_at_the_image_tokens_of_an_encoder(asked, shown):
    """T5Gemma 2: four by four image tokens stand in the encoder's prompt."""
    found = groundviz.explain(
        asked("t5gemma2"), shown, QUESTION, methods="grad_cam", generation=SHORT, certify=False
    )
    assert found.heatmap("grad_cam").values.shape[-2:] == (4, 4)
    spans = [span for span in found.record.prompt.spans if span.kind == "image"]
    assert [span.stop - span.start for span in spans] == [16]


def test_a_longest_length_counts_what_the_decoder_reads(asked, shown):
    """T5Gemma 2 reads 22 tokens in its encoder: a max_length of 4 leaves three behind the decoder's start."""
    found = groundviz.explain(
        asked("t5gemma2"), shown, QUESTION, methods=quick("rise"), generation={"max_length": 4}, certify=False
    )
    assert len(found.record.answer.token_ids) == 3
    assert len(found.record.prompt.token_ids) > 4


def test_sixteen_bits_have_an_exact_head(shown):
    """The head computes in float32 without the norm, which is that of another decoder."""
    model, processor = ZOO["t5gemma2"]()
    vlm = resolve(model.to(torch.bfloat16), processor)
    with borrow(vlm) as live:
        prompt = live.encode(groundviz.images.load(shown), QUESTION)
        answer = live.answer(prompt, given=[7, 9])
        with torch.no_grad():
            scores = live.scores([Target(tokens=(0, 1), text="all")])
    assert scores.item() == pytest.approx(float(answer.logprobs.sum()), abs=0.2)
    assert scores.item() != float(scores.bfloat16())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("pp_formulanet", "ignores the question"),
        ("vision_encoder_decoder", "ignores the question"),
        ("udop", "text recognition"),
        ("diffusion_gemma", "does not answer token by token"),
    ],
)
def test_what_cannot_be_explained_is_refused_with_the_reason(shown, name, reason):
    model, processor = ZOO[name]()
    with pytest.raises(UnsupportedModel, match=reason):
        groundviz.explain(model, shown, QUESTION, processor=processor, methods=quick("rise"), certify=False)


@quiet
def test_two_images_for_a_processor_of_one_are_refused_as_such(asked, shown):
    with pytest.raises(ImageError, match=r"There are 2 images.*Ask about one image"):
        groundviz.explain(asked("fuyu"), [shown, shown], QUESTION, methods=quick("rise"), certify=False)


@quiet
@pytest.mark.parametrize("name", ["florence2", "fuyu", "kosmos_2_5", "t5gemma2", "git"])
def test_a_prompt_marks_images_only_where_the_processor_does_not(asked, name):
    assert marker_of(asked(name).processor) == ASKED[name][0]


def test_an_answer_follows_the_start_of_a_decoder_of_its_own():
    prompt = {
        "input_ids": torch.tensor([[5, 6, 7]]),
        "attention_mask": torch.ones(1, 3, dtype=torch.long),
        "decoder_input_ids": torch.tensor([[2, 8]]),
        "decoder_attention_mask": torch.ones(1, 2, dtype=torch.long),
        # As many patches as there are tokens.
        "pixel_values": torch.ones(1, 2, 4),
    }
    longer = teacher_forced_inputs(prompt, [9, 3], batch=2, fill={})
    shapes = {name: tuple(tensor.shape) for name, tensor in longer.items()}
    assert shapes == {
        "input_ids": (2, 3),
        "attention_mask": (2, 3),
        "decoder_input_ids": (2, 4),
        "decoder_attention_mask": (2, 4),
        "pixel_values": (2, 2, 4),
    }
    assert longer["decoder_input_ids"].tolist() == [[2, 8, 9, 3]] * 2
    assert not is_per_token(prompt["pixel_values"], prompt)
    assert is_per_token(prompt["decoder_input_ids"], prompt)
    assert is_per_token(prompt["attention_mask"], prompt)


def test_a_decoder_that_starts_with_no_token_is_refused(asked):
    model = asked("t5gemma2").model
    silent = SimpleNamespace(
        config=model.config, forward=model.forward, generation_config=SimpleNamespace(bos_token_id=None)
    )
    with pytest.raises(UnsupportedModel, match="starts with no token"):
        for_forward(silent, {"input_ids": torch.tensor([[5]])})


def test_the_plain_answer_holds_no_token_of_the_prompt(asked, shown):
    """In BLIP, whose `generate` reframes the prompt, and in a decoder of its own."""
    for name in ("blip", "t5gemma2"):
        vlm = asked(name)
        explained = groundviz.explain(
            vlm, shown, QUESTION, methods=quick("rise"), generation={"max_new_tokens": 8}, certify=False
        )
        settings = vlm.model.generation_config
        if name == "blip":
            settings = vlm.model.text_decoder.generation_config
        usual, settings.max_new_tokens = settings.max_new_tokens, 8
        try:
            plain = VLM(vlm.model, vlm.processor, vlm.family_name, "tiny").generate(shown, QUESTION)
        finally:
            settings.max_new_tokens = usual
        assert plain == explained.record.answer.text
