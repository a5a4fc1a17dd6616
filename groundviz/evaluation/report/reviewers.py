"""What reviewers ask, answered from the run, or that nothing was measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import numpy as np

from groundviz.datasets import regions
from groundviz.datasets.sample import Role
from groundviz.errors import GroundvizError
from groundviz.evaluation.cases.covered import DELETION
from groundviz.evaluation.families import BLIND_ORDERS, HEADLINE
from groundviz.evaluation.report import faithfulness
from groundviz.evaluation.report.headline import headline
from groundviz.evaluation.report.inference import p_words, uncorrected
from groundviz.evaluation.report.results import CONTROLS, Results, as_numbers, name_of, title_of
from groundviz.evaluation.report.sections import without_metric
from groundviz.metrics import METRICS
from groundviz.metrics.statistics import FEWEST_CLUSTERS, spearman, terciles
from groundviz.record.types import Doubles
from groundviz.render.report.tables import Number, text

NOT_HERE = "Not measured in this run."
SECOND: tuple[Role, ...] = ("extra", "human_benchmark")
Answered = tuple[str, str]


def questions(results: Results) -> list[Answered]:
    """Questions and answers, in the order in which they are asked."""
    asked: list[tuple[str, Callable[[Results], str]]] = [
        ("Is it better than a prior that ignores the image?", _better),
        ("Is it better than random weights, and than the map of another image?", _controls),
        ("Was a layer, a head or a threshold chosen on these data?", _chosen),
        ("Where do maps and references meet, in the image or on the model's cells?", _space),
        ("How are several boxes or phrases merged?", _merged),
        ("What about negative and absent findings?", _negatives),
        ("What when the answer is wrong?", _wrong),
        ("Does confidence tell where maps are right?", _confidence),
        ("Are intervals by patient, and are tests corrected?", _statistics),
        ("May the model have been trained on these data?", _contamination),
        (
            "Does it hold on a second site?",
            lambda _: f"{NOT_HERE} A run is about one data set; evaluate on another.",
        ),
        (
            "Does masking the region change the answer?",
            _masked,
        ),
        ("How does it fare on small lesions?", _small),
        ("How well do readers agree with each other?", _readers),
        ("Does the model use the image at all?", _uses),
        ("Can it be reproduced from files?", _reproduced),
        ("Reference standard, annotators, partitions, failures (CLAIM)?", _claim),
    ]
    told: list[Answered] = []
    for question, answer in asked:
        compared = results.localised or answer not in _OF_PLACES
        told.append(
            (
                question,
                answer(results) if compared else f"{NOT_HERE} No sample has a reference that could be read.",
            )
        )
    return told


def _better(results: Results) -> str:
    return " ".join(headline(results))


def _controls(results: Results) -> str:
    sentences: list[str] = []
    words = dict(zip(CONTROLS, ("another patient's image", "random weights"), strict=True))
    for method in results.methods:
        for kind, what in words.items():
            other = f"{kind}{method}"
            gain = results.number(results.gain(method, other)) if other in results.scored else None
            if gain is None:
                sentences.append(f"{name_of(method)} against {what}: not measured.")
                continue
            p = p_words(uncorrected(results, results.gain(method, other)))
            sentences.append(f"{name_of(method)} less the same with {what}: {gain}, {p} (uncorrected).")
    return f"Differences of the {title_of(results.primary)}. {' '.join(sentences)}"


def _chosen(results: Results) -> str:
    methods = results.run.manifest["methods"]
    options = [
        f"{name} ({', '.join(f'{key}={value}' for key, value in one.items())})"
        for name, one in methods.items()
        if one
    ]
    stated = "; ".join(options) or "none states options"
    return (
        "This run chose nothing: methods ran with the options that the manifest fixed before the first "
        f"sample ({stated}), and thresholds are rules that look at the map alone. If options were tuned "
        "elsewhere, say on which data."
    )


def _space(results: Results) -> str:
    spaces = sorted({str(one) for one in results.scores["variant"] if one})
    meant = {
        "grid": "the model's own cells, each by the share of it that the reference covers",
        "image": "the image's pixels",
    }
    return (
        f"Evaluation space {', '.join(spaces)}: {'; '.join(meant.get(one, one) for one in spaces)}. "
        f"{_ceiling(results)}"
    )


def _ceiling(results: Results) -> str:
    if "iou_ceiling" not in results.metrics or not results.methods:
        return ""
    best = results.number(results.values(results.methods[0], "iou_ceiling"))
    return f"The best that any map on these cells can reach is an IoU of {text(best)}."


def _merged(results: Results) -> str:
    return (
        "All primary regions of a sample are one reference, their union; regions of second readers are left "
        "out of it. A map is that of the answer's part that the manifest names."
    )


def _negatives(results: Results) -> str:
    without = without_metric(results)
    reasons = "; ".join(f"{count}: {why.rstrip('.')}" for why, count in without.items())
    return (
        f"{without.total()} of {len(results.rows)} samples have no localisation metric; their answers are "
        f"scored like all others. {reasons and f'Why, by the number of samples: {reasons}.'}"
    )


def _wrong(results: Results) -> str:
    if results.scorer is None:
        return f"{NOT_HERE} No scorer of answers gave a number."
    right = results.correct()
    sentences: list[str] = []
    for method in results.methods:
        values = results.values(method, results.primary)
        for words, inside in (("right", right >= 0.5), ("wrong", right < 0.5)):
            mean = results.number(np.where(inside, values, np.nan))
            sentences.append(f"{name_of(method)}, answer {words}: {text(mean)}.")
    return (
        f"{title_of(results.primary).capitalize()}. {' '.join(sentences)} The table of reasons has the "
        f"counts."
    )


def _confidence(results: Results) -> str:
    confidence = as_numbers(results.answers["confidence"])
    sentences: list[str] = []
    for method in results.methods:
        values = results.values(method, results.primary)
        if np.isfinite(values + confidence).sum() < 3:
            continue
        found = spearman(confidence, values, results.clusters, repeats=200, seed=results.seed)
        shown = Number(found.mean, found.low, found.high)
        sentences.append(f"{name_of(method)}: {shown}.")
    if not sentences:
        return NOT_HERE
    return (
        f"Spearman's rank correlation of the answer's probability and the {title_of(results.primary)}. "
        f"{' '.join(sentences)}"
    )


def _statistics(results: Results) -> str:
    return (
        f"Yes. {len(set(results.clusters))} clusters (patients, or images where no patient is known) hold "
        f"{len(results.rows)} samples; intervals, of at least {FEWEST_CLUSTERS} clusters, draw clusters anew "
        f"({results.repeats} times), p-values flip the sign of clusters, and Holm's correction spans each "
        f"table's family, which its note names. {results.told_of(HEADLINE)}"
    )


def _contamination(results: Results) -> str:
    return results.card.contamination if results.card is not None else "Not stated by the data set."


def _masked(results: Results) -> str:
    if not results.covers:
        return f"{NOT_HERE} `groundviz.challenge` measures it; so does an evaluation with curves."
    cover, sentences = results.covers[0], []
    for method in results.methods:
        change = faithfulness.changes(results, method, cover, DELETION)
        if not np.isfinite(change).any():
            sentences.append(f"{name_of(method)}: not measured.")
            continue
        gains = [change - faithfulness.changes(results, one, cover, DELETION) for one in BLIND_ORDERS]
        more = " and ".join(
            f"{text(results.number(gain))} more than in the {name_of(one)}"
            for one, gain in zip(BLIND_ORDERS, gains, strict=True)
        )
        sentences.append(
            f"{name_of(method)}: the answer loses {text(results.number(change))} nats on average, {more}."
        )
    return f"Cells were covered in the order of each map. {' '.join(sentences)} A table has the rest."


def _small(results: Results) -> str:
    small = np.array([one == "small" for one in terciles(results.areas)])
    sentences: list[str] = []
    for name in [*results.methods, *results.priors]:
        mean = results.number(np.where(small, results.values(name, results.primary), np.nan))
        sentences.append(f"{name_of(name)} {text(mean)}")
    return (
        f"{title_of(results.primary).capitalize()} on the smallest third of the regions: "
        f"{', '.join(sentences)}."
    )


def _readers(results: Results) -> str:
    overlaps = second_readers(results)
    mean = results.number(overlaps)
    if mean is None:
        return f"{NOT_HERE} The data set holds no second reader; `groundviz study` measures readers' overlap."
    return (
        f"The primary regions and those of second readers overlap by an IoU of {mean} on "
        f"{int(np.isfinite(overlaps).sum())} samples: a ceiling for any map."
    )


def second_readers(results: Results) -> Doubles:
    """(sample,) IoU of the reference and what second readers marked; NaN where nobody read twice."""
    overlaps = np.full(len(results.rows), np.nan)
    answers = results.answers
    try:
        dataset = results.run.dataset
    except GroundvizError:
        return overlaps
    for at, order in enumerate(answers["order"]):
        sample = dataset.samples[order]
        shape = answers["image_rows"][at], answers["image_cols"][at]
        if None in shape or all(region.role == "primary" for region in sample.regions):
            continue
        with suppress(GroundvizError):
            first = regions.reference(sample.regions, shape, root=dataset.root)
            second = regions.reference(sample.regions, shape, roles=SECOND, root=dataset.root)
            if second.any():
                overlaps[at] = (first & second).sum() / (first | second).sum()
    return overlaps


def _uses(results: Results) -> str:
    counts = Counter(results.needs_image)
    known = counts["yes"] + counts["no"]
    if not known:
        return NOT_HERE
    return (
        f"{counts['yes']} of {known} answers need it: blurring or flattening the image takes at least 0.69 "
        f"nats from them, which halves their probability. Of {counts['no']} answers that do not, no map can "
        "show where they come from."
    )


def _reproduced(results: Results) -> str:
    manifest = results.run.manifest
    return (
        f"Run {manifest['run_id']}: model weights {manifest['model']['weights']}, annotations "
        f"{manifest['dataset']['annotations'][:16]}, seed {manifest['asked']['seed']}. The same run gives "
        "the same tables to the byte."
    )


def _claim(results: Results) -> str:
    card, facts = results.card, results.run.manifest["dataset"]
    annotated = card.annotation if card is not None else "not stated by the data set"
    splits = ", ".join(f"{name or 'no split'}: {count}" for name, count in facts["splits"].items())
    failed = sum(count for status, count in results.statuses.items() if status != "ok")
    return (
        f"Reference: {annotated}. Partitions: {splits}. {failed} of {len(results.rows)} samples failed and "
        "are counted above. The gallery shows cases by rule, failures included."
    )


def metric_notes(results: Results) -> list[Answered]:
    """What each metric of the main table is, and what it misses."""
    notes: list[Answered] = []
    for metric in results.headline:
        name = metric.partition("@")[0]
        if name in METRICS:
            facts = METRICS.facts(name)
            notes.append((title_of(metric), f"{facts.shows} Chance: {facts.chance}. {facts.known_failure}"))
    return notes


# What is told of maps beside reference regions.
_OF_PLACES = (_better, _controls, _space, _merged, _wrong, _confidence, _small)
