"""Reports against references: by words, by findings, and by what other programs found.

    rouge_l            the longest common subsequence of words, report by report
    bleu               BLEU of all reports together
    FINDINGS           the 14 labels of CheXbert, FIVE of which are often reported alone
    label_f1           F1 of the findings that a labeller found in both
    rad_eval           CheXbert and RadGraph, through the package RadEval where it is installed
    read_results       numbers that another program made, by the id of the report

Nothing here sends a text anywhere: numbers of services are read from files.

>>> labels = [[1 if name == "Edema" else 0 for name in FINDINGS]]
>>> label_f1(labels, labels, findings=FIVE).micro
1.0
"""

from groundviz.metrics.reports.findings import FINDINGS, FIVE, LabelF1, label_f1, read_labels
from groundviz.metrics.reports.imported import matched, read_results
from groundviz.metrics.reports.lexical import bleu, rouge_l
from groundviz.metrics.reports.radeval import RADEVAL_CAVEATS, rad_eval

__all__ = [
    "FINDINGS",
    "FIVE",
    "RADEVAL_CAVEATS",
    "LabelF1",
    "bleu",
    "label_f1",
    "matched",
    "rad_eval",
    "read_labels",
    "read_results",
    "rouge_l",
]
