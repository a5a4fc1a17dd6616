"""Whether the answer needs the marked place: on cases whose truth is known."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import groundviz
from groundviz.errors import ImageError
from groundviz.evidence import marked_place
from groundviz.record.geometry import cell_coverage
from groundviz.testing.fingerprint import difference, fingerprint

QUESTION = "Where is the nodule?"


def with_map(explanation, values):
    """The explanation with other values in the place of its map, the same for every token."""
    (maps,) = explanation.record.heatmaps
    count = len(maps.targets)
    laid = np.broadcast_to(values, (count, 1, 1, *values.shape)).astype(np.float32)
    other = replace(maps, values=laid, layers=(), params={}, signed=False)
    return explanation.from_record(replace(explanation.record, heatmaps=(other,)))


def lesion(explanation, chest):
    (maps,) = explanation.record.heatmaps
    return cell_coverage(maps.grid, chest.mask("nodule"))


def place(explanation, demo, **options):
    found = groundviz.challenge(explanation, demo, checks="marked_place", **options)
    (check,) = [one for one in found.record.checks if one.name == "marked_place"]
    return found, check


def test_the_lesion_itself_is_shown(explained, chest, demo):
    found, check = place(with_map(explained, lesion(explained, chest)), demo)
    assert check.verdict == "shown"
    assert check.value == check.reference == 0.05
    assert check.numbers["beats"] == check.numbers["copies"] == 19
    assert found.evidence.verdict() == (
        "Covering the marked place weakens the answer more than covering the same shape elsewhere "
        "(beats 19 of 19, with both fills)."
    )


def test_the_lesion_in_the_wrong_place_is_not(explained, chest, demo):
    wrong = np.roll(lesion(explained, chest), (6, 5), axis=(0, 1))
    found, check = place(with_map(explained, wrong), demo)
    assert check.verdict == "not shown"
    assert found.evidence.verdict().startswith("Not shown: covering it weakens the answer no more")
    assert "right maps also land here" in found.evidence.verdict()


def test_a_drop_is_that_of_the_covered_image(explained, chest, demo):
    """One of the three areas, covered in the source image by hand and read as an image of its own."""
    from groundviz.methods.toolkit.baselines import blurred, local_mean

    mask = lesion(explained, chest)
    _, check = place(with_map(explained, mask), demo)
    values = mask.astype(float)
    near = gaussian_filter(values, 1.5, mode="constant")
    order = np.lexsort((-near.reshape(-1), -values.reshape(-1)))
    held = np.cumsum(np.sort(values.reshape(-1))[::-1])
    given = explained.answer.token_ids.tolist()
    whole = explained.answer.logprobs[list(explained.answer.spoken)].sum(dtype=float)
    for fill, paint in (("blur", blurred), ("mean", local_mean)):
        drops = []
        for share, least in ((0.25, 2), (0.5, 4), (0.75, 6)):
            count = int(np.clip(np.searchsorted(held, share * held[-1]) + 1, least, 19))
            cells = np.zeros(196, bool)
            cells[order[:count]] = True
            covered = np.kron(cells.reshape(14, 14), np.ones((8, 8), bool))
            pixels = np.where(covered, paint(chest.pixels), chest.pixels)
            again = groundviz.explain(
                demo, pixels, QUESTION, answer=explained.answer.text, methods="attention"
            )
            assert again.answer.token_ids.tolist()[: len(given) - 1] == given[: len(given) - 1]
            drops.append(whole - again.answer.logprobs[list(again.answer.spoken)].sum(dtype=float))
        # The image of an explanation was given in 256 levels, and by hand in floats.
        assert check.numbers[f"drop, {fill}"] == pytest.approx(np.mean(drops), abs=0.05)


def test_a_methods_own_fill_is_not_used(explained, demo):
    (maps,) = explained.record.heatmaps
    own = replace(maps, params={**maps.params, "fill": "blur"})
    _, check = place(explained.from_record(replace(explained.record, heatmaps=(own,))), demo)
    assert {name for name in check.numbers if name.startswith("p, ")} == {"p, mean", "p, flat"}


@pytest.mark.wide
def test_the_same_seed_gives_the_same_numbers(explained, demo):
    assert place(explained, demo)[1] == place(explained, demo)[1]


def test_a_map_that_points_nowhere_is_not_put_to_the_test(explained, demo):
    flat = with_map(explained, np.ones((14, 14)))
    found = groundviz.challenge(flat, demo, checks=["place", "marked_place"])
    assert found.evidence.marked_place == {"gradient_attention": None}
    assert found.evidence.verdict() == "No map: all cells alike."


@pytest.mark.wide
def test_the_model_is_left_as_it_was(explained, demo):
    before = fingerprint(demo.model)
    groundviz.challenge(explained, demo)
    assert not difference(before, fingerprint(demo.model))


def stopping(after):
    """A listener that interrupts when so many steps of covering are done."""

    def tell(doing, done, total):
        if doing.startswith("covering") and done >= after:
            raise KeyboardInterrupt

    return tell


def test_what_was_covered_before_a_stop_is_kept_and_named_partial(explained, demo):
    with pytest.warns(RuntimeWarning, match="interrupted"):
        found, check = place(explained, demo, tell=stopping(60))
    assert check.partial
    assert 0 < check.samples.done < check.samples.asked == 19
    assert found.evidence.marked_place == {"gradient_attention": None}
    assert found.evidence.verdict().startswith("Not measured: ")
    assert f"Partial: {check.samples.done} of 19 copies." in found.evidence.verdict()


def test_a_stop_before_anything_was_covered_is_an_interruption(explained, demo):
    with warnings.catch_warnings(), pytest.raises(KeyboardInterrupt):
        warnings.simplefilter("ignore")
        place(explained, demo, tell=stopping(0))


def test_a_drop_that_is_next_to_nothing_is_not_shown():
    numbers = {"p, blur": 0.05, "drop, blur": 0.5 * marked_place.NEGLIGIBLE}
    assert not marked_place._is_shown(numbers, "blur")
    assert marked_place._is_shown({**numbers, "drop, blur": 2 * marked_place.NEGLIGIBLE}, "blur")


def test_five_of_a_hundred_are_as_rare_as_one_of_twenty():
    others = np.concatenate([np.full(4, 9.0), np.zeros(95)])
    drops = np.stack([np.concatenate([[5.0], others])] * 2, axis=1)
    numbers = marked_place._numbers(drops, ("blur", "mean"))
    assert numbers["p, blur"] == 0.05
    assert (numbers["beats"], numbers["copies"]) == (95, 99)


@pytest.mark.wide
def test_a_place_that_somebody_else_marked_is_put_to_the_same_test(explained, chest, demo):
    """The same numbers as those of a map that holds the share of each cell."""
    lesions = chest.mask("nodule")
    marked = {"nodule": lesions, "elsewhere": np.roll(lesions, (48, 40), (0, 1))}
    found = groundviz.challenge(explained, demo, checks="marked_place", places=marked)
    by_method = {check.method: check for check in found.record.checks if check.name == "marked_place"}
    _, planted = place(with_map(explained, lesion(explained, chest)), demo)
    assert by_method["given:nodule"].numbers == planted.numbers
    assert found.evidence.places == {"nodule": "shown", "elsewhere": "not shown"}
    assert found.methods == explained.methods
    assert set(found.evidence.marked_place) == {"gradient_attention"}


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (np.zeros((112, 112), bool), "marks nothing that the model sees"),
        (np.ones((50, 112), bool), "of shape"),
        (np.ones((112, 112)), "float64"),
    ],
)
def test_a_place_that_is_no_mask_of_the_image_is_refused(explained, demo, mask, says):
    with pytest.raises(ImageError, match=says):
        groundviz.challenge(explained, demo, places={"nodule": mask})
