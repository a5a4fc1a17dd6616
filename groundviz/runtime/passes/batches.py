"""Long work in batches, which are halved when memory runs out; an interruption keeps finished batches."""

from __future__ import annotations

import gc
import re
import warnings
from collections.abc import Callable

import torch
from torch import Tensor
from tqdm.auto import tqdm

from groundviz.errors import OutOfMemory
from groundviz.runtime.loan.progress import UNHEARD, Progress

PATIENCE_SECONDS = 2.0
FIRST_BATCH = 16
_WANTED = re.compile(r"tried to allocate ([\d.]+ \w+)", re.IGNORECASE)


def in_batches(
    count: int,
    run: Callable[[slice], Tensor],
    *,
    label: str,
    most: int = FIRST_BATCH,
    progress: Progress = UNHEARD,
    enough: Callable[[Tensor], bool] | None = None,
) -> Tensor:
    """The rows of `run(slice)` for all of range(count), concatenated: (done, ...).

    Whenever memory runs out, the batch is halved and run again. Ctrl-C ends the work early: the finished
    batches are returned, with a warning, so there may be fewer than `count` rows. A bar with the time left
    is shown after two seconds, unless `progress` has a listener.

    Args:
        count: How many items there are.
        run: Computes some of them; row i of its result belongs to item i of the slice.
        label: Name of the work.
        most: Size of the first batch.
        progress: Receives before each batch how many items are done, in place of the bar.
        enough: Called after each batch with the rows so far; where it returns True, the work ends.

    Raises:
        OutOfMemory: Not even one item fits; the message says how much memory was last asked for.
        KeyboardInterrupt: Nothing was computed before the interruption.

    >>> in_batches(3, lambda part: torch.arange(3)[part] * 2, label="doubling").tolist()
    [0, 2, 4]
    """
    done: list[Tensor] = []
    start, size = 0, min(most, count)
    with tqdm(total=count, desc=label, delay=PATIENCE_SECONDS, leave=False, disable=progress.heard) as bar:
        try:
            while start < count:
                progress.at(label, start, count)
                part = slice(start, min(start + size, count))
                result = _attempt(run, part)
                if isinstance(result, str):
                    size = _halved(size, label, result)
                    continue
                done.append(result)
                bar.update(part.stop - start)
                start = part.stop
                if enough is not None and enough(torch.cat(done)):
                    break
        except KeyboardInterrupt:
            if not done:
                raise
            warnings.warn(
                f"{label} was interrupted: the result rests on {start} of {count} steps.",
                RuntimeWarning,
                stacklevel=2,
            )
    return torch.cat(done)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    # On a CPU torch has no class for it.
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def _attempt(run: Callable[[slice], Tensor], part: slice) -> Tensor | str:
    """The rows; or, when memory ran out, a sentence on how much was asked for, or ""."""
    try:
        return run(part)
    except (MemoryError, RuntimeError) as error:
        if not (isinstance(error, MemoryError) or is_out_of_memory(error)):
            raise
        wanted = _WANTED.search(str(error))
    # Outside the handler: the error refers to frames that refer to the tensors.
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if wanted is None:
        return ""
    return f" Its last request was for {wanted[1]}."


def _halved(size: int, label: str, wanted: str) -> int:
    if size == 1:
        raise OutOfMemory(
            f"{label} ran out of memory: one image at a time does not fit beside the model.{wanted} "
            "Free memory, load the model in bfloat16, or use a method that needs less."
        )
    return size // 2
