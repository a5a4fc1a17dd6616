"""How the files of one answer are called: after its image, methods, target and model."""

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
    """The name of an answer's files without their suffix, the same whenever the same is asked.

    It ends with a short mark of the whole request. The mark holds where the images lie, so that files of
    one name in two folders do not get in each other's way, but nothing of what they show: whoever has the
    images could find theirs by it. With --name it holds nothing of the images at all.

    Args:
        chosen: What was typed.
        places: Where the images of this question lie.
        recipes: The methods with all their options.
        number: Which of several questions this is, where they share a --name.
    """
    if chosen.name is None:
        subject = files.slug(_without_suffix(Path(places[0]).name), most=40, unnamed="image")
    else:
        subject = files.slug(chosen.name, most=40, unnamed="named")
        subject += "" if number is None else f"-{number}"
    targets = " ".join(chosen.target or ["whole answer"])
    parts = [
        subject,
        _of_methods(list(recipes)),
        files.slug(f"{targets} rather than {chosen.against}" if chosen.against else targets, most=30),
        files.slug(Path(chosen.model).name, most=30, unnamed="model"),
        _mark(chosen, places, recipes),
    ]
    return "_".join(parts)


def taken(folder: Path, name: str) -> bool:
    """Whether there is a file already that an answer of this name would write."""
    return any((folder / f"{name}{suffix}").exists() for suffix in SUFFIXES)


def _of_methods(names: Sequence[str]) -> str:
    shown = [files.slug(name, most=24) for name in names[:2]]
    more = [f"{len(names) - 2}-more"] if len(names) > 2 else []
    return "+".join([*shown, *more])


def _without_suffix(name: str) -> str:
    """A file's name without `.png` or `.dcm`, but with all numbers of one such as 1.2.840.10008."""
    return re.sub(r"(?<=.)\.[A-Za-z]\w*$", "", name)


def _mark(chosen: argparse.Namespace, places: Sequence[str], recipes: Recipes) -> str:
    request = {
        "question": chosen.question,
        "images": [] if chosen.name is not None else [str(Path(place).absolute()) for place in places],
        "frames": chosen.frame,
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
    }
    # Whatever a method's options may be, they have a form in words.
    text = json.dumps(request, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:8]
