"""captum's methods under the names "captum:GradientShap", "captum:Lime" ..., and captum's infidelity."""

from __future__ import annotations

from groundviz.methods.captum import arguments
from groundviz.methods.captum.infidelity import infidelity as infidelity
from groundviz.methods.captum.kinds import KINDS, PREFIX, REFUSED
from groundviz.methods.captum.run import entry
from groundviz.methods.toolkit.facts import Facts
from groundviz.methods.toolkit.method import METHODS
from groundviz.registry import Bridge

SAYS = (
    "captum's own methods that need a forward function alone, on each target by itself, at any site: "
    '`methods={"captum:GradientShap": {"site": "projector", "n_samples": 20}}`. '
    "Options are those of captum's `attribute`, and `site` (pixels, vision, projector, language.3 ...), "
    "`baselines` (blur, mean, black or zero), `cells` (about how many pieces come and go together) and "
    "`infidelity` (how often pieces are hidden to see whether what the map foretells happens; the number "
    'is kept in `params`). It needs captum: `pip install "groundviz[captum]"`.'
)


def facts_of(name: str) -> Facts:
    """What is known of one of captum's methods; captum need not be installed.

    Raises:
        UnknownName: captum has none of that name.
        UnsupportedMethod: It has, and it cannot be run on a borrowed model.
    """
    return KINDS[arguments.known(name)].facts


METHODS.bridges[PREFIX] = Bridge(
    prefix=PREFIX, says=SAYS, names=tuple(KINDS), refused=REFUSED, entry=entry, facts=facts_of
)
