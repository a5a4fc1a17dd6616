"""`groundviz report | gallery | study` on a run of the demo model."""

import json

import pytest

from groundviz import cli, evaluate
from groundviz.demo import lab


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    place = tmp_path_factory.mktemp("run") / "RUN"
    evaluate("demo", "phantoms", limit=4, methods=["attention"], controls=(), out=place, progress=False)
    return place


def test_a_run_becomes_a_report_and_a_gallery(run, capsys):
    assert cli.main(["report", str(run)]) == 0
    told = capsys.readouterr()
    assert "Attention" in told.out
    assert "never saw the image" in told.out
    names = {path.name for path in (run / "report").iterdir()}
    assert {"report.html", "gallery.html", "report.csv", "report.tex", "report.md", "report.json"} <= names
    rows = json.loads((run / "report" / "report.json").read_text("utf-8"))["tables"]["grounding"]["rows"]
    named = {row["method"] for row in rows}
    assert named >= {"Attention", "random order", "centre prior", "class-mean prior"}


def test_a_page_of_cases_alone(run, tmp_path, capsys):
    assert cli.main(["gallery", str(run), "--out", str(tmp_path / "cases.html"), "--most", "2"]) == 0
    assert "2 of 4 samples" in (tmp_path / "cases.html").read_text("utf-8")
    assert "cases.html" in capsys.readouterr().out


@pytest.mark.parametrize("command", [["report"], ["study", "make", "--out", "STUDY"]])
def test_what_is_no_run_is_one_line(tmp_path, capsys, command):
    assert cli.main([*command, str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert "There is no run in this folder" in told
    assert told.count("\n") == 1


def test_a_study_is_made_read_and_analysed(run, tmp_path, capsys, monkeypatch):
    started = []

    class Server:
        @staticmethod
        def launch_instance(arguments):
            started.append(arguments)

    monkeypatch.setattr(lab, "server", lambda: Server)
    place = tmp_path / "STUDY"
    arms = ["--arms", "attention,prior:centre", "--cases", "2"]
    make = ["study", "make", str(run), "--out", str(place), *arms]
    assert cli.main(make) == 0
    told = capsys.readouterr().out
    assert "2 cases" in told
    assert (tmp_path / "STUDY.key.json").is_file()
    assert cli.main(["study", "read", str(place), "--rater", "r1", "--years", "3"]) == 0
    notebook = json.loads((place / "r1.ipynb").read_text("utf-8"))
    code = notebook["cells"][0]["source"]
    compile(code, "cell", "exec")
    assert ".read('r1', rater_years=3)" in code
    assert started[0][0] == str(place / "r1.ipynb")
    assert cli.main(["study", "analyse", str(place)]) == 2
    assert "no response" in capsys.readouterr().err
    from groundviz import study

    session = study.open(place).session("r1")
    while session.trial is not None:
        reply = {"number": session.shown().number, "zoomed": 0, "t_first_ms": 1, "t_total_ms": 2}
        session.answer({**reply, "response": "A"})
    assert cli.main(["study", "analyse", str(place), "--key", str(tmp_path / "STUDY.key.json")]) == 0
    told = capsys.readouterr().out
    assert "attention" in told
    assert "Methods have codes" not in told


def test_a_study_of_a_folder_without_a_run_is_refused_in_words(tmp_path, capsys):
    assert cli.main(["study", "make", str(tmp_path), "--out", str(tmp_path / "STUDY")]) == 2
    assert "There is no run in this folder" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_power_of_a_study_is_told(capsys):
    assert cli.main(["study", "power", "--readers", "2", "--cases", "10"]) == 0
    assert "2 readers, 10 cases" in capsys.readouterr().out
