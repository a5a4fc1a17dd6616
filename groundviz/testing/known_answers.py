"""Checks of a method on a model of which it is known where it looks, and why.

`groundviz.testing.conformance.check_method` says what each of them demands.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from groundviz.errors import UnsupportedMethod
from groundviz.record.types import Doubles
from groundviz.testing.tiny.planted import FIRST_WORD, SECOND_WORD, TWIN, Planted, planted
from groundviz.testing.trial import Measured, Trial, on_cells

BOTH = f"{FIRST_WORD} {SECOND_WORD}"
# A map may carry over to the cells around; what is farther away is another place.
NEAR = 1
EXACT = 1e-3
FAINTER = 0.8


def points_at_the_cell(trial: Trial) -> str:
    """The map of a word is highest at the one cell it depends on."""
    model, cells = _cells(trial)
    return _not_highest(cells[FIRST_WORD], model.first, FIRST_WORD)


def shows_nothing_elsewhere(trial: Trial) -> str:
    """Cells far from the one that counts hold no more than noise."""
    model, cells = _cells(trial)
    return _not_flat(cells[FIRST_WORD], model.first, trial.noise)


def tells_tokens_apart(trial: Trial) -> str:
    """The map of the next token is that of its own row, which looks elsewhere."""
    model, cells = _cells(trial)
    return _not_highest(cells[SECOND_WORD], model.second, SECOND_WORD)


def equals_the_closed_form(trial: Trial) -> str:
    """Every cell holds what it should, where that is known."""
    if trial.closed_form is None:
        return ""
    model, cells = _cells(trial)
    expected, found = trial.closed_form(model), cells[FIRST_WORD]
    apart = np.abs(found - expected).max()
    at = tuple(int(i) for i in np.unravel_index(np.abs(found - expected).argmax(), found.shape))
    return (
        ""
        if apart <= EXACT * np.abs(expected).max()
        else f"cell {at} holds {found[at]:.6g}, not {expected[at]:.6g}"
    )


def is_not_normalised(trial: Trial) -> str:
    """A model that hardly looks and hardly minds gets a weaker map."""
    if trial.facts.shares:
        return ""
    _, cells = _cells(trial)
    faint = planted(faint=True)
    weak = _on_cells(trial.run(faint.vlm, faint.source_image, given=BOTH, named=[0]), 0)
    spread, least = np.ptp(cells[FIRST_WORD]), np.ptp(weak)
    return (
        ""
        if least < FAINTER * spread
        else f"from lowest to highest cell it is {spread:.6g} where the model looks, and {least:.6g} where "
        "it hardly does: has it been normalised?"
    )


def tells_contrasts_apart(trial: Trial) -> str:
    """A contrast tells the two cells apart; a method that states that it knows none is given none."""
    if not trial.facts.contrasts:
        return ""
    model = planted(foils=True)
    wanted = model.word(FIRST_WORD, foil=SECOND_WORD)
    found = trial.run(model.vlm, model.source_image, given=FIRST_WORD, named=[wanted])
    cells = _on_cells(found, 0)
    fault = _misplaced(trial, cells, model.first, FIRST_WORD)
    if fault and not trial.facts.either_way:
        return f"{fault}. If the maps do not tell for from against, state either_way=True"
    return fault or _for_the_foil(trial, found, model)


def a_contrast_is_not_its_target_alone(trial: Trial) -> str:
    """Two words that rest on the same cell in the same way have nothing between them."""
    if not trial.facts.contrasts:
        return ""
    model, cells = _cells(trial)
    twins = model.word(FIRST_WORD, foil=TWIN)
    try:
        found = float(
            np.ptp(_on_cells(trial.run(model.vlm, model.source_image, given=FIRST_WORD, named=[twins]), 0))
        )
    except UnsupportedMethod:
        return ""  # There is nothing to show, and it says so.
    most = trial.noise * np.ptp(cells[FIRST_WORD])
    return "" if found <= most else f"its cells lie {found:.6g} apart, and at most {most:.6g} was expected"


def the_foil_has_its_own_map(trial: Trial) -> str:
    """Where the other word is the answer, its map is highest at its own cell, alone and as a contrast."""
    if not trial.facts.contrasts:
        return ""
    model = planted(foils=True)
    other = model.word(SECOND_WORD)
    named = [other, model.word(SECOND_WORD, foil=FIRST_WORD)]
    found = trial.run(model.vlm, model.source_image, given=SECOND_WORD, named=named)
    alone, contrast = (_on_cells(found, index) for index in range(2))
    return _not_highest(alone, model.second, SECOND_WORD) or _misplaced(
        trial, contrast, model.second, f"{SECOND_WORD} rather than {FIRST_WORD}"
    )


CHECKS = {
    "points at the cell that counts": points_at_the_cell,
    "shows nothing elsewhere": shows_nothing_elsewhere,
    "tells tokens apart": tells_tokens_apart,
    "equals the closed form": equals_the_closed_form,
    "is not normalised": is_not_normalised,
    "tells contrasts apart": tells_contrasts_apart,
    "a contrast is not its target alone": a_contrast_is_not_its_target_alone,
    "the foil has its own map": the_foil_has_its_own_map,
}


def _cells(trial: Trial) -> tuple[Planted, Mapping[str, Doubles]]:
    """The planted model, and the map of each word of its answer, on the image tokens."""

    def make() -> tuple[Planted, Mapping[str, Doubles]]:
        model = planted()
        found = trial.run(model.vlm, model.source_image, given=BOTH, named=[0, 1])
        return model, {FIRST_WORD: _on_cells(found, 0), SECOND_WORD: _on_cells(found, 1)}

    return trial.once("planted", make)


def _on_cells(found: Measured, target: int) -> Doubles:
    (grid,) = found.prompt.grids
    (maps,) = found.maps
    return on_cells(found.values(found.targets[target])[0], maps.grid, grid)


def _deviation(cells: Doubles, peak: tuple[int, int]) -> Doubles:
    """How far each cell is from the usual one, as a share of how far the peak is."""
    usual = float(np.median(cells))
    height = max(float(cells[peak]) - usual, float(np.finfo(np.float32).tiny))
    return np.asarray((cells - usual) / height)


def _not_highest(cells: Doubles, expected: tuple[int, int], word: str) -> str:
    highest = tuple(int(i) for i in np.unravel_index(cells.argmax(), cells.shape))
    if np.ptp(cells) == 0:
        return f"the map of {word!r} is {cells[expected]:.6g} everywhere; it depends on cell {expected}"
    if cells[expected] >= cells.max() - EXACT * np.ptp(cells):
        return ""
    return f"the map of {word!r} is highest at cell {highest}; it depends on cell {expected}"


def _misplaced(trial: Trial, cells: Doubles, expected: tuple[int, int], word: str) -> str:
    """Whether a contrast is highest elsewhere; with both cells in view, whether one is far above."""
    if not trial.facts.either_way:
        return _not_highest(cells, expected, word)
    times = float(_deviation(cells, expected).max())
    return (
        "" if times <= 2 else f"a cell is {times:.3g} times as high as {expected}, on which {word!r} depends"
    )


def _for_the_foil(trial: Trial, found: Measured, model: Planted) -> str:
    at_foil = _deviation(_on_cells(found, 0), model.first)[model.second]
    if at_foil > trial.noise and not trial.facts.either_way:
        return "the foil's cell argues for the word"
    if found.maps[0].signed and at_foil > -trial.noise:
        return "the foil's cell does not argue against the word"
    return ""


def _not_flat(cells: Doubles, peak: tuple[int, int], noise: float) -> str:
    row, col = np.indices(cells.shape)
    far = np.maximum(abs(row - peak[0]), abs(col - peak[1])) > NEAR
    stray = np.abs(_deviation(cells, peak)) * far
    at = tuple(int(i) for i in np.unravel_index(stray.argmax(), cells.shape))
    return "" if stray.max() <= noise else f"cell {at} stands out by {stray.max():.1%} of cell {peak}"
