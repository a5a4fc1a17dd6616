"""The charts of a report, for print: each shows what it compares with, and where nothing was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from groundviz.record.types import Bools, Doubles
from groundviz.render.base.escape import visible
from groundviz.render.figures.canvas import GREY, INK
from groundviz.render.figures.file import PaperFigure, drawing
from groundviz.render.report.tables import NOT_MEASURED, Number

# Told apart by marks and dashes as well: colours alone are lost in print.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8c6d1f", "#56b4e9", "#5a3d8c", "#b2182b")
_MARKS = ("o", "s", "^", "D", "v", "P", "X", "h")
_DASHES = ("-", "--", "-.", ":")
_WIDTH = 180 / 25.4
_SIZE = 8.0
_LONGEST = 40
# Cases of each mean along the axis of sizes, at least.
_NEIGHBOURS = 8
# Labels along that axis, at most.
_LABELS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A method's numbers, by group.

    Attributes:
        name: What it is called.
        numbers: One for each group; None where it was not measured.
        blind: Whether it never saw the image.
    """

    name: str
    numbers: tuple[Number | None, ...]
    blind: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """A method's number of each case against another one.

    Attributes:
        name: What it is called.
        x: float64 (case,).
        y: float64 (case,); NaN is left out.
    """

    name: str
    x: Doubles
    y: Doubles

    @property
    def shown(self) -> Bools:
        """Which cases have a size on a logarithmic axis, and a value, bool (case,)."""
        return np.isfinite(self.y) & (self.x > 0)

    @property
    def has_line(self) -> bool:
        """Whether the cases are enough for a line of means."""
        return int(self.shown.sum()) >= 2 * _NEIGHBOURS


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A curve of a method with its band.

    Attributes:
        name: What it is called.
        x: float64 (step,).
        y: float64 (step,).
        low: Lower end of the band; None without one.
        high: Upper end.
        band: Whether this is the band that others are compared with, such as that of a random order.
        blind: Whether it never saw the image: it is grey, as a band is.
    """

    name: str
    x: Doubles
    y: Doubles
    low: Doubles | None = field(default=None)
    high: Doubles | None = field(default=None)
    band: bool = False
    blind: bool = False


def forest(groups: Sequence[str], series: Sequence[Series], *, metric: str, caption: str) -> PaperFigure:
    """A number of each method in each group, with its interval; what never saw the image is hollow.

    Args:
        groups: The groups, such as findings, from the top.
        series: The methods.
        metric: What the axis counts.
        caption: Under the figure.
    """
    step = 0.24 * max(1, len(series)) + 0.2
    with drawing():
        figure, axes = _sheet(0.26 * len(groups) * max(1, len(series)) * 0.62 + 0.9)
        for row, group in enumerate(groups):
            shade = "#f3f4f6" if row % 2 else "#ffffff"
            axes.axhspan((row - 0.5) * step, (row + 0.5) * step, color=shade, zorder=0)
            for at, one in enumerate(series):
                y = row * step + (at - (len(series) - 1) / 2.0) * 0.24
                _point(axes, one.numbers[row], y, at, one, labelled=row == 0)
            axes.text(
                -0.01,
                row * step,
                _short(group),
                transform=axes.get_yaxis_transform(),
                ha="right",
                va="center",
            )
        axes.set_ylim((len(groups) - 0.5) * step, -0.5 * step)
        axes.set_yticks([])
        axes.set_xlabel(visible(metric))
        _key(axes, len(series))
        return _finished(figure, axes, caption)


def _point(axes: Axes, number: Number | None, y: float, at: int, one: Series, *, labelled: bool) -> None:
    name = _short(one.name) if labelled else None
    colour = GREY if one.blind else _COLOURS[at % len(_COLOURS)]
    mark = _MARKS[at % len(_MARKS)]
    face = "#ffffff" if one.blind else colour
    style: dict[str, Any] = {
        "color": colour,
        "marker": mark,
        "markersize": 4.5,
        "markerfacecolor": face,
        "linestyle": "none",
    }
    if number is None or not np.isfinite(number.value):
        axes.plot([], [], label=name, **style)
        axes.text(
            0.995,
            y,
            NOT_MEASURED,
            transform=axes.get_yaxis_transform(),
            ha="right",
            va="center",
            color=GREY,
            fontsize=_SIZE - 2,
        )
        return
    if number.low is not None and number.high is not None and number.has_interval:
        axes.plot([number.low, number.high], [y, y], color=colour, linewidth=1.1, solid_capstyle="butt")
    axes.plot([number.value], [y], label=name, **style)


def sizes(clouds: Sequence[Cloud], *, metric: str, caption: str, chance: bool = True) -> PaperFigure:
    """A number of each case against the share of the view that its reference covers, on a logarithmic axis.

    Args:
        clouds: A method each; x is the share, above 0 to 1.
        metric: What the vertical axis counts.
        caption: Under the figure.
        chance: Whether chance gives the share itself, as for the pointing game, to be drawn as a line.
    """
    with drawing():
        figure, axes = _sheet(3.2)
        least = min((float(one.x[one.x > 0].min()) for one in clouds if (one.x > 0).any()), default=0.01)
        most = max((float(one.x[one.x > 0].max()) for one in clouds if (one.x > 0).any()), default=1.0)
        for at, one in enumerate(clouds):
            x, y = one.x[one.shown], one.y[one.shown]
            colour, mark = _COLOURS[at % len(_COLOURS)], _MARKS[at % len(_MARKS)]
            # Equal numbers of several methods lie on each other: later marks are larger, and all are hollow.
            axes.plot(
                x,
                y,
                color=colour,
                marker=mark,
                markerfacecolor="none",
                linestyle="none",
                markersize=2.6 + 1.4 * at,
                markeredgewidth=0.7,
                alpha=0.6,
            )
            dash = _DASHES[at % len(_DASHES)] if one.has_line else "none"
            if one.has_line:
                axes.plot(*_binned(x, y), color=colour, linestyle=dash, linewidth=1.6)
            # The legend shows the mark and, where there is one, the line together.
            axes.plot(
                [],
                [],
                color=colour,
                marker=mark,
                markerfacecolor="none",
                markersize=4.0,
                linestyle=dash,
                linewidth=1.6,
                label=_short(one.name),
            )
        if chance:
            along = np.geomspace(least, most, 60)
            axes.plot(along, along, color=GREY, linewidth=1.0, linestyle=(0, (1, 1)), label="chance")
        axes.set_xscale("log")
        axes.set_xlim(0.9 * least, 1.1 * most)
        axes.xaxis.set_major_locator(FixedLocator(_shares(0.9 * least, 1.1 * most)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.6g} %"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("share of the view that the reference covers")
        axes.set_ylabel(visible(metric))
        _key(axes, len(clouds) + chance)
        return _finished(figure, axes, caption)


def _shares(low: float, high: float) -> list[float]:
    """Where a logarithmic axis of shares is labelled: few round numbers, else its ends."""
    decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    for steps in ((1.0, 2.0, 5.0), (1.0, 3.0), (1.0,)):
        labels = np.multiply.outer(decades, steps).ravel()
        labels = labels[(labels >= low) & (labels <= high)]
        if len(labels) <= _LABELS:
            break
    return labels.tolist() if len(labels) > 1 else [float(f"{end:.2g}") for end in (low, high)]


def _binned(x: Doubles, y: Doubles, most: int = 6) -> tuple[Doubles, Doubles]:
    """Means of neighbours in size: as many in each bin."""
    bins = max(1, min(most, len(x) // _NEIGHBOURS))
    parts = np.array_split(np.argsort(x, kind="stable"), bins)
    kept = [part for part in parts if len(part)]
    centres = [float(np.exp(np.log(x[part]).mean())) for part in kept]
    return np.array(centres), np.array([float(y[part].mean()) for part in kept])


def curves(lines: Sequence[Curve], *, x: str, y: str, caption: str) -> PaperFigure:
    """Curves with their bands, such as of deletion, or of similarity by block; the band of chance is grey.

    Args:
        lines: The curves.
        x: What the horizontal axis counts.
        y: What the vertical one counts.
        caption: Under the figure.
    """
    with drawing():
        figure, axes = _sheet(3.0)
        for at, one in enumerate(lines):
            colour = GREY if one.band or one.blind else _COLOURS[at % len(_COLOURS)]
            if one.low is not None and one.high is not None:
                axes.fill_between(
                    one.x, one.low, one.high, color=colour, alpha=0.3 if one.band else 0.14, linewidth=0
                )
            dash = ":" if one.band else _DASHES[at % len(_DASHES)]
            axes.plot(one.x, one.y, color=colour, linestyle=dash, linewidth=1.5, label=_short(one.name))
        axes.set_xlabel(visible(x))
        axes.set_ylabel(visible(y))
        _key(axes, len(lines))
        return _finished(figure, axes, caption)


def _sheet(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(_WIDTH, min(11.0, max(1.6, height))), layout="constrained", dpi=300)
    axes = figure.add_subplot()
    axes.tick_params(labelsize=_SIZE, colors=INK, width=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_linewidth(0.6)
    return figure, axes


def _key(axes: Axes, count: int) -> None:
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0.0, 1.01),
        ncols=min(4, max(1, count)),
        frameon=False,
        fontsize=_SIZE,
        handlelength=1.8,
        columnspacing=1.2,
        borderaxespad=0.0,
    )


def _finished(figure: Figure, axes: Axes, caption: str) -> PaperFigure:
    for label in (axes.xaxis.label, axes.yaxis.label, *axes.texts):
        # What was made small stays small.
        label.set_fontsize(min(_SIZE, label.get_fontsize()))
    axes.grid(axis="x", color="#d9dce0", linewidth=0.5, zorder=0)
    axes.set_axisbelow(True)
    figure.draw_without_rendering()
    # Arranged once: each further time would move things by a hair, and the bytes with them.
    figure.set_layout_engine("none")
    return PaperFigure(figure, caption)


def _short(name: str) -> str:
    plain = visible(name).replace("$", r"\$")
    return plain if len(plain) <= _LONGEST else f"{plain[: _LONGEST - 1]}…"
