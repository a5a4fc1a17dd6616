"""PathVQA: questions on pathology images from textbooks, made of their captions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from groundviz.datasets import conversations, parquet
from groundviz.datasets.card import DATASETS, Count
from groundviz.datasets.choices import of_split, several
from groundviz.datasets.reading import found
from groundviz.datasets.sample import Dataset

VERSION = "hub"
SPLITS = ("train", "validation", "test")


@DATASETS.register(
    "pathvqa",
    shows="Questions on pathology images of textbooks, half of them answered by yes or no.",
    publisher="He et al., on the Hugging Face hub",
    version=VERSION,
    license="MIT, by its card on the hub; the images are of textbooks",
    access="open: flaviagiammarino/path-vqa on the hub, or the files of LLaVA-Med and SigPhi-Med",
    annotation="none: no regions, so that maps can be tested for faithfulness alone",
    files="data/*.parquet with image, question and answer; or test_pvqa.json (or .jsonl) and its images",
    contamination="The figures are of public textbooks and their captions made the questions: pre-training "
    "may have seen both.",
    citation='He et al., "PathVQA: 30000+ Questions for Medical Visual Question Answering", 2020',
    quirks=(
        "The hub's files state no answer_type: closed is there what is answered by yes or no.",
        "The hub's files hold the same image once for each question: equal images are one image here.",
        "The file test_pvqa.jsonl holds questions without answers.",
        "No patients are told apart: samples are drawn by image.",
    ),
    counts=(
        Count(what="samples", expected=6761, split="test"),
        Count(what="images", expected=858, split="test"),
    ),
    restricted=False,
)
def pathvqa(root: Path, *, split: Any = None) -> Dataset:
    """The questions of one split, or of several.

    Args:
        root: The folder of the hub's Parquet files, or of test_pvqa.json or .jsonl.
        split: "train", "validation", "test", or several of them.

    Raises:
        DataError: A file is missing or damaged.
        MissingExtra: It is in Parquet, and pyarrow is not installed.
        OptionError: There is no such split.
    """
    kept = several("split", split, SPLITS)
    opened: Callable[[str], Any]
    conversation = found(root, "test_pvqa.json", "test_pvqa.jsonl", required=False)
    if conversation is not None:
        version, opened = "llava-med", conversations.ConversationImages(root)
        samples = list(conversations.samples_of(conversation, "pathvqa", version, "test"))
    else:
        version, opened = VERSION, parquet.ParquetImages(root)
        samples = list(parquet.samples_of(root, "pathvqa", version, kept))
    return Dataset(name="pathvqa", version=version, samples=of_split(samples, kept), root=root, opened=opened)
