"""A reader's file: one row for each response, added at its end and never changed."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from groundviz.errors import StoreError
from groundviz.record import files
from groundviz.record.exports import sheets

SCHEMA = 1
MARKED, NOTHING, RATED = "mark", "nothing", "rating"
CHOICES = ("A", "B", "tie", "both_bad")
ANSWERS = ("correct", "partly", "wrong", "cannot_tell")


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One row. Every field is text, as it stands in the file; empty where nothing was asked.

    Attributes:
        study_id: Which study.
        schema: Version of these columns.
        rater_id: Who read, by a code.
        rater_years: Years of practice.
        session: Which sitting of this reader, from 1.
        trial: Number of the trial in the reader's order.
        case_hash: The case's salted code.
        finding: What was to be found.
        arm_left: Salted code of the map on the left, or of the only one.
        arm_right: Salted code of the map on the right.
        is_control: "prior", "identical", or empty.
        repeat_of: The trial that this one repeats.
        response: "A" (left), "B" (right), "tie", "both_bad"; before a map is rated "mark" with the box, or
            "nothing" where the reader sees no finding; "rating" with what follows; or what the reader thinks
            of the answer: "correct", "partly", "wrong", "cannot_tell".
        likert_loc: 1 (wrong region) to 5 (the finding, fully and only).
        delta_conf: -2 to 2: how the map changes the reader's confidence in the answer.
        misleading: 1 or 0.
        box_x1: Left border of the marked finding ("mark") or of what misleads ("rating"), in pixels of the
            image as it was asked about.
        box_y1: Top border.
        box_x2: Right border.
        box_y2: Bottom border.
        opacity: Of the map when the response was given, 0 to 1.
        zoomed: 1 where the image was enlarged during the trial.
        t_first_ms: Milliseconds from the trial's appearance to the first action.
        t_total_ms: Milliseconds to the response.
        comment: What the reader wrote.
        ts_utc: When, as ISO 8601.
        app_version: Of groundviz.
        run_id: The run that the maps are of.
    """

    study_id: str
    schema: str = str(SCHEMA)
    rater_id: str
    rater_years: str = ""
    session: str
    trial: str
    case_hash: str
    finding: str = ""
    arm_left: str = ""
    arm_right: str = ""
    is_control: str = ""
    repeat_of: str = ""
    response: str
    likert_loc: str = ""
    delta_conf: str = ""
    misleading: str = ""
    box_x1: str = ""
    box_y1: str = ""
    box_x2: str = ""
    box_y2: str = ""
    opacity: str = ""
    zoomed: str = ""
    t_first_ms: str = ""
    t_total_ms: str = ""
    comment: str = ""
    ts_utc: str = ""
    app_version: str = ""
    run_id: str = ""

    @property
    def box(self) -> tuple[float, float, float, float] | None:
        """Left, top, right and bottom, where there is a box."""
        if not self.box_x1:
            return None
        return float(self.box_x1), float(self.box_y1), float(self.box_x2), float(self.box_y2)


COLUMNS = tuple(field.name for field in fields(Response))


def append(path: Path, response: Response) -> None:
    """Add a row to a reader's file, which is begun with its header where there is none.

    The row is on the disk when this returns.

    Raises:
        StoreError: It cannot be written.
    """
    rows = [] if path.is_file() and path.stat().st_size else [COLUMNS]
    rows.append(tuple(map(_one_line, asdict(response).values())))
    files.append(path, sheets.as_csv(rows).encode())


def read(paths: Iterable[Path]) -> list[Response]:
    """The responses of some files, in their order.

    What a computer that failed left half-written at the end of a file is passed over: its trial is shown
    again.

    Raises:
        StoreError: A file is none of a reader's, or a column is missing.
    """
    responses: list[Response] = []
    for path in paths:
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            raise StoreError(
                "A reader's file could not be read: it is not there, or no text. Name the readers' CSV files."
            ) from None
        # Line by line, for a row is a line, and a torn one may lack its closing quotation mark.
        header, *rows = [next(csv.reader([line]), []) for line in text.splitlines()] or [[]]
        missing = set(COLUMNS) - set(header)
        if missing:
            raise StoreError(
                f"This is no reader's file: columns {sorted(missing)[:4]} are missing. "
                "Name the CSV files that lie in the study's folder 'responses'."
            )
        for row in rows:
            if len(row) == len(header):
                named = dict(zip(header, row, strict=True))
                responses.append(Response(**{name: named[name] for name in COLUMNS}))
    return responses


def _one_line(text: str) -> str:
    """Without line breaks, so that a row is a line and a torn one harms no other; and with letters alone.

    A browser may hand over halves of letters, which no file can hold.
    """
    return " ".join(text.split()).encode(errors="replace").decode()
