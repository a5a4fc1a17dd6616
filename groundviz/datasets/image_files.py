"""Finds the image of a sample in a local folder, however its publisher's tree was unpacked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundviz.datasets.reading import inside, is_there
from groundviz.errors import DataError


@dataclass(frozen=True)
class ImageFolder:
    """The images of a folder, by their names in the data set's tables.

    Attributes:
        root: The folder.
    """

    root: Path

    def names(self, image: str) -> Iterator[str]:
        """The names that an image may have in this folder, the likeliest first."""
        yield image

    def path(self, image: str) -> Path | None:
        """Where an image is; None if it is missing.

        Raises:
            DataError: Its name leads out of the folder.
        """
        for name in self.names(image):
            path = inside(self.root, name)
            if is_there(path):
                return path
        return None

    def __call__(self, image: str) -> Any:
        """The path of an image, for `groundviz.images.load`.

        Raises:
            DataError: It is missing.
        """
        path = self.path(image)
        if path is None:
            raise DataError(
                "The image of a sample is not in the data set's folder. `groundviz data check` counts what "
                "is missing; unpack them where the documentation's page on data sets has them."
            )
        return str(path)
