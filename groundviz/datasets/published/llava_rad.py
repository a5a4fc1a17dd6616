"""LLaVA-Rad's annotations of MIMIC-CXR: findings sections of reports, as its own evaluation takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from groundviz.datasets import mimic
from groundviz.datasets.card import DATASETS, Count
from groundviz.datasets.choices import Identities, several
from groundviz.datasets.reading import needed, records
from groundviz.datasets.sample import Dataset, Sample
from groundviz.errors import DataError

VERSION = "1.0.0"
SPLITS = ("train", "dev", "test")
FRONTAL = ("AP", "PA")
RULE_BASED = "rule-based"
_QUESTION = "Provide a description of the findings in the radiology image"


@DATASETS.register(
    "llava_rad",
    shows="Chest X-rays and the findings sections of their reports, as LLaVA-Rad was evaluated.",
    publisher="Microsoft Research, on PhysioNet",
    version=VERSION,
    license=mimic.LICENSE,
    access=mimic.ACCESS,
    annotation="none: reports alone",
    files=f"chat_test_MIMIC_CXR_all_gpt4extract_rulebased_v1.json (or train, dev); {mimic.IMAGES}",
    contamination=f"{mimic.CONTAMINATION} The splits train and dev were LLaVA-Rad's own.",
    citation='Zambrano Chaves et al., "A clinically accessible small multimodal radiology model and '
    'evaluation metric for chest X-ray findings", Nature Communications 2025',
    quirks=(
        "Its evaluation keeps reports cut by rule (not by GPT-4), views AP and PA, and findings that are a "
        "text.",
        "Paths begin with mimic/, which is no folder of MIMIC-CXR-JPG.",
        "The question names the reason of the exam where there is one; its line breaks become blanks.",
    ),
    counts=(Count(what="samples", expected=2461, split="test"),),
)
def llava_rad(
    root: Path,
    *,
    images: str | None = None,
    split: Any = "test",
    methods: Any = (RULE_BASED,),
    views: Any = FRONTAL,
) -> Dataset:
    """The reports of one split or several, with the publisher's question.

    Args:
        root: The folder of the JSON files.
        images: The folder of MIMIC-CXR-JPG or MIMIC-CXR, if it is another one.
        split: "train", "dev", "test", or several of them.
        methods: Which ways of cutting the findings from the report are kept: "rule-based", "gpt4"; None for
            all.
        views: Which views are kept; None for all.

    Raises:
        DataError: A file is missing or damaged.
        OptionError: There is no such split.
    """
    identities = Identities("llava_rad", VERSION)
    samples: list[Sample] = []
    dropped: dict[str, int] = {}
    for one in several("split", split, SPLITS):
        path = needed(root, f"chat_{one}_MIMIC_CXR_all_gpt4extract_rulebased_v1.json")
        fields = ("id", "image", "generate_method", "view", "conversations")
        for count, row in enumerate(records(path, fields), start=1):
            reason = _left_out(row, _listed(methods), _listed(views), count)
            if reason:
                dropped[reason] = dropped.get(reason, 0) + 1
            else:
                samples.append(_sample(row, one, identities))
    return Dataset(
        name="llava_rad",
        version=VERSION,
        samples=tuple(samples),
        root=root,
        opened=mimic.images_in(root, images),
        dropped=dropped,
    )


def predictions(path: Path) -> dict[str, str]:
    """Generated reports in the form that LLaVA-Rad's evaluation writes, by the `id` of a sample's facts.

    Args:
        path: A JSON Lines file of id, query, reference and prediction.

    Raises:
        DataError: It is damaged, or tells two reports of one id.
    """
    told: dict[str, str] = {}
    for count, row in enumerate(records(path, ("id", "prediction")), start=1):
        if str(row["id"]) in told:
            raise DataError(
                f"Line {count} tells a second report of one id. Were parts of a run joined twice?"
            )
        told[str(row["id"])] = str(row["prediction"])
    return told


def _listed(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    return (value,) if isinstance(value, str) else tuple(value)


def _left_out(
    row: dict[str, Any], methods: tuple[str, ...] | None, views: tuple[str, ...] | None, count: int
) -> str:
    """Why a row is none that is evaluated; empty for one that is."""
    turns = row["conversations"]
    if not isinstance(turns, list) or len(turns) < 2 or not all(isinstance(turn, dict) for turn in turns):
        raise DataError(f"Entry {count} has no conversation of two turns. It may be another file.")
    if methods is not None and row["generate_method"] not in methods:
        return "findings cut in another way"
    if views is not None and row["view"] not in views:
        return "another view"
    if not isinstance(turns[1].get("value"), str):
        return "no findings"
    return ""


def _sample(row: dict[str, Any], split: str, identities: Identities) -> Sample:
    place = mimic.place_of(row["image"])
    question = f"{_QUESTION}."
    if row.get("reason"):
        reason = str(row["reason"]).replace("\n", " ")
        question = f"{_QUESTION} given the following indication: {reason}"
    return Sample(
        sample_id=identities(place.image, question=question),
        dataset="llava_rad",
        version=VERSION,
        split=split,
        image=place.image,
        patient=place.patient,
        study=place.study,
        question=question,
        answer=row["conversations"][1]["value"],
        answer_type="report",
        facts={"id": str(row["id"]), "view": row["view"], "generate_method": row["generate_method"]},
    )
