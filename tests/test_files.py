"""A file is written whole or not at all, where it was asked for and nowhere else."""

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundviz import files
from groundviz.errors import StoreError

OLD, NEW = b"old" * 1000, b"new" * 2000


@pytest.fixture
def target(tmp_path) -> Path:
    path = tmp_path / "note.bin"
    path.write_bytes(OLD)
    return path


def _fail(number):
    def failing(*_, **__):
        raise OSError(number, os.strerror(number))

    return failing


def test_content_and_path_come_back(tmp_path):
    path = files.write(str(tmp_path / "a.bin"), NEW)
    assert path == tmp_path / "a.bin"
    assert path.read_bytes() == NEW
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_has_the_permissions_of_any_other(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    written = files.write(tmp_path / "written", b"")
    assert written.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_overwriting_is_the_default_and_can_be_forbidden(target):
    files.write(target, NEW)
    assert target.read_bytes() == NEW
    with pytest.raises(StoreError, match="exists"):
        files.write(target, OLD, overwrite=False)
    assert target.read_bytes() == NEW


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EACCES])
@pytest.mark.parametrize(
    "call", ["os.fsync", "os.fdopen", "pathlib.Path.replace", "tempfile.mkstemp", "pathlib.Path.chmod"]
)
def test_a_failure_at_any_step_keeps_the_old_file_and_leaves_nothing_else(target, monkeypatch, call, number):
    with monkeypatch.context() as patched:
        patched.setattr(call, _fail(number))
        with pytest.raises(StoreError, match=os.strerror(number)) as caught:
            files.write(target, NEW)
    assert target.name not in str(caught.value)
    assert target.read_bytes() == OLD
    assert list(target.parent.iterdir()) == [target]


def test_a_disk_that_fills_up_half_way_keeps_the_old_file(target, monkeypatch):
    opened = os.fdopen

    class Full:
        def __init__(self, stream):
            self.stream = stream

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.stream.close()

        def write(self, content):
            self.stream.write(content[: len(content) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fdopen", lambda *given: Full(opened(*given)))
    with pytest.raises(StoreError, match="No space left"):
        files.write(target, NEW)
    assert target.read_bytes() == OLD
    assert list(target.parent.iterdir()) == [target]


def test_an_interrupt_leaves_the_old_file_and_nothing_else(target, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        files.write(target, NEW)
    assert target.read_bytes() == OLD
    assert list(target.parent.iterdir()) == [target]


def test_a_killed_writer_leaves_the_old_file_or_the_new_one(target):
    writer = (
        "import sys\nfrom groundviz import files\n"
        "contents = [b'a' * 300000, b'b' * 300000]\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    for content in contents: files.write(sys.argv[1], content)\n"
    )
    seen = set()
    for _ in range(4):
        with subprocess.Popen([sys.executable, "-c", writer, str(target)], stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            try:
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                process.kill()
        content = target.read_bytes()
        seen.add((len(content), content[:1]))
        assert content in (OLD, b"a" * 300000, b"b" * 300000)
    assert seen - {(len(OLD), OLD[:1])}


def test_links_and_folders_are_refused(target, tmp_path):
    link = tmp_path / "link.bin"
    link.symlink_to(target)
    for place in (link, tmp_path):
        with pytest.raises(StoreError, match="link or a folder"):
            files.write(place, NEW)
    assert target.read_bytes() == OLD
    assert link.is_symlink()


def test_a_missing_folder_is_not_made(tmp_path):
    with pytest.raises(StoreError, match="folder to write into does not exist"):
        files.write(tmp_path / "missing" / "a.bin", NEW)
    assert list(tmp_path.iterdir()) == []


@settings(deadline=None)
@given(st.text())
def test_a_safe_name_is_plain_short_and_stays_in_its_folder(text):
    name = files.safe_name(text)
    assert name.isascii()
    assert len(name) <= 80
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert not name.startswith("-")
    with tempfile.TemporaryDirectory() as folder:
        assert (Path(folder) / name).resolve().parent == Path(folder).resolve()


@settings(deadline=None)
@given(st.text(max_size=8), st.text(max_size=8))
def test_different_texts_get_different_names(one, other):
    assert (files.safe_name(one) == files.safe_name(other)) == (one == other)


@pytest.mark.parametrize(
    "text", ["../../etc/passwd", "C:\\x", "con", "NUL", "com1", ".hidden", "-rf", "", "a\0b", "\udc80"]
)
def test_awkward_texts_become_harmless_names(text):
    name = files.safe_name(text)
    assert not {"/", "\\", ":", "\0", "."} & set(name)
    assert name.split("-")[0] not in {"con", "nul", "com1"} or name.split("-")[1] == "file"
