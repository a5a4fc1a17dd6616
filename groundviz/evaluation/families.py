"""What is compared with what in a run, declared when it is planned: the families of Holm's correction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from groundviz.evaluation.cases.covered import KINDS
from groundviz.metrics import priors

# The first of these that a run is scored with is its primary metric, unless a report names another one.
PRIMARY = ("pointing", "hit_pixel", "energy", "ap")
# Of the priors, the one with the best mean of the primary metric.
STRONGEST = "strongest prior"
PRIORS = (priors.RANDOM, priors.CENTRE, priors.CLASS_MEAN)
# Orders of the cells that know nothing of the image, beside which curves stand.
BLIND_ORDERS = (priors.RANDOM, priors.CENTRE)
# The families, by what a report makes of them.
NOT_NAMED = "not named"
HEADLINE, GROUNDING, FINDINGS, CURVES = "headline", "grounding", "findings", "curves"

Comparison = tuple[str, ...]


def primary_of(metrics: Iterable[str]) -> str:
    """The metric that comparisons are in; empty where there is none.

    >>> primary_of(["auroc", "energy"])
    'energy'
    """
    known = list(metrics)
    return next((one for one in (*PRIMARY, *known) if one in known), "")


def families(
    methods: Sequence[str],
    controls: Sequence[str],
    *,
    findings: Sequence[str],
    covers: Sequence[str],
    blind: Sequence[str] = PRIORS,
) -> dict[str, list[Comparison]]:
    """Every comparison that a report tests, by family: who, with what, and in which part of the data.

    Args:
        methods: The methods.
        controls: Names of their controls.
        findings: The findings of the samples with a reference region.
        covers: What covers the image for curves.
        blind: The maps that never saw the image.

    >>> found = families(["attention"], [], findings=["mass"], covers=[], blind=["prior:centre"])
    >>> found["headline"], found["findings"]
    ([('attention', 'prior:centre')], [('attention', 'strongest prior', 'mass')])
    """
    return {
        HEADLINE: [(method, prior) for method in methods for prior in blind],
        GROUNDING: [(name, STRONGEST) for name in (*methods, *controls)],
        FINDINGS: [(method, STRONGEST, finding) for finding in findings for method in methods],
        CURVES: [
            (method, blind_order, cover, kind)
            for cover in covers
            for method in methods
            for kind in KINDS
            for blind_order in BLIND_ORDERS
        ],
    }


def declared(primary: str, found: dict[str, list[Comparison]]) -> dict[str, Any]:
    """For the manifest."""
    return {"primary": primary, "correction": "holm", "families": found}
