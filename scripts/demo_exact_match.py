"""Does the demo model answer right, and does it need the image to do so?

A greedy answer equals the true one exactly when, given the true answer so far, every next token is
the most likely one; so one pass over the true answers decides what generating them would give.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from groundviz import images
from groundviz.demo.phantoms import Phantom
from groundviz.demo.questions import KINDS, Question, every_question
from groundviz.models import VLM
from groundviz.models.prompting.chat import render_chat
from groundviz.runtime.passes.kv_cache import cache_of, on_cache

SHUFFLES = 3
ROWS = (*(f"{kind}_{seen}" for seen in ("present", "absent") for kind in KINDS[:3]), "report")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactMatch:
    """Share of answers that are right word for word, for one kind of question.

    Attributes:
        n: Number of questions.
        true: With the image that was asked about.
        shuffled: With another phantom's image.
        constant: Of the best single answer, given that it knows whether the finding is present.

    Shares are None where there was no such question.
    """

    n: int
    true: float | None
    shuffled: float | None
    constant: float | None


def exact_match(vlm: VLM, phantoms: list[Phantom]) -> dict[str, ExactMatch]:
    """Ask everything of every image, and again while showing other images.

    Args:
        vlm: The demo model.
        phantoms: At least two phantoms; the image shown instead is the next ones in this list.
    """
    right: dict[str, list[bool]] = defaultdict(list)
    fooled: dict[str, list[bool]] = defaultdict(list)
    truths: dict[str, Counter[str]] = defaultdict(Counter)
    count = len(phantoms)
    for i, image in enumerate(tqdm(phantoms, desc="exact match", unit="image", delay=2)):
        questions = list(every_question(image, wording=image.seed))
        for question, hit in zip(questions, answers_right(vlm, image, questions), strict=True):
            right[row_name(question)].append(hit)
            truths[row_name(question)][question.answer] += 1
        others = {phantoms[(i + k) % count].seed: phantoms[(i + k) % count] for k in range(1, SHUFFLES + 1)}
        for other in (p for seed, p in others.items() if seed != image.seed):
            for question, hit in zip(questions, answers_right(vlm, other, questions), strict=True):
                fooled[row_name(question)].append(hit)
    return {
        row: ExactMatch(
            n=len(right[row]),
            true=mean(right[row]),
            shuffled=mean(fooled[row]),
            constant=truths[row].most_common(1)[0][1] / len(right[row]) if right[row] else None,
        )
        for row in ROWS
    }


def mean(values: list[Any]) -> float | None:
    """The mean, or None of nothing."""
    return float(np.mean(values)) if values else None


def row_name(question: Question) -> str:
    """The row a question counts in, such as "where_present" or "report"."""
    if question.kind == "report":
        return "report"
    return f"{question.kind}_{'present' if question.present else 'absent'}"


@torch.no_grad()
def answers_right(vlm: VLM, shown: Phantom, questions: Iterable[Question]) -> list[bool]:
    """Whether the model, shown an image, would answer each question exactly as `question.answer`."""
    prefix, turns = _tokens(vlm, list(questions))
    inputs = vlm.encode((images.load(shown.pixels),), "?").inputs
    pixels = inputs["pixel_values"].to(vlm.model.device, vlm.model.dtype)
    cache = cache_of(vlm.model(input_ids=prefix, pixel_values=pixels, use_cache=True))
    cache.batch_repeat_interleave(len(turns))
    longest = max(len(ids) for ids, _ in turns)
    ids = torch.tensor([ids + [0] * (longest - len(ids)) for ids, _ in turns], device=vlm.model.device)
    held = on_cache(vlm.model, cache) or {}
    logits = vlm.model(input_ids=ids, **held).logits
    likeliest = logits.argmax(-1).cpu()
    return [
        bool((likeliest[i, start - 1 : len(turn) - 1] == torch.tensor(turn[start:])).all())
        for i, (turn, start) in enumerate(turns)
    ]


def _tokens(vlm: VLM, questions: list[Question]) -> tuple[torch.Tensor, list[tuple[list[int], int]]]:
    """The shared prompt up to the image's end, then each question with its answer and where that starts."""
    tokenizer, prefix, turns = vlm.processor.tokenizer, [], []
    count = vlm.model.config.image_seq_length
    for question in questions:
        prompt = render_chat(vlm.processor, question.text, "", marker="<image>").replace(
            "<image>", "<image>" * count
        )
        asked = tokenizer(prompt, add_special_tokens=False).input_ids
        answer = tokenizer(f"{question.answer} </s>", add_special_tokens=False).input_ids
        stop = len(asked) - asked[::-1].index(vlm.model.config.image_token_id)
        prefix = asked[:stop]
        turns.append((asked[stop:] + answer, len(asked) - stop))
    return torch.tensor([prefix], device=vlm.model.device), turns


def fresh_phantoms(seed: int, count: int) -> Iterator[int]:
    """Seeds of evaluation phantoms: far above every seed that training uses.

    >>> list(fresh_phantoms(2, 3))
    [1002000000, 1002000001, 1002000002]
    """
    start = 1_000_000_000 + seed * 1_000_000
    yield from range(start, start + count)
