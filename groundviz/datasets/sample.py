"""What a data set is made of, whoever published it: samples, their regions, and where the images are."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from groundviz.errors import DataError

RegionKind = Literal["box", "polygon", "rle", "png", "ellipse", "point", "mask"]
Role = Literal["primary", "extra", "human_benchmark"]
# The size of a region whose coordinates run from 0 to 1, whatever the image's size.
SHARES = (1, 1)
_HALVES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A place in the image that an annotator marked, in pixels of the image that the annotator saw.

    Attributes:
        kind: What `data` is. "box": (left, top, right, bottom), half-open, from the upper left corner.
            "polygon": (point, 2) of (x, y). "rle": what `rle.decode` takes. "png": the name of a file in
            the data set's folder and the value that stands for this region, None for all that is not black.
            "ellipse": the box around it. "point": (x, y). "mask": bool (rows, cols), or what `numpy.asarray`
            makes that of.
        data: As `kind` says.
        size: Rows and columns of the image that the annotator saw; None where the publisher does not say, and
            the file itself is meant; `SHARES` where the publisher states shares of rows and columns.
        label: What was marked, in the publisher's words.
        annotator: Who marked it, by the publisher's code, where several did.
        role: "primary" is the reference; "extra" is a second reader's; "human_benchmark" is what people are
            measured by.

    >>> Region(kind="box", data=(10, 20, 30, 40), label="nodule").role
    'primary'
    """

    kind: RegionKind
    data: Any
    size: tuple[int, int] | None = None
    label: str = ""
    annotator: str | None = None
    role: Role = "primary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One question about one image, or one phrase to be found in it, with what is known to be right.

    Attributes:
        sample_id: 16 hexadecimal digits, the same on every computer, see `sample_id_of`.
        dataset: Registered name of the data set.
        version: The publisher's version of its annotations.
        split: The publisher's split, such as "test"; empty where there is none.
        image: The image's name in the data set's folder, or another key that `Dataset.image` knows.
        patient: The publisher's code of the patient, None where there is none.
        study: The publisher's code of the study, None where there is none.
        question: What to ask, None where only a phrase is given.
        phrase: What a sentence of a report says and the regions show, None where there is none.
        finding: The class that tables are made by, such as "Cardiomegaly"; None where there is none.
        answer: The reference answer or report, None where there is none.
        answer_type: "open", "closed", or "report"; None where there is no reference.
        language: ISO 639-1 code of question and answer.
        regions: All that was marked, of every role; empty where nothing was.
        facts: What else the publisher says: of texts and numbers alone.

    Raises:
        DataError: A text is no Unicode.

    >>> Sample(sample_id="0", dataset="folder", version="1", split="", image="a.png").cluster
    'a.png'
    """

    sample_id: str
    dataset: str
    version: str
    split: str
    image: str
    patient: str | None = None
    study: str | None = None
    question: str | None = None
    phrase: str | None = None
    finding: str | None = None
    answer: str | None = None
    answer_type: Literal["open", "closed", "report"] | None = None
    language: str = "en"
    regions: tuple[Region, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        named = (self.split, self.image, self.patient, self.study, self.finding, self.language)
        texts = (self.question, self.phrase, self.answer)
        if not all(map(_is_unicode, (*named, *texts, *self.facts.values()))):
            raise DataError(
                "A text of a sample holds half of a surrogate pair, which no file can hold. Write the table "
                "that it is from anew, as UTF-8."
            )

    @property
    def lacks_question(self) -> bool:
        """Whether it has an answer without what it answers. A report or a phrase needs no question."""
        return bool(self.answer) and not self.question and not self.phrase and self.answer_type != "report"

    @property
    def cluster(self) -> str:
        """What is drawn together when samples are drawn again: the patient, else the image."""
        return self.patient or self.image


def _is_unicode(value: object) -> bool:
    # JSON can state what no encoding can.
    return not isinstance(value, str) or value.isascii() or _HALVES.search(value) is None


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """The samples of a data set in a local folder, or of one that is drawn by a program.

    Attributes:
        name: Its registered name.
        version: The publisher's version of its annotations.
        samples: In the publisher's order.
        root: The folder, None where there is none.
        opened: Gives what `groundviz.images.load` takes, for the `Sample.image` of a sample.
        dropped: How many of the publisher's rows became no sample, by reason.
        options: What it was loaded with, beside the folder: `load(name, root, **options)` gives it again, in
            any process. Empty for all of it as it stands.
        places: Where samples stand in the reader's own table, such as "line 7", by `Sample.sample_id`; empty
            for data sets of publishers.

    >>> from groundviz.datasets import load
    >>> load("phantoms", limit=3)
    <Dataset: phantoms 1, 3 samples>
    """

    name: str
    version: str
    samples: tuple[Sample, ...]
    root: Path | None
    opened: Callable[[str], Any]
    dropped: Mapping[str, int] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)

    def place_of(self, sample: Sample) -> str:
        """Where to look for a sample, without saying whose it is: its line, else its identity.

        >>> from groundviz.datasets import load
        >>> phantoms = load("phantoms", limit=1)
        >>> phantoms.place_of(phantoms.samples[0])
        'sample 78e6189a92f19af9'
        """
        return self.places.get(sample.sample_id, f"sample {sample.sample_id}")

    def image(self, sample: Sample) -> Any:
        """The image of a sample, as `groundviz.explain` takes it."""
        return self.opened(sample.image)

    def __len__(self) -> int:
        return len(self.samples)

    def __repr__(self) -> str:
        return f"<Dataset: {self.name} {self.version}, {len(self.samples)} samples>"


def sample_id_of(
    dataset: str,
    version: str,
    image: str,
    *,
    question: str | None = None,
    phrase: str | None = None,
    finding: str | None = None,
    language: str = "en",
    occurrence: int = 0,
) -> str:
    """The identity of a sample: what it asks of which image in which data set.

    Args:
        dataset: Registered name of the data set.
        version: The publisher's version of its annotations.
        image: As `Sample.image`.
        question: As `Sample.question`.
        phrase: As `Sample.phrase`.
        finding: As `Sample.finding`.
        language: As `Sample.language`.
        occurrence: Counts rows that are alike in all of these, joined by "|", from 0.

    >>> sample_id_of("phantoms", "1", "3", question="Is there a nodule?")
    'f81d3b5379ad00e1'
    """
    parts = [dataset, version, image, question or "", phrase or "", finding or "", language]
    if occurrence:
        parts.append(str(occurrence))
    # `Sample` tells of what is no Unicode.
    return hashlib.sha256("|".join(parts).encode(errors="surrogatepass")).hexdigest()[:16]
