"""One reader's way through a study: what comes next, what may be answered, and what was answered already.

Nothing here knows a browser: a widget shows what `Session.shown` returns and hands replies to `answer`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import groundviz
from groundviz.errors import OptionError, StoreError
from groundviz.record import files
from groundviz.study import responses
from groundviz.study.responses import ANSWERS, CHOICES, MARKED, NOTHING, RATED, Response
from groundviz.study.trials import Trial

_LONGEST_COMMENT = 2000
# A day: whoever comes back later did not look all the time.
_LONGEST_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFacts:
    """What a reader may know of a case.

    Attributes:
        code: Its salted code.
        shape: Rows and columns of the image as it was asked about.
        finding: What is to be found; empty where nothing is.
        question: What the model was asked.
        phrase: What the map is about; empty where it is about the whole answer.
        answer: What the model answered.
    """

    code: str
    shape: tuple[int, int]
    finding: str = ""
    question: str = ""
    phrase: str = ""
    answer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A trial as the reader sees it: without codes, without names.

    Attributes:
        number: Which of `count` trials it is, from 1; 0 when all are done.
        count: All trials.
        stage: "compare", "mark", "rate", "answer" or "done".
        words: What there is to read, by name: finding, question, phrase, and answer where it is judged.
        shape: Rows and columns in which boxes are drawn.
        case: The case, for whoever fetches its image.
        maps: The maps, left first, for whoever fetches them; none before the finding was marked.
    """

    number: int
    count: int
    stage: str
    words: Mapping[str, str] = field(default_factory=dict)
    shape: tuple[int, int] = (1, 1)
    case: str = ""
    maps: tuple[str, ...] = ()


@dataclass(kw_only=True, eq=False)
class Session:
    """A reader who begins, or goes on where the file ends.

    Attributes:
        study_id: The study.
        rater_id: A code for the reader: letters, digits, hyphens.
        rater_years: Years of practice, None where that is not asked.
        run_id: The run that the maps are of.
        trials: In this reader's order.
        cases: By their codes.
        file: Where responses go, one line each.
    """

    study_id: str
    rater_id: str
    rater_years: float | None
    run_id: str
    trials: list[Trial]
    cases: Mapping[str, CaseFacts]
    file: Path

    def __post_init__(self) -> None:
        if files.slug(self.rater_id, most=40) != self.rater_id.lower():
            raise OptionError(
                "This cannot be a reader's code: expected up to 40 letters, digits and hyphens, and no name. "
                'Give for example "reader-1".'
            )
        self._done: dict[int, set[str]] = {}
        earlier = self._look()
        self._sitting = 1 + max((int(row.session) for row in earlier), default=0)

    def _look(self) -> list[Response]:
        """Take in what the reader's file holds, and return it.

        Raises:
            StoreError: The file is of another study or another reader, or cannot be read.
        """
        known = {trial.number: trial for trial in self.trials}
        kept = responses.read([self.file] if self.file.is_file() else [])
        for row in kept:
            trial = known.get(int(row.trial)) if row.trial.isdigit() else None
            same = (row.study_id, row.rater_id) == (self.study_id, self.rater_id)
            if not same or trial is None or (trial.case, trial.left) != (row.case_hash, row.arm_left):
                raise StoreError(
                    "The reader's file belongs to another study or another reader. Give this reader another "
                    "code, or move the file away."
                )
            self._done.setdefault(trial.number, set()).add(row.response)
        return kept

    @property
    def trial(self) -> Trial | None:
        """What is to be answered now; None when all is done."""
        return next((one for one in self.trials if not self._finished(one)), None)

    @property
    def done(self) -> int:
        """How many trials are answered."""
        return sum(map(self._finished, self.trials))

    @property
    def stage(self) -> str:
        """What is asked now: a finding is marked before its map is shown."""
        trial = self.trial
        if trial is None:
            return "done"
        if trial.part == "rate" and not self._done.get(trial.number):
            return "mark"
        return trial.part

    def shown(self) -> Shown:
        """What the reader sees now."""
        trial, stage = self.trial, self.stage
        if trial is None:
            return Shown(number=0, count=len(self.trials), stage=stage)
        case = self.cases[trial.case]
        words = {"finding": case.finding, "question": case.question, "phrase": case.phrase}
        # Whether an answer is right is judged apart, so that no judgement of a map leans on it.
        if stage != "mark":
            words["answer"] = case.answer
        maps = tuple(filter(None, (trial.left, trial.right)))
        if stage in ("mark", "answer"):
            maps = ()
        return Shown(
            number=self.done + 1,
            count=len(self.trials),
            stage=stage,
            words={name: text for name, text in words.items() if text},
            shape=case.shape,
            case=trial.case,
            maps=maps,
        )

    def answer(self, reply: Mapping[str, Any]) -> Response:
        """Keep what the reader answered, and go on to what comes next.

        Args:
            reply: "response" as in `Response`, and what goes with it: "likert_loc", "delta_conf",
                "misleading", "box" (left, top, right, bottom), "opacity", "zoomed", "t_first_ms",
                "t_total_ms", "comment"; "number", the trial as `Shown` counted it.

        Raises:
            OptionError: It answers another trial, or one that was answered elsewhere meanwhile, or is
                incomplete or impossible. Nothing was kept.
            StoreError: It could not be written. Nothing was kept.
        """
        seen = self.trial, self.stage
        # Another window of the same reader may have gone on.
        self._look()
        trial = self.trial
        if trial is None or (trial, self.stage) != seen or reply.get("number") != self.done + 1:
            raise OptionError(
                "This trial is answered already, perhaps in another window. The next one is shown."
            )
        case = self.cases[trial.case]
        given = {**_judged(self.stage, reply, case.shape), **_circumstances(reply)}
        row = Response(
            study_id=self.study_id,
            rater_id=self.rater_id,
            rater_years="" if self.rater_years is None else f"{self.rater_years:g}",
            session=str(self._sitting),
            trial=str(trial.number),
            case_hash=trial.case,
            finding=case.finding,
            arm_left=trial.left,
            arm_right=trial.right,
            is_control=trial.control,
            repeat_of=str(trial.repeat_of or ""),
            ts_utc=datetime.now(UTC).isoformat(timespec="milliseconds"),
            app_version=groundviz.__version__,
            run_id=self.run_id,
            **given,
        )
        responses.append(self.file, row)
        self._done.setdefault(trial.number, set()).add(row.response)
        return row

    def _finished(self, trial: Trial) -> bool:
        given = self._done.get(trial.number, set())
        if trial.part == "rate":
            return RATED in given
        return bool(given)


def _judged(stage: str, reply: Mapping[str, Any], shape: tuple[int, int]) -> dict[str, str]:
    """The judgement itself, checked: nothing that a browser sends is believed."""
    response = reply.get("response")
    allowed = {"compare": CHOICES, "mark": (MARKED, NOTHING), "rate": (RATED,), "answer": ANSWERS}[stage]
    if response not in allowed:
        raise OptionError(f"The response was {response!r}, expected one of {list(allowed)}. Choose one.")
    given = {"response": str(response)}
    box = reply.get("box")
    if response == MARKED and box is None:
        raise OptionError(
            "No finding was marked. Draw a box around it, or say that there is none to be seen."
        )
    if box is not None and response in (MARKED, RATED):
        given |= _box(box, shape)
    if stage == "rate":
        given["likert_loc"] = _whole(reply, "likert_loc", 1, 5)
        given["delta_conf"] = _whole(reply, "delta_conf", -2, 2)
        given["misleading"] = _whole(reply, "misleading", 0, 1)
    return given


def _circumstances(reply: Mapping[str, Any]) -> dict[str, str]:
    opacity = reply.get("opacity")
    given = {"zoomed": _whole(reply, "zoomed", 0, 1)}
    given["t_first_ms"] = _whole(reply, "t_first_ms", 0, _LONGEST_MS)
    given["t_total_ms"] = _whole(reply, "t_total_ms", 0, _LONGEST_MS)
    if opacity is not None:
        if not _number(opacity) or not 0 <= opacity <= 1:
            raise OptionError(f"The opacity was {opacity!r}, expected a number from 0 to 1.")
        given["opacity"] = f"{opacity:.2f}"
    comment = reply.get("comment", "")
    if not isinstance(comment, str) or len(comment) > _LONGEST_COMMENT:
        raise OptionError(
            f"The comment is too long: expected at most {_LONGEST_COMMENT} characters. Shorten it."
        )
    given["comment"] = comment
    return given


def _whole(reply: Mapping[str, Any], name: str, least: int, most: int) -> str:
    value = reply.get(name)
    if isinstance(value, bool):
        value = int(value)
    if not isinstance(value, int) or not least <= value <= most:
        raise OptionError(
            f"{name} was {value!r}, expected a whole number from {least} to {most}. Choose one."
        )
    return str(value)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _box(box: Any, shape: tuple[int, int]) -> dict[str, str]:
    rows, cols = shape
    if not isinstance(box, list | tuple) or len(box) != 4 or not all(map(_number, box)):
        raise OptionError("The box is none: expected four numbers, left, top, right and bottom.")
    left, top, right, bottom = box
    if not (0 <= left < right <= cols and 0 <= top < bottom <= rows):
        raise OptionError(
            f"The box lies outside the image of {rows} by {cols} pixels, or is empty. Draw it again."
        )
    names = ("box_x1", "box_y1", "box_x2", "box_y2")
    return {name: f"{value:.1f}" for name, value in zip(names, box, strict=True)}
