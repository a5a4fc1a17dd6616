"""A file is written whole or not at all, where it was asked for and nowhere else."""

import errno
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundviz.errors import StoreError
from groundviz.record import files, store

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


FOIL = """
import sys, pathlib
from groundviz import errors
from groundviz.record import files
if sys.argv[2] == "without links":
    def refused(*_): raise PermissionError(1, "Operation not permitted")
    files.os.link = refused
content = sys.argv[3].encode() * 50_000
for number in range(20):
    sys.stdin.readline()  # Both begin at once.
    try:
        files.write(pathlib.Path(sys.argv[1]) / str(number), content, overwrite=False)
        print("won", flush=True)
    except errors.StoreError as error:
        print("refused" if "exists" in str(error) else error, flush=True)
"""


@pytest.mark.parametrize("links", ["with links", "without links"])
def test_of_two_processes_that_write_one_name_one_wins_and_the_other_is_told(tmp_path, links):
    foils = [
        subprocess.Popen(
            [sys.executable, "-c", FOIL, str(tmp_path), links, letter],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for letter in "ab"
    ]
    for number in range(20):
        for foil in foils:
            foil.stdin.write("\n")
            foil.stdin.flush()
        printed = [foil.stdout.readline().strip() for foil in foils]
        assert sorted(printed) == ["refused", "won"], f"trial {number}"
        assert (tmp_path / str(number)).read_bytes() == b"ab"[printed.index("won") :][:1] * 50_000
    for foil in foils:
        foil.communicate(timeout=60)
    assert sorted(int(path.name) for path in tmp_path.iterdir()) == list(range(20))


@pytest.mark.parametrize("links", [True, False])
def test_a_name_that_is_taken_while_the_file_is_written_is_not_taken_away(target, monkeypatch, links):
    place = target.parent / "new.bin"
    sync = os.fsync

    def overtaken(descriptor):
        sync(descriptor)
        place.write_bytes(OLD)

    monkeypatch.setattr(os, "fsync", overtaken)
    if not links:
        monkeypatch.setattr(os, "link", _fail(errno.EPERM))
    with pytest.raises(StoreError, match="exists"):
        files.write(place, NEW, overwrite=False)
    assert place.read_bytes() == OLD
    assert set(target.parent.iterdir()) == {target, place}


def test_where_there_are_no_hard_links_a_new_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", _fail(errno.EOPNOTSUPP))
    path = files.write(tmp_path / "a.bin", NEW, overwrite=False)
    assert path.read_bytes() == NEW
    monkeypatch.setattr("pathlib.Path.replace", _fail(errno.EIO))
    with pytest.raises(StoreError):
        files.write(tmp_path / "b.bin", NEW, overwrite=False)
    assert list(tmp_path.iterdir()) == [path]


def test_a_server_that_denies_its_own_success_is_not_believed(tmp_path, monkeypatch):
    link = os.link

    def late(source, place):
        link(source, place)
        raise FileExistsError(errno.EEXIST, "File exists")

    monkeypatch.setattr(os, "link", late)
    assert files.write(tmp_path / "a.bin", NEW, overwrite=False).read_bytes() == NEW


SLOW_WRITER = """
import sys, time
from groundviz.record import files, store
def forever(descriptor):
    print("writing", flush=True)
    time.sleep(600)
files.os.fsync = forever
files.write(sys.argv[1], b"x" * 100_000)
"""


def test_what_a_killed_writer_left_is_swept_and_what_a_living_one_writes_is_not(tmp_path):
    def begin(name):
        writer = subprocess.Popen(
            [sys.executable, "-c", SLOW_WRITER, str(tmp_path / name)], stdout=subprocess.PIPE
        )
        writer.stdout.readline()
        return writer

    dead, living = begin("dead.bin"), begin("living.bin")
    dead.kill()
    dead.communicate()
    try:
        assert len(list(tmp_path.glob("*.part"))) == 2
        mine = files.write(tmp_path / "mine.bin", NEW)
        assert len(list(tmp_path.glob("*.part"))) == 2, "they were touched a moment ago"
        for part in tmp_path.glob("*.part"):
            os.utime(part, (0, time.time() - files.QUIET_SECONDS - 1))
        files.write(mine, NEW)
        (kept,) = tmp_path.glob("*.part")
        os.utime(kept, (0, 0))
        files.write(mine, NEW)
        assert list(tmp_path.glob("*.part")) == [kept], "its writer lives, however old it is"
    finally:
        living.kill()
        living.communicate()
    files.write(mine, NEW)
    assert list(tmp_path.iterdir()) == [mine]


def test_a_writer_whose_new_file_is_swept_before_it_is_locked_takes_another(tmp_path, monkeypatch):
    made = tempfile.mkstemp
    names = []

    def swept(**options):
        descriptor, name = made(**options)
        names.append(name)
        if len(names) == 1:
            os.unlink(name)  # noqa: PTH108
        return descriptor, name

    monkeypatch.setattr(tempfile, "mkstemp", swept)
    path = files.write(tmp_path / "a.bin", NEW)
    assert (len(names), path.read_bytes(), list(tmp_path.iterdir())) == (2, NEW, [path])


@pytest.mark.parametrize("lock", [None, "refused"])
def test_where_nothing_can_be_locked_only_what_is_a_day_old_is_swept(tmp_path, monkeypatch, lock):
    if lock:
        monkeypatch.setattr("fcntl.flock", _fail(errno.ENOLCK))
    else:
        monkeypatch.setattr(files, "fcntl", None)
    parts = [tmp_path / f".groundviz-{age}.part" for age in ("old", "new")]
    for part, age in zip(parts, (1.1, 0.9), strict=True):
        part.write_bytes(OLD)
        os.utime(part, (0, time.time() - age * files.STALE_SECONDS))
    path = files.write(tmp_path / "a.bin", NEW)
    assert path.read_bytes() == NEW
    assert set(tmp_path.iterdir()) == {path, parts[1]}


def test_sweeping_follows_no_link_waits_for_no_pipe_and_stops_nobody(tmp_path, target):
    folder = tmp_path / "inner"
    folder.mkdir()
    (folder / ".groundviz-link.part").symlink_to(target)
    os.mkfifo(folder / ".groundviz-pipe.part")
    (folder / ".groundviz-folder.part").mkdir()
    for odd in folder.iterdir():
        os.utime(odd, (0, 0), follow_symlinks=False)
    files.write(folder / "a.bin", NEW)
    assert target.read_bytes() == OLD
    assert (folder / ".groundviz-link.part").is_symlink()


def test_a_private_file_that_does_not_fit_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, "fdopen", _fail(errno.ENOSPC))
    with pytest.raises(StoreError, match="No space left"):
        files.write_private(NEW, ".html")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_made_and_tried_out_before_it_is_relied_on(tmp_path, monkeypatch):
    folder = files.folder_for_writing(tmp_path / "new" / "folder")
    assert list(folder.iterdir()) == []
    with monkeypatch.context() as patched:
        patched.setattr(tempfile, "mkstemp", _fail(errno.EROFS))
        with pytest.raises(StoreError, match="cannot be written to: Read-only file system"):
            files.folder_for_writing(folder)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="could not be made"):
        files.folder_for_writing(tmp_path / "file")


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
        "import sys\nfrom groundviz.record import files\n"
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
def test_a_slug_is_plain_short_and_stays_in_its_folder(text):
    name = files.slug(text, most=40)
    assert name.isascii()
    assert 0 < len(name) <= 45
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert not name.startswith("-")
    with tempfile.TemporaryDirectory() as folder:
        assert (Path(folder) / name).resolve().parent == Path(folder).resolve()


@pytest.mark.parametrize(
    "text", ["../../etc/passwd", "C:\\x", "con", "NUL", "com1", ".hidden", "-rf", "", "a\0b", "\udc80"]
)
def test_awkward_texts_become_harmless_names(text):
    name = files.slug(text)
    assert not {"/", "\\", ":", "\0", "."} & set(name)
    assert name not in {"con", "nul", "com1"}


def test_letters_with_accents_stay_readable_in_names():
    assert files.slug("Où est le nodule ?") == "ou-est-le-nodule"


@pytest.mark.parametrize("path", [None, 3, ["a"]])
def test_what_names_no_file_is_refused(path):
    with pytest.raises(StoreError, match="This names no file: it is of type"):
        files.write(path, b"")
    with pytest.raises(StoreError, match="This names no file"):
        store.read(path)


@pytest.mark.parametrize("name", ["a" * 300, "a\0b"])
def test_a_name_that_the_system_takes_for_none_is_refused(tmp_path, name):
    with pytest.raises(StoreError, match="No file can have this name"):
        files.write(tmp_path / name, b"")
    assert not list(tmp_path.iterdir())
