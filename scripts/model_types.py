"""Which of transformers' image-text-to-text types can be explained? `python scripts/model_types.py --write`.

A tiny random model of every type of `MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES`, with its real processor, is
certified, and every method explains an answer of it. What came of it stands behind the families in
docs/models.md; types that the transformers at hand does not have are left out.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.families import NOTHING, YES, outcome
from benchmarks.report import publish, table
from groundviz import cli, models
from groundviz.errors import GroundvizError, UnsupportedModel
from groundviz.methods import METHODS
from tests.support.types_at_hand import builder_of, classes_of
from tests.zoo import UNBUILT, Builder
from tests.zoo.refusals import short_reason

PAGE = Path(__file__).parents[1] / "docs" / "models.md"
NAME = "types"
BEGIN = f"\n<!-- {NAME} -->\n"
COMMAND = "python scripts/model_types.py"
# Those that the first table tells of: one of each kind.
FIVE = ("attention", "gradient_attention", "relevancy", "occlusion", "integrated_gradients")
CERTIFIED = "certified"
FAILS = "it fails"
LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was found of one type.

    Attributes:
        name: The type.
        architecture: Its class.
        family: The family that it resolved to.
        verdict: That of its certificate; why there is no certificate; or why there is no model. This and what
            is refused is the whole message; tables shorten it.
        error: The largest error of a cell's place, in patches; None where none was followed.
        blocks: The share of inverted blocks of the image that were found at their token; None as above.
        reading: Decoder layers with attention rows, and all of them.
        refused: By method, why it refuses or fails; methods that run are not in it.
        tried: Whether there is a model that methods were tried on.
    """

    name: str
    architecture: str
    family: str = ""
    verdict: str = ""
    error: float | None = None
    blocks: float | None = None
    reading: tuple[int, int] = (0, 0)
    refused: Mapping[str, str] = field(default_factory=dict)
    tried: bool = False

    @property
    def certified(self) -> bool:
        """Whether nothing that was measured is wrong."""
        return self.tried and self.verdict == CERTIFIED


def find(name: str, methods: Iterable[str] = METHODS) -> Found:
    """Build a type's tiny model, certify it, and try methods on it.

    Cost: 1 to 60 seconds.

    Args:
        name: The type.
        methods: Names of methods.

    >>> found = find("llava", ["attention"])
    >>> found.architecture, found.certified, found.reading, dict(found.refused)
    ('LlavaForConditionalGeneration', True, (2, 2), {})
    """
    architecture, build = classes_of()[name], builder_of(name)
    if build is None:
        return Found(name=name, architecture=architecture, verdict=UNBUILT[name])
    with _quiet():
        return _of_model(name, architecture, build, methods)


def _of_model(name: str, architecture: str, build: Builder, methods: Iterable[str]) -> Found:
    try:
        vlm = models.resolve(*build())
        parts = vlm.parts()
    except UnsupportedModel as error:
        return Found(name=name, architecture=architecture, verdict=str(error))
    verdict, numbers = _certificate(vlm)
    refused = {}
    for method in methods:
        why = _refusal(vlm, method)
        if why:
            refused[method] = why
    return Found(
        name=name,
        architecture=architecture,
        family=vlm.family_name,
        verdict=verdict,
        error=numbers.get("geometry"),
        blocks=numbers.get("blocks"),
        reading=(len(parts.attending), len(parts.decoder_layers)),
        refused=refused,
        tried=True,
    )


def _certificate(vlm: Any) -> tuple[str, dict[str, float | None]]:
    """The verdict, and the number of each check."""
    try:
        found = models.certify(vlm)
    except GroundvizError as error:
        return str(error), {}
    return found.verdict, {check.name: check.value for check in found.checks}


def _refusal(vlm: Any, method: str) -> str:
    """Why a method refuses, or which error it ends with; empty where it gives maps."""
    try:
        came = outcome(vlm, method)
    except GroundvizError as error:
        return str(error)
    except Exception as error:
        # A fault of groundviz or of the model: the page tells of it as of a refusal.
        return f"{FAILS} ({type(error).__name__})"
    if came in (YES, NOTHING):
        return ""
    return came


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Neither warnings of random models nor what transformers logs: the table tells what came of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


def find_all(names: Sequence[str], *, workers: int = 1) -> list[Found]:
    """What was found of each type, in the order of their names.

    Args:
        names: The types.
        workers: How many processes share the work, each with one thread.
    """
    found: Iterable[Found]
    if workers == 1:
        return list(_slowly(map(find, names), len(names)))
    with ProcessPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        found = _slowly(pool.map(find, names), len(names))
        return list(found)


def _slowly(found: Iterable[Found], count: int) -> Iterable[Found]:
    return tqdm(found, total=count, desc="types", delay=2, disable=None)


def markdown(found: Sequence[Found]) -> str:
    """The tables as docs/models.md has them."""
    lines = [f"## Types of transformers\n\n{_counts(found)}\n", _overview(found), _all_methods(found)]
    return "\n".join(lines)


def _counts(found: Sequence[Found]) -> str:
    whole = [
        one for one in found if one.certified and one.error is not None and "attention" not in one.refused
    ]
    partly = [one for one in found if one.certified and one not in whole]
    failing = [one for one in found if one.tried and not one.certified]
    absent = [one for one in found if not one.tried]
    tested = [one for one in whole if one.blocks is not None]
    faulty = [one.name for one in found if any(why.startswith(FAILS) for why in one.refused.values())]
    faults = f" On {_listed(faulty)} a method ends in an error, which is a fault." if faulty else ""
    return (
        f"Made by `{COMMAND} --write` on tiny random models of the real classes with their real "
        f"processors. Of {len(found)} image-text-to-text types of transformers, {len(whole)} are certified "
        f"with their attention, {len(partly)} are certified and refuse some methods by name, {len(failing)} "
        f"are explained and **not** certified, and {len(absent)} are not explained: those that are no "
        "image-to-text models, cannot be built as a tiny model, or are refused. "
        f"Of the {len(whole)}, {len(tested)} were also tested with inverted blocks.{faults} Trained weights "
        "of these types have not been run."
    )


def _overview(found: Sequence[Found]) -> str:
    head = ("type", "class", "certificate", "cell error", "blocks found", "attention", "refused")
    notes = (
        "**cell error**: the largest distance of a cell from the pixels that feed it, in patches; where "
        "methods that read attention are refused, that of the processor's pixels may be all that was "
        "followed. **blocks found**: the share of inverted blocks of the source image at which the image "
        "token over them changes at least half as much as any token elsewhere. **attention**: decoder layers "
        "with attention rows. "
        f"**refused**: which of {_listed(FIVE)}, and why."
    )
    return f"{notes}\n\n{table(head, map(_row, found))}"


def _row(one: Found) -> tuple[str, ...]:
    if not one.tried:
        return (
            f"`{one.name}`",
            f"`{one.architecture}`",
            f"none: {short_reason(one.verdict)}",
            "",
            "",
            "",
            "not explained",
        )
    error = "not measured" if one.error is None else f"{one.error:.2f}"
    blocks = "not measured" if one.blocks is None else f"{one.blocks:.0%}"
    rows, layers = one.reading
    reading = f"in {rows} of {layers} layers" if rows else "none"
    return (
        f"`{one.name}`",
        f"`{one.architecture}`",
        short_reason(one.verdict),
        error,
        blocks,
        reading,
        _refusals(one),
    )


def _refusals(one: Found) -> str:
    """Which of the five methods refuse, those with one reason together."""
    by_reason: dict[str, list[str]] = {}
    for method in FIVE:
        if method in one.refused:
            by_reason.setdefault(short_reason(one.refused[method]), []).append(method)
    return "; ".join(f"{_listed(methods)}: {why}" for why, methods in by_reason.items())


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _all_methods(found: Sequence[Found]) -> str:
    """A row for the types on which all methods end alike, a column for each method; reasons below."""
    groups: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for one in found:
        if one.tried:
            refused = tuple((method, short_reason(why)) for method, why in one.refused.items())
            groups.setdefault(refused, []).append(one.name)
    letters: dict[str, str] = {}
    rows, members = [], []
    largest_first = sorted(groups.items(), key=lambda item: (-len(item[1]), item[1]))
    for number, (ended, names) in enumerate(largest_first, start=1):
        marks = [_mark(dict(ended).get(method, ""), letters) for method in METHODS]
        rows.append((str(number), str(len(names)), *marks))
        members.append(f"{number}. {_listed(names)}")
    reasons = [f"- **{letter}**: {why}" for why, letter in letters.items()]
    head = ("group", "types", *(f"`{method}`" for method in METHODS))
    return "\n".join(
        [
            "### Every method\n",
            "**+**: maps with a number in every cell in view. A letter: refused, or failed; the reason is "
            "below. Types on which all methods end alike share a row.\n",
            table(head, rows),
            "The types of each group:\n",
            *members,
            "\nReasons:\n",
            *reasons,
            "",
        ]
    )


def _mark(reason: str, letters: dict[str, str]) -> str:
    if not reason:
        return "+"
    if reason not in letters:
        number = len(letters)
        # After z comes aa.
        letters[reason] = LETTERS[number % len(LETTERS)] * (number // len(LETTERS) + 1)
    return letters[reason]


@cache
def of_families() -> str:
    """The first part of the page, which `groundviz models --markdown` prints."""
    made = io.StringIO()
    with contextlib.redirect_stdout(made):
        cli.main(["models", "--markdown"])
    return made.getvalue()


def write_families(page: Path = PAGE) -> None:
    """Make the part of the families again; the part of the types stays as it is."""
    _, begin, kept = page.read_text("utf-8").partition(BEGIN)
    rest = f"{begin}{kept}" if begin else f"{BEGIN}<!-- end of {NAME} -->\n"
    page.write_text(f"{of_families()}{rest}", "utf-8")


def main(argv: Sequence[str] | None = None) -> None:
    """Print the tables, or write them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("types", nargs="*", metavar="TYPE", help="default: all that transformers has")
    parser.add_argument("--workers", type=int, default=1, help="processes that share the work (default 1)")
    parser.add_argument("--write", action="store_true", help="put the page into docs/models.md")
    parser.add_argument(
        "--families", action="store_true", help="write the part of the families alone, at once"
    )
    chosen = parser.parse_args(argv)
    known = sorted(classes_of())
    unknown = [name for name in chosen.types if name not in known]
    if unknown:
        parser.error(f"transformers has no such type: {', '.join(unknown)}. It has: {', '.join(known)}.")
    if chosen.workers < 1:
        parser.error("--workers must be 1 or more.")
    if chosen.write and chosen.types:
        parser.error("The page is of all types: leave --write out, or the names of types.")
    if chosen.families:
        write_families()
        return
    text = markdown(find_all(sorted(chosen.types) or known, workers=chosen.workers))
    if chosen.write:
        write_families()
    publish(NAME, text, write=chosen.write, on=PAGE)


if __name__ == "__main__":
    main()
