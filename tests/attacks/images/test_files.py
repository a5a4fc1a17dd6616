"""Things that are no image file, under names that say they are. Nothing waits, nothing is fetched."""

from __future__ import annotations

import io
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from groundviz import images
from groundviz.errors import ImageError

CANARY = "ZZPHI-Doe-Jane-19700101"


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def refused(source: object) -> str:
    with pytest.raises(ImageError) as caught:
        images.load(source)  # type: ignore[arg-type]
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return str(caught.value)


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    path = tmp_path / f"{CANARY}.png"
    Image.new("L", (4, 3), 51).save(path)
    return path


@pytest.mark.parametrize(
    "address",
    [
        f"http://127.0.0.1:9/{CANARY}.png",
        f"https://{CANARY}/",
        f"file:///{CANARY}",
        f"s3://{CANARY}/a",
        f"HTTP://{CANARY}",
    ],
)
def test_addresses_are_not_fetched(address: str) -> None:
    assert "not fetched" in refused(address)


@pytest.mark.timeout(10)
def test_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / CANARY
    os.mkfifo(path)
    assert "pipe, device or socket" in refused(path)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/tty", "/dev/stdin"])
def test_devices_are_not_read(device: str) -> None:
    if not Path(device).exists():
        pytest.skip("no such device here")
    refused(device)


def test_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s")
        assert "pipe, device or socket" in refused("s")


def test_folder(tmp_path: Path) -> None:
    assert "folder" in refused(tmp_path)


@pytest.mark.timeout(10)
def test_links_are_followed_to_files_only(tmp_path: Path, drawn: Path) -> None:
    good, bad, broken, circle = (tmp_path / name for name in ("good", "bad", "broken", "circle"))
    good.symlink_to(drawn)
    bad.symlink_to("/dev/zero")
    broken.symlink_to(tmp_path / CANARY)
    circle.symlink_to(circle)
    assert images.load(good).shape == (3, 4)
    assert "device" in refused(bad)
    assert "could not be opened" in refused(broken)
    assert "could not be opened" in refused(circle)


@pytest.mark.parametrize(
    "name", ["", "\0", f"{CANARY}\0.png", CANARY, "x" * 5000, f"{CANARY}/" * 3, "\ud800"]
)
def test_names_that_lead_nowhere(name: str) -> None:
    assert "could not be opened" in refused(name) or name == ""


def test_unreadable_file(drawn: Path) -> None:
    drawn.chmod(0)
    if os.access(drawn, os.R_OK):
        pytest.skip("this user may read anything")
    assert "Permission denied" in refused(drawn)


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / CANARY).touch()
    assert "empty: 0 bytes" in refused(tmp_path / CANARY)


@pytest.mark.parametrize("alias", ["a.jpg", "b.dcm", "c", "d.txt", "e.png.exe"])
def test_the_name_does_not_matter(alias: str, drawn: Path) -> None:
    assert images.load(drawn.rename(drawn.with_name(alias))).source == "png"


def others() -> Iterator[tuple[str, bytes]]:
    """Formats that Pillow could read, and one that would start another program."""
    image = Image.new("L", (8, 8), 100)
    for kind in ("EPS", "GIF", "TGA", "PPM", "PCX", "ICO", "SGI", "PDF", "DDS", "JPEG2000", "DIB"):
        stream = io.BytesIO()
        image.save(stream, kind)
        yield kind, stream.getvalue()


OTHERS = dict(others())


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("disguise", [b"", b"BM", b"II*\0", b"\xff\xd8\xff"])
def test_other_formats_are_never_parsed(
    kind: str, disguise: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by name, and not when the first bytes pretend to be an allowed format."""

    def ran(*given: object) -> None:
        raise AssertionError("a program was started")

    monkeypatch.setattr(os, "system", ran)
    monkeypatch.setattr("subprocess.Popen", ran)
    path = tmp_path / "image.png"
    path.write_bytes(disguise + OTHERS[kind][len(disguise) :])
    refused(path)


@pytest.mark.timeout(10)
def test_a_file_swapped_for_a_pipe_after_the_look(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look and the opening the file becomes a pipe that nobody writes to."""
    real = os.open

    def swapped(name: str, flags: int, *rest: int) -> int:
        drawn.unlink()
        os.mkfifo(drawn)
        monkeypatch.setattr(os, "open", real)
        return real(name, flags, *rest)

    monkeypatch.setattr(os, "open", swapped)
    assert "pipe, device or socket" in refused(drawn)


def test_descriptors_do_not_leak(drawn: Path, tmp_path: Path) -> None:
    (tmp_path / "broken").write_bytes(drawn.read_bytes()[:45])
    tiff = tmp_path / "packed"
    Image.new("L", (40, 30)).save(tiff, "TIFF", compression="tiff_lzw")
    images.load(tiff), images.load(drawn)
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0  # noqa: PTH208
    for _ in range(5):
        images.load(tiff), images.load(drawn)
        refused(tmp_path / "broken")
    assert not before or len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_four_threads_load_at_once(drawn: Path, tmp_path: Path) -> None:
    (tmp_path / "broken").write_bytes(drawn.read_bytes()[:45])
    expected = images.load(drawn).sha256
    wrong: list[object] = []

    def work() -> None:
        for _ in range(25):
            if images.load(drawn).sha256 != expected:
                wrong.append("pixels")
            refused(tmp_path / "broken")
            images.load(np.zeros((2, 2), np.uint8))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
