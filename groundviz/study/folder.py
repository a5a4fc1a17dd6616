"""A study's folder: images and maps under salted codes, the design, the readers' files; the key lies apart.

::

    STUDY/study.json            the design, and the cases by their codes
    STUDY/images/CASE.png       the image as readers see it
    STUDY/maps/CASE-ARM.png     a map's colours alone, to be laid over the image
    STUDY/responses/READER.csv  one row for each response
    STUDY.key.json              what the codes stand for; its owner keeps it until all is read

The folder holds images: it stays where they may be.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from groundviz.errors import OptionError, StoreError
from groundviz.record import files
from groundviz.record.types import Heatmap, SourceImage
from groundviz.render.base import overlay
from groundviz.render.base.colour import scales
from groundviz.study.session import CaseFacts, Session
from groundviz.study.trials import PASSES, Pass, ordered

SCHEMA = 1
# Pixels of an image, and of the colours over it, whose cells are far larger than that.
_LONGEST, _LONGEST_MAP = 1024, 512
_CODE = 12
PRIORS = ("prior:", "random_weights:", "shuffled:")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """One case before it is blinded.

    Attributes:
        sample_id: What tells it from others; it stands in the key alone.
        image: What was asked about.
        maps: The map of each method, and of each prior as "prior:NAME".
        finding: What is to be found; empty where nothing is.
        question: What the model was asked.
        phrase: What the maps are about; empty where they are about the whole answer.
        answer: What the model answered.
    """

    sample_id: str
    image: SourceImage
    maps: Mapping[str, Heatmap]
    finding: str = ""
    question: str = ""
    phrase: str = ""
    answer: str = ""


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study that was made, ready to be read.

    Attributes:
        folder: Where it lies.
        study_id: Its identity, drawn at random when it was made.
        run_id: The run that its maps are of; empty where they come from elsewhere.
        seed: Of every reader's order.
        passes: What readers do: "compare" maps, "rate" them, judge the "answer".
        arms: Codes of the methods.
        priors: Codes of the maps that never saw the image: every reader's order has its controls by them.
        cases: What readers may know of each case, by its code.
    """

    folder: Path = field(repr=False)
    study_id: str
    run_id: str
    seed: int
    passes: tuple[Pass, ...]
    arms: tuple[str, ...]
    priors: tuple[str, ...]
    cases: Mapping[str, CaseFacts] = field(repr=False)

    def session(self, rater_id: str, *, rater_years: float | None = None) -> Session:
        """A reader's session, which goes on where an earlier one of the same code ended.

        Args:
            rater_id: A code for the reader, such as "reader-1"; no name.
            rater_years: Years of practice.

        Raises:
            OptionError: The code is no code.
            StoreError: The reader's file is of another study, or cannot be read or written.
        """
        trials = ordered(
            list(self.cases),
            self.arms,
            self.priors,
            passes=self.passes,
            study_id=self.study_id,
            rater_id=rater_id,
            seed=self.seed,
        )
        folder = files.folder_for_writing(self.folder / "responses")
        return Session(
            study_id=self.study_id,
            rater_id=rater_id,
            rater_years=rater_years,
            run_id=self.run_id,
            trials=trials,
            cases=self.cases,
            # A code that is none is refused by the session, before anything is written.
            file=folder / f"{files.slug(rater_id)}.csv",
        )

    def read(self, rater_id: str, *, rater_years: float | None = None) -> Any:
        """Show the study to a reader, in a notebook.

        Every response is written at once. Run the cell again, today or tomorrow, to go on.

        Args:
            rater_id: As in `session`.
            rater_years: As in `session`.

        Raises:
            MissingExtra: anywidget is not installed.
            OptionError: As in `session`.
            StoreError: As in `session`.
        """
        from groundviz.render.reading.loading import reading_widget

        return reading_widget(self.session(rater_id, rater_years=rater_years), self.images)

    def images(self, case: str, arms: Sequence[str] = ()) -> list[bytes]:
        """The image of a case and the colours of its maps, each as a PNG.

        Raises:
            StoreError: A file of the study is missing.
        """
        names = [f"images/{case}.png", *(f"maps/{case}-{arm}.png" for arm in arms)]
        try:
            return [(self.folder / name).read_bytes() for name in names]
        except OSError:
            raise StoreError(
                "An image of the study could not be read: its folder is not whole. Copy it again."
            ) from None

    @cached_property
    def files(self) -> list[Path]:
        """The readers' files."""
        return sorted((self.folder / "responses").glob("*.csv"))


def make(
    cases: Iterable[Case],
    out: str | os.PathLike[str],
    *,
    key: str | os.PathLike[str] | None = None,
    passes: Sequence[Pass] = ("compare",),
    seed: int = 0,
    run_id: str = "",
    counted: Callable[[Iterator[Case]], Iterable[Case]] = iter,
) -> Study:
    """Blind some cases: codes for names, colours for maps, one and the same colour map for every method.

    What a map has below zero is left out, for its own colours would tell which method made it; each map has
    its own scale, from zero to its highest value. Methods whose every map the readers can tell by its cells
    (a coarser grid) cannot be blinded; compare methods on one grid.

    Args:
        cases: The cases, each with the same methods; a method named "prior:…", "shuffled:…" or
            "random_weights:…" is a prior, and serves as a control.
        out: The study's folder; it must not be there, or be empty.
        key: Where the key goes; beside the folder, as OUT.key.json, when None. Keep it from the readers.
        passes: Some of "compare", "rate" and "answer".
        seed: Of every reader's order, frozen before anybody reads.
        run_id: The run that the maps are of.
        counted: Goes through the cases, perhaps with a progress bar.

    Raises:
        OptionError: There are no cases, their methods differ, or a pass is unknown.
        StoreError: The folder is not empty, or cannot be written.

    Cost:
        None through a model. About 0.1 seconds a case.
    """
    unknown = set(passes) - set(PASSES)
    if unknown or not passes:
        raise OptionError(
            f"The passes were {list(passes)}, expected some of {list(PASSES)}. Name one of these."
        )
    place = Path(out)
    if place.is_dir() and any(place.iterdir()):
        raise StoreError("The study's folder is not empty. Name a new one: studies are never written over.")
    key_place = files.new_place(key or place.with_name(f"{place.name}.key.json"))
    if key_place.exists():
        raise StoreError("There is a file in the key's place. Name another place with key=….")
    given = iter(cases)
    # What is wrong with the source of cases is known before a folder is made.
    first = list(islice(given, 1))
    folder = files.folder_for_writing(place)
    for inner in ("images", "maps", "responses"):
        files.folder_for_writing(folder / inner)
    salt, study_id = secrets.token_hex(16), secrets.token_hex(6)
    codes: dict[str, str] = {}
    names: dict[str, str] = {}
    facts: dict[str, CaseFacts] = {}
    for case in counted(chain(first, given)):
        # In the order of the codes, in which files are written too: any other would tell of the names.
        codes = codes or dict(sorted((_code(salt, name), name) for name in case.maps))
        if set(case.maps) != set(codes.values()):
            raise OptionError(
                f"The methods differ from case to case: {sorted(case.maps)} after {sorted(codes.values())}. "
                "Give every case a map of every method, or leave the case out."
            )
        code = _code(salt, case.sample_id)
        names[code] = case.sample_id
        facts[code] = _blinded(case, code, codes, folder)
    if not facts:
        raise OptionError("There are no cases to read. Give at least one.")
    study = Study(
        folder=folder,
        study_id=study_id,
        run_id=run_id,
        seed=seed,
        passes=tuple(part for part in PASSES if part in passes),
        arms=tuple(code for code, name in codes.items() if not name.startswith(PRIORS)),
        priors=tuple(code for code, name in codes.items() if name.startswith(PRIORS)),
        # Their first order tells how they were chosen, and so which answers are right.
        cases=dict(sorted(facts.items())),
    )
    # An impossible design is refused before a reader meets it.
    ordered(
        list(study.cases),
        study.arms,
        study.priors,
        passes=study.passes,
        study_id="",
        rater_id="",
        seed=seed,
    )
    secret = {"study_id": study_id, "schema": SCHEMA, "salt": salt, "arms": codes, "cases": names}
    files.write(key_place, _json(secret), overwrite=False)
    files.write(folder / "study.json", _json(_design(study)), overwrite=False)
    return study


def open(folder: str | os.PathLike[str]) -> Study:
    """A study that `make` wrote.

    Raises:
        StoreError: There is none in that folder, or it is of a newer version.
    """
    place = files.place(folder)
    try:
        design = json.loads((place / "study.json").read_text("utf-8"))
        if design["schema"] > SCHEMA:
            raise StoreError(
                f"The study is of version {design['schema']}, and this groundviz reads {SCHEMA}. Update "
                f"groundviz."
            )
        cases = {
            code: CaseFacts(**{**one, "shape": (int(one["shape"][0]), int(one["shape"][1]))})
            for code, one in design["cases"].items()
        }
        return Study(
            folder=place,
            study_id=design["study_id"],
            run_id=design["run_id"],
            seed=design["seed"],
            passes=tuple(design["passes"]),
            arms=tuple(design["arms"]),
            priors=tuple(design["priors"]),
            cases=cases,
        )
    except (OSError, ValueError, KeyError, TypeError):
        raise StoreError(
            "There is no study in this folder: its study.json is missing or damaged. "
            "Name the folder that `groundviz study make` wrote."
        ) from None


def _blinded(case: Case, code: str, arms: Mapping[str, str], folder: Path) -> CaseFacts:
    """Write the image and the maps of a case, and return what a reader may know of it.

    Args:
        case: The case.
        code: Its code.
        arms: Names of its maps by their codes.
        folder: The study's.
    """
    longest = max(case.image.shape)
    shape = overlay.fitting(case.image, min(longest, _LONGEST))
    files.write(folder / "images" / f"{code}.png", overlay.png(overlay.resample(case.image.pixels, shape)))
    for arm, name in arms.items():
        heatmap = case.maps[name]
        values = np.where(np.isfinite(heatmap.values), np.maximum(heatmap.values, 0.0), np.nan)
        plain = replace(heatmap, values=values.astype(np.float32), signed=False, unit="")
        (scale,) = scales([plain])
        shape = overlay.fitting(case.image, min(longest, _LONGEST_MAP))
        colours = np.zeros((*shape, 4), np.float32)
        if scale is not None:
            colours = overlay.veil(case.image.shape, shape, plain, scale)
        files.write(folder / "maps" / f"{code}-{arm}.png", overlay.png(colours))
    return CaseFacts(
        code=code,
        shape=case.image.shape,
        finding=case.finding,
        question=case.question,
        phrase=case.phrase,
        answer=case.answer,
    )


def _design(study: Study) -> dict[str, Any]:
    cases = {code: asdict(one) for code, one in study.cases.items()}
    own = {name: getattr(study, name) for name in ("study_id", "run_id", "seed", "passes", "arms", "priors")}
    return {"schema": SCHEMA, **own, "cases": cases}


def _code(salt: str, name: str) -> str:
    return hashlib.sha256(f"{salt}|{name}".encode()).hexdigest()[:_CODE]


def _json(content: Mapping[str, Any]) -> bytes:
    # Half a letter, which UTF-8 does not have, stands there by its number.
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode(errors="backslashreplace")
