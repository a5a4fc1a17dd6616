"""What the arguments of `explain` must be, before anything is loaded for them."""

from __future__ import annotations

from typing import Any

import numpy as np

from groundviz.errors import OptionError, PromptError, TargetError
from groundviz.targets import check_named


def check(*, answer: Any, target: Any, against: Any, seed: Any) -> None:
    """Stop arguments of a wrong kind, by name.

    Raises:
        PromptError: The given answer is no text.
        TargetError: The target is nothing that names a part of an answer, or the text to hold against it is
            no text.
        OptionError: The seed is no whole number that random numbers can start from.

    >>> check(answer=None, target="nodule", against=None, seed=0)
    """
    if not isinstance(answer, str | None):
        raise PromptError(
            f"The answer is of type {type(answer).__name__}: expected a text, or None to let the model "
            "answer. Give answer='...'."
        )
    for one in target if isinstance(target, list) else [target]:
        check_named(one)
    if target == []:
        raise TargetError("The list of targets is empty: expected at least one. Name one, or leave it out.")
    if not isinstance(against, str | None):
        raise TargetError(
            f"What to hold against the target is of type {type(against).__name__}: expected a text. "
            "Give against='...'."
        )
    whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
    if not whole or not 0 <= seed < 2**63:
        found = f"{seed}" if whole else f"of type {type(seed).__name__}"
        raise OptionError(f"The seed is {found}: expected a whole number from 0, below 2**63. Give seed=0.")
