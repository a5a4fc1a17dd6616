"""Three ways to score an answer: two that papers used, faults included, and one that is what it is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from groundviz.metrics.answers.normalising import clean, published
from groundviz.metrics.answers.overlap import published_bleu, published_overlap, strict_overlap

Kind = Literal["open", "closed"]
Numbers = dict[str, float]
# What data sets call the types of questions, whatever their publishers wrote; a report is no answer.
OURS: dict[str, Kind] = {"open": "open", "closed": "closed"}
REPORT = "report"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorer:
    """One way to score answers.

    Attributes:
        name: Its name in `SCORERS`.
        shows: What it counts, in a sentence.
        source: The script that it follows.
        known_failure: What it gets wrong, on purpose where a paper did.
        kinds: {answer type as its publisher writes it: "open" or "closed"}; other types are dropped. "open"
            and "closed" are what groundviz.datasets makes of them, and known to every scorer.
        infers: Whether an answer of another type, or of none, is scored all the same, its kind read off the
            reference.
        open: The numbers of an open question, by (prediction, reference); `main_open` is the one that is
            printed.
        closed: The numbers of a closed question likewise; `main_closed` is the one that is printed. NaN is
            left out of the mean.
        main_open: Which number of open questions is printed.
        main_closed: Which number of closed questions is printed.
    """

    name: str
    shows: str
    source: str
    known_failure: str
    kinds: Mapping[str, Kind]
    infers: bool
    open: Callable[[str, str], Numbers]
    closed: Callable[[str, str], Numbers]
    main_open: str
    main_closed: str

    def kind(self, answer_type: str | None, reference: str) -> tuple[Kind | None, bool]:
        """Open, closed, or None for a type that is dropped; and whether that was read off the reference."""
        stated = answer_type or ""
        if self.infers:
            stated = stated.strip().casefold()
        if stated in self.kinds:
            return self.kinds[stated], False
        if not self.infers or stated == REPORT:
            return None, False
        if clean(reference) in ("yes", "no"):
            return "closed", True
        return "open", True

    def score(self, prediction: str, reference: str, kind: Kind) -> Numbers:
        """All numbers of one answer, from 0 to 1."""
        if kind == "open":
            return self.open(prediction, reference)
        return self.closed(prediction, reference)


def _words_as_published(prediction: str, reference: str) -> Numbers:
    return published_overlap(published(prediction).split(), published(reference).split())


def _sigphi_open(prediction: str, reference: str) -> Numbers:
    answer, truth = prediction.lower(), reference.lower()
    bleu = published_bleu(answer.split(), truth.split(), smooth=True)
    return {**_words_as_published(answer, truth), **bleu}


def _sigphi_closed(prediction: str, reference: str) -> Numbers:
    answer, truth = prediction.lower(), reference.lower()
    return {"accuracy": float(truth in answer), **_words_as_published(answer, truth)}


def _llava_med_open(prediction: str, reference: str) -> Numbers:
    answer, truth = published(prediction.lower()), published(reference.lower())
    bleu = published_bleu(answer.split(), truth.split(), smooth=False)
    # Normalised a second time, as the scripts do.
    return {**_words_as_published(answer, truth), "contains": float(truth in answer), **bleu}


def _llava_med_closed(prediction: str, reference: str) -> Numbers:
    answer, truth = published(prediction.lower()), published(reference.lower())
    contains = float(truth in answer)
    # The earlier scripts score answers with a yes or a no in them alone, and leave wrong ones of these out.
    earlier = 0.0
    if "yes" in answer or "no" in answer:
        earlier = contains or float("nan")
    return {"accuracy": contains, "accuracy_run_eval": earlier, **_words_as_published(answer, truth)}


def _strict(prediction: str, reference: str) -> Numbers:
    # Texts of marks alone are compared as they stand, so that no two of them are alike for being nothing.
    answer, truth = clean(prediction) or prediction, clean(reference) or reference
    return {"accuracy": float(answer == truth != ""), **strict_overlap(answer.split(), truth.split())}


SCORERS: Mapping[str, Scorer] = MappingProxyType(
    {
        "sigphi": Scorer(
            name="sigphi",
            shows="Recall of words for open questions; for closed ones, whether the answer contains the "
            "reference, both in lower case.",
            source="run_eval2 of SigPhi-Med, and Med-MoE",
            known_failure='It takes "There is an abnormality" for "no", and "female" for "male". It drops '
            'types such as "CLOSED " in silence, and pairs answers with references by their order.',
            kinds=MappingProxyType({**OURS, "OPEN": "open", "close": "closed", "CLOSED": "closed"}),
            infers=False,
            open=_sigphi_open,
            closed=_sigphi_closed,
            main_open="recall",
            main_closed="accuracy",
        ),
        "llava_med": Scorer(
            name="llava_med",
            shows="Recall of words for open questions; for closed ones, whether the answer contains the "
            "reference, both normalised.",
            source="run_eval_batch of LLaVA-Med v1.0; accuracy_run_eval is that of run_eval and "
            "run_eval_pvqa",
            known_failure='It takes "There is an abnormality" for "no". The earlier scripts leave wrong '
            "answers with a yes or a no in them out of the mean.",
            kinds=MappingProxyType({**OURS, "OPEN": "open", "CLOSED": "closed"}),
            infers=False,
            open=_llava_med_open,
            closed=_llava_med_closed,
            main_open="recall",
            main_closed="accuracy",
        ),
        "strict": Scorer(
            name="strict",
            shows="Whether the answer equals the reference after a documented normalisation; nothing is "
            "dropped.",
            source="groundviz.metrics.answers.clean; recall, precision and F1 of words as in SQuAD",
            known_failure='It takes a right answer in a sentence, "Yes, there is.", for wrong, and knows '
            "no synonyms.",
            kinds=MappingProxyType({**OURS, "close": "closed", "yes/no": "closed"}),
            infers=True,
            open=_strict,
            closed=_strict,
            main_open="accuracy",
            main_closed="accuracy",
        ),
    }
)
