"""What the viewer reads holds the maps as finely as a screen shows, and as much as a notebook can bear."""

import base64
import json
import zlib
from dataclasses import replace

import numpy as np
import pytest

from groundviz import images
from groundviz.record.targets import Question, find, rather_than
from groundviz.record.types import Foil
from groundviz.render.base import overlay
from groundviz.render.base.colour import COLOURS, DEFAULTS, least, paint, table
from groundviz.render.viewer import pack
from groundviz.render.viewer.quantize import decoded
from tests.support import records
from tests.support.tiles import images_of

RECORD = records.record(notes=("a note",))


@pytest.mark.parametrize("made", [records.record, records.pair, records.tiled, records.shattered])
def test_the_maps_come_back_in_their_order(made):
    record = made()
    header, maps = pack.read(pack.pack(record))
    assert len(header["maps"]) == len(maps) == len(record.heatmaps)
    for found, kept in zip(maps, record.heatmaps, strict=True):
        span = np.nanmax(kept.values, axis=(-2, -1)) - np.nanmin(kept.values, axis=(-2, -1))
        assert (np.nanmax(np.abs(found - kept.values), axis=(-2, -1)) <= 0.02 * span).all()


def test_cells_without_a_value_stay_so_and_flat_maps_stay_flat():
    plain = RECORD.heatmaps[0]
    values = plain.values.copy()
    values[0, 0, 0] = np.nan
    values[1, 0, 0, 3, 4] = np.nan
    values[2, 0, 0] = 0.125
    _, (maps,) = pack.read(pack.pack(replace(RECORD, heatmaps=(replace(plain, values=values),))))
    np.testing.assert_array_equal(np.isnan(maps), np.isnan(values))
    assert (maps[2, 0, 0] == np.float32(0.125)).all()


def test_one_huge_cell_costs_the_others_nothing_in_another_map():
    plain = RECORD.heatmaps[0]
    values = plain.values.copy()
    values[0, 0, 0, 0, 0] = 1e6
    _, (maps,) = pack.read(pack.pack(replace(RECORD, heatmaps=(replace(plain, values=values),))))
    np.testing.assert_allclose(maps[1:], values[1:], atol=4e-4)
    assert maps[0, 0, 0, 0, 0] == pytest.approx(1e6)


@pytest.mark.parametrize(
    ("detail", "shape"), [("heads", (7, 2, 2)), ("layers", (7, 2, 1)), ("combined", (7, 1, 1))]
)
def test_what_stays_behind_is_combined_as_the_method_says(detail, shape):
    header, maps = pack.read(pack.pack(RECORD, detail=detail))
    target = find(RECORD.answer, "left")
    for one, found, kept in zip(header["maps"], maps, RECORD.heatmaps, strict=True):
        assert found.shape[:3] == shape
        assert one["measured"] == [2, 2]
        assert one["layers"] == ([0, 1] if detail != "combined" else [])
        together = found[3].mean(axis=(0, 1))
        np.testing.assert_allclose(together, kept.at(target).values, atol=2e-4)


def test_sums_stay_sums():
    summed = replace(RECORD.heatmaps[0], reduce=("sum", "sum", "sum"))
    _, (maps,) = pack.read(pack.pack(replace(RECORD, heatmaps=(summed,)), detail="combined"))
    np.testing.assert_allclose(maps[:, 0, 0], summed.values.sum(axis=(1, 2)), atol=1e-3)


def _large(tokens: int, layers: int, heads: int, cells: int):
    """A record on a 1024 by 1024 image, its maps as noisy as they come."""
    answer = records.answer(tuple(f" word{number}" for number in range(tokens)))
    rng = np.random.default_rng(0)
    grid = records.cropped_grid(1024, 1024, cells)
    values = rng.exponential(0.001, (tokens, layers, heads, cells, cells)).astype(np.float32)
    plain = replace(
        RECORD.heatmaps[0],
        values=values,
        layers=tuple(range(layers)),
        grid=grid,
        targets=tuple(find(answer, index) for index in answer.spoken),
    )
    levels = overlay.to_bytes(records.source_image(1024, 1024).pixels)
    source_image = images.load(levels)
    return replace(
        RECORD, source_images=(source_image,), answer=answer, targets=(find(answer),), heatmaps=(plain,)
    )


def test_a_notebook_can_bear_64_tokens_of_24_layers_on_a_large_image():
    payload = pack.pack(_large(64, 24, 2, 24))
    header, (maps,) = pack.read(payload)
    assert maps.shape == (64, 24, 1, 24, 24)
    assert header["maps"][0]["measured"] == [24, 2]
    assert len(base64.b64encode(payload)) < 2_500_000


def test_layers_stay_behind_where_even_they_are_too_many():
    _, (maps,) = pack.read(pack.pack(_large(64, 100, 1, 24)))
    assert maps.shape == (64, 1, 1, 24, 24)


def test_heads_of_a_layer_come_when_they_are_asked_for():
    plain = replace(RECORD.heatmaps[0], layers=(4, 9))
    content = zlib.decompress(pack.heads_of(plain, 9))
    np.testing.assert_allclose(decoded(content, (7, 2, 14, 14)), plain.values[:, 1], atol=4e-4)


def _images(record):
    return images_of(pack.pack(record))


@pytest.mark.parametrize("colour", [False, True])
def test_an_image_is_exact(colour):
    source_image = records.source_image(60, 48, colour=colour)
    (told,), ((image,),) = _images(replace(RECORD, source_images=(source_image,)))
    if colour:
        np.testing.assert_array_equal(image, overlay.to_bytes(source_image.pixels))
    else:
        np.testing.assert_allclose(image[..., 0] / 65535, source_image.pixels, atol=1e-5)
    assert told["source"] == [60, 48]


def test_an_image_that_is_too_large_is_made_smaller_and_keeps_its_size_in_words():
    flat = np.zeros((8200, 40), np.float32)
    large = replace(RECORD.source_image, pixels=flat)
    (told,), (sizes,) = _images(replace(RECORD, source_images=(large,)))
    assert [one.shape[:2] for one in sizes] == [(1024, 5), (2048, 10), (4096, 20)]
    assert told["source"] == [8200, 40]


def test_uneven_pixels_are_told():
    tall = replace(RECORD.source_image, spacing_mm=(0.5, 0.25))
    (told,), _ = _images(replace(RECORD, source_images=(tall,)))
    assert told["aspect"] == [2.0, 1.0]


def test_a_blank_image_has_windows_of_some_width():
    source_image = replace(RECORD.source_image, pixels=np.zeros((8, 8), np.float32))
    (told,), _ = _images(replace(RECORD, source_images=(source_image,)))
    assert all(width > 0 for _, _, width in told["presets"])


def test_tokens_read_as_the_answer_does():
    answer = records.answer(("no", " nodule", "\n", "clear"))
    header, _ = pack.read(pack.pack(replace(RECORD, answer=answer, targets=(find(answer),), heatmaps=())))
    assert [(token["before"], token["text"], token["spoken"]) for token in header["tokens"]] == [
        ("", "no", True),
        (" ", "nodule", True),
        ("\n", "␊", True),
        ("", "clear", True),
        ("", "</s>", False),
    ]


def test_spaces_that_no_token_wrote_are_kept():
    answer = records.answer(("right", " upper", " zone"))
    offsets = answer.offsets.copy()
    offsets[1:3, 0] += 1
    header, _ = pack.read(
        pack.pack(
            replace(RECORD, answer=replace(answer, offsets=offsets), targets=(find(answer),), heatmaps=())
        )
    )
    assert [(token["before"], token["text"]) for token in header["tokens"]] == [
        ("", "right"),
        (" ", "upper"),
        (" ", "zone"),
        ("", "</s>"),
    ]


def test_words_of_the_question_read_as_it_does_and_have_their_maps():
    asked = records.asked(RECORD)
    header, (maps, _) = pack.read(pack.pack(asked))
    assert [(one["index"], one["before"], one["text"], one["spoken"]) for one in header["asked"]] == [
        (-6, "", "Where", True),
        (-5, " ", "is", True),
        (-4, " ", "the", True),
        (-3, " ", "nodule", True),
        (-2, "", "?", True),
    ]
    attention, occlusion = header["maps"]
    assert [one["tokens"] for one in attention["targets"][-5:]] == [[-6], [-5], [-4], [-3], [-2]]
    assert attention["targets"][-2]["text"] == "nodule (in the question)"
    nodule = find(asked.answer, Question("nodule"), asked.prompt)
    np.testing.assert_allclose(maps[-2].mean(axis=(0, 1)), asked.heatmaps[0].at(nodule).values, atol=1e-3)
    assert all(token >= 0 for one in occlusion["targets"] for token in one["tokens"])
    plain, _ = pack.read(pack.pack(RECORD))
    assert plain["asked"] == []
    assert plain["tokens"] == header["tokens"]
    assert plain["maps"][1] == {**occlusion, "at": plain["maps"][1]["at"]}


def test_nothing_hides_in_a_word_of_the_question():
    sly = records.asked(RECORD, ("a\x1b[2J", " \u202e<b>", "\n", "?"))
    header, _ = pack.read(pack.pack(sly))
    assert [(one["before"], one["text"]) for one in header["asked"]] == [
        ("", "a␛[2J"),
        (" ", "⟦U+202E⟧<b>"),
        ("\n", "␊"),
        ("", "?"),
    ]


def test_where_only_names_of_the_questions_tokens_are_known_they_are_shown():
    asked = records.asked(RECORD)
    header, _ = pack.read(pack.pack(replace(asked, prompt=replace(asked.prompt, offsets=None))))
    assert [(one["before"], one["text"]) for one in header["asked"]][3:] == [(" ", "▁nodule"), (" ", "▁?")]


def test_maps_of_the_question_count_for_the_size():
    """Heads stay behind as soon as the question's maps make the payload too large."""
    plain = RECORD.heatmaps[0]
    cells = plain.values[0, 0, 0].size
    heads = 1_500_000 // (len(plain.targets) * 2 * cells)
    wide = replace(plain, values=np.repeat(plain.values[:, :, :1], heads, axis=2))
    record = replace(RECORD, heatmaps=(wide,))
    assert pack.read(pack.pack(record))[0]["maps"][0]["shape"][2] == heads
    assert pack.read(pack.pack(records.asked(record)))[0]["maps"][0]["shape"][2] == 1


def test_what_was_asked_for_and_the_sentences_can_be_chosen():
    answer = records.answer(("Clear", " lungs", ".", " No", " nodule", "."))
    contrast = rather_than(find(answer, "nodule"), Foil(text="mass", token_ids=(7,)))
    asked = replace(RECORD, answer=answer, targets=(find(answer), contrast), heatmaps=())
    header, _ = pack.read(pack.pack(asked))
    assert [(part["text"], part["foil"]) for part in header["parts"]] == [
        ("whole answer", None),
        ("nodule rather than mass", "mass"),
        ("Clear lungs.", None),
        ("No nodule.", None),
    ]


def test_nothing_of_where_it_came_from_goes_in_and_nothing_hides():
    sly = records.record(question="Where\u202e?", words=("a\x1b[2J",), notes=("secret note",))
    text = pack.pack(replace(sly, provenance=replace(sly.provenance, model="/home/someone/model")))
    header, _ = pack.read(text)
    assert header["question"] == "Where⟦U+202E⟧?"
    assert header["tokens"][0]["text"] == "a␛[2J"
    for word in ("secret", "someone", "sha256"):
        assert word not in json.dumps(header)


def test_bytes_are_the_same_every_time():
    assert pack.pack(records.pair()) == pack.pack(records.pair())


@pytest.mark.parametrize("name", COLOURS)
def test_colours_are_those_of_the_static_images(name):
    header, _ = pack.read(pack.pack(RECORD))
    kept = np.frombuffer(base64.b64decode(header["colours"][name]), np.uint8).reshape(256, 3)
    np.testing.assert_array_equal(kept, table(name))
    if name in DEFAULTS.values():
        painted = paint((np.arange(256) / 255).astype(np.float32), name)
        np.testing.assert_array_equal(kept, overlay.to_bytes(painted))


def test_what_is_not_whole_is_in_the_payload_and_nothing_of_it_where_all_is_whole():
    header, _ = pack.read(pack.pack(records.flawed()))
    assert (header["name"], header["label"]) == ("checkpoint A", "")
    assert header["cut"] == "⟦…⟧ cut off by its length"
    assert header["missing"] == ["Interrupted: Shapley was asked for and never ran."]
    plain, sampled = header["maps"]
    assert (plain["interrupted"], plain["shortfall"], plain["errors"]) == ("", "", None)
    assert sampled["interrupted"] == "112 of 480 steps"
    assert sampled["shortfall"] == "Interrupted: Occlusion rests on 112 of 480 steps."
    assert sampled["errors"][0] == "standard error at most 12% of the largest value, 3% in the median cell"
    assert len(sampled["errors"]) == 8
    assert pack.read(pack.pack(records.flawed(), name="Prior"))[0]["label"] == "checkpoint A"
    header, _ = pack.read(pack.pack(records.record()))
    assert (header["name"], header["cut"], header["missing"]) == ("", "", [])
    assert [one["shortfall"] for one in header["maps"]] == ["", ""]


def test_what_a_scale_spans_at_least_is_in_the_payload():
    plain, _ = RECORD.heatmaps
    named = [replace(plain, unit=unit) for unit in ("share of attention", "nats", "relevancy")]
    header, _ = pack.read(pack.pack(replace(RECORD, heatmaps=tuple(named))))
    assert [one["least"] for one in header["maps"]] == [1 / (3 * 196), 0.01, 0.0]
    (alone,) = pack.read(pack.pack(replace(RECORD, heatmaps=(plain,))))[0]["maps"]
    assert alone["least"] == least(plain.unit, 14 * 14) == 1 / 196


def test_records_of_the_same_weights_are_known_by_a_key_that_tells_nothing_else():
    other = replace(RECORD, provenance=replace(RECORD.provenance, weights="sha256:ffff"))
    keys = [pack.read(pack.pack(one))[0]["weights"] for one in (RECORD, records.pair(), other)]
    assert keys[0] == keys[1] != keys[2]
    assert all(len(key) == 12 for key in keys)
    assert "0f3a" not in keys[0]


def test_how_sure_the_model_was_of_each_token_is_in_numbers_and_in_words():
    header, _ = pack.read(pack.pack(RECORD))
    found = [token["probability"] for token in header["tokens"]]
    assert found == pytest.approx(np.linspace(0.98, 0.71, 8), abs=6e-4)
    assert header["tokens"][0]["sure"] == "98%"
