"""Intervals, tests and strata of scores, with what belongs to one patient drawn together.

Samples of one patient are alike, and an interval that ignores this is too narrow: on data with 11 questions
about each of 96 images and an intra-cluster correlation of 0.3, a naive 95 % interval covers the truth in 67
% of cases.

>>> hits, patients = [1, 1, 0, 1] * 10, [index // 2 for index in range(40)]
>>> print(cluster_bootstrap(hits, patients))
0.750 [0.625, 0.875]
"""

from groundviz.metrics.statistics.bootstrap import (
    FEWEST_CLUSTERS,
    Interval,
    cluster_bootstrap,
    macro,
    micro,
    ratio,
    report_bootstrap,
)
from groundviz.metrics.statistics.correctness import CorrectGrounded, correct_and_grounded, spearman
from groundviz.metrics.statistics.permutation import holm, sign_flip, smallest_p
from groundviz.metrics.statistics.strata import stratify, terciles

__all__ = [
    "FEWEST_CLUSTERS",
    "CorrectGrounded",
    "Interval",
    "cluster_bootstrap",
    "correct_and_grounded",
    "holm",
    "macro",
    "micro",
    "ratio",
    "report_bootstrap",
    "sign_flip",
    "smallest_p",
    "spearman",
    "stratify",
    "terciles",
]
