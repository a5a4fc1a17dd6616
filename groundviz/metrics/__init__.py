"""Maps against regions that people marked, beside what chance and a map without an image would score.

    score      some metrics of a map by their names
    measure    the same, each with what chance gives and why it may not be believed
    place      a map and a reference in one evaluation space
    box_mask   the union of some boxes, as a mask
    METRICS    the metrics by name, each a function of (values, coverage, valid)
    Rule       one way to cut a map, such as "mass:0.5"; RULES has all
    Cells      what a metric sees; SPACES says what each evaluation space is
    priors     maps that never saw the image
    statistics intervals by cluster, tests, strata
    boxes      boxes against boxes, and readers against each other
    answers    answers against references, as the papers scored them
    reports    reports against references
    published  the published numbers, with what is known against them

>>> import groundviz
>>> from groundviz.demo.phantoms import phantom
>>> chest = phantom(3, findings=["nodule"])
>>> explanation = groundviz.explain("demo", chest.pixels, "Where is the nodule?", evidence=None)
>>> heatmap = explanation.heatmap("attention")
>>> groundviz.metrics.score(heatmap, chest.mask("nodule"), metrics=["hit_cell", "hit_pixel"])
{'hit_cell': 1.0, 'hit_pixel': 1.0}
"""

from groundviz.metrics import answers, boxes, priors, published, reports, statistics
from groundviz.metrics.scoring import DEFAULT as DEFAULT
from groundviz.metrics.scoring import DEFAULT_DENSITY as DEFAULT_DENSITY
from groundviz.metrics.scoring import Measured as Measured
from groundviz.metrics.scoring import measure, score
from groundviz.metrics.space import SPACES as SPACES
from groundviz.metrics.space import box_mask, place
from groundviz.metrics.toolkit.cells import Cells
from groundviz.metrics.toolkit.metric import METRICS
from groundviz.metrics.toolkit.metric import Facts as Facts
from groundviz.metrics.toolkit.metric import Metric as Metric
from groundviz.metrics.toolkit.rules import RULES as RULES
from groundviz.metrics.toolkit.rules import Rule

__all__ = [
    "METRICS",
    "Cells",
    "Rule",
    "answers",
    "box_mask",
    "boxes",
    "measure",
    "place",
    "priors",
    "published",
    "reports",
    "score",
    "statistics",
]
