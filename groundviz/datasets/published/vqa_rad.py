"""VQA-RAD: questions that clinicians asked of radiographs, and their answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundviz.datasets import conversations, parquet
from groundviz.datasets.card import DATASETS, Count
from groundviz.datasets.choices import Identities, of_split, several
from groundviz.datasets.image_files import ImageFolder
from groundviz.datasets.reading import found, records
from groundviz.datasets.sample import Dataset, Sample

VERSION = "public"
SPLITS = ("train", "test")
_FIELDS = ("image_name", "phrase_type", "question", "answer", "answer_type")
_KEPT = ("qid", "phrase_type", "image_organ", "question_type", "answer_type")


@dataclass(frozen=True)
class _Images(ImageFolder):
    """The images, in the publisher's folder or beside the table."""

    def names(self, image: str) -> Iterator[str]:
        yield f"VQA_RAD Image Folder/{image}"
        yield f"images/{image}"
        yield image


@DATASETS.register(
    "vqa_rad",
    shows="Questions and answers of clinicians on radiographs, CT and MR images.",
    publisher="Lau et al., on OSF",
    version=VERSION,
    license="CC0 1.0, by its page; confirm it there",
    access="open: the project VQA-RAD on OSF",
    annotation="none: no regions, so that maps can be tested for faithfulness alone",
    files="VQA_RAD Dataset Public.json and VQA_RAD Image Folder/; or the hub's data/*.parquet; or "
    "test_rad.json",
    contamination="At least 202 of the 203 images of its test split are training images, with other "
    "questions; fine-tuned models have seen them.",
    citation='Lau et al., "A dataset of clinically generated visual questions and answers about radiology '
    'images", Scientific Data 2018',
    quirks=(
        "An answer may be a number in the JSON file; here each is a text.",
        'answer_type is sometimes "CLOSED " with a blank behind it: facts keep it as it stands, because '
        "scripts that compare it drop such rows.",
        "A question belongs to the test split if its phrase_type begins with test_.",
        "The copy on the Hugging Face hub has 1,793 and 451 questions and no answer_type: closed is there "
        "what is answered by yes or no, which is another set.",
        "No patients are told apart: samples are drawn by image.",
    ),
    counts=(
        Count(what="samples", expected=2248),
        Count(what="samples", expected=451, split="test"),
        Count(what="images", expected=203, split="test"),
    ),
    restricted=False,
)
def vqa_rad(root: Path, *, split: Any = None) -> Dataset:
    """The questions of one split, or of both.

    Args:
        root: The folder of the JSON file, of the hub's Parquet files, or of test_rad.json.
        split: "train", "test", or both.

    Raises:
        DataError: A file is missing or damaged.
        MissingExtra: It is in Parquet, and pyarrow is not installed.
        OptionError: There is no such split.
    """
    kept = several("split", split, SPLITS)
    version = VERSION
    opened: Callable[[str], Any]
    path = found(root, "VQA_RAD Dataset Public.json", "VQA_RAD*Public.json", required=False)
    conversation = found(root, "test_rad.json", "test_rad.jsonl", required=False)
    if path is not None:
        samples, opened = list(_of_json(path)), _Images(root)
    elif conversation is not None:
        version, opened = "llava-med", conversations.ConversationImages(root)
        samples = list(conversations.samples_of(conversation, "vqa_rad", version, "test"))
    else:
        version = "hub"
        samples = list(parquet.samples_of(root, "vqa_rad", version, kept))
        opened = parquet.ParquetImages(root)
    return Dataset(name="vqa_rad", version=version, samples=of_split(samples, kept), root=root, opened=opened)


def _of_json(path: Path) -> Iterator[Sample]:
    identities = Identities("vqa_rad", VERSION)
    for row in records(path, _FIELDS):
        question = str(row["question"]).strip()
        split = "test" if str(row["phrase_type"]).startswith("test_") else "train"
        yield Sample(
            sample_id=identities(row["image_name"], question=question),
            dataset="vqa_rad",
            version=VERSION,
            split=split,
            image=row["image_name"],
            question=question,
            answer=str(row["answer"]),
            answer_type=conversations.answer_type(row["answer_type"]),
            facts={name: row[name] for name in _KEPT if name in row},
        )
