"""Does the map lie where the model looked, and does it point anywhere?"""

from __future__ import annotations

from groundviz.evidence.toolkit.check import CHECKS, Case, outcome
from groundviz.record.evidence import CERTIFIED
from groundviz.record.types import Check


@CHECKS.register(
    "place",
    asks="Do the cells of the map lie where the model looked, and do they differ from each other?",
    unit="",
    cost="none: the certificate was made when the model was first explained",
    source="groundviz.certify",
    known_failure="It says where cells lie, and nothing about what they hold.",
    when="always",
)
def place(case: Case) -> list[Check]:
    """The model's certificate, and a check for each method whose cells are all alike."""
    certificate = case.certificate
    if certificate is None:
        found = [outcome("place", "not certified", "Nobody certified the model: cells may lie elsewhere.")]
    elif certificate == CERTIFIED:
        found = [
            outcome(
                "place",
                CERTIFIED,
                "The model is certified: cells lie where it reads the image.",
            )
        ]
    else:
        found = [outcome("place", certificate, f"The model was not certified: {certificate}.")]
    pointing = {method for method, _ in case.maps()}
    for method in dict.fromkeys(maps.method for maps in case.heatmaps if maps.has(case.target)):
        if method not in pointing:
            says = "All cells of the map are alike: it points nowhere."
            found.append(outcome("place", "no map", says, method=method))
    return found
