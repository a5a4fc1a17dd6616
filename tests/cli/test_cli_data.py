"""`groundviz data`: what it lists, and what it finds in a folder."""

from __future__ import annotations

import pytest

from groundviz.cli import main
from groundviz.datasets import DATASETS
from tests.support import publishers


def test_it_lists_every_data_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == list(DATASETS)
    assert "  options: limit, split" in lines


def test_check_of_what_is_sound(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", "phantoms", "--option", "phantoms=2", "--images", "1"]) == 0
    told = capsys.readouterr()
    assert told.out.endswith("Nothing is wrong.\n")
    assert "contamination: " in told.out
    assert "licence: Apache-2.0" in told.out


def test_check_tells_what_differs_and_whose_images_it_is_not(tmp_path, capsys) -> None:
    publishers.ms_cxr(tmp_path)
    publishers.mimic_images(tmp_path, ".dcm", "files")
    assert main(["data", "check", f"ms_cxr:{tmp_path}"]) == 1
    out = capsys.readouterr().out
    (images,) = [line for line in out.splitlines() if line.split()[1:2] == ["images"] and "1047" in line]
    assert images.split() == ["wrong", "images", "3", "1047"]
    assert "ok     images that are missing" in out
    for secret in ("10000032", "50414267", "Secret", "d1", "left basilar", str(tmp_path)):
        assert secret not in out


def test_an_option_that_is_not_there_and_a_folder_that_is_not(tmp_path, capsys) -> None:
    assert main(["data", "check", "phantoms", "--option", "colour=red"]) == 2
    assert "no option called 'colour'" in capsys.readouterr().err
    assert main(["data", "check", "slake", str(tmp_path / "none")]) == 2
    error = capsys.readouterr().err
    assert "does not exist" in error
    assert str(tmp_path) not in error
    assert main(["data", "check", "phantoms", "--option", "size=64", "--option", "size=32"]) == 2
    assert "twice" in capsys.readouterr().err


def test_values_of_options_are_read_as_json_or_as_words(tmp_path, capsys) -> None:
    publishers.slake(tmp_path)
    code = main(["data", "check", "slake", str(tmp_path), "--option", 'language=["en", "zh"]'])
    assert code == 0
    capsys.readouterr()
    # The counts of a split are known, and the fixture has seven questions.
    assert main(["data", "check", "slake", str(tmp_path), "--option", "split=test"]) == 1
    assert "1061" in capsys.readouterr().out
