"""Which sample belongs to which shard; made once from the data set, without a look at any image."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from groundviz.datasets.reading import inside
from groundviz.datasets.sample import Dataset, Sample
from groundviz.errors import DataError, OptionError, StoreError
from groundviz.evaluation.storage import tables
from groundviz.evaluation.storage.keys import key_of, sha256_of
from groundviz.evaluation.storage.schemas import PLAN
from groundviz.record import arguments


def rows(dataset: Dataset, *, limit: int | None, shard_size: int) -> list[dict[str, Any]]:
    """The plan of a run: the first `limit` samples, consecutive ones in a shard.

    Raises:
        OptionError: There is no sample, two have the same identity, or a number is below 1.
    """
    if limit is not None:
        arguments.check_count("limit", limit)
    arguments.check_count("shard_size", shard_size)
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
    """A hash of all that the data set's tables say of its first samples: questions, answers and regions."""
    facts = [
        [
            sample.sample_id,
            [sample.answer, sample.answer_type, sample.question, sample.phrase, sample.finding, sample.split],
            [[one.kind, one.data, one.size, one.label, one.annotator, one.role] for one in sample.regions],
        ]
        for sample in dataset.samples[:count]
    ]
    return key_of(facts)


def files_of(dataset: Dataset, count: int) -> dict[str, str]:
    """What is to be compared beside `annotations_of`: a hash of the contents of the files of masks.

    Returns:
        The hash, as "annotation_files"; nothing where the first samples have no region in a file.
    """
    named = {one.data[0] for sample in dataset.samples[:count] for one in sample.regions if one.kind == "png"}
    if dataset.root is None or not named:
        return {}
    return {"annotation_files": key_of({name: _content(dataset.root, name) for name in sorted(named)})}


def _content(root: Path, name: str) -> str | None:
    """A hash of a file; None where it is missing, of which its sample's scores tell."""
    try:
        return sha256_of(inside(root, name).read_bytes())
    except (OSError, DataError):
        return None
