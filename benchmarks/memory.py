"""Peak memory of a stretch of work, above what was held when it began."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass
class Peak:
    """Filled when the stretch ends."""

    megabytes: float = float("nan")


@contextmanager
def peak_bytes(device: str = "cpu") -> Iterator[Peak]:
    """Measure what the block needs at most. On a CPU Linux's own high-water mark is reset and read.

    Run with MALLOC_MMAP_THRESHOLD_=65536, or fragments of the allocator count as memory in use.
    """
    gc.collect()
    peak = Peak()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        yield peak
        peak.megabytes = (torch.cuda.max_memory_allocated() - before) / 2**20
        return
    _give_back()
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    yield peak
    peak.megabytes = (_status("VmHWM") - before) / 2**10


def _give_back() -> None:
    """Have the allocator return what nobody uses: a block that found room there would need nothing."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:  # glibc's; other allocators have no such call.
        trim(0)


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))
