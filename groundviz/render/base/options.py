"""What a notebook's outputs and pages hold, for those who share them.

An output holds the image, and so does a notebook that is saved with it, which may keep the state of live
viewers as well. `groundviz.options` says how much.
"""

from __future__ import annotations

from typing import Literal, get_args

from groundviz.errors import UnknownName

Display = Literal["viewer", "png"]
Embed = Literal["image", "small", "none"]


class Options:
    """Settings of this session; each is checked when it is set.

    >>> from groundviz import options
    >>> options.display, options.embed
    ('viewer', 'image')
    """

    __slots__ = ("_display", "_embed")

    def __init__(self) -> None:
        self._display: Display = "viewer"
        self._embed: Embed = "image"

    @property
    def display(self) -> Display:
        """What a notebook shows of an explanation.

        "viewer" for the interactive viewer over static images; "png" for one image and a line of
        text, for hosts that strip or escape HTML, such as GitHub.

        Raises:
            UnknownName: It is set to something else.
        """
        return self._display

    @display.setter
    def display(self, value: Display) -> None:
        _check("display", value, get_args(Display))
        self._display = value

    @property
    def embed(self) -> Embed:
        """How much of the image outputs and pages hold.

        "image" for all of it; "small" for blocks that leave at most 256 pixels along the longer side;
        "none" for no pixel: maps on a black ground, and no image beside them. A live viewer shows the
        whole image all the same: it goes to the browser in a message, which no notebook keeps. Set this
        before the viewer is made. Files that you ask for by name, figures and records, hold the image.

        Raises:
            UnknownName: It is set to something else.
        """
        return self._embed

    @embed.setter
    def embed(self, value: Embed) -> None:
        _check("embed", value, get_args(Embed))
        self._embed = value

    def __repr__(self) -> str:
        return f"<groundviz.options: display={self._display!r}, embed={self._embed!r}>"


def _check(name: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        listed = ", ".join(map(repr, known))
        raise UnknownName(
            f"groundviz.options.{name} cannot be {value!r}: known are {listed}. Set one of these."
        )


options = Options()
