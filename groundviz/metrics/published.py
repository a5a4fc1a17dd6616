"""Numbers that papers and model cards print, as data, each with what is known against comparing with it.

>>> row = VQA_ROWS[0]
>>> row.model, row.numbers["vqa_rad"], row.average
('SigPhi-Med', (67.76, 88.24), 76.74)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

_NO_REPRODUCTION = (
    "Users could not reproduce such rows: LLaVA-Med issue 28, MedEvalKit issue 13, Med-MoE issues 13 and 15."
)
_SCORERS_DIFFER = (
    "Open is recall of words, and closed is whether the answer contains the reference. The scripts of the "
    "papers differ in both: see the scorers sigphi and llava_med."
)
_SAMPLED = "SigPhi-Med's script samples at temperature 0.4 without a seed."


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRow:
    """One row of a published table.

    Attributes:
        model: What was scored.
        setting: "fine-tuned" or "zero-shot", and what tells it from another row of the model.
        numbers: {name of a data set in `groundviz.datasets`: (open, closed)} in percent; empty where only the
            average is known.
        average: As printed: the unweighted mean of the six numbers.
        source: Where it is printed.
        caveats: What must stand beside it, each a sentence or two.
    """

    model: str
    setting: str
    average: float
    source: str
    numbers: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedNumber:
    """One published number of maps against regions.

    Attributes:
        model: What was scored.
        data: On which data set, as in `groundviz.datasets`.
        metric: What the source calls it.
        ours: The metric of `groundviz.metrics.METRICS` that is defined alike.
        value: As printed.
        spread: What follows the sign for plus or minus; None where nothing does.
        source: Where it is printed.
    """

    model: str
    data: str
    metric: str
    ours: str
    value: float
    source: str
    spread: float | None = None


def _six(
    vqa_rad: tuple[float, float], slake: tuple[float, float], path_vqa: tuple[float, float]
) -> Mapping[str, tuple[float, float]]:
    return MappingProxyType({"vqa_rad": vqa_rad, "slake": slake, "pathvqa": path_vqa})


_README = "README of SigPhi-Med"

# Rows of questions and answers, in percent: open is recall, closed is accuracy.
VQA_ROWS: tuple[PublishedRow, ...] = (
    PublishedRow(
        model="SigPhi-Med",
        setting="fine-tuned",
        numbers=_six((67.76, 88.24), (85.07, 86.54), (39.85, 92.98)),
        average=76.74,
        source=_README,
        caveats=(
            _SAMPLED,
            "Its lead of 88.24 over LLaVA-Med's 84.19 on closed VQA-RAD is 11 questions; a naive standard "
            "error is 1.95.",
            _SCORERS_DIFFER,
            _NO_REPRODUCTION,
        ),
    ),
    PublishedRow(
        model="SigPhi-Med",
        setting="zero-shot",
        numbers=_six((45.88, 74.63), (48.35, 72.60), (18.54, 61.52)),
        average=53.59,
        source=_README,
        caveats=(_SAMPLED, _SCORERS_DIFFER, _NO_REPRODUCTION),
    ),
    PublishedRow(
        model="LLaVA-Med 7B",
        setting="fine-tuned, 15 epochs",
        numbers=_six((61.53, 84.19), (83.08, 85.34), (37.95, 91.21)),
        average=73.88,
        source=_README,
        caveats=(
            "The weights that were published are the differences of the row of 9 epochs, not of this one.",
            _SCORERS_DIFFER,
            _NO_REPRODUCTION,
        ),
    ),
    PublishedRow(
        model="LLaVA-Med 7B",
        setting="fine-tuned, 9 epochs",
        numbers=_six((66.26, 80.88), (82.30, 84.86), (37.59, 91.54)),
        average=73.90,
        source="README of LLaVA-Med v1.0",
        caveats=(_SCORERS_DIFFER, _NO_REPRODUCTION),
    ),
    PublishedRow(
        model="LLaVA-Med v1.5",
        setting="zero-shot",
        numbers=_six((31.31, 65.07), (42.37, 62.50), (10.14, 67.20)),
        average=46.43,
        source=_README,
        caveats=(_SCORERS_DIFFER, _NO_REPRODUCTION),
    ),
    PublishedRow(model="LLaVA-Med 13B", setting="fine-tuned", average=74.05, source=_README),
    PublishedRow(model="Med-MoE 2.7B x 4", setting="fine-tuned", average=73.11, source=_README),
    PublishedRow(model="Med-MoE 1.6B x 4", setting="fine-tuned", average=70.30, source=_README),
)

# What the test sets of these rows hold: (images, questions, open, closed).
VQA_TEST_SETS: Mapping[str, tuple[int, int, int, int]] = MappingProxyType(
    {
        "vqa_rad": (203, 451, 179, 272),
        "slake": (96, 1061, 645, 416),
        "pathvqa": (858, 6761, 3370, 3391),
    }
)
VQA_CAVEATS: Mapping[str, str] = MappingProxyType(
    {
        "vqa_rad": "Its training questions are about 313 images and its test questions about 203, of 314 in "
        "use: at least 202 of the test images are training images. Of its test questions MedEvalKit counts "
        "251 as closed.",
    }
)

_BIOVIL = "model card of BioViL-T"
_CXR_BERT = "model card of BiomedVLP-CXR-BERT"

# Maps against regions. CNR is absolute there: compare with cnr_abs alone.
MAP_NUMBERS: tuple[PublishedNumber, ...] = (
    PublishedNumber(
        model="ClinicalBERT",
        data="ms_cxr",
        metric="average CNR",
        ours="cnr_abs",
        value=0.769,
        source=_CXR_BERT,
    ),
    PublishedNumber(
        model="PubMedBERT", data="ms_cxr", metric="average CNR", ours="cnr_abs", value=0.773, source=_CXR_BERT
    ),
    PublishedNumber(
        model="ConVIRT", data="ms_cxr", metric="average CNR", ours="cnr_abs", value=0.818, source=_CXR_BERT
    ),
    PublishedNumber(
        model="GLoRIA", data="ms_cxr", metric="average CNR", ours="cnr_abs", value=0.930, source=_CXR_BERT
    ),
    PublishedNumber(
        model="BioViL", data="ms_cxr", metric="average CNR", ours="cnr_abs", value=1.027, source=_CXR_BERT
    ),
    PublishedNumber(
        model="BioViL-L", data="ms_cxr", metric="average CNR", ours="cnr_abs", value=1.142, source=_CXR_BERT
    ),
    PublishedNumber(
        model="BioViL", data="ms_cxr", metric="CNR", ours="cnr_abs", value=1.07, spread=0.04, source=_BIOVIL
    ),
    PublishedNumber(
        model="BioViL-L", data="ms_cxr", metric="CNR", ours="cnr_abs", value=1.21, spread=0.05, source=_BIOVIL
    ),
    PublishedNumber(
        model="BioViL-T", data="ms_cxr", metric="CNR", ours="cnr_abs", value=1.33, spread=0.04, source=_BIOVIL
    ),
    PublishedNumber(
        model="BioViL", data="ms_cxr", metric="mIoU", ours="miou", value=0.229, spread=0.005, source=_BIOVIL
    ),
    PublishedNumber(
        model="BioViL-L", data="ms_cxr", metric="mIoU", ours="miou", value=0.202, spread=0.010, source=_BIOVIL
    ),
    PublishedNumber(
        model="BioViL-T", data="ms_cxr", metric="mIoU", ours="miou", value=0.240, spread=0.005, source=_BIOVIL
    ),
)
MAP_CAVEATS: tuple[str, ...] = (
    "From BioViL to BioViL-L the CNR rises and the mIoU falls: no single metric is enough.",
    "None of these numbers stands beside that of a map that never saw the image.",
    "The evaluation space of each is its own: numbers of another space are not comparable.",
)

# What an image-blind guess scores on the 984 boxes of the NIH (880 images, 726 patients).
NIH_PRIORS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "random": MappingProxyType({"pointing": 0.07, "cnr": 0.01, "ap": 0.08}),
        "centre": MappingProxyType({"pointing": 0.22, "cnr": 0.96, "ap": 0.24}),
        "class_mean": MappingProxyType({"pointing": 0.41, "cnr": 1.39, "ap": 0.35, "auroc": 0.86}),
    }
)

# How LLaVA-Rad scored its reports.
REPORT_CAVEATS: tuple[str, ...] = (
    "Its rows are those of generate_method rule-based, views AP and PA, with findings: 2,461 reports.",
    "What it prints is the median of 500 draws of reports, which ignores that reports of one patient are "
    "alike; BLEU is the number of the data as they are.",
    "The printed numbers could not be confirmed, and are no target.",
)
