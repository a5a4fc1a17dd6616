"""What the commands print: results to standard output, progress and complaints to standard error."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from groundviz.cli.interruption import held_back
from groundviz.errors import StoreError
from groundviz.render.base.escape import visible

if TYPE_CHECKING:
    from groundviz.explanation import Explanation

PATIENCE_SECONDS = 2.0
# What tqdm takes for bars on terminals alone: a pipe or a file would keep every stroke of a bar.
ON_TERMINALS = None
PHANTOMS_ONLY = "The demo model knows drawn phantoms alone; what it says of any other image means nothing."
NOT_A_DEVICE = "For research. Not a medical device: nothing here may guide anybody's care."

Row = tuple[str, ...]
Thing = TypeVar("Thing")


def say(*lines: str) -> None:
    """Write lines to standard output, in whatever characters it can take.

    Raises:
        BrokenPipeError: Nobody reads it any more.
        StoreError: It leads to a disk that is full, or cannot be written to for another reason.
    """
    if sys.stdout is None:
        return
    encoding = sys.stdout.encoding or "utf-8"
    text = "".join(f"{line}\n" for line in lines)
    with _output():
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()


def complain(text: str) -> None:
    """Write one line to standard error, whatever the text holds; where nobody reads it, it is lost."""
    if sys.stderr is None:
        return
    encoding = sys.stderr.encoding or "utf-8"
    line = f"{visible(' '.join(text.split()))}\n"
    with suppress(OSError, ValueError):
        sys.stderr.write(line.encode(encoding, "backslashreplace").decode(encoding))
        sys.stderr.flush()


def finish() -> None:
    """Write out what standard output still holds.

    Raises:
        BrokenPipeError: Nobody reads it any more.
        StoreError: It cannot be written.
    """
    if sys.stdout is not None:
        with _output():
            sys.stdout.flush()


@contextmanager
def _output() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        to_nobody()
        raise StoreError(
            f"The output could not be written: {error.strerror or type(error).__name__}. "
            "Send it to another place."
        ) from None


def to_nobody() -> None:
    """Let standard output lead nowhere, so that Python does not fail once more when it ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def indented(paths: Iterable[Path]) -> list[str]:
    """One line for each path."""
    return [f"  {path}" for path in paths]


def aligned(rows: Sequence[Row]) -> list[str]:
    """Rows of a table as lines with straight columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join(cells).rstrip())
    return lines


def counted(things: Iterable[Thing], what: str, count: int, *, unit: str = "question") -> Iterator[Thing]:
    """Show on standard error, where that is a terminal, how many of `count` things are done."""
    from tqdm import tqdm

    yield from tqdm(things, desc=what, total=count, unit=unit, leave=False, disable=ON_TERMINALS)


@contextmanager
def working(what: str) -> Iterator[None]:
    """From the third second on, show on a terminal what is under way and for how long."""
    from tqdm import tqdm

    over = threading.Event()
    with tqdm(
        desc=what, bar_format="{desc}: {elapsed}", delay=PATIENCE_SECONDS, leave=False, disable=ON_TERMINALS
    ) as bar:

        def tick() -> None:
            while not over.wait(1.0):
                bar.update(0)

        ticker = threading.Thread(target=tick, daemon=True)
        ticker.start()
        try:
            yield
        finally:
            over.set()
            ticker.join()


@contextmanager
def importing(what: str) -> Iterator[None]:
    """A block that imports heavy libraries; Ctrl-C waits until it ends.

    If torch is interrupted while it is imported, it may crash Python.
    """
    with held_back(), working(what):
        yield


def explanation(told: Explanation) -> list[str]:
    """An explanation in words: answer, images, tokens, maps, checks and origin."""
    import numpy as np

    from groundviz.record import tiles
    from groundviz.render.base import captions, checked

    record, answer = told.record, told.answer
    lines = []
    if record.label:
        lines.append(f"label: {record.label}")
    lines += [f"question: {told.question}", *captions.before(record.prompt), f"answer: {answered(told)}"]
    lines += evidence(told)
    lines += [f"explained: {target.text}" for target in record.targets]
    for image, source_image in enumerate(told.source_images):
        rows, cols = source_image.shape
        name = tiles.which(image, told.source_images)
        lines.append(f"{name}: {rows} by {cols} pixels, from {source_image.source}")
        lines += [f"  {note}" for note in source_image.notes]
    # An empty first cell indents the table.
    table = []
    for token, share in zip(answer.tokens, np.exp(answer.logprobs), strict=True):
        table.append(("", visible(token), captions.percent(float(share))))
    lines += ["", "probability of each token:", *aligned(table)]
    lines += ["", "maps:", *maps(told)]
    if record.checks:
        lines += ["", "checks:"]
    for check in record.checks:
        of = f" of {check.method}" if check.method else ""
        lines.append(f"  {check.name}{of}: {checked.outcome_of(check)}. {check.says}")
    lines += ["", captions.made_with(record.provenance)]
    # Texts may come from a stranger's file: control characters must not reach the terminal.
    return [visible(line) for line in lines]


def answered(told: Explanation) -> str:
    """The answer, how likely it was, whose it is, and whether it is whole."""
    from groundviz.render.base import captions

    answer = told.answer
    facts = [captions.percent(answer.confidence), answer.source, captions.cut_off(answer)]
    return f"{answer.text} ({', '.join(filter(None, facts))})"


def evidence(told: Explanation) -> list[str]:
    """Whether the answer needs the image and the marked places, and what that says of the maps."""
    from groundviz.render.base import checked

    record = told.record
    return [f"evidence: {checked.line(record)}", *(f"  {text}" for text in checked.verdicts(record))]


def maps(told: Explanation) -> list[str]:
    """Each map in words, with its error, and what an interrupt left undone."""
    from groundviz.render.base import captions

    lines = []
    for method in told.methods:
        for heatmap in told.heatmaps(method):
            lines.append(f"  {captions.describe(heatmap, told.source_images)}")
            if error := captions.uncertainty(heatmap):
                lines.append(f"    {error}")
    for sentence in (*captions.incomplete(told.record), *captions.cautions(told.record.heatmaps)):
        lines.append(f"  {sentence}")
    return lines
