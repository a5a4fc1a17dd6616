"""What a reader is shown, in which order: balanced, with hidden controls, the same for the same seed."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np

from groundviz.errors import OptionError

Pass = Literal["compare", "rate", "answer"]
Control = Literal["", "prior", "identical"]
PASSES: tuple[Pass, ...] = ("compare", "rate", "answer")

# The least shares of all comparisons.
PRIOR_SHARE, IDENTICAL_SHARE, REPEAT_SHARE = 0.10, 0.05, 0.10
# So many trials, or a third of all where there are fewer, lie between a trial and its repeat.
_APART = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One thing that a reader judges.

    Attributes:
        number: Where it stands in the reader's order, from 1.
        part: "compare" two maps, "rate" one, or judge the "answer" without any.
        case: The case's code.
        left: Code of the map on the left, or of the only one; empty in "answer".
        right: Code of the map on the right; empty where there is none.
        control: "prior" where a map that never saw the image stands against a real one, or is rated;
            "identical" where both sides are the same map.
        repeat_of: The number of the trial that this one repeats, sides exchanged; 0 for none.
    """

    number: int = 0
    part: Pass
    case: str
    left: str = ""
    right: str = ""
    control: Control = ""
    repeat_of: int = 0


def ordered(
    cases: Sequence[str],
    arms: Sequence[str],
    priors: Sequence[str],
    *,
    passes: Sequence[Pass],
    study_id: str,
    rater_id: str,
    seed: int,
) -> list[Trial]:
    """All trials of one reader.

    Every reader judges every case with every pair of real maps (fully crossed). Sides are balanced within
    each pair of arms, and every reader has an order of their own. Where two passes are asked for, one
    follows the other: answers come last, so that no judgement of them lies under that of a map.

    Args:
        cases: Codes of the cases.
        arms: Codes of the maps that are compared.
        priors: Codes of the maps that never saw the image.
        passes: What is to be done.
        study_id: Which study it is.
        rater_id: Who reads.
        seed: The study's.

    Raises:
        OptionError: Comparing needs two arms, or an arm and a prior.
    """
    rng = np.random.default_rng(_seed(study_id, rater_id, seed))
    trials: list[Trial] = []
    for part in PASSES:
        if part in passes:
            made = _MAKERS[part](cases, arms, priors, rng)
            start = len(trials)
            for at, trial in enumerate(made, start=start + 1):
                # Within its part a repeat names its place; here its number.
                repeat_of = trial.repeat_of + start if trial.repeat_of else 0
                trials.append(replace(trial, number=at, repeat_of=repeat_of))
    return trials


def controls_for(pairs: int) -> tuple[int, int, int]:
    """How many priors, identical pairs and repeats go with so many real pairs.

    Each kind makes up at least its share of all trials.

    >>> controls_for(30)
    (4, 2, 4)
    """
    total = pairs
    while True:
        kinds = [math.ceil(share * total - 1e-9) for share in (PRIOR_SHARE, IDENTICAL_SHARE, REPEAT_SHARE)]
        if pairs + sum(kinds) <= total:
            return kinds[0], kinds[1], kinds[2]
        total += 1


def _comparisons(
    cases: Sequence[str], arms: Sequence[str], priors: Sequence[str], rng: np.random.Generator
) -> list[Trial]:
    pairs = list(combinations(arms, 2)) or [(arm, prior) for arm in arms for prior in priors[:1]]
    if not pairs:
        raise OptionError(
            f"There is nothing to compare: {len(arms)} arms and {len(priors)} priors were given. "
            "Name two methods, or a method and a prior."
        )
    real = [trial for pair in pairs for trial in _balanced(cases, pair, rng)]
    few, same, again = controls_for(len(real))
    # Where maps are compared with a prior alone, those trials are the study and no control.
    controls = _identical(cases, arms, same, rng)
    if len(arms) > 1 and priors:
        controls += _against_priors(cases, arms, priors, few, rng)
    return _with_repeats(_shuffled([*real, *controls], rng), again, rng)


def _balanced(cases: Sequence[str], pair: tuple[str, str], rng: np.random.Generator) -> Iterator[Trial]:
    """Each case with one pair; each arm stands on the left in half of them."""
    # Of an odd number one side gets one more: which, is drawn.
    start = int(rng.integers(2))
    for at, case in enumerate(rng.permutation(np.array(cases))):
        left, right = pair if (at + start) % 2 else pair[::-1]
        yield Trial(part="compare", case=str(case), left=left, right=right)


def _against_priors(
    cases: Sequence[str], arms: Sequence[str], priors: Sequence[str], count: int, rng: np.random.Generator
) -> list[Trial]:
    trials: list[Trial] = []
    for at, case in enumerate(_drawn(cases, count, rng)):
        sides = [arms[at % len(arms)], priors[at % len(priors)]]
        if at // len(arms) % 2:
            sides.reverse()
        trials.append(Trial(part="compare", case=case, left=sides[0], right=sides[1], control="prior"))
    return trials


def _identical(
    cases: Sequence[str], arms: Sequence[str], count: int, rng: np.random.Generator
) -> list[Trial]:
    trials: list[Trial] = []
    for at, case in enumerate(_drawn(cases, count, rng)):
        arm = arms[at % len(arms)]
        trials.append(Trial(part="compare", case=case, left=arm, right=arm, control="identical"))
    return trials


def _ratings(
    cases: Sequence[str], arms: Sequence[str], priors: Sequence[str], rng: np.random.Generator
) -> list[Trial]:
    trials = [Trial(part="rate", case=case, left=arm) for case in cases for arm in arms]
    few, _, again = controls_for(len(trials))
    for at, case in enumerate(_drawn(cases, few if priors else 0, rng)):
        prior = priors[at % len(priors)]
        trials.append(Trial(part="rate", case=case, left=prior, control="prior"))
    return _with_repeats(_shuffled(trials, rng), again, rng)


def _answers(
    cases: Sequence[str], arms: Sequence[str], priors: Sequence[str], rng: np.random.Generator
) -> list[Trial]:
    return _shuffled([Trial(part="answer", case=case) for case in cases], rng)


_MAKERS = {"compare": _comparisons, "rate": _ratings, "answer": _answers}


def _shuffled(trials: Sequence[Trial], rng: np.random.Generator) -> list[Trial]:
    """The trials in a random order in which, where it can be, no case follows itself."""
    mixed = [trials[at] for at in rng.permutation(len(trials))]
    for at in range(1, len(mixed)):
        if mixed[at].case != mixed[at - 1].case:
            continue
        for other in range(at + 1, len(mixed)):
            if mixed[other].case != mixed[at - 1].case:
                mixed[at], mixed[other] = mixed[other], mixed[at]
                break
    return mixed


def _with_repeats(trials: list[Trial], count: int, rng: np.random.Generator) -> list[Trial]:
    """Some of the trials once more at the end of the order, sides exchanged, far from the first time."""
    gap = min(_APART, len(trials) // 3)
    candidates = [at for at in range(len(trials) - gap) if trials[at].control != "identical"]
    chosen: list[int] = rng.permutation(np.array(candidates, dtype=np.int64))[:count].tolist()
    mixed: list[tuple[int, Trial]] = list(enumerate(trials))
    for at in sorted(chosen):
        where = int(rng.integers(at + gap, len(mixed))) + 1
        again = replace(trials[at], left=trials[at].right or trials[at].left, right="", repeat_of=at + 1)
        if trials[at].right:
            again = replace(again, right=trials[at].left)
        mixed.insert(where, (-1, again))
    # The place of each first trial moved when repeats were put before it.
    places = {first: place for place, (first, _) in enumerate(mixed, start=1) if first >= 0}
    settled: list[Trial] = []
    for _, trial in mixed:
        if trial.repeat_of:
            trial = replace(trial, repeat_of=places[trial.repeat_of - 1])
        settled.append(trial)
    return settled


def _drawn(cases: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
    """So many cases, none twice before all were drawn."""
    drawn: list[str] = []
    while len(drawn) < count:
        drawn += [str(case) for case in rng.permutation(np.array(cases))]
    return drawn[:count]


def _seed(study_id: str, rater_id: str, seed: int) -> int:
    digest = hashlib.sha256(f"{study_id}|{rater_id}|{seed}".encode()).digest()
    return int.from_bytes(digest[:8], "big")
