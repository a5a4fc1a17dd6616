"""Any model, measured: which rectangle of the source image feeds each image token, without a family's file.

::

    source image ── ramps through the processor ──────> source row and column of every input number: `ramps`
    input numbers ── gradients, attention silenced ───> the image token that each of them feeds: `owners`
    both joined ──────────────────────────────────────> the cells of the image at every stage: `geometry`
"""

from groundviz.models.measured import family as family
