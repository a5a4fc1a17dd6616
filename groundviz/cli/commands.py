"""Every command but `explain`: demo, certify, methods, models, open and lab."""

from __future__ import annotations

import argparse
import webbrowser
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import groundviz
from groundviz.cli import printing
from groundviz.cli.printing import aligned, complain, counted, importing, say, working
from groundviz.errors import StoreError
from groundviz.record import files
from groundviz.render.base.escape import visible

if TYPE_CHECKING:
    from groundviz.demo.tour import TourAnswer


def demo(chosen: argparse.Namespace) -> None:
    """Take the demo model's tour: answers on the screen, a page, figures and records in a folder."""
    folder = files.folder_for_writing(chosen.out)
    with importing("Loading the libraries"):
        from groundviz.demo.tour import STOPS, tour
    # Checked first: the questions take a while.
    refuse_taken(_tour_files(STOPS, folder), chosen.overwrite)
    with working("Loading the demo model"):
        vlm = groundviz.load("demo")
    asked = list(counted(tour(vlm), "Asking", len(STOPS)))
    page, others = _keep_tour(asked, folder, overwrite=chosen.overwrite)
    _say_answers(asked)
    say("", "All maps on one page:", f"  {page}", "Figures, and records for `groundviz open`:")
    say(*printing.indented(others))
    say("", printing.PHANTOMS_ONLY, printing.NOT_A_DEVICE)


def certify(chosen: argparse.Namespace) -> int:
    """Certify a model; returns 1 if it fails."""
    shapes = None
    if chosen.image:
        # The frames of a file have one size.
        shapes = [groundviz.images.load(chosen.image, frame=0).shape]
    with importing("Loading the libraries"):
        # A public name is imported, with all it needs, when it is first used.
        certify_model = groundviz.certify
    with working("Certifying the model"):
        certificate = certify_model(chosen.model, shapes=shapes)
    say(*map(visible, str(certificate).splitlines()))
    return int(not certificate.passed)


def methods(chosen: argparse.Namespace) -> None:
    """List the attribution methods."""
    with importing("Loading the methods"):
        from groundviz.methods import DEFAULT
        from groundviz.methods.running import catalogue
    if chosen.markdown:
        say(*catalogue.markdown())
    else:
        say(*catalogue.lines(DEFAULT))


def models(chosen: argparse.Namespace) -> None:
    """List the model families and published layouts."""
    with importing("Loading the model families"):
        from groundviz.models import catalogue
    if chosen.markdown:
        from groundviz.methods.running.refusals import without

        say(*catalogue.markdown(any_model=without("modules")))
        return
    say("demo", "  The model that ships with groundviz: it knows synthetic chest phantoms and nothing else.")
    say(*catalogue.lines())


def open(chosen: argparse.Namespace) -> None:
    """Print a saved explanation, and show its page in the browser."""
    explained = groundviz.open(chosen.file)
    if chosen.out:
        files.folder_for_writing(chosen.out.parent)
        refuse_taken([chosen.out], chosen.overwrite)
    with working("Writing the page"):
        content = explained.to_html().encode()
    if chosen.out:
        page = files.write(chosen.out, content, overwrite=chosen.overwrite)
    else:
        # The page shows the images, which may be a patient's.
        page = files.write_private(content, ".html")
    say(*printing.explanation(explained))
    # Where there is no browser to start, the reader is told what to open.
    head = "Open this in a browser:"
    if not chosen.no_browser and webbrowser.open(page.absolute().as_uri()):
        head = "In the browser:"
    say("", head, f"  {page}")


def lab(chosen: argparse.Namespace) -> None:
    """Start JupyterLab on the reader's copy of the quickstart."""
    from groundviz.demo import lab as start

    server = start.server()
    notebook = start.quickstart(files.folder_for_writing(chosen.out))
    given = []
    if chosen.port is not None:
        given.append(f"--port={chosen.port}")
    if chosen.ip is not None:
        given.append(f"--ip={chosen.ip}")
    if chosen.no_browser:
        given.append("--no-browser")
    # What stands behind -- comes last, because JupyterLab takes the last of two settings.
    arguments = start.arguments(notebook, [*given, *chosen.extra])
    say("The quickstart:", f"  {notebook}", "Ctrl-C ends JupyterLab.")
    if start.ALLOW_ROOT in arguments and start.ALLOW_ROOT not in chosen.extra:
        complain(f"groundviz: note: {start.ROOT_SAYS}")
    server.launch_instance(arguments)


def refuse_taken(paths: Iterable[Path], overwrite: bool) -> None:
    """Notice before anything is computed that a file would be replaced.

    Raises:
        StoreError: There is a file of such a name, and --overwrite was not given.
    """
    there = [path for path in paths if path.exists()]
    if there and not overwrite:
        what = f"{len(there)} files of these names are"
        if len(there) == 1:
            what = "A file of that name is"
        raise StoreError(
            f"{what} there already. Pass --overwrite to replace, or name another place with --out."
        )


def _tour_files(stops: Sequence[tuple[str, str, str]], folder: Path) -> list[Path]:
    """Everything that the tour writes: figures of each image's first question, a record of each."""
    paths = [folder / "demo.html"]
    seen: set[str] = set()
    for number, (sample, kind, _) in enumerate(stops, start=1):
        stem = f"{number}-{sample}-{kind}"
        paths.append(folder / f"{stem}.gvz")
        # Later questions about the same image have no figure of their own.
        if sample not in seen:
            paths += [folder / f"{stem}.pdf", folder / f"{stem}.png"]
        seen.add(sample)
    return paths


def _keep_tour(asked: Sequence[TourAnswer], folder: Path, *, overwrite: bool) -> tuple[Path, list[Path]]:
    """Write a record of each question, figures of each image's first, and a page of all."""
    from groundviz.render.pages import html

    stops = [(one.image, one.question.kind, "") for one in asked]
    page, *others = _tour_files(stops, folder)
    records = [path for path in others if path.suffix == ".gvz"]
    for path, one in zip(records, asked, strict=True):
        one.explanation.save(path, overwrite=overwrite)
    figures = [one.explanation.figure() for one in counted(asked, "Drawing", len(asked))]
    drawn = {path.stem: figure for path, figure in zip(records, figures, strict=True)}
    for path in others:
        if path.suffix != ".gvz":
            files.write(path, drawn[path.stem].to_bytes(path.suffix[1:]), overwrite=overwrite)
    with working("Writing the page"):
        content = html.page([one.explanation.record for one in asked], figures)
        return files.write(page, content.encode(), overwrite=overwrite), others


def _say_answers(asked: Iterable[TourAnswer]) -> None:
    from groundviz.render.base.captions import percent

    head = ("image", "question", "answer", "truth", "confidence", "needs the image", "")
    rows = [head]
    for one in asked:
        answer = one.explanation.answer
        mark = "" if one.right else "<- wrong"
        _, (_, needs_image), _ = one.explanation.evidence.facts()
        row = (
            one.image,
            one.question.text,
            answer.text,
            one.question.answer,
            percent(answer.confidence),
            needs_image,
            mark,
        )
        rows.append(row)
    say(*aligned(rows))
