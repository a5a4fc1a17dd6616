"""CheXbert and RadGraph through the package RadEval, where somebody has installed it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import Any, Literal

from groundviz.errors import MissingExtra, OptionError

Metric = Literal["f1chexbert", "radgraph"]

# What must stand beside each of its numbers.
RADEVAL_CAVEATS: Mapping[str, str] = MappingProxyType(
    {
        "f1chexbert": "Labels of reference and report are CheXbert's; nobody read either.",
        "radgraph": "RadEval computes it with radgraph-xl. Published F1-RadGraph numbers of LLaVA-Rad are "
        "of the package 0.0.9 with the original weights, level partial: the two are not comparable.",
    }
)


def rad_eval(
    predictions: Sequence[str],
    references: Sequence[str],
    metrics: Sequence[Metric] = ("f1chexbert", "radgraph"),
) -> dict[str, Any]:
    """What RadEval makes of reports, by its own names.

    It is called with these two metrics alone: others of its metrics send texts to a service. RadEval fetches
    the weights of CheXbert and RadGraph when it is first used; texts stay on this computer.

    Args:
        predictions: The generated reports.
        references: As many, in the same order.
        metrics: Which to compute.

    Returns:
        {name: number of all reports}, and {name + "_each": a list with one for each report}.

    Raises:
        MissingExtra: RadEval is not installed.
        OptionError: They differ in number, or another metric is asked for.
    """
    refused = [name for name in metrics if name not in RADEVAL_CAVEATS]
    if refused or not metrics:
        raise OptionError(
            f"RadEval is used for {' and '.join(RADEVAL_CAVEATS)} alone, and not for "
            f"{', '.join(refused) or 'nothing'}: other metrics may send texts to "
            "a service. Import their results with read_results."
        )
    if len(predictions) != len(references) or not len(references):
        raise OptionError(
            f"There are {len(predictions)} reports and {len(references)} references: give as many, at least "
            "one."
        )
    try:
        package = import_module("RadEval")
    except ImportError:
        raise MissingExtra(
            "CheXbert and RadGraph need RadEval, which is not installed. Install it with: pip install "
            "RadEval. Or import results of another program with groundviz.metrics.reports.read_results."
        ) from None
    asked = {f"do_{name}": True for name in metrics}
    texts = {"refs": list(references), "hyps": list(predictions)}
    together = package.RadEval(**asked)(**texts)
    each = package.RadEval(**asked, do_per_sample=True)(**texts)
    # Both have some of the names: those of each report are told apart.
    return {**together, **{f"{name}_each": values for name, values in each.items()}}
