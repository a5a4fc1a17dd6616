import pytest

from groundviz.models.loading.naming import first_line, public_name, quoted, shown_name

PLACE, CACHE = "/home/ZZPHI/model", "/home/ZZPHI/.cache/huggingface/hub/models--lab--med/config.json"


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (f"no config.json in {PLACE}", "no config.json in local folder."),
        (f"'{PLACE}/config.json' is damaged!\nTraceback", "'local folder/config.json' is damaged!"),
        (f"cannot write {CACHE}, which is full", "cannot write ..., which is full."),
        ("cannot find '/home/ZZPHI DOE/other/file'.", "cannot find '...'."),
        (r"cannot find C:\Users\ZZPHI\file", "cannot find ..."),
        (f"Error in field 'depth':\n    of {CACHE}: 3", "Error in field 'depth': of ... 3."),
        (
            "lab/med is on https://huggingface.co/lab/med and not here",
            "lab/med is on https://huggingface.co/lab/med and not here.",
        ),
        ("", "OSError."),
        (f"no processor for '{PLACE}'", "no processor for the local folder."),
        # Whole sentences; of one that is too long for that, whole words.
        (f"No processor. No class. {'words ' * 40}", "No processor. No class."),
        ("words " * 40, f"{'words ' * 33}..."),
    ],
)
def test_paths_are_left_out_of_what_is_shown(message, shown):
    assert first_line(OSError(message), PLACE, "local folder") == shown


def test_a_name_longer_than_any_is_no_folder():
    assert shown_name("x/" * 3000) == "a folder that is not there"
    assert public_name("x" * 3000, "Architecture") == "x" * 3000


def test_names_alone_are_in_quotes():
    names = ["lab/model", "local folder", "a folder that is not there"]
    assert [*map(quoted, names)] == ["'lab/model'", "the local folder", "a folder that is not there"]


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "model").write_bytes(b"")
    assert shown_name(str(tmp_path / "model")) == "a folder that is not there"
