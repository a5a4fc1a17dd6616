"""The demo model shows no bar of its weights, and what the user has switched on or off stays so."""

import pytest
from transformers.utils import logging

from groundviz.models.load import load
from groundviz.models.loading.progress_bar import bar


def test_the_demo_model_loads_without_a_word(capfd):
    load("demo")
    assert "Loading weights" not in capfd.readouterr().err


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("wanted", [True, False])
def test_what_the_user_switched_stays_so(before, wanted):
    try:
        (logging.enable_progress_bar if before else logging.disable_progress_bar)()
        with pytest.raises(ValueError, match=r"^stop$"), bar(wanted=wanted):
            assert logging.is_progress_bar_enabled() == (before and wanted)
            raise ValueError("stop")
        assert logging.is_progress_bar_enabled() == before
    finally:
        logging.enable_progress_bar()
