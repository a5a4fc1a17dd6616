"""What many tests start from: a small image and a tiny random model that looks at it."""

import gc
import logging
import os
import signal
import warnings

# Tiny models gain nothing from threads, and lose much to them on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest

from groundviz.record.types import SourceImage

PROCESSES = 2


class Deprecations(logging.Handler):
    """Makes a warning of what transformers only logs, so that it counts as one, and can be an error."""

    def emit(self, record):
        if "deprecated" in record.getMessage():
            warnings.warn(record.getMessage(), FutureWarning, stacklevel=2)


def pytest_configure():
    # Nothing is imported for it: loggers are found by their names.
    logging.getLogger("transformers").addHandler(Deprecations(logging.WARNING))


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """A run of everything goes on in two processes, where pytest-xdist is installed; named files in one.

    `pytest -n 0` runs everything in one.
    """
    chosen = config.option
    alone = chosen.file_or_dir or chosen.usepdb or chosen.collectonly or chosen.capture == "no"
    sweeps = "slow" in chosen.markexpr.replace("not slow", "")
    inside = hasattr(config, "workerinput")
    if getattr(chosen, "numprocesses", 0) is None and not (alone or sweeps or inside):
        # A file's tests share what is slow to make, so it stays in one process.
        chosen.numprocesses, chosen.dist = min(PROCESSES, os.cpu_count() or 1), "loadfile"


def pytest_collection_finish():
    """What was imported stays: the collector need not go through it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def ctrl_c_interrupts():
    """As in a terminal; a process started in the background may ignore Ctrl-C."""
    found = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, found)


@pytest.fixture
def source_image():
    """A coloured image of 40 by 56 random pixels."""
    pixels = np.random.default_rng(7).random((40, 56, 3), dtype=np.float32)
    return SourceImage(pixels=pixels, source="array", raw_range=(0.0, 1.0), sha256="0" * 64)


@pytest.fixture(params=["siglip", "clip"])
def tiny(request):
    """A tiny LLaVA: "siglip" squashes the image, "clip" crops it and drops a class token."""
    from groundviz import models
    from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor

    model = tiny_llava(vision=request.param)
    model.generation_config.max_new_tokens = 9
    return models.resolve(model, tiny_llava_processor(model))


@pytest.fixture
def transformers_says():
    """What transformers logs as a warning, also what it says only once in a process."""
    import logging

    from transformers.utils import logging as transformers_logging

    told, logger = [], transformers_logging.get_logger("transformers")
    listener = logging.Handler(logging.WARNING)
    listener.emit = lambda record: told.append(record.getMessage())
    logging.Logger.warning_once.cache_clear()
    logger.addHandler(listener)
    yield told
    logger.removeHandler(listener)
