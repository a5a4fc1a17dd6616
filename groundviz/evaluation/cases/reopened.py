"""The images of a run, opened again after they were explained."""

from __future__ import annotations

from contextlib import suppress

from groundviz import images
from groundviz.datasets.sample import Dataset
from groundviz.errors import ImageError
from groundviz.evaluation.cases.outcome import Row
from groundviz.record.types import SourceImage


def image_of(dataset: Dataset, answer: Row) -> SourceImage:
    """The image that an answer was given to, as the model was shown it.

    Args:
        dataset: The run's data set.
        answer: A row of the table of answers: its order, sample_id and image_sha256.

    Raises:
        ImageError: Another image lies there now.
        GroundvizError: It is missing, damaged or too large.
    """
    image = images.load(dataset.image(dataset.samples[answer["order"]]))
    _require_same(image, answer)
    return image


def require_unchanged(dataset: Dataset, answer: Row) -> None:
    """Refuse an image that is another one now; one that cannot be opened is passed over.

    Args:
        dataset: As for `image_of`.
        answer: As for `image_of`.

    Raises:
        ImageError: Another image lies there now.
    """
    image = None
    with suppress(Exception):
        image = images.load(dataset.image(dataset.samples[answer["order"]]))
    if image is not None:
        _require_same(image, answer)


def _require_same(image: SourceImage, answer: Row) -> None:
    # One that could not be read when it was its turn has no hash.
    if answer["image_sha256"] not in (None, image.sha256):
        raise ImageError(
            f"The image of sample {answer['sample_id']}, number {answer['order'] + 1} of the data set, is "
            "not the one that was explained: its pixels differ. Put the data set back as it was, or "
            "evaluate again in another folder."
        )
