"""Names of the files of one answer: after its image, methods, target and model."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from groundviz.record import files

if TYPE_CHECKING:
    from groundviz.methods.running.choose import Recipes

SUFFIXES = (".gvz", ".pdf", ".png", ".html")


def stem(chosen: argparse.Namespace, places: Sequence[str], recipes: Recipes, number: int | None) -> str:
    """The name of an answer's files without their suffix; the same request has the same name.

    It ends with a short hash of the whole request. The hash depends on the paths of the images, so that files
    of the same name in two folders are kept apart. It does not depend on their content: whoever has an image
    could otherwise recognise its results. With --name it does not depend on the images at all.

    Args:
        chosen: What was typed.
        places: The paths of the images of this question.
        recipes: The methods with all their options.
        number: Which of several questions this is, where they share a --name.
    """
    if chosen.name is None:
        subject = files.slug(_without_suffix(Path(places[0]).name), most=40, unnamed="image")
    else:
        subject = files.slug(chosen.name, most=40, unnamed="named")
        if number is not None:
            subject += f"-{number}"
    targets = " ".join(chosen.target or ["whole answer"])
    if chosen.against:
        targets += f" rather than {chosen.against}"
    parts = [
        subject,
        _of_methods(list(recipes)),
        files.slug(targets, most=30),
        files.slug(Path(chosen.model).name, most=30, unnamed="model"),
        _mark(chosen, places, recipes),
    ]
    return "_".join(parts)


def taken(folder: Path, name: str) -> bool:
    """Whether there is a file already that an answer of this name would write."""
    return any((folder / f"{name}{suffix}").exists() for suffix in SUFFIXES)


def _of_methods(names: Sequence[str]) -> str:
    shown = [files.slug(name, most=24) for name in names[:2]]
    if len(names) > 2:
        shown.append(f"{len(names) - 2}-more")
    return "+".join(shown)


def _without_suffix(name: str) -> str:
    """A file's name without `.png` or `.dcm`, but with all numbers of one such as 1.2.840.10008."""
    return re.sub(r"(?<=.)\.[A-Za-z]\w*$", "", name)


def _mark(chosen: argparse.Namespace, places: Sequence[str], recipes: Recipes) -> str:
    images = []
    if chosen.name is None:
        images = [str(Path(place).absolute()) for place in places]
    request = {
        "question": chosen.question,
        "images": images,
        "frames": chosen.frame if chosen.slices is None else chosen.slices,
        "windows": chosen.window,
        "model": chosen.model,
        "methods": {name: dict(options) for name, options in recipes.items()},
        "target": chosen.target,
        "against": chosen.against,
        "answer": chosen.answer,
        "generation": chosen.generation,
        "system": chosen.system,
        "seed": chosen.seed or 0,
        "label": chosen.label,
        "evidence": [chosen.evidence, chosen.challenge, chosen.copies],
    }
    # repr, because an option of a method may be of a type that JSON does not know.
    text = json.dumps(request, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:8]
