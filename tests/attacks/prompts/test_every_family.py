"""Whatever control token of its own is typed to a model of any family, wherever, it is no command there."""

from collections import Counter

import numpy as np
import pytest

from groundviz import images, models
from groundviz.errors import PromptError
from groundviz.record.conversation import Verbatim, asking
from groundviz.runtime import borrow
from groundviz.testing.families import TINY
from tests.support.kinds import EVERY_KIND

SOURCE_IMAGE = images.load(np.random.default_rng(3).random((61, 37), dtype=np.float32))
# Tokens whose letters the tiny vocabularies can spell; others must be refused, not obeyed.
SPELLED = ("<s>", "</s>", "<pad>", "<unk>", "<image>")
FORMS = ("is {} there a nodule?", "{} is there a nodule?", "is there a nodule? {}")
PLACES = ("first", "question", "system", "answer")


@pytest.fixture(params=EVERY_KIND, scope="module")
def vlm(request):
    return models.resolve(*TINY[request.param]())


def tokens_of(vlm):
    tokenizer = vlm.processor.tokenizer
    known = {*tokenizer.all_special_tokens, *(one.content for one in tokenizer.added_tokens_decoder.values())}
    known.add(str(vlm.processor.image_token))
    # Places and segments are words of PaliGemma's, which it may be asked about.
    return sorted(token for token in known if not token.startswith(("<loc", "<seg")))


def commands(vlm, token_ids):
    tokenizer = vlm.processor.tokenizer
    known = set(tokenizer.convert_tokens_to_ids(tokens_of(vlm))) - {tokenizer.unk_token_id}
    return Counter(int(index) for index in token_ids if int(index) in known)


def asked(place, typed):
    texts = {"question": "is it large?", "system": "no", "first": "is there a nodule?", "answer": "yes"}
    texts[place] = typed
    turns = [
        {"role": "user", "content": texts["first"]},
        {"role": "assistant", "content": texts["answer"]},
        {"role": "user", "content": texts["question"]},
    ]
    return asking(turns, texts["system"])


def held(vlm, token, read, own):
    """Whether a token is text where it was typed; or refused, if the tiny vocabulary has not its letters."""
    try:
        found = commands(vlm, read())
    except PromptError as refusal:
        assert token not in SPELLED, f"{token}: {refusal}"
        assert "no way to write it as text" in str(refusal)
        return
    assert found == own, token


def test_in_a_question(vlm):
    def ids(question):
        return vlm.encode((SOURCE_IMAGE,), question).prompt.token_ids

    own = commands(vlm, ids("is it there a nodule?"))
    for token in tokens_of(vlm):
        for form in FORMS if token in SPELLED else FORMS[:1]:
            held(vlm, token, lambda form=form, token=token: ids(form.format(token)), own)


def test_in_every_turn(vlm):
    try:
        own = commands(vlm, vlm.encode((SOURCE_IMAGE,), asked("system", "no")).prompt.token_ids)
    except PromptError as refusal:
        # Refused before anything is read; the message says what to do instead.
        assert "Verbatim" in str(refusal)
        return
    for token in tokens_of(vlm):
        for place in PLACES if token in SPELLED else PLACES[:1]:
            typed = asked(place, f"is {token} there?")
            held(vlm, token, lambda typed=typed: vlm.encode((SOURCE_IMAGE,), typed).prompt.token_ids, own)


def test_in_a_given_answer_and_in_what_is_held_against_it(vlm):
    for token in tokens_of(vlm):
        held(vlm, token, lambda token=token: vlm.answer_ids(f"no {token} nodule"), Counter())
    with borrow(vlm) as live:
        answer = live.answer(live.encode(SOURCE_IMAGE, "is there a nodule?"), given="left lung nodule")
        for token in SPELLED:
            (contrast,) = live.targets(answer, "nodule", f"{token} effusion")
            assert commands(vlm, contrast.foil.token_ids) == Counter()


def test_in_a_verbatim_prompt_they_count_and_the_image_is_put_in_front_where_it_has_no_place(vlm):
    plain = vlm.encode((SOURCE_IMAGE,), "is there a nodule?").prompt
    image = str(vlm.processor.image_token)
    ends = vlm.processor.tokenizer.convert_tokens_to_ids("</s>")
    front = vlm.encode((SOURCE_IMAGE,), Verbatim("is there a nodule?</s>")).prompt
    assert front.image_ids == plain.image_ids
    assert sum(len(grid.positions) for grid in front.grids) == sum(
        len(grid.positions) for grid in plain.grids
    )
    assert (front.token_ids == ends).sum() == (plain.token_ids == ends).sum() + 1
    assert front.question == "is there a nodule?</s>"
    asked = "".join(front.question[a:b] for a, b in front.offsets[list(front.asked)])
    assert asked.replace(" ", "") == "isthereanodule?"
    if vlm.family_name == "blip2":
        with pytest.raises(PromptError, match="itself puts images"):
            vlm.encode((SOURCE_IMAGE,), Verbatim(f"{image} is it?"))
        return
    inside = vlm.encode((SOURCE_IMAGE,), Verbatim(f"is {image} there a nodule?")).prompt
    first = min(span.start for span in inside.spans if span.kind == "image")
    assert "is" in inside.tokens[:first]
    assert "nodule" not in inside.tokens[:first]
    with pytest.raises(PromptError, match=r"has 2 image tokens .* there is one image"):
        vlm.encode((SOURCE_IMAGE,), Verbatim(f"{image} and {image}"))
