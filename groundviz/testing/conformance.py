"""Whether an attribution method may be believed, and may be let near somebody's model: one call."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from groundviz.methods import METHODS, Method
from groundviz.methods.toolkit.facts import NOT_STATED, Facts
from groundviz.testing import borrowing, every_family, known_answers
from groundviz.testing.trial import ClosedForm, Trial

# What must be known of a method before it can be chosen.
STATED = ("shows", "unit", "cost", "source", "known_failure")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check.

    Attributes:
        name: What was demanded.
        why: What was found instead; empty when the method passed.
    """

    name: str
    why: str = ""

    @property
    def passed(self) -> bool:
        """Whether the method did what was demanded."""
        return not self.why


@dataclass(frozen=True, slots=True, kw_only=True)
class Conformance:
    """What came of checking one method; as text, a table.

    Attributes:
        method: What it is called.
        findings: One per check.
        seconds: How long it took.
    """

    method: str
    findings: tuple[Finding, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether the method did everything that was demanded."""
        return not self.failed

    @property
    def failed(self) -> tuple[Finding, ...]:
        """What the method did not pass."""
        return tuple(finding for finding in self.findings if not finding.passed)

    def raise_if_failed(self) -> None:
        """End a test.

        Raises:
            AssertionError: With the table, where a check failed.
        """
        if not self.passed:
            raise AssertionError(str(self))

    def __str__(self) -> str:
        count = f"{len(self.findings) - len(self.failed)} of {len(self.findings)}"
        head = f"{self.method}: passed {count} checks in {self.seconds:.1f} s"
        return "\n".join([head, *map(_line, self.findings)])


def check_method(
    method: str | Method,
    *,
    facts: Facts | None = None,
    options: Mapping[str, Any] | None = None,
    closed_form: ClosedForm | None = None,
    noise: float = 0.05,
) -> Conformance:
    """Run a method against known answers, every model family and every way of going wrong.

    What is demanded:

    - Facts: what the maps show, their unit, cost, source and known failure are stated at the
      registration. A formula stands in the docstring.
    - Known answers, on the model of `groundviz.testing.tiny.planted.planted`, whose words each depend on
      one known cell, linearly, and which looks at just that cell: the map of a word is highest
      there (cells that touch it may be as high), cells farther away stand out by `noise` of it at
      most, the next word's map is highest at that word's own cell, and a model that hardly looks
      and hardly minds gets a weaker map, unless the facts say `shares`. "A rather than B" is highest at
      A's cell; at B's cell it is no evidence for A, and below nothing where the method is signed,
      unless the facts say `either_way` (then both cells stand out); of two words that rest on the same
      cell alike it shows nothing. A method whose facts say `contrasts=False` is given no contrasts.
    - Every family, on tiny random models, but those that the method refuses with an
      UnsupportedMethod: maps fit their grids, every target is there, NaN stands where there is no cell
      and nowhere else, the unit is that of the facts. Run again in the same loan the maps are the
      same to the last bit, and random streams, hooks and all else are left as they were. Targets give
      the same maps in any order and alone, and share forward passes, unless the facts say
      `pass_per_target`. A given answer has the maps of the same answer generated; a
      one-token answer has a map that is not flat; an answer of special tokens is no error. A word of the
      question has a map where the facts say `question`, and is refused with a TargetError elsewhere.
    - Borrowing: a model with hooks, gradients and modes of its user's is given back as it was, after
      success, an error and Ctrl-C. The caller's no_grad, inference_mode and autocast change
      nothing. Weights of NaN lead to a NumericalError. bfloat16 runs.

    Args:
        method: A registered name, or the function itself.
        facts: What is known of a function that is not registered.
        options: To run the method with: fewer masks, for example.
        closed_form: From the planted model to what each of its cells (rows, cols) should hold for the
            word "nodule"; maps on finer grids are summed over each cell.
        noise: Share of a map's height that may come from chance: raise it for a method that
            samples.

    >>> check_method("attention").passed
    True
    """
    name = method if isinstance(method, str) else _name_of(method)
    trial = Trial(
        name=name,
        method=METHODS[name] if isinstance(method, str) else method,
        facts=facts or _facts_of(method, name),
        options=dict(options or {}),
        closed_form=closed_form,
        noise=noise,
    )
    start = time.perf_counter()
    findings = tuple(_found(check, demand) for check, demand in _checks(trial))
    return Conformance(method=name, findings=findings, seconds=time.perf_counter() - start)


def _checks(trial: Trial) -> Iterator[tuple[str, Callable[[], str]]]:
    yield "states its facts", partial(_unstated, trial)
    yield "is documented", partial(_undocumented, trial)
    for check, demand in known_answers.CHECKS.items():
        yield check, partial(demand, trial)
    for kind in every_family.TINY:
        for check, of_family in every_family.CHECKS.items():
            yield f"{check} ({kind})", partial(of_family, trial, kind)
    for check, demand in borrowing.CHECKS.items():
        yield check, partial(demand, trial)


def _found(name: str, demand: Callable[[], str]) -> Finding:
    try:
        return Finding(name=name, why=demand())
    except Exception as error:
        # Whatever a method raises is what this check has to say about it.
        return Finding(name=name, why=f"{type(error).__name__}: {error}")


def _name_of(method: Method) -> str:
    """What a function is registered as, or is called."""
    known = [name for name in METHODS if METHODS[name] is method]
    return known[0] if known else method.__name__


def _facts_of(method: str | Method, name: str) -> Facts:
    """What is stated of a method; nothing of a function that is not registered."""
    registered = isinstance(method, str) or name in METHODS
    found: Facts = METHODS.facts(name) if registered else Facts()
    return found


def _unstated(trial: Trial) -> str:
    missing = [fact for fact in STATED if getattr(trial.facts, fact) in ("", NOT_STATED)]
    if missing:
        return f"its registration does not state {', '.join(missing)}"
    return "" if trial.facts.shows.endswith(".") else "what it shows is not said in a sentence"


def _undocumented(trial: Trial) -> str:
    if sys.flags.optimize > 1:  # Python has left all docstrings out.
        return ""
    return "" if "Formula:" in trial.documentation else "its docstring gives no formula, behind Formula:"


def _line(finding: Finding) -> str:
    return f"  {'passed' if finding.passed else 'FAILED'}  {finding.name}{finding.why and ': ' + finding.why}"
