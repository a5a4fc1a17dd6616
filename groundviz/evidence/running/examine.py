"""From named checks to what came of them; a check that cannot be made says so, and loses nothing else."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Literal

from groundviz.errors import GroundvizError, ModelChanged, UnknownName
from groundviz.evidence.toolkit.check import CHECKS, Case, When, outcome
from groundviz.record.evidence import NOT_MEASURED
from groundviz.record.types import Check

Extent = Literal["quick", "full"] | None


def checks_of(extent: Extent) -> tuple[str, ...]:
    """The checks that belong to an extent.

    Raises:
        UnknownName: There is no such extent.

    >>> checks_of("quick")
    ('image_share', 'needs_image', 'place')
    """
    if extent is None:
        return ()
    if extent == "quick":
        return names("always")
    if extent == "full":
        return names("always", "request")
    raise UnknownName(f"There is no evidence called {extent!r}: there are 'quick', 'full' and None.")


def names(*when: When) -> tuple[str, ...]:
    """The checks that are made at some occasions, those of the first occasion first."""
    return tuple(name for occasion in when for name in CHECKS if CHECKS.facts(name).when == occasion)


def examine(case: Case, checks: Iterable[str]) -> tuple[Check, ...]:
    """What came of some checks, in their order.

    A check that a model or an answer does not allow is "not measured", with the reason. Ctrl-C ends the
    work: what was found until then is returned, with a warning.
    """
    found: list[Check] = []
    for name in checks:
        if case.live.interrupted:
            break
        try:
            case.live.progress.at(CHECKS.facts(name).asks)
            # One by one: an interruption keeps those that are made.
            for check in CHECKS[name](case):
                found.append(check)
        except ModelChanged:
            raise
        except GroundvizError as error:
            found.append(outcome(name, NOT_MEASURED, str(error)))
        except KeyboardInterrupt:
            case.live.interrupted = True
            warnings.warn(
                f"Interrupted during the check {name!r}: it was not measured.", RuntimeWarning, stacklevel=4
            )
            break
    return tuple(found)
