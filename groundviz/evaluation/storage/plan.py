"""Which sample belongs to which shard; made once from the data set, without a look at any image."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from groundviz.datasets.sample import Dataset, Sample
from groundviz.errors import OptionError, StoreError
from groundviz.evaluation.storage import tables
from groundviz.evaluation.storage.keys import key_of
from groundviz.evaluation.storage.schemas import PLAN


def rows(dataset: Dataset, *, limit: int | None, shard_size: int) -> list[dict[str, Any]]:
    """The plan of a run: the first `limit` samples, consecutive ones in a shard.

    Raises:
        OptionError: There is no sample, two have the same identity, or a number is below 1.
    """
    for name, value in (("limit", limit), ("shard_size", shard_size)):
        whole = isinstance(value, int) and not isinstance(value, bool)
        if value is not None and (not whole or value < 1):
            raise OptionError(f"{name}={value!r:.40}: expected a whole number above 0. Give one.")
    samples = dataset.samples[:limit]
    if not samples:
        raise OptionError(f"The data set {dataset.name} has no samples. Check its folder and its options.")
    doubled = len(samples) - len({sample.sample_id for sample in samples})
    if doubled:
        raise OptionError(
            f"{doubled} samples of {dataset.name} have the identity of another one, and their results "
            "could not be told apart. Leave the doubles out."
        )
    return [
        {
            "order": order,
            "shard": order // shard_size,
            "sample_id": sample.sample_id,
            "cluster_id": cluster_of(sample),
        }
        for order, sample in enumerate(samples)
    ]


def write(path: Path, planned: list[dict[str, Any]]) -> None:
    """Write the plan of a new run; an equal one that is there stays as it is, unless it is damaged.

    Raises:
        StoreError: The disk refused.
    """
    with suppress(StoreError):
        if path.exists() and tables.read(path)[0] == planned:
            return
    tables.write(path, planned, PLAN)


def cluster_of(sample: Sample) -> str:
    """A name for the patient, or the image where no patient is known: the same for the same, in every run.

    It is no secret: whoever guesses at codes, and a hospital's numbers are soon gone through, finds the one.
    """
    return key_of([sample.dataset, sample.cluster])[:16]


def annotations_of(dataset: Dataset, count: int) -> str:
    """A hash of all that the data set says of its first samples: questions, answers and regions."""
    facts = [
        [
            sample.sample_id,
            [sample.answer, sample.answer_type, sample.question, sample.phrase, sample.finding, sample.split],
            [[one.kind, one.data, one.size, one.label, one.annotator, one.role] for one in sample.regions],
        ]
        for sample in dataset.samples[:count]
    ]
    return key_of(facts)
