"""No warning of a dependency reaches a user: not in the demo, and not with a model of any family."""

import os
import re
import subprocess
import sys
import warnings

import numpy as np
import pytest
import transformers
from packaging import version

from groundviz import models
from groundviz.explain import explain
from groundviz.testing.families import TINY
from tests.support.kinds import EVERY_KIND

# Transformers 5.17 warns of what it does itself: of Llama 3.2's layers, of the text model of an Idefics 3
# made for nothing, and of SmolVLM's template. Later releases do not.
OLD = version.parse(transformers.__version__) < version.parse("5.20")
OWN = "`hidden_state` is deprecated|Model config: pad_token_id|Kwargs passed to `processor.__call__`"
IMAGE = np.random.default_rng(1).random((61, 37), dtype=np.float32)


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_model_of_every_family_is_explained_without_a_warning(kind, transformers_says):
    model, processor = TINY[kind]()
    model.generation_config.update(max_new_tokens=3, do_sample=False)
    vlm = models.resolve(model, processor)
    transformers_says.clear()  # What making a model by hand says is not what explaining it says.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if OLD:
            warnings.filterwarnings("ignore", OWN, FutureWarning)
        # Of lines in a processor's own file, which Python does not show.
        warnings.filterwarnings("ignore", "__array", DeprecationWarning)
        explain(vlm, IMAGE, "Is there a nodule?")
        explain(vlm, IMAGE, "Is there a nodule?", answer="left lung nodule")
    assert [one for one in transformers_says if not (OLD and re.match(OWN, one))] == []


@pytest.mark.wide
def test_the_demo_says_nothing_but_what_it_does(tmp_path):
    command = [sys.executable, "-W", "default", "-m", "groundviz", "demo", "--out", str(tmp_path)]
    here = os.pathsep.join(path for path in sys.path if path)
    surroundings = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": here}
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not re.search("warning|deprecated", done.stdout + done.stderr, re.IGNORECASE)
