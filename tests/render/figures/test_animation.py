"""An answer that is written word by word: its frames, their one scale, and its files."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import groundviz
from groundviz import cli
from groundviz.errors import OptionError, TargetError, UnknownName
from groundviz.explanation import Explanation
from groundviz.record.targets import find
from groundviz.render.base.colour import paint, scales
from tests.support import records

# Pixels of a frame, 5.9 to the millimetre.
WIDTH = 60.0


@pytest.fixture(scope="module")
def explained():
    return Explanation(records.record(60, 60, cells=14))


@pytest.fixture(scope="module")
def film(explained):
    return explained.animation("attention", width=WIDTH, seconds=0.5)


@pytest.fixture(scope="module")
def frames(film):
    return [np.asarray(frame, dtype=float) for frame in film.frames()]


def test_each_word_has_a_frame_of_one_size(film, frames):
    # "nodule in the left upper zone." without the full stop.
    assert len(film) == len(frames) == 6
    assert {frame.shape for frame in frames} == {frames[0].shape}
    assert frames[0].shape[1] == pytest.approx(WIDTH / 25.4 * 150, abs=1)


def _coloured(frame):
    """How far from grey each pixel is."""
    return np.ptp(frame, axis=2)


def test_the_bar_is_the_same_in_each_and_maps_keep_to_it(explained, frames):
    changed = np.ptp(np.stack(frames), axis=0).max(axis=2) > 12
    rows = np.flatnonzero(changed.any(axis=1))
    below = [frame[rows.max() + 1 :] for frame in frames]
    # Below what changes stands the bar, which is the same in all of them and goes to yellow.
    assert all(np.abs(one - below[0]).max() < 12 for one in below)
    assert _coloured(below[0]).max() > 150
    # The strongest cell of each word is as strong as the scale of all words says, and no stronger.
    maps = explained.record.heatmaps[0]
    words = [maps.at(find(explained.answer, token)) for token in range(6)]
    scale = scales(words)[0]
    expected = [float(scale.strength(np.array(word.values.max()))) for word in words]
    seen = [_coloured(frame[: rows.max() + 1]).max() for frame in frames]
    assert np.corrcoef(seen, expected)[0, 1] > 0.95
    assert max(expected) == 1.0
    top = _coloured(255.0 * paint(np.ones((1, 1), np.float32), scale.colours)).max()
    assert 0.7 * top < max(seen) <= top


def test_the_answer_is_written_up_to_the_word_and_stays_where_it_is(frames):
    first, last = frames[0], frames[-1]
    ink = [int((frame[: len(frame) // 4].max(axis=2) < 90).sum()) for frame in frames]
    assert ink[0] < ink[2] < ink[-1]
    # The question and the label of the answer stand still.
    label = slice(0, round(12.0 * 5.9))
    np.testing.assert_array_equal(first[:, label][:40], last[:, label][:40])


@pytest.mark.parametrize("suffix", ["webp", "png", "gif"])
def test_a_file_holds_every_frame_for_its_time(film, frames, tmp_path, suffix):
    place = film.save(tmp_path / f"answer.{suffix}")
    assert place.read_bytes() == film.to_bytes(suffix)
    with Image.open(place) as image:
        assert image.n_frames == 6
        durations = []
        for number, frame in enumerate(frames):
            image.seek(number)
            shown = np.asarray(image.convert("RGB"), dtype=float)
            assert np.abs(shown - frame).mean() < 2.5
            durations.append(image.info["duration"])
    assert durations == [500] * 5 + [2500]


def test_what_cannot_be_played_is_refused(explained, film, tmp_path):
    with pytest.raises(UnknownName, match="known are webp, png, gif"):
        film.save(tmp_path / "answer.mp4")
    assert list(tmp_path.iterdir()) == []
    for options in ({"seconds": 0}, {"seconds": "1"}, {"scale": "each"}, {"layer": "each"}):
        with pytest.raises(OptionError):
            explained.animation(**options)
    with pytest.raises(UnknownName):
        explained.animation("rise")
    maps = explained.record.heatmaps[0]
    whole = replace(maps, values=maps.values[:1], targets=(find(explained.answer),))
    with pytest.raises(TargetError, match="no single words"):
        Explanation(replace(explained.record, heatmaps=(whole,))).animation()


def test_a_notebook_keeps_no_more_of_the_image_than_it_may(film, monkeypatch):
    assert set(film._repr_mimebundle_()) == {"text/plain", "image/webp"}
    monkeypatch.setattr(groundviz.options, "embed", "none")
    assert film._repr_mimebundle_() == {"text/plain": "<Animation of 6 words, 0.5 s each>"}


def test_a_long_answer_shows_its_last_lines_and_frames_keep_their_size():
    words = tuple(f"{' ' if at else ''}word{at}" for at in range(120))
    film = Explanation(records.record(40, 40, cells=4, words=words)).animation("attention", width=WIDTH)
    assert len(film) == 120
    ends = [[*row[:1], *row[-2:]] for row in film.part.rows]
    first, second, last = replace(film, part=replace(film.part, rows=ends)).frames()
    assert first.size == second.size == last.size
    # Six lines of 3.7 mm below the question: one line is written at first, all of them at the end.
    lines = []
    for frame in (first, second):
        answer = np.asarray(frame.convert("L"))[round(4.7 * 5.9) : round(26.5 * 5.9), round(17.0 * 5.9) :]
        lines.append(int(np.diff((answer.min(axis=1) < 120).astype(int), prepend=0).clip(0).sum()))
    assert lines == [1, 6]


def test_the_command_line_writes_one(explained, tmp_path, capsys):
    saved = explained.save(tmp_path / "case.gvz")
    place = tmp_path / "answer.webp"
    assert cli.main(["animate", str(saved), "--to", str(place), "--width", "60", "--seconds", "0.2"]) == 0
    with Image.open(io.BytesIO(place.read_bytes())) as image:
        assert image.n_frames == 6
    assert capsys.readouterr().out.startswith(f"Written: {place}")
    assert cli.main(["animate", str(saved), "--to", str(place)]) == 2
    assert "--overwrite" in capsys.readouterr().err
