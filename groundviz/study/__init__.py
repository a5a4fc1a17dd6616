"""The reader study: radiologists judge maps without knowing which method made them.

    make         cases, maps under salted codes, and the key apart from them
    open         a study that was made; its `read` shows it in Jupyter
    analyse      what the readers' files say, in tables
    power        how often a study of some size would find a preference
    Case         one case, where it does not come from a run
    COLUMNS      the columns of a reader's file

The protocol, its controls and its analysis are described in docs/study.md.

>>> import tempfile
>>> import groundviz
>>> from groundviz import study
>>> from groundviz.demo.phantoms import phantom
>>> asked = [
...     groundviz.explain("demo", phantom(seed, findings=["nodule"]).pixels, "Where is the nodule?")
...     for seed in (3, 4)
... ]
>>> cases = [
...     study.Case(
...         sample_id=str(number),
...         image=one.record.source_image,
...         maps={name: one.heatmap(name) for name in ("attention", "gradient_attention")},
...         finding="nodule",
...     )
...     for number, one in enumerate(asked)
... ]
>>> with tempfile.TemporaryDirectory() as place:
...     made = study.make(cases, f"{place}/study")
...     len(study.open(made.folder).cases)
2
"""

from __future__ import annotations

from groundviz.study.analysis import Findings as Findings
from groundviz.study.analysis import analyse as analyse
from groundviz.study.folder import Case as Case
from groundviz.study.folder import Study as Study
from groundviz.study.folder import make as make
from groundviz.study.folder import open as open
from groundviz.study.from_run import cases_of as cases_of
from groundviz.study.preference import power as power
from groundviz.study.responses import COLUMNS as COLUMNS
from groundviz.study.session import Session as Session

__all__ = ["COLUMNS", "Case", "Findings", "Session", "Study", "analyse", "cases_of", "make", "open", "power"]
