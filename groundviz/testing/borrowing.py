"""Checks that a method leaves a borrowed model, and the process, as they were, whatever goes wrong.

`groundviz.testing.conformance.check_method` says what each of them demands.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from inspect import unwrap
from pathlib import Path
from typing import Any

import numpy as np
import torch

from groundviz import models, runtime
from groundviz.errors import NumericalError
from groundviz.models import VLM
from groundviz.record.types import Floats
from groundviz.runtime import borrow
from groundviz.testing.faults import Fault, count_steps, fail, press_ctrl_c, strike_at
from groundviz.testing.fingerprint import difference, fingerprint
from groundviz.testing.messy import messy
from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor
from groundviz.testing.tiny.planted import QUESTION
from groundviz.testing.trial import ANSWER_TOKENS, SOURCE_IMAGE, Measured, Trial

STRIKES = 3
MODES: dict[str, Callable[[], Any]] = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": partial(torch.autocast, "cpu", dtype=torch.bfloat16),
}


def gives_the_model_back(trial: Trial) -> str:
    """After the first run ever, a model with its user's hooks, gradients and modes is as it was."""
    vlm = _messy_vlm()
    before = fingerprint(vlm.model)
    with warnings.catch_warnings():
        # The user's own hooks may warn.
        warnings.simplefilter("ignore", UserWarning)
        trial.run(vlm)
    return "; ".join(difference(before, fingerprint(vlm.model))[:2])


def gives_the_model_back_after_an_error(trial: Trial) -> str:
    """So it is after an unexpected error in the method, or in what it calls."""
    return _struck(trial, fail)


def gives_the_model_back_after_ctrl_c(trial: Trial) -> str:
    """So it is after Ctrl-C."""
    return _struck(trial, press_ctrl_c)


def ignores_the_callers_modes(trial: Trial) -> str:
    """Inside no_grad, inference_mode or autocast the maps are the same to the last bit."""
    usual = _first_maps(_plain_run(trial))
    for name, mode in MODES.items():
        with mode():
            found = _first_maps(trial.run(_vlm(trial)))
        if not np.array_equal(usual, found, equal_nan=True):
            return f"its maps are others inside {name}"
    return ""


def says_when_numbers_are_not_finite(trial: Trial) -> str:
    """Weights that become NaN give a NumericalError, or the maps that came before them, but no others."""
    vlm = _tiny()
    with borrow(vlm) as live:
        prompt = live.encode(SOURCE_IMAGE, QUESTION)
        answer = live.answer(prompt)
        for weight in vlm.parts().decoder_layers[-1].parameters():
            weight.data.fill_(torch.nan)
        try:
            (found, *_) = trial.measure(live, prompt, answer, live.targets(answer, None, None))
        except NumericalError:
            return ""
    # A method that needs no further pass returns the maps of before.
    if np.array_equal(found.values, _plain_run(trial).maps[0].values, equal_nan=True):
        return ""
    return "it drew a map although the model puts out NaN"


def runs_in_bfloat16(trial: Trial) -> str:
    """A model in bfloat16 has maps, too."""
    if trial.run(_tiny(dtype=torch.bfloat16)).maps:
        return ""
    return "it returned no map"


CHECKS = {
    "gives the model back": gives_the_model_back,
    "gives the model back after an error": gives_the_model_back_after_an_error,
    "gives the model back after Ctrl-C": gives_the_model_back_after_ctrl_c,
    "ignores the caller's modes": ignores_the_callers_modes,
    "says when numbers are not finite": says_when_numbers_are_not_finite,
    "runs in bfloat16": runs_in_bfloat16,
}


def _tiny(**options: Any) -> VLM:
    model = tiny_llava(**options)
    model.generation_config.max_new_tokens = ANSWER_TOKENS
    return models.resolve(model, tiny_llava_processor(model))


def _messy_vlm() -> VLM:
    model = messy(tiny_llava())
    model.generation_config.max_new_tokens = ANSWER_TOKENS
    return models.resolve(model, tiny_llava_processor(model))


def _vlm(trial: Trial) -> VLM:
    return trial.once("borrowed model", _tiny)


def _plain_run(trial: Trial) -> Measured:
    return trial.once("plain run", lambda: trial.run(_vlm(trial)))


def _first_maps(found: Measured) -> Floats:
    return found.maps[0].values


def _struck(trial: Trial, fault: Fault) -> str:
    """Strike at some steps of the method, and of what it calls in groundviz."""
    vlm = _messy_vlm()
    before = fingerprint(vlm.model)
    fired = 0
    for under in (_source(trial), Path(runtime.__file__).parent):
        steps = _steps(trial, vlm, under)
        for step in np.linspace(0, steps - 1, STRIKES).astype(int).tolist():
            with warnings.catch_warnings():
                # The user's hooks may warn, and so may a method that keeps what it has when interrupted.
                warnings.simplefilter("ignore")
                strike = strike_at(step, lambda: trial.run(vlm), under=under, fault=fault, every="line")
            changed = difference(before, fingerprint(vlm.model))
            if changed:
                return f"struck at {strike.where}: {'; '.join(changed[:2])}"
            fired += strike.fired
    if fired > STRIKES:
        return ""
    return "it could not be interrupted: too few of its steps were found"


def _steps(trial: Trial, vlm: VLM, under: Path) -> int:
    def count() -> int:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return count_steps(lambda: trial.run(vlm), under=under, every="line")

    return trial.once(("steps", under), count)


def _source(trial: Trial) -> Path:
    return Path(unwrap(trial.method).__code__.co_filename)
