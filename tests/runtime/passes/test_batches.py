"""Batches halve when memory runs out, and end early without losing what was done."""

import gc
import re
import time
import weakref

import pytest
import torch

from groundviz.errors import OutOfMemory
from groundviz.runtime.passes import batches
from groundviz.runtime.passes.batches import in_batches

OUT_OF_MEMORY = {
    "cpu": lambda: RuntimeError(
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: "
        "you tried to allocate 9000 bytes. Error code 12 (Cannot allocate memory)"
    ),
    "gpu": lambda: torch.OutOfMemoryError(
        "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has 9 GiB."
    ),
    "python": MemoryError,
}
NEEDS = {
    "cpu": "Its last request was for 9000 bytes.",
    "gpu": "Its last request was for 20.00 MiB.",
    "python": "",
}
ITEMS = torch.randn(37, 3, generator=torch.Generator().manual_seed(0))
WANTED = ITEMS.square() + 1.0


@pytest.fixture
def no_collection(monkeypatch):
    """Collecting takes a while with torch loaded, and there is nothing to collect here."""
    monkeypatch.setattr(gc, "collect", lambda: 0)


def holding(most, kind, sizes):
    """A computation that runs out of memory beyond `most` items; the sizes it was asked for are kept."""

    def run(part):
        sizes.append(part.stop - part.start)
        if sizes[-1] > most:
            raise OUT_OF_MEMORY[kind]()
        return ITEMS[part].square() + 1.0

    return run


@pytest.mark.parametrize("kind", OUT_OF_MEMORY)
@pytest.mark.parametrize("most", range(16, 0, -1))
@pytest.mark.usefixtures("no_collection")
def test_whatever_fits_gives_the_same_rows(kind, most):
    sizes = []
    found = in_batches(len(ITEMS), holding(most, kind, sizes), label="work")
    torch.testing.assert_close(found, WANTED, atol=1e-6, rtol=0)
    fitting = 1 << (most.bit_length() - 1)
    assert [size for size in sizes if size > most] == [size for size in (16, 8, 4, 2) if size > most]
    assert sizes.count(fitting) == len(ITEMS) // fitting


@pytest.mark.parametrize("kind", OUT_OF_MEMORY)
@pytest.mark.usefixtures("no_collection")
def test_what_does_not_fit_at_all_is_named_with_what_it_needs(kind):
    with pytest.raises(
        OutOfMemory, match=r"^work ran out of memory: one image at a time .* bfloat16"
    ) as error:
        in_batches(len(ITEMS), holding(0, kind, []), label="work")
    assert NEEDS[kind] in str(error.value)
    assert isinstance(error.value, MemoryError)
    assert error.value.__cause__ is None
    assert error.value.__context__ is None


def test_memory_is_let_go_before_the_next_attempt():
    held = []

    def run(part):
        if part.stop - part.start > 8:
            big = torch.zeros(9)
            held.append(weakref.ref(big))
            raise OUT_OF_MEMORY["gpu"]()
        assert held[0]() is None
        return ITEMS[part]

    assert len(in_batches(16, run, label="work")) == 16
    assert len(held) == 1


def test_other_errors_are_not_ours():
    def broken(part):
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes"):
        in_batches(4, broken, label="work")


@pytest.mark.parametrize("most", [1, 5, 100])
def test_no_batch_is_larger_than_asked_for(most):
    sizes = []
    in_batches(37, holding(100, "cpu", sizes), label="work", most=most)
    assert max(sizes) == min(most, 37)
    assert sum(sizes) == 37


def test_ctrl_c_keeps_what_was_computed_and_says_so():
    def run(part):
        if part.start >= 32:
            raise KeyboardInterrupt
        return ITEMS[part]

    with pytest.warns(RuntimeWarning, match=r"^work was interrupted: the result rests on 32 of 37 steps\.$"):
        found = in_batches(37, run, label="work")
    assert torch.equal(found, ITEMS[:32])


def test_ctrl_c_before_anything_was_computed_goes_on():
    def run(part):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        in_batches(37, run, label="work")


def test_a_bar_shows_the_time_left(monkeypatch, capsys):
    monkeypatch.setattr(batches, "PATIENCE_SECONDS", 0.0)

    def slowly(part):
        time.sleep(0.15)
        return ITEMS[part]

    in_batches(37, slowly, label="work", most=10)
    shown = capsys.readouterr().err
    assert re.search(r"work: .*10/37 \[\d\d:\d\d<\d\d:\d\d", shown)


def test_quick_work_shows_no_bar(capsys):
    in_batches(37, lambda part: ITEMS[part], label="work")
    assert capsys.readouterr().err == ""


def test_work_ends_when_the_rows_so_far_will_do():
    asked = []

    def enough(rows):
        asked.append(len(rows))
        return len(rows) >= 20

    found = in_batches(37, lambda part: ITEMS[part], label="work", most=8, enough=enough)
    assert torch.equal(found, ITEMS[:24])
    assert asked == [8, 16, 24]
