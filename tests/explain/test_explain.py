import copy
from pathlib import Path

import numpy as np
import pytest
import torch

import groundviz
from groundviz import images
from groundviz.errors import (
    ImageError,
    NumericalError,
    PromptError,
    StoreError,
    TargetError,
    UnknownName,
    UnsupportedMethod,
    UnsupportedModel,
)
from groundviz.explain import explain, explain_more
from groundviz.methods import METHODS
from groundviz.models import resolve
from groundviz.record.targets import Question
from groundviz.record.types import Target
from groundviz.runtime import borrow
from groundviz.testing.families import TINY

QUESTION = "Is there a nodule?"


def test_the_record_says_what_was_run(tiny, source_image):
    record = explain(tiny, source_image, QUESTION, seed=4).record
    made = record.provenance
    assert (made.family, made.dtype, made.device, made.attention, made.seed) == (
        "llava",
        "float32",
        "cpu",
        "sdpa",
        4,
    )
    assert set(made.versions) == {"python", "groundviz", "torch", "transformers", "numpy"}
    assert made.seconds > 0
    assert record.source_image is source_image


def test_different_weights_have_different_fingerprints(tiny, source_image):
    before = explain(tiny, source_image, QUESTION).record.provenance.weights
    assert explain(tiny, source_image, QUESTION).record.provenance.weights == before
    with torch.no_grad():
        tiny.model.lm_head.weight += 1
    assert explain(tiny, source_image, QUESTION).record.provenance.weights != before


def test_sampling_is_seeded_and_leaves_the_callers_stream_alone(tiny, source_image):
    tiny.model.generation_config.do_sample = True
    torch.manual_seed(99)
    expected = torch.rand(3)
    torch.manual_seed(99)
    answers = [
        explain(tiny, source_image, QUESTION, seed=seed).answer.token_ids.tolist() for seed in (1, 1, 2, 3)
    ]
    assert torch.equal(torch.rand(3), expected)
    assert answers[0] == answers[1]
    assert len({tuple(a) for a in answers}) > 1


def saying_an_image_token(kind):
    """A model whose every second pass says an image token: no plain pass can be what it generates."""
    model, processor = TINY[kind]()
    vlm, scored = resolve(model, processor), []
    (image_token,) = vlm.encode((images.load(np.zeros((61, 37), np.float32)),), QUESTION).prompt.image_ids

    def insist(module, args, scores):
        scored.append(scores)
        if len(scored) % 2 == 0:
            scores = scores.index_fill(-1, torch.tensor([image_token]), float(scores.detach().max()) + 20)
        return scores

    model.generation_config.update(max_new_tokens=3, min_new_tokens=3)
    model.get_output_embeddings().register_forward_hook(insist)
    return vlm, image_token


def test_an_answer_with_an_image_token_is_explained(source_image):
    vlm, image_token = saying_an_image_token("llava")
    explanation = explain(vlm, source_image, QUESTION, certify=False)
    assert image_token in explanation.answer.token_ids
    # The answer alone is generated again, on what was kept of the prompt.
    assert explanation.methods == ("attention", "gradient_attention")


def test_where_it_cannot_be_generated_again_attention_is_left_and_the_rest_is_named(source_image):
    vlm, image_token = saying_an_image_token("gemma3")
    with pytest.warns(RuntimeWarning, match=r"gradient_attention was left out\. The answer"):
        explanation = explain(vlm, source_image, QUESTION, certify=False)
    assert image_token in explanation.answer.token_ids
    assert explanation.methods == ("attention",)
    assert np.isfinite(explanation.heatmap("attention").values).any()


@pytest.mark.parametrize("methods", ["gradient_attention", ["attention", "occlusion"]])
def test_a_method_that_was_asked_for_and_cannot_say_it_again_refuses(source_image, methods):
    vlm, _ = saying_an_image_token("gemma3")
    with pytest.raises(UnsupportedMethod, match="contains an image token"):
        explain(vlm, source_image, QUESTION, methods=methods, certify=False)


def test_a_given_answer_is_explained_instead_of_the_models_own(tiny, source_image):
    explanation = explain(tiny, source_image, QUESTION, answer="left lung nodule", target="lung")
    assert explanation.answer.text == "left lung nodule"
    assert explanation.answer.source == "given"
    assert explanation.record.target.tokens == (1,)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"methods": "atention"}, UnknownName, "Did you mean 'attention'"),
        ({"target": "zebra"}, TargetError, "does not contain 'zebra'"),
        ({"target": 99}, TargetError, "0 to"),
        ({"image": "http://example.org/x.png"}, ImageError, "not fetched"),
    ],
)
def test_mistakes_are_named(tiny, source_image, change, error, says):
    arguments = {"image": source_image, **change}
    with pytest.raises(error, match=says):
        explain(tiny, arguments.pop("image"), QUESTION, **arguments)


def test_maps_are_the_same_inside_no_grad_inference_mode_and_autocast(tiny, source_image):
    plain = explain(tiny, source_image, QUESTION)
    contexts = [torch.no_grad(), torch.inference_mode(), torch.autocast("cpu", torch.bfloat16)]
    for context in contexts:
        with context:
            inside = explain(tiny, source_image, QUESTION)
        for method in plain.methods:
            assert np.array_equal(inside.heatmap(method).values, plain.heatmap(method).values)


def test_no_socket_is_opened(tiny, source_image, monkeypatch):
    import socket

    def refuse(*args, **kwargs):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    explain(tiny, source_image, QUESTION)


ANSWER = "left lung nodule and no effusion"


def test_several_targets_share_one_explanation(tiny, source_image):
    from groundviz import Phrase

    wanted = ["nodule", Phrase("effusion"), 0, "nodule"]
    explanation = explain(tiny, source_image, QUESTION, answer=ANSWER, target=wanted)
    assert [target.text for target in explanation.record.targets] == ["nodule", "effusion", "left"]
    for target in explanation.record.targets:
        alone = explain(
            tiny, source_image, QUESTION, answer=ANSWER, target=(target.tokens[0], target.tokens[-1] + 1)
        )
        for method in explanation.methods:
            found = explanation.heatmap(method, target.text).values
            assert np.array_equal(found, alone.heatmap(method).values)


def test_a_contrast_of_single_words_is_the_gradient_of_their_difference(tiny, source_image):
    explanation = explain(
        tiny,
        source_image,
        QUESTION,
        answer=ANSWER,
        target="nodule",
        against="opacity",
        methods="gradient_attention",
    )
    record = explanation.record
    assert record.target.text == "nodule rather than opacity"
    foil = tiny.answer_ids("opacity")[0]
    model = copy.deepcopy(tiny.model)
    model.set_attn_implementation("eager")
    inputs = tiny.encode((source_image,), QUESTION).inputs
    ids = torch.from_numpy(np.concatenate([record.prompt.token_ids, record.answer.token_ids]))[None]
    output = model(
        **{**inputs, "input_ids": ids, "attention_mask": torch.ones_like(ids)}, output_attentions=True
    )
    row = len(record.prompt.token_ids) + 2 - 1
    gap = output.logits[0, row, ids[0, row + 1]] - output.logits[0, row, foil]
    gradients = torch.autograd.grad(gap, output.attentions)
    columns = record.prompt.grids[0].positions
    products = [(a * g)[0, :, row][:, columns] for a, g in zip(output.attentions, gradients, strict=True)]
    expected = torch.stack(products).clamp(min=0).mean(1).sum(0).detach().numpy()
    found = explanation.heatmap().values.reshape(-1)
    np.testing.assert_allclose(found, expected, atol=1e-4 * expected.max())


def test_contrasts_have_default_methods_of_their_own_and_attention_refuses_them(tiny, source_image):
    contrast = {"answer": ANSWER, "target": "nodule", "against": "no opacity"}
    explanation = explain(tiny, source_image, QUESTION, **contrast)
    assert explanation.methods == ("gradient_attention",)
    assert explanation.heatmap(target="nodule rather than no opacity").has_evidence
    assert explanation.heatmap(target="effusion").target.tokens == (5,)
    with pytest.raises(UnsupportedMethod, match=r"no scalar.*gradient_attention"):
        explain(tiny, source_image, QUESTION, methods="attention", **contrast)


def test_a_whole_answer_can_be_contrasted_with_another_one(tiny, source_image):
    explanation = explain(tiny, source_image, QUESTION, answer="yes", against="no")
    assert explanation.record.target.text == "yes rather than no"
    assert explanation.record.target.tokens == (0,)


def test_a_foil_in_the_middle_keeps_the_words_before_it(tiny, source_image):
    explanation = explain(
        tiny, source_image, QUESTION, answer=ANSWER, target="no effusion", against="opacity"
    )
    foil = explanation.record.target.foil
    assert foil.token_ids == tuple(tiny.answer_ids("opacity"))


def test_options_are_given_by_method_and_unknown_ones_refused(tiny, source_image):
    with pytest.raises(UnknownName, match="attention has no option 'windw': it has none"):
        explain(tiny, source_image, QUESTION, methods={"attention": {"windw": 3}})


def test_ctrl_c_keeps_the_maps_that_are_there(tiny, source_image, monkeypatch):
    from groundviz.methods import METHODS

    def interrupted(live, prompt, answer, targets):
        raise KeyboardInterrupt

    monkeypatch.setitem(METHODS._entries, "gradient_attention", interrupted)
    with pytest.warns(RuntimeWarning, match="Interrupted during gradient_attention"):
        explanation = explain(
            tiny, source_image, QUESTION, methods=["attention", "gradient_attention", "relevancy"]
        )
    assert explanation.methods == ("attention",)
    assert explanation.record.unmeasured == ("gradient_attention", "relevancy")
    with pytest.raises(KeyboardInterrupt):
        explain(tiny, source_image, QUESTION, methods=["gradient_attention", "attention"])


def test_a_method_that_returns_nan_is_an_error_not_a_image(tiny, source_image, monkeypatch):
    from groundviz.methods import METHODS
    from groundviz.methods.toolkit.method import each_token, laid_out

    def broken(live, prompt, answer, targets):
        values = np.full((len(answer.tokens), 16), np.nan)
        return laid_out(values, prompt.grids, each_token(answer), unit="nats")

    monkeypatch.setitem(METHODS._entries, "attention", broken)
    with pytest.raises(NumericalError, match="attention produced NaN"):
        explain(tiny, source_image, QUESTION, methods="attention")


def test_figures_and_pages_show_contrasts_and_several_targets(tiny, source_image, tmp_path):
    explanation = explain(
        tiny, source_image, QUESTION, answer=ANSWER, target=["nodule", "effusion"], against="opacity"
    )
    assert "nodule rather than opacity" in explanation.figure().caption
    page = explanation.to_html(tmp_path / "page.html")
    assert "effusion rather than opacity" in page
    import groundviz

    again = groundviz.open(explanation.save(tmp_path / "case.gvz"))
    assert again.record.targets == explanation.record.targets


def test_an_answer_for_which_there_is_no_room_is_refused_before_any_pass(tiny, source_image):
    room = tiny.model.config.text_config.max_position_embeddings
    fits, too_long = ("lung " * (room - count) for count in (200, 20))
    assert len(explain(tiny, source_image, QUESTION, answer=fits, methods="attention").tokens) == room - 200
    calls = []
    tiny.model.register_forward_pre_hook(lambda *_: calls.append(1))
    with pytest.raises(PromptError, match="answer is too long"):
        explain(tiny, source_image, QUESTION, answer=too_long)
    assert calls == []


def test_a_word_of_the_question_is_explained_by_attention_and_by_nothing_else(tiny, source_image):
    nodule = Question("nodule")
    explanation = explain(tiny, source_image, QUESTION, answer=ANSWER, target=nodule)
    assert explanation.methods == ("attention",)
    assert explanation.record.target.in_question
    several = explain(
        tiny, source_image, QUESTION, answer=ANSWER, target=["nodule", nodule], methods="attention"
    )
    usual = explain(tiny, source_image, QUESTION, answer=ANSWER, target="nodule")
    for one in (several, usual):
        assert np.array_equal(one.heatmap(None, nodule).values, explanation.heatmap().values)
    assert np.array_equal(several.heatmap().values, usual.heatmap("attention").values)
    with pytest.raises(TargetError, match=r"only the answer has a probability to explain\. Use attention"):
        explain(tiny, source_image, QUESTION, answer=ANSWER, target=nodule, against="opacity")


@pytest.mark.wide
@pytest.mark.parametrize("method", sorted(set(METHODS) - {"attention"}))
def test_a_method_that_explains_the_answer_refuses_the_question_before_it_runs(
    tiny, source_image, method, monkeypatch
):
    def never(*_, **__):
        raise AssertionError

    monkeypatch.setitem(METHODS._entries, method, never)
    for named in (Question("nodule"), ["nodule", Question()], Target(tokens=(-3,), text="?")):
        with pytest.raises(TargetError, match="a part of the question"):
            explain(tiny, source_image, QUESTION, answer=ANSWER, target=named, methods=["attention", method])


def test_no_pass_takes_a_word_of_the_question_for_one_of_the_answer(tiny, source_image):
    with borrow(tiny) as live:
        answer = live.answer(live.encode(source_image, QUESTION), given=ANSWER)
        targets = live.targets(answer, Question("nodule"), None)
        for ask in (live.scores, live.relevancy, lambda one: live.gradients(one, live.site("pixels"))):
            with pytest.raises(TargetError, match="only the answer has a probability"):
                ask(targets)


@pytest.mark.parametrize(
    "question",
    ["</s> nodule ?", "nodule nodule", "\u202e nodule", "n\u0303odule", "<image> nodule", "🫁 nodule"],
)
def test_words_of_a_hostile_question_have_maps_that_go_with_them(tiny, source_image, question, tmp_path):
    try:
        explanation = explain(tiny, source_image, question, answer=ANSWER, methods="attention")
    except PromptError:
        return
    prompt = explanation.record.prompt
    whole = explanation.heatmap(None, Question())
    assert set(whole.target.tokens) <= set(prompt.asked)
    maps = explanation.record.heatmaps[0]
    assert len(maps.targets) == len(explanation.tokens) + len(prompt.asked)
    explanation.save(tmp_path / "a.gvz")
    text = explanation.to_html()
    assert "\u202e" not in text and "</s>" not in text


def test_a_label_of_the_users_is_kept_in_the_record_and_its_file(tiny, source_image, tmp_path):
    explanation = explain(tiny, source_image, QUESTION, methods="attention", label="checkpoint A · step 300")
    assert explanation.record.label == "checkpoint A · step 300"
    kept = groundviz.open(explanation.save(tmp_path / "one.gvz"))
    assert kept.record.label == "checkpoint A · step 300"
    assert explain_more(kept, tiny, "gradient_attention").record.label == "checkpoint A · step 300"
    assert (
        explain(tiny, source_image, QUESTION, methods="attention", label="x" * 200).record.label == "x" * 200
    )


@pytest.mark.parametrize("label", ["x" * 201, "two\nlines", "\x1b[2J", "\ud800", None, 3, b"A"])
def test_a_label_that_is_no_line_of_text_is_refused(tiny, source_image, label):
    with pytest.raises(StoreError, match=r'The label cannot be kept: .* label="checkpoint A"'):
        explain(tiny, source_image, QUESTION, label=label)


def test_a_window_reaches_the_model_as_well_as_the_viewer(tiny):
    values = np.linspace(-1000.0, 1000.0, 28 * 28).reshape(28, 28)
    record = explain(tiny, values, QUESTION, methods="attention", window=(40, 400)).record
    right = np.clip((values + 160.0) / 400.0, 0.0, 1.0)
    np.testing.assert_allclose(record.source_image.pixels, right, atol=1e-6)
    assert record.source_image.window == (40.0, 400.0)
    by_hand = explain(tiny, right, QUESTION, methods="attention", answer=record.answer.text).record
    for one, other in zip(record.heatmaps, by_hand.heatmaps, strict=True):
        np.testing.assert_allclose(one.values, other.values, atol=1e-5)


def test_a_frame_is_chosen_and_a_tensor_taken(tiny):
    tensor = torch.linspace(0, 1, 3 * 28 * 28).reshape(3, 28, 28)
    record = explain(tiny, tensor, QUESTION, methods="attention", frame=0).record
    np.testing.assert_allclose(record.source_image.pixels, np.moveaxis(tensor.numpy(), 0, 2), atol=1e-6)
    with pytest.raises(ImageError, match="holds 1 frame"):
        explain(tiny, tensor, QUESTION, frame=2)


@pytest.mark.parametrize("image", [None, 7, {}, [[0.5, 0.5]]])
def test_what_is_no_image_is_named(tiny, image):
    with pytest.raises(ImageError, match=r"This is not an image|There is no image"):
        explain(tiny, image, QUESTION)


def test_slices_of_a_volume_are_asked_about_together_and_each_has_its_map(tiny, source_image, tmp_path):
    volume = np.stack([source_image.pixels * (1.0 - number / 10) for number in range(5)])
    found = explain(tiny, volume, QUESTION, methods="attention", frames=[3, 1], certify=False, evidence=None)
    assert [(one.slice.number, one.slice.of) for one in found.source_images] == [(3, 5), (1, 5)]
    np.testing.assert_allclose(found.source_images[1].pixels, volume[1])
    assert {maps.grid.image for maps in found.record.heatmaps} == {0, 1}
    mass = np.array([np.nansum(heatmap.values) for heatmap in found.heatmaps()])
    np.testing.assert_allclose(found.slice_shares(), mass / mass.sum(), rtol=1e-5)
    assert groundviz.open(found.save(tmp_path / "stack.gvz")).source_images[0].slice.number == 3


def test_image_and_question_that_change_places_are_noticed_before_the_model_is_loaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("g8.png").write_bytes(b"")
    for asked in ("g8.png", str(tmp_path)):
        with pytest.raises(
            ImageError, match=r"name of a file that exists\. Give the question after the image"
        ):
            explain("./no-model", QUESTION, asked)
    # A word of the question may be the name of a folder where no path stands for the image.
    with pytest.raises(UnsupportedModel):
        explain("./no-model", np.zeros((8, 8), np.uint8), str(tmp_path))
    with pytest.raises(UnsupportedModel):
        explain("./no-model", "g8.png", "x" * 9999)
