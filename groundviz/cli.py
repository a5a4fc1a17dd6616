"""The command line: `groundviz demo | explain | certify | methods | models | open | lab`.

Results go to standard output, progress and errors to standard error. An error is one line and
exit code 2; Ctrl-C is exit code 130; a model that is not certified is exit code 1. Heavy libraries
are imported when a command needs them.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import groundviz
from groundviz import files
from groundviz.errors import GroundvizError, ImageError, StoreError
from groundviz.render.escape import visible

if TYPE_CHECKING:
    from groundviz.demo.tour import Asked
    from groundviz.explanation import Explanation
    from groundviz.render.paper import PaperFigure
    from groundviz.types import Study

PATIENCE_SECONDS = 2.0
DEMO_FOLDER = "groundviz-demo"
FOLDER = "groundviz-explanations"
LAB_FOLDER = "groundviz-lab"
PHANTOMS_ONLY = "The demo model knows drawn phantoms alone; what it says of any other picture means nothing."
NOT_A_DEVICE = "For research. Not a medical device: nothing here may guide anybody's care."

Row = tuple[str, ...]
Thing = TypeVar("Thing")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    >>> main(["methods"])  # doctest: +ELLIPSIS
    attention (default)
      Where it looked: the share of attention that went to each image cell.
      unit: share of attention, 0 to 1
      cost: no pass beyond the answer's own
    ...
    0
    """
    chosen = _parser().parse_args(argv)
    try:
        return int(chosen.run(chosen) or 0)
    except GroundvizError as error:
        sys.stderr.write(f"groundviz: error: {visible(' '.join(str(error).split()))}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("groundviz: interrupted\n")
        return 130


def _parser() -> argparse.ArgumentParser:
    says = "See where a medical vision-language model looked when it answered."
    parser = argparse.ArgumentParser(prog="groundviz", description=says, epilog=NOT_A_DEVICE)
    parser.add_argument("--version", action="version", version=f"groundviz {groundviz.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    demo = _command(commands, "demo", _demo, "ask the model that ships with groundviz about phantoms")
    _add_folder(demo, DEMO_FOLDER)

    explain = _command(commands, "explain", _explain, "ask a model about an image and show where it looked")
    explain.add_argument("image", metavar="IMAGE", help="a PNG, JPEG, TIFF, WebP, BMP or DICOM file")
    explain.add_argument("question", metavar="QUESTION", help="what to ask")
    says = "a further image, such as an earlier one of the same patient; may be repeated"
    explain.add_argument("--image", metavar="FILE", action="append", default=[], dest="others", help=says)
    explain.add_argument("--model", required=True, help="'demo', a local folder, or a hub id")
    explain.add_argument("--method", action="append", help="may be repeated; `groundviz methods` lists them")
    says = "part of the answer to explain (default: all); may be repeated"
    explain.add_argument("--target", metavar="TEXT", action="append", help=says)
    explain.add_argument("--against", metavar="TEXT", help="explain the target rather than this text")
    explain.add_argument("--answer", metavar="TEXT", help="explain this answer, not the model's own")
    says = "which of several pictures in the file, from 0; may be repeated, once for each image in turn"
    explain.add_argument("--frame", type=int, metavar="N", action="append", default=[], help=says)
    _add_folder(explain, FOLDER)

    certify = _command(commands, "certify", _certify, "prove that maps of a model will lie where it looked")
    certify.add_argument("model", metavar="MODEL", help="'demo', a local folder, or a hub id")
    says = "with pictures of this one's size (default: two odd sizes)"
    certify.add_argument("--image", metavar="FILE", help=says)

    methods = _command(
        commands, "methods", _methods, "list the attribution methods: what they measure and cost"
    )
    methods.add_argument("--markdown", action="store_true", help="as the table of docs/methods.md")
    listed = _command(commands, "models", _models, "list the models that can be explained, and their proofs")
    listed.add_argument("--markdown", action="store_true", help="print a table for documentation")

    opened = _command(commands, "open", _open, "print a saved explanation and show its page in the browser")
    opened.add_argument("file", type=Path, metavar="FILE.gvz", help="what `explain` or `demo` wrote")
    says = "where to write the page (default: a temporary file that you alone may read)"
    opened.add_argument("--out", type=Path, metavar="PAGE.html", help=says)
    opened.add_argument("--no-browser", action="store_true", help="write the page, open no browser")

    lab = _command(commands, "lab", _lab, "start JupyterLab on a copy of the quickstart notebook")
    says = f"where the copy lies, or is put; one that is there is kept (default: ./{LAB_FOLDER})"
    lab.add_argument("--out", type=Path, default=Path(LAB_FOLDER), metavar="FOLDER", help=says)
    lab.add_argument("--no-browser", action="store_true", help="print the address, open no browser")
    return parser


def _command(commands: Any, name: str, run: Callable[..., int | None], says: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=says, description=f"{says}.", epilog=NOT_A_DEVICE
    )
    command.set_defaults(run=run)
    return command


def _add_folder(command: argparse.ArgumentParser, default: str) -> None:
    says = f"where to write, replacing files of the same name (default: ./{default})"
    command.add_argument("--out", type=Path, default=Path(default), metavar="FOLDER", help=says)


def _demo(chosen: argparse.Namespace) -> None:
    folder = _made(chosen.out)
    with _working("Loading the demo model"):
        from groundviz.demo.tour import STOPS, tour

        vlm = groundviz.load("demo")
    asked = list(_counted(tour(vlm), "Asking", len(STOPS)))
    _say_answers(asked)
    page, others = _keep_tour(asked, folder)
    _say("\nAll maps on one page:", f"  {page}", "Figures, and records for `groundviz open`:")
    _say(*(f"  {path}" for path in others))
    _say(f"\n{PHANTOMS_ONLY}", NOT_A_DEVICE)


def _explain(chosen: argparse.Namespace) -> None:
    studies = _loaded([chosen.image, *chosen.others], chosen.frame)
    folder = _made(chosen.out)
    with _working("Loading the model"):
        from groundviz.methods import DEFAULT, DEFAULT_CONTRAST

        usual = DEFAULT_CONTRAST if chosen.against else DEFAULT
        methods = tuple(groundviz.METHODS.resolve(chosen.method or usual))
        vlm = groundviz.load(chosen.model)
    with _working(f"Answering, and mapping with {', '.join(methods)}"):
        explanation = groundviz.explain(
            vlm,
            studies,
            chosen.question,
            methods=methods,
            answer=chosen.answer,
            target=chosen.target,
            against=chosen.against,
        )
    _say_explanation(explanation)
    # Named after question and pixels: the image's own name may be that of a person.
    name = f"{files.safe_name(chosen.question)}-{_mark(studies)}"
    with _working("Drawing figure and page"):
        figures = _keep_figure(explanation.figure(), folder / name)
        page, record = folder / f"{name}.html", folder / f"{name}.gvz"
        explanation.to_html(page)
        explanation.save(record, overwrite=True)
    _say("\nWritten:")
    _say(*(f"  {path}" for path in (page, *figures, record)))
    if chosen.model == "demo":
        _say(f"\n{PHANTOMS_ONLY}", NOT_A_DEVICE)


def _certify(chosen: argparse.Namespace) -> int:
    shapes = [groundviz.images.load(chosen.image).shape] if chosen.image else None
    with _working("Certifying the model"):
        certificate = groundviz.certify(chosen.model, shapes=shapes)
    _say(*map(visible, str(certificate).splitlines()))
    return int(not certificate.passed)


def _methods(chosen: argparse.Namespace) -> None:
    with _working("Loading the methods"):
        from groundviz.methods import DEFAULT, catalogue
    _say(*(catalogue.markdown() if chosen.markdown else catalogue.lines(DEFAULT)))


def _models(chosen: argparse.Namespace) -> None:
    with _working("Loading the model families"):
        from groundviz.models import catalogue
    if chosen.markdown:
        _say(*catalogue.markdown())
        return
    _say("demo", "  The model that ships with groundviz: it knows synthetic chest phantoms and nothing else.")
    _say(*catalogue.lines())


def _open(chosen: argparse.Namespace) -> None:
    explanation = groundviz.open(chosen.file)
    _say_explanation(explanation)
    with _working("Writing the page"):
        content = explanation.to_html().encode()
    page = files.write(chosen.out, content) if chosen.out else files.write_private(content, ".html")
    seen = not chosen.no_browser and webbrowser.open(page.absolute().as_uri())
    _say("\nIn the browser:" if seen else "\nOpen this in a browser:", f"  {page}")


def _lab(chosen: argparse.Namespace) -> None:
    from groundviz.demo import lab

    server = lab.server()
    notebook = lab.quickstart(_made(chosen.out))
    _say("The quickstart:", f"  {notebook}", "Ctrl-C ends JupyterLab.")
    server.launch_instance([str(notebook), *(["--no-browser"] if chosen.no_browser else [])])


def _keep_tour(asked: Sequence[Asked], folder: Path) -> tuple[Path, list[Path]]:
    """Write a page of all questions, and a record of each with figures of each picture's first."""
    from groundviz.render import html

    others: list[Path] = []
    figures = []
    for number, one in enumerate(_counted(asked, "Drawing", len(asked)), start=1):
        figures.append(one.explanation.figure())
        stem = folder / f"{number}-{one.picture}-{one.question.kind}"
        if one.picture not in {earlier.picture for earlier in asked[: number - 1]}:
            others += _keep_figure(figures[-1], stem)
        others.append(one.explanation.save(f"{stem}.gvz", overwrite=True))
    with _working("Writing the page"):
        page = html.page([one.explanation.record for one in asked], figures)
        return files.write(folder / "demo.html", page.encode()), others


def _keep_figure(figure: PaperFigure, stem: Path) -> list[Path]:
    return [figure.save(f"{stem}.{suffix}") for suffix in ("pdf", "png")]


def _loaded(places: Sequence[str], frames: Sequence[int]) -> list[Study]:
    if len(frames) > len(places):
        raise ImageError(
            f"There are more frames than images: {len(frames)} against {len(places)}. "
            "Give --frame once for each image, in the order of the images."
        )
    return [groundviz.images.load(place, frame=frame) for place, frame in zip_longest(places, frames)]


def _mark(studies: Sequence[Study]) -> str:
    """What tells the results of some images from those of others."""
    hashes = [study.sha256 for study in studies]
    whole = hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
    return whole[:8]


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"The output folder could not be made: {error.strerror}. Name another one with --out."
        ) from None
    return folder


def _say_answers(asked: Iterable[Asked]) -> None:
    from groundviz.render.words import percent

    head = ("picture", "question", "answer", "truth", "confidence", "")
    rows = [
        (
            one.picture,
            one.question.text,
            one.explanation.answer.text,
            one.question.answer,
            percent(one.explanation.answer.confidence),
            "" if one.right else "<- wrong",
        )
        for one in asked
    ]
    _say(*_aligned([head, *rows]))


def _say_explanation(explanation: Explanation) -> None:
    from groundviz import tiles
    from groundviz.render import words

    record, answer = explanation.record, explanation.answer
    sure = f"{words.percent(answer.confidence)}, {answer.source}"
    _say(f"question: {visible(explanation.question)}", f"answer: {visible(answer.text)} ({sure})")
    _say(*(f"explained: {visible(target.text)}" for target in record.targets))
    for image, study in enumerate(explanation.studies):
        rows, cols = study.shape
        name = tiles.which(image, len(explanation.studies))
        _say(f"{name}: {rows} by {cols} pixels, from {visible(study.source)}")
        _say(*(f"  {visible(note)}" for note in study.notes))
    _say("\nprobability of each token:")
    shares = [words.percent(float(share)) for share in _probabilities(explanation)]
    _say(*_aligned([("", *pair) for pair in zip(map(visible, answer.tokens), shares, strict=True)]))
    _say("\nmaps:")
    count = len(explanation.studies)
    heatmaps = (heatmap for name in explanation.methods for heatmap in explanation.heatmaps(name))
    _say(*(f"  {visible(words.describe(heatmap, count))}" for heatmap in heatmaps))
    _say(*(f"{visible(check.name)}: {visible(check.says)}" for check in record.checks))
    _say(f"\n{visible(words.made_with(record.provenance))}")


def _probabilities(explanation: Explanation) -> Any:
    import numpy as np

    return np.exp(explanation.answer.logprobs)


def _aligned(rows: Sequence[Row]) -> list[str]:
    """Rows of a table as lines with straight columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def _say(*lines: str) -> None:
    """Write lines to standard output, in whatever characters it can take."""
    encoding = sys.stdout.encoding or "utf-8"
    for line in lines:
        sys.stdout.write(f"{line}\n".encode(encoding, "backslashreplace").decode(encoding))


def _counted(things: Iterable[Thing], what: str, count: int) -> Iterator[Thing]:
    """Show on standard error how many of `count` things are done."""
    from tqdm import tqdm

    yield from tqdm(things, desc=what, total=count, unit="question", leave=False)


@contextmanager
def _working(what: str) -> Iterator[None]:
    """From the third second on, show on standard error what is under way and for how long."""
    from tqdm import tqdm

    over = threading.Event()
    with tqdm(desc=what, bar_format="{desc}: {elapsed}", delay=PATIENCE_SECONDS, leave=False) as bar:

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
