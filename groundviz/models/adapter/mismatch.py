"""A model that is given another model's processor is stopped, with what gave them away."""

from __future__ import annotations

from groundviz.errors import UnsupportedModel


def check_belonging(fits: bool, found: str) -> None:
    """Stop where what a processor makes is not what the model takes.

    Args:
        fits: Whether it is.
        found: What was found against what was expected, as a sentence.

    Raises:
        UnsupportedModel: It is not.
    """
    if not fits:
        raise UnsupportedModel(
            f"{found} Model and processor do not belong together; load the processor of this checkpoint."
        )
