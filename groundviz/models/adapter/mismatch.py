"""Raises the error of a model and a processor that do not belong together."""

from __future__ import annotations

from groundviz.errors import UnsupportedModel


def check_belonging(fits: bool, found: str) -> None:
    """Raise an error if a processor's output does not fit the model.

    Args:
        fits: Whether it fits.
        found: A sentence on what was found and what was expected.

    Raises:
        UnsupportedModel: It does not fit.
    """
    if not fits:
        raise UnsupportedModel(
            f"{found} Model and processor do not belong together; load the processor of this checkpoint."
        )
