"""Questions and answers as LLaVA-Med's descendants keep them: a JSON list of conversations, or JSON lines.

SigPhi-Med and Med-MoE have one file for each data set: test_rad.json, test_slake.json, test_pvqa.json.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundviz.datasets.choices import Identities
from groundviz.datasets.image_files import ImageFolder
from groundviz.datasets.reading import records
from groundviz.datasets.sample import Sample
from groundviz.errors import DataError

_TYPES: dict[str, Any] = {"open": "open", "closed": "closed", "close": "closed"}


def answer_type(stated: object) -> Any:
    """The kind of an answer that a publisher states in one of several spellings; None for any other.

    >>> answer_type("CLOSED "), answer_type("OPEN"), answer_type("close"), answer_type(None)
    ('closed', 'open', 'closed', None)
    """
    return _TYPES.get(str(stated).strip().lower())


def by_yes_and_no(answer: str) -> Any:
    """The kind of an answer where no publisher states it: closed is what is yes or no.

    >>> by_yes_and_no("Yes"), by_yes_and_no("left lung")
    ('closed', 'open')
    """
    return "closed" if answer.strip().lower() in ("yes", "no") else "open"


@dataclass(frozen=True)
class ConversationImages(ImageFolder):
    """The images of such a file: beside it, or in its folder "images"."""

    def names(self, image: str) -> Iterator[str]:
        """The names an image may have."""
        yield image
        yield f"images/{image}"


def samples_of(path: Path, dataset: str, version: str, split: str) -> Iterator[Sample]:
    """The samples of such a file, in its order.

    An entry has a question under "text", or a conversation of two turns, whose second is the answer. The
    place of the image in the question, "<image>", is left out: each model has a place of its own.

    Raises:
        DataError: It is no such file.
    """
    identities = Identities(dataset, version)
    for count, row in enumerate(records(path, ["image"]), start=1):
        question, answer = _turns(row, count)
        stated = row.get("answer_type")
        yield Sample(
            sample_id=identities(row["image"], question=question),
            dataset=dataset,
            version=version,
            split=split,
            image=row["image"],
            question=question,
            answer=answer,
            answer_type=answer_type(stated),
            facts={"id": str(row.get("id", row.get("question_id", count - 1))), "answer_type": stated},
        )


def _turns(row: dict[str, Any], count: int) -> tuple[str, str | None]:
    turns: Any = row.get("conversations")
    if turns is None and isinstance(row.get("text"), str):
        return _bare(row["text"]), None
    try:
        question, answer = turns[0]["value"], turns[1]["value"]
    except (TypeError, KeyError, IndexError):
        raise DataError(f"Entry {count} has neither a text nor a conversation of two turns.") from None
    return _bare(str(question)), str(answer)


def _bare(question: str) -> str:
    return question.replace("<image>", "").strip()
