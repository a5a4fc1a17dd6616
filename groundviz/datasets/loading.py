"""From the name of a data set and a local folder to its samples."""

from __future__ import annotations

import inspect
import os
import traceback
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from groundviz.datasets.card import DATASETS, Loader
from groundviz.datasets.sample import Dataset
from groundviz.errors import DataError, OptionError, UnknownName


def load(
    name: str, path: str | os.PathLike[str] | None = None, *, limit: int | None = None, **options: Any
) -> Dataset:
    """Read a data set from a local folder. Nothing is downloaded, and no image is opened yet.

    Args:
        name: One of `DATASETS`, or "NAME:PATH" in one.
        path: Its folder as published, or as the page "Data sets" of the documentation lists it; None for
            phantoms, which are drawn.
        limit: Keep at most so many samples, the first ones.
        options: Of this data set, such as `split="test"`; its page and `help` of its loader list them.

    Raises:
        UnknownName: There is no such data set; a folder needs the name of one before it, as in "folder:PATH".
        OptionError: It has no such option, an option has an impossible value, or no folder was named.
        DataError: The folder lacks a file, or a file is not as published.
        MissingExtra: It is in Parquet, and pyarrow is not installed.

    >>> phantoms = load("phantoms", limit=3)
    >>> phantoms, phantoms.samples[0].question
    (<Dataset: phantoms 1, 3 samples>, 'Is there an effusion?')
    """
    name, path = _parted(name, path)
    loader = DATASETS[name]
    _require_options(name, loader, options)
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
        raise OptionError(f"limit is {limit!r}: expected a whole number above 0, or None for all samples.")
    if isinstance(options.get("images"), str | os.PathLike):
        # Another process, which loads it again, may have another current folder.
        options["images"] = str(Path(options["images"]).expanduser().absolute())
    dataset = _read(name, loader, _root(name, path), options)
    # What the loader settled by itself is kept, too: whoever loads with these options gets the same.
    given = {**dataset.options, **options}
    if limit is not None:
        dataset = replace(dataset, samples=dataset.samples[:limit])
        given["limit"] = limit
    _require_distinct(dataset)
    return replace(dataset, options=given)


def _read(name: str, loader: Loader, root: Path | None, options: dict[str, Any]) -> Dataset:
    """What a loader reads; what a file in another form makes it raise is told without the file's content."""
    try:
        return loader(root, **options)
    except (TypeError, ValueError, LookupError, AttributeError, OverflowError, RecursionError) as error:
        # Where it happened, for who mends the loader.
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{type(error).__name__} in {Path(last.filename).name}, line {last.lineno}"
    raise DataError(
        f"The files of {name} are not in the form that its publisher gives them ({where}). Get them again. "
        "If they are as published, please report this line."
    )


def _parted(name: str, path: str | os.PathLike[str] | None) -> tuple[str, str | os.PathLike[str] | None]:
    """The name and the folder, which may stand behind a colon."""
    if not isinstance(name, str):
        raise OptionError(f"The data set is of type {type(name).__name__}: expected its name, a text.")
    bare, colon, rest = name.partition(":")
    if bare not in DATASETS and _exists(name):
        raise UnknownName(
            f"There is no data set called {name!r}, and there is such a path. For your own table and images, "
            f"name it 'folder:{name}'; for a published data set, put its name before the colon instead. "
            "`groundviz data` lists the names."
        )
    if not colon:
        return name, path
    if path is not None:
        raise OptionError(f"The folder of {bare} is given twice: behind the colon, and as path. Give one.")
    return bare, rest or None


def _root(name: str, path: str | os.PathLike[str] | None) -> Path | None:
    card = DATASETS.facts(name)
    if not card.folder:
        if path is not None:
            raise OptionError(f"{name} needs no folder: a program draws it. Leave the folder out.")
        return None
    if path is None:
        raise OptionError(
            f"{name} is read from a local folder, and none was named. It should hold: {card.files}. "
            f"How to get it: {card.access}. Then name it: {name}:PATH."
        )
    root = Path(path).expanduser().absolute()
    if not _exists(root):
        raise DataError(f"The folder that was named for {name} does not exist. It should hold: {card.files}.")
    return root


def _exists(path: str | Path) -> bool:
    try:
        return Path(path).expanduser().exists()
    except (OSError, ValueError):
        return False


def _require_options(name: str, loader: Loader, options: dict[str, Any]) -> None:
    parameters = list(inspect.signature(loader).parameters.values())
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters):
        return
    known = [one.name for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY]
    unknown = [option for option in options if option not in known]
    if unknown:
        has = f"Known: {', '.join(['limit', *known])}."
        raise OptionError(f"{name} has no option called {unknown[0]!r}. {has}")


def _require_distinct(dataset: Dataset) -> None:
    """Two samples of one identity would overwrite each other's results."""
    times = Counter(sample.sample_id for sample in dataset.samples)
    twice = sum(count > 1 for count in times.values())
    if twice:
        raise DataError(
            f"{twice} samples of {dataset.name} share their identity with another one. Its loader must tell "
            "rows that are alike apart, by `occurrence` of `sample_id_of`."
        )
