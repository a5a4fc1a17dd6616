"""What can be typed: every command with its options, and what each of them takes."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import groundviz
from groundviz.cli import asking, commands, data, evaluating, exporting, reporting, studying, values
from groundviz.cli.printing import NOT_A_DEVICE

DEMO_FOLDER = "groundviz-demo"
FOLDER = "groundviz-explanations"
LAB_FOLDER = "groundviz-lab"

EXPLAIN_SAYS = """
Files are named after the image's file name (or --name), the methods, the target and the model, with a mark of
the whole request at the end; nothing is overwritten without --overwrite. A file name may be a patient's: it
stands in the names of the results alone, never inside a record, page or figure, and --name keeps it out of
their names. The record is written first: `groundviz open` draws it again.

Exit codes: 0, all is well; 1, some of several images could not be explained; 2, an error, or none could;
130, interrupted by Ctrl-C: what was measured until then is written, and says that it is incomplete.
"""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """What was typed; `run` is the function of the command.

    Raises:
        SystemExit: Help was asked for, or the arguments make no command.
    """
    words = list(argv)
    # What follows -- is for JupyterLab, which argparse must not read.
    extra: list[str] = []
    if words[:1] == ["lab"] and "--" in words:
        cut = words.index("--")
        words, extra = words[:cut], words[cut + 1 :]
    parser = _parser()
    chosen = parser.parse_args(_tied(words))
    chosen.extra = extra
    if chosen.run is asking.explain:
        _settle(parser, chosen)
        if chosen.copies is not None and not chosen.challenge:
            parser.error("--copies is of --challenge, which is not asked for")
    return chosen


def _tied(words: Sequence[str]) -> list[str]:
    """Join --window and a negative centre to one word; argparse would take the centre for an option."""
    tied: list[str] = []
    for word in words:
        if tied and tied[-1] == "--window" and re.match(r"-[.\d]", word):
            tied[-1] = f"--window={word}"
        else:
            tied.append(word)
    return tied


def _settle(parser: argparse.ArgumentParser, chosen: argparse.Namespace) -> None:
    """Join the settings that have an option of their own with those named by --generation."""
    # Each of these settings has no effect without sampling.
    do_sample = None
    if chosen.sample or chosen.temperature is not None or chosen.top_p is not None:
        do_sample = True
    own = {
        "max_new_tokens": chosen.max_new_tokens,
        "num_beams": chosen.beams,
        "temperature": chosen.temperature,
        "top_p": chosen.top_p,
        "do_sample": do_sample,
    }
    settings = {name: value for name, value in own.items() if value is not None}
    for name, value in chosen.generation:
        if name in settings and settings[name] != value:
            parser.error(f"the generation setting {name!r} is given twice, once as {settings[name]!r}")
        settings[name] = value
    chosen.generation = settings


def _parser() -> argparse.ArgumentParser:
    says = "See where a medical vision-language model looked when it answered."
    parser = argparse.ArgumentParser(prog="groundviz", description=says, epilog=NOT_A_DEVICE)
    parser.add_argument("--version", action="version", version=f"groundviz {groundviz.__version__}")
    added = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    demo = _command(added, "demo", commands.demo, "ask the model that ships with groundviz about phantoms")
    _add_folder(demo, DEMO_FOLDER)
    _add_explain(added)

    certify = _command(
        added, "certify", commands.certify, "test whether maps of a model show where it looked"
    )
    certify.add_argument("model", metavar="MODEL", help="'demo', 'cheat', a local folder, or a hub id")
    says = "with images of this one's size (default: two odd sizes)"
    certify.add_argument("--image", metavar="FILE", help=says)

    says = "list the attribution methods: what they measure and cost"
    methods = _command(added, "methods", commands.methods, says)
    methods.add_argument("--markdown", action="store_true", help="as the table of docs/methods.md")
    says = "list the models that can be explained, and how they were tested"
    listed = _command(added, "models", commands.models, says)
    listed.add_argument("--markdown", action="store_true", help="print a table for documentation")

    opened = _command(
        added, "open", commands.open, "print a saved explanation and show its page in the browser"
    )
    opened.add_argument("file", type=Path, metavar="FILE.gvz", help="what `explain` or `demo` wrote")
    says = "where to write the page (default: a temporary file that you alone may read)"
    opened.add_argument("--out", type=Path, metavar="PAGE.html", help=says)
    opened.add_argument("--no-browser", action="store_true", help="write the page, open no browser")
    _add_overwrite(opened, "a page of that name")
    _add_export(added)
    _add_animate(added)
    _add_data(added)
    evaluating.add(added, _command)
    reporting.add(added, _command)
    studying.add(added, _command)

    says = "start JupyterLab on a copy of the quickstart notebook"
    lab = _command(added, "lab", commands.lab, says)
    lab.usage = "groundviz lab [-h] [--out FOLDER] [--port N] [--ip ADDRESS] [--no-browser] [-- ...]"
    lab.epilog = f"Everything after -- goes to JupyterLab as it stands. {NOT_A_DEVICE}"
    says = f"where the copy lies, or is put; one that is there is kept (default: ./{LAB_FOLDER})"
    lab.add_argument("--out", type=Path, default=Path(LAB_FOLDER), metavar="FOLDER", help=says)
    lab.add_argument(
        "--port", type=values.natural, metavar="N", help="the port to listen on (default: JupyterLab's)"
    )
    lab.add_argument("--ip", metavar="ADDRESS", help="the address to listen on (default: this machine alone)")
    lab.add_argument("--no-browser", action="store_true", help="print the address, open no browser")
    return parser


def _add_explain(added: Any) -> None:
    explain = _command(
        added, "explain", asking.explain, "ask a model about an image and show where it looked"
    )
    explain.formatter_class = argparse.RawDescriptionHelpFormatter
    explain.epilog = f"{EXPLAIN_SAYS}\n{NOT_A_DEVICE}"
    says = (
        "a PNG, JPEG, TIFF, WebP, BMP or DICOM file, or a folder of such files; of several images each is "
        "asked about in turn, with the model loaded once"
    )
    explain.add_argument("images", metavar="IMAGE", nargs="+", help=says)
    explain.add_argument("question", metavar="QUESTION", help="what to ask; it stands last")
    says = "a further image of the same question, such as an earlier one of the patient; may be repeated"
    explain.add_argument("--image", metavar="FILE", action="append", default=[], dest="others", help=says)
    says = "which of several images in the file, from 0; may be repeated, once for each image of the question"
    explain.add_argument("--frame", type=values.natural, metavar="N", action="append", default=[], help=says)
    says = (
        "one question about the slices of a stack, a folder with a DICOM series or a file with several "
        "frames: 'all', or which, counting from 0, as FIRST:STOP or FIRST:STOP:STEP"
    )
    explain.add_argument("--slices", type=values.slices, metavar="WHICH", help=says)
    says = "values to spread from black to white, such as -600,1500; may be repeated, as --frame"
    window = explain.add_argument(
        "--window", type=values.window, metavar="CENTRE,WIDTH", action="append", help=says
    )
    window.default = []
    _add_run(explain)
    _add_evidence(explain)
    _add_answer(explain)
    files = explain.add_argument_group("files")
    _add_folder(files, FOLDER)
    says = "what to name files after in place of the image's file name"
    files.add_argument("--name", metavar="TEXT", help=says)
    says = "your own name for the model or the run, such as 'checkpoint A', kept in the record and shown"
    files.add_argument("--label", metavar="TEXT", help=says)


def _add_export(added: Any) -> None:
    says = "write the maps of a saved explanation for other programs"
    export = _command(added, "export", exporting.export, says)
    export.add_argument("file", type=Path, metavar="FILE.gvz", help="what `explain` or `demo` wrote")
    says = (
        "where to write; the name says how: .csv (a table of all maps), .json (COCO boxes), .npy, .nii or "
        ".nii.gz (one map), .dcm (an image under its map, with --original) or .gsps.dcm (its outlines); or a "
        "folder that is there, for all but DICOM; may be repeated"
    )
    export.add_argument("--to", type=Path, metavar="FILE", action="append", required=True, help=says)
    says = "the DICOM file that was explained, whose patient and exam a DICOM file names"
    export.add_argument("--original", type=Path, metavar="FILE", help=says)
    says = "which of several frames in the original was explained, from 0"
    export.add_argument("--frame", type=values.natural, metavar="N", help=says)
    which = export.add_argument_group("which maps")
    says = "which, separated by commas or repeated (default: all, or the first)"
    values.add_methods(which, says)
    says = "part of the answer; may be repeated (default: each that was measured, or what was asked for)"
    which.add_argument("--target", metavar="TEXT", action="append", help=says)
    says = "a layer by its number, or 'each'; may be repeated (default: all combined)"
    which.add_argument("--layer", type=values.layer, metavar="N", action="append", help=says)
    says = "a head, as --layer"
    which.add_argument("--head", type=values.layer, metavar="N", action="append", help=says)
    which.add_argument("--image", type=values.natural, metavar="N", help="of several images one, from 0")
    which.add_argument("--tile", type=values.tile, metavar="TILE", help="of several tiles one")
    how = export.add_argument_group("how")
    says = "write one map at every pixel of the source image, not at the model's cells"
    how.add_argument("--resample", action="store_true", help=says)
    says = "interpolate between the centres of cells; implies --resample"
    how.add_argument("--smooth", action="store_true", help=says)
    how.add_argument("--mask", action="store_true", help="write which cells are strong, 1 or 0, for one map")
    says = "strong are those above zero of the fewest cells that hold this share of a map (default: 0.5)"
    how.add_argument("--share", type=values.share, metavar="S", default=0.5, help=says)
    says = "strong are the cells from this raw value on"
    how.add_argument("--threshold", type=values.above_zero, metavar="V", help=says)
    _add_overwrite(export, "files of the same names")


def _add_animate(added: Any) -> None:
    says = "write an animation of the answer being written, word by word with its maps on one scale"
    animate = _command(added, "animate", exporting.animate, says)
    animate.add_argument("file", type=Path, metavar="FILE.gvz", help="what `explain` or `demo` wrote")
    says = "where to write; the name says how: .webp, .png (animated), or .gif (256 colours a frame)"
    animate.add_argument("--to", type=Path, metavar="FILE", required=True, help=says)
    values.add_methods(animate, "which maps, of one method (default: the first)")
    says = "how long each word is shown (default: 0.9)"
    animate.add_argument("--seconds", type=values.above_zero, metavar="S", default=0.9, help=says)
    says = "millimetres of a figure, of 5.9 pixels each (default: 183, which is 1,080 pixels)"
    animate.add_argument("--width", type=values.above_zero, metavar="MM", default=183.0, help=says)
    animate.add_argument(
        "--layer", type=values.natural, metavar="N", help="one layer (default: all combined)"
    )
    animate.add_argument("--head", type=values.natural, metavar="N", help="one head (default: all combined)")
    animate.add_argument("--image", type=values.natural, metavar="N", help="of several images one, from 0")
    animate.add_argument("--tile", type=values.tile, metavar="TILE", help="of several tiles one")
    animate.add_argument("--smooth", action="store_true", help="interpolate between the centres of cells")
    _add_overwrite(animate, "a file of that name")


def _add_data(added: Any) -> None:
    says = "list the data sets that can be evaluated on, or check one in a local folder"
    listed = _command(added, "data", data.listed, says)
    listed.add_argument("--markdown", action="store_true", help="as docs/dataset_cards.md")
    inner = listed.add_subparsers(title="commands", metavar="COMMAND")
    says = "compare a data set in a folder with what its publisher states: counts, files, coordinates"
    check = _command(inner, "check", data.check, says)
    check.epilog = f"Exit codes: 0, nothing is wrong; 1, something is; 2, it cannot be read. {NOT_A_DEVICE}"
    check.add_argument("name", metavar="NAME", help="a name that `groundviz data` lists, or NAME:PATH")
    check.add_argument("path", nargs="?", metavar="PATH", help="its folder; none for phantoms")
    says = "an option of the data set, such as split=test, the value as JSON or a bare word; may be repeated"
    check.add_argument(
        "--option", type=values.setting, metavar="KEY=VALUE", action="append", default=[], help=says
    )
    says = "how many images to open, evenly spread (default: 20)"
    check.add_argument("--images", type=values.natural, metavar="N", default=20, help=says)


def _add_run(explain: argparse.ArgumentParser) -> None:
    run = explain.add_argument_group("model and methods")
    run.add_argument("--model", required=True, help="'demo', 'cheat', a local folder, or a hub id")
    values.add_measured(run)
    says = "part of the answer to explain (default: all); may be repeated"
    run.add_argument("--target", metavar="TEXT", action="append", help=says)
    run.add_argument("--against", metavar="TEXT", help="explain the target rather than this text")
    run.add_argument("--seed", type=values.seed, metavar="N", help="of everything random (default: 0)")
    says = "do not test first whether maps show where the model looked"
    run.add_argument("--no-certify", action="store_true", help=says)


def _add_evidence(explain: argparse.ArgumentParser) -> None:
    evidence = explain.add_argument_group("evidence", "whether the maps are to be believed")
    says = (
        "quick: whether the answer needs the image, for three more passes; full: whether it needs the places "
        "that the maps mark, too, for about 140 passes a method; none (default: quick)"
    )
    evidence.add_argument("--evidence", choices=("quick", "full", "none"), default="quick", help=says)
    says = "put the maps to the test when the record is written: what is interrupted keeps the maps"
    evidence.add_argument("--challenge", action="store_true", help=says)
    says = "moved copies that a challenge compares a marked place with, at least 19 (default: 19)"
    evidence.add_argument("--copies", type=values.positive, metavar="N", help=says)


def _add_answer(explain: argparse.ArgumentParser) -> None:
    answer = explain.add_argument_group("answer")
    answer.add_argument("--answer", metavar="TEXT", help="explain this answer, not the model's own")
    answer.add_argument("--system", metavar="TEXT", help="what the model is told before the question")
    says = "at most so many tokens of answer"
    answer.add_argument("--max-new-tokens", type=values.positive, metavar="N", help=says)
    answer.add_argument("--beams", type=values.positive, metavar="N", help="search with so many beams")
    answer.add_argument("--sample", action="store_true", default=None, help="draw each token at random")
    says = "of sampling, above 0; implies --sample"
    answer.add_argument("--temperature", type=values.above_zero, metavar="T", help=says)
    says = "sample from the likeliest tokens of this share, above 0 to 1; implies --sample"
    answer.add_argument("--top-p", type=values.share, metavar="P", help=says)
    says = "any other setting of transformers' generate, the value as JSON or a bare word; may be repeated"
    answer.add_argument(
        "--generation", type=values.setting, metavar="KEY=VALUE", action="append", default=[], help=says
    )


def _command(added: Any, name: str, run: Callable[..., int | None], says: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = added.add_parser(
        name, help=says, description=f"{says}.", epilog=NOT_A_DEVICE
    )
    command.set_defaults(run=run)
    return command


def _add_folder(command: Any, default: str) -> None:
    says = f"where to write (default: ./{default})"
    command.add_argument("--out", type=Path, default=Path(default), metavar="FOLDER", help=says)
    _add_overwrite(command, "files of the same names")


def _add_overwrite(command: Any, what: str) -> None:
    command.add_argument("--overwrite", action="store_true", help=f"replace {what}")
