"""Models that groundviz knows: from whatever a user holds to a model whose parts have names."""

from groundviz.models import checkpoints as checkpoints
from groundviz.models import families as families
from groundviz.models import measured as measured
from groundviz.models.adapter.vlm import FAMILIES, VLM, Family
from groundviz.models.certification.certificate import Certificate
from groundviz.models.certification.run import verdict_on
from groundviz.models.certify import certify
from groundviz.models.load import load, resolve
from groundviz.models.loading.cache import forget

__all__ = ["FAMILIES", "VLM", "Certificate", "Family", "certify", "forget", "load", "resolve", "verdict_on"]
