"""What is expected of types that not every method explains: for the tests, and for docs/models.md."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a method or a model is refused.

    Attributes:
        phrase: What stands in the error message.
        short: The same in a few words, for a table.
    """

    phrase: str
    short: str


REASONS = {
    "summary": Reason(
        "each is a summary of the whole image", "each image token is a summary of the whole image"
    ),
    "mixed": Reason(
        "each depends on many places, also when positions do not attend to one another",
        "each image token depends on many places",
    ),
    "unread": Reason(
        "none depends on the image when positions do not attend to one another",
        "image tokens depend on the image through attention alone",
    ),
    "no_layers": Reason(
        "no layers were found that read its prompt", "no layers were found that read the prompt"
    ),
    "codes": Reason(
        "its text reads the image through cross-attention, or through discrete codes without gradients",
        "the text reads the image through cross-attention or discrete codes",
    ),
    "encoder": Reason(
        "in an encoder, and a decoder of its own writes the answer", "a decoder of its own writes the answer"
    ),
    "rows": Reason(
        "what they make of the values is not what its kernel puts out",
        "attention rows are not those of the model's own kernel",
    ),
    "no_gradients": Reason(
        "The model cannot be differentiated", "the answer depends on the image through no gradients"
    ),
    "brightness": Reason(
        "its processor makes the same of a black image as of a white one",
        "its processor normalises each image by its own brightness, so that no geometry can be measured",
    ),
    "diffusion": Reason("does not answer token by token", "it does not answer token by token"),
    "no_question": Reason("ignores the question", "it takes no question"),
    "page_words": Reason(
        "reads the words of a page by text recognition", "it reads words that text recognition finds"
    ),
}


def _attention(reason: str, **others: str) -> dict[str, str]:
    """The methods that read attention, all refused for one reason, and others."""
    return {"attention": reason, "gradient_attention": reason, "relevancy": reason, **others}


# By type and method, the reason of the refusal; all else runs.
INSIDE: dict[str, dict[str, str]] = {
    "apertus1p5": {"integrated_gradients": "no_gradients"},
    "aria": _attention("summary"),
    "blip": _attention("codes"),
    "chameleon": {"integrated_gradients": "no_gradients"},
    "deepseek_ocr2": _attention("unread"),
    "emu3": {"integrated_gradients": "no_gradients"},
    "florence2": _attention("mixed"),
    "git": _attention("no_layers"),
    "idefics": _attention("summary"),
    "inkling2": _attention("rows"),
    "inkling2_loop": _attention("rows"),
    "instructblipvideo": _attention("summary"),
    "kosmos-2": _attention("summary"),
    "kosmos-2.5": _attention("brightness", integrated_gradients="brightness"),
    "pix2struct": _attention("brightness", integrated_gradients="brightness"),
    "t5gemma2": _attention("encoder"),
}
# Types of which no model is taken, and the reason.
WHOLE = {
    "diffusion_gemma": "diffusion",
    "pp_formulanet": "no_question",
    "udop": "page_words",
    "vision-encoder-decoder": "no_question",
}
# What the certificate of a type tells that is explained and not certified.
FAILING = {
    "kosmos-2.5": REASONS["brightness"].phrase,
    "pix2struct": REASONS["brightness"].phrase,
}


def short_reason(message: str) -> str:
    """A refusal in a few words: those of `REASONS`, or its first sentence.

    >>> short_reason("The model cannot be differentiated: it is packed. Load it unpacked.")
    'the answer depends on the image through no gradients'
    >>> short_reason("Something else. Do this.")
    'something else'
    """
    for reason in REASONS.values():
        if reason.phrase in message:
            return reason.short
    sentence = message.partition(". ")[0].rstrip(".")
    first = sentence.partition(" ")[0]
    # The name of a class keeps its capitals.
    return sentence[:1].lower() + sentence[1:] if first.istitle() else sentence
