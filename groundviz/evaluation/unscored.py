"""Which samples have no number of localisation, and why: none is left out without being counted."""

from __future__ import annotations

import math

from groundviz.evaluation.cases.outcome import OK
from groundviz.evaluation.families import primary_of
from groundviz.evaluation.storage.tables import Columns

NO_REGION = "no reference region"
NO_MAP = "no map"
UNREAD = "reference that cannot be read"


def unscored(answers: Columns, maps: Columns, scores: Columns) -> dict[str, list[str]]:
    """The samples without a value of the primary metric, by why: their identities, in the answers' order.

    Why is `NO_REGION`, `NO_MAP`, or begins with `UNREAD`; or it is what the metric says, such as "empty
    reference".

    Args:
        answers: As `Run.answers` gives them.
        maps: As `Run.maps_table` gives them.
        scores: As `Run.scores` gives them, of shards that are all scored.
    """
    primary = primary_of(metric for metric in scores["metric"] if metric)
    scored: set[str] = set()
    flags: dict[str, str] = {}
    columns = (scores[name] for name in ("sample_id", "metric", "value", "flag"))
    for sample_id, metric, value, flag in zip(*columns, strict=True):
        if not metric:
            # The row of a reference that could not be drawn is of no metric.
            flags[sample_id] = f"{UNREAD}. {flag}"
        elif metric == primary and value is not None and not math.isnan(value):
            scored.add(sample_id)
        elif metric == primary:
            flags.setdefault(sample_id, flag)
    rows = zip(maps["sample_id"], maps["status"], strict=True)
    mapped = {sample_id for sample_id, status in rows if status == OK}
    found: dict[str, list[str]] = {}
    for sample_id in answers["sample_id"]:
        if sample_id not in scored:
            why = flags.get(sample_id) or (NO_REGION if sample_id in mapped else NO_MAP)
            found.setdefault(why, []).append(sample_id)
    return found
