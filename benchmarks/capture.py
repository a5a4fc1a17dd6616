"""What reading attention costs: `MALLOC_MMAP_THRESHOLD_=65536 python benchmarks/capture.py [--write]`.

A LLaVA with a Llama of 768 channels, 12 heads on 4 key heads and 12 layers (6 at the largest size),
S prompt tokens, 50 of them the question, 64 answer tokens, random weights, one thread. Ways to run it
take turns in one process; times are CPU time, ratios are to the plain run of the same turn, and their
median is given. "In the tap" is the time that was spent outside the model's own kernel within calls of
attention, over the rest of the run: it is free of the noise of turns. Peak memory is what a process
of its own needed above the model.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.memory import peak_bytes
from benchmarks.report import machine, publish, table
from benchmarks.shapes import QUESTION, Shape, build, smallest
from groundviz import images
from groundviz.runtime.attention.recorder import RowWatch
from groundviz.runtime.attention.relevancy import Relevancy
from groundviz.runtime.attention.row_gradients import OwnRowAttention
from groundviz.runtime.attention.tap import AttentionCall, tapped
from groundviz.runtime.loan import guard
from groundviz.runtime.loan.checkpointing import checkpointed
from groundviz.runtime.passes.kv_cache import cache_of, on_cache, prompt_cache

SHAPES: Mapping[int, Shape] = {
    size: Shape(name=str(size), side=side, width=768, inner=2048, layers=layers, heads=12)
    for size, side, layers in ((500, 21, 12), (1500, 37, 12), (3000, 54, 6))
}
# As small as runs every way: what it comes to says nothing of a real model.
TOY = 60
TOKENS = 64


@dataclass
class Bench:
    """A model with its inputs, and what its runs leave behind.

    Attributes:
        size: Nominal number of prompt tokens.
        inside: Seconds spent in the tap by the latest run.
        stored: Bytes of attention it kept.
    """

    size: int
    inside: float = 0.0
    stored: int = 0
    model: Any = None
    inputs: dict[str, Tensor] = field(default_factory=dict)
    cache: Any = None

    def __post_init__(self) -> None:
        """Build the model; the answer is 64 fixed tokens."""
        vlm = build(SHAPES[self.size] if self.size in SHAPES else smallest(str(self.size)))
        self.model = vlm.model
        source_image = images.load(np.random.default_rng(0).random((96, 96)).astype(np.float32))
        encoded = vlm.encode((source_image,), QUESTION)
        prompt, inputs = encoded.prompt, encoded.inputs
        self.inputs = dict(inputs)
        self.columns = torch.from_numpy(prompt.grids[0].positions)
        self.length = len(prompt.token_ids)
        self.asked = [self.length + index for index in prompt.asked]
        self.token_ids = torch.cat([self.inputs["input_ids"], torch.arange(100, 100 + TOKENS)[None]], dim=1)
        layers = self.model.get_decoder().layers
        self.layers = tuple(layers)
        self.numbers = {layer.self_attn: number for number, layer in enumerate(layers)}

    def whole(self, **options: Any) -> Any:
        """One pass over prompt and answer."""
        inputs = {
            **self.inputs,
            "input_ids": self.token_ids,
            "attention_mask": torch.ones_like(self.token_ids),
        }
        return self.model(**inputs, use_cache=False, logits_to_keep=TOKENS + 1, **options)

    def logprobs(self, logits: Tensor) -> Tensor:
        """Log-probabilities of the answer's tokens, (token,)."""
        answer = self.token_ids[0, self.length :, None]
        return torch.log_softmax(logits[0, :TOKENS].float(), dim=-1).gather(1, answer)[:, 0]

    def prefix(self) -> Any:
        """The prompt's cache, computed once, less the row that predicts the first token."""
        if self.cache is None:
            with torch.no_grad():
                self.cache = cache_of(self.model(**self.inputs, use_cache=True, logits_to_keep=1))
        return prompt_cache(self.cache, self.length - 1)

    @contextmanager
    def timed(self, handler: Callable[[AttentionCall], Any]) -> Iterator[None]:
        """Tap the decoder, and add up the time of attention calls less that of the kernel."""
        kernel = ALL_ATTENTION_FUNCTIONS["sdpa"]
        ALL_ATTENTION_FUNCTIONS["sdpa"] = partial(self._clocked, kernel, -1.0)
        try:
            with tapped(self.numbers, handler):
                entry = ALL_ATTENTION_FUNCTIONS["sdpa"]
                ALL_ATTENTION_FUNCTIONS["sdpa"] = partial(self._clocked, entry, 1.0)
                yield
        finally:
            del ALL_ATTENTION_FUNCTIONS["sdpa"]

    def _clocked(self, function: Callable[..., Any], sign: float, *args: Any, **options: Any) -> Any:
        start = time.process_time()
        output = function(*args, **options)
        self.inside += sign * (time.process_time() - start)
        return output


def generate(bench: Bench, **options: Any) -> Any:
    """Plain generation of the answer."""
    with torch.no_grad():
        return bench.model.generate(**bench.inputs, return_dict_in_generate=True, **options)


def generate_rows(bench: Bench) -> None:
    """Generation that keeps the rows of all layers and heads."""
    watch = RowWatch(bench.columns, start=bench.length - 1, deferred=True, growing=True, question=bench.asked)
    with bench.timed(watch):
        result = generate(bench, output_logits=True)
    start = time.process_time()
    question, rows = watch.question(), watch.stacked(TOKENS)
    bench.inside += time.process_time() - start
    if rows is None or question is None or result.sequences.shape[1] != bench.length + TOKENS:
        raise RuntimeError("The answer did not come token by token.")
    bench.stored = rows.nbytes + question.nbytes


def generate_eager(bench: Bench) -> None:
    """Generation by the eager kernel, which returns its maps."""
    bench.model.set_attn_implementation("eager")
    try:
        steps = generate(bench, output_attentions=True).attentions
        bench.stored = sum(shares.nbytes for step in steps for shares in step)
    finally:
        bench.model.set_attn_implementation("sdpa")


def forward(bench: Bench) -> None:
    """One pass without gradients."""
    with torch.no_grad():
        bench.whole()


def own_rows(bench: Bench) -> None:
    """Attention and its gradient for each answer token, on the prompt's cache."""
    start = bench.length - 1
    handler = OwnRowAttention(
        columns=bench.columns,
        length=bench.length + TOKENS - 1,
        count=TOKENS,
        kept=list(bench.numbers.values()),
    )
    with guard.borrow(bench.model), tapped(bench.numbers, handler):
        output = bench.model(
            input_ids=bench.token_ids[:, start:-1],
            attention_mask=torch.ones_like(bench.token_ids[:, :-1]),
            use_cache=True,
            **on_cache(bench.model, bench.prefix()),
        )
        handler.gradients(bench.logprobs(output.logits))


def relevancy(bench: Bench, *, twice: bool = False) -> None:
    """Streamed relevancy of the whole answer."""
    handler = Relevancy()
    with guard.borrow(bench.model) as loan, checkpointed(loan, bench.layers if twice else ()):
        with tapped(bench.numbers, handler):
            scalar = bench.logprobs(bench.whole().logits).sum()
            handler.of(scalar, {"text": starting_rows(bench)})


def checkpointed_relevancy(bench: Bench) -> None:
    """The same with each layer computed a second time."""
    relevancy(bench, twice=True)


def dense_relevancy(bench: Bench) -> None:
    """The same from the eager kernel's maps and autograd's gradients of them."""
    bench.model.set_attn_implementation("eager")
    try:
        with guard.borrow(bench.model):
            embedded = bench.model.get_input_embeddings()
            handle = embedded.register_forward_hook(lambda *args: args[-1].requires_grad_())
            output = bench.whole(output_attentions=True)
            handle.remove()
            maps = output.attentions
            gradients = torch.autograd.grad(bench.logprobs(output.logits).sum(), maps)
            held = starting_rows(bench)
            for shares, gradient in zip(reversed(maps), reversed(gradients), strict=True):
                held = held + held @ (shares * gradient).clamp(min=0)[0].mean(0)
    finally:
        bench.model.set_attn_implementation("sdpa")


def starting_rows(bench: Bench) -> Tensor:
    """Ones at the rows that predict the answer, (1, token)."""
    start = torch.zeros(1, bench.token_ids.shape[1])
    start[0, bench.length - 1 : -1] = 1.0
    return start


Way = Callable[[Bench], Any]
GENERATING: Mapping[str, Way] = {
    "`generate`": generate,
    "`generate`, rows of all layers and heads kept": generate_rows,
    "`generate`, eager with `output_attentions`": generate_eager,
}
PASSES: Mapping[str, Way] = {
    "one forward pass": forward,
    "gradients of 64 answer rows, on the prompt's cache": own_rows,
    "relevancy, streamed": relevancy,
    "relevancy, streamed and checkpointed": checkpointed_relevancy,
    "relevancy from eager maps": dense_relevancy,
}
WAYS = {**GENERATING, **PASSES}


def times(size: int, ways: Mapping[str, Way], turns: int) -> dict[str, tuple[float, float, float]]:
    """By way: median seconds, median ratio to the first way, median share of time in the tap."""
    bench = Bench(size)
    bench.prefix()
    generate(bench, max_new_tokens=2, min_new_tokens=2)
    seen: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ways}
    for _ in range(turns):
        plain = 0.0
        for name, way in ways.items():
            bench.inside, start = 0.0, time.process_time()
            way(bench)
            took = time.process_time() - start
            plain = plain or took
            seen[name].append((took, took / plain, bench.inside / (took - bench.inside)))
    return {name: tuple(map(statistics.median, zip(*each, strict=True))) for name, each in seen.items()}  # type: ignore[misc]


def peak(size: int, name: str) -> tuple[float, float]:
    """Peak and stored megabytes of one way, in this process."""
    bench = Bench(size)
    if name == list(PASSES)[1]:
        bench.prefix()
    generate(bench, max_new_tokens=2, min_new_tokens=2)
    with peak_bytes() as found:
        WAYS[name](bench)
    return found.megabytes, bench.stored / 2**20


def print_peaks(size: int) -> None:
    """Print one line for each way, measured in a child of this process that did nothing before."""
    for name in WAYS:
        child = os.fork()
        if not child:
            print_peak(size, name)
        if os.waitpid(child, 0)[1]:
            raise RuntimeError(f"{name}: its process failed.")


def print_peak(size: int, name: str) -> NoReturn:
    """Print one way's peak and end the process."""
    try:
        sys.stdout.write("{} {}\n".format(*peak(size, name)))
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def peaks_apart(size: int) -> dict[str, tuple[float, float]]:
    """Peak and stored megabytes by way, each in a process of its own."""
    command = [sys.executable, __file__, "--sizes", str(size), "--peaks"]
    surroundings = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=surroundings, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
    found = [tuple(map(float, line.split())) for line in done.stdout.splitlines()]
    return dict(zip(WAYS, found, strict=True))  # type: ignore[arg-type]


def measured(sizes: list[int], turns: int) -> Iterator[list[str]]:
    """The rows of the table."""
    for size in sizes:
        peaks = peaks_apart(size)
        for ways in (GENERATING, PASSES):
            found = times(size, ways, turns)
            for name, (seconds, ratio, inside) in found.items():
                megabytes, stored = peaks[name]
                sys.stderr.write(f"{size}: {name} measured\n")
                yield [
                    str(size),
                    name,
                    f"{seconds:.2f}",
                    f"{ratio:.2f}",
                    f"+{100 * inside:.1f} %" if inside else "",
                    f"{megabytes:.0f}",
                    f"{stored:.0f}" if stored else "",
                ]


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table; with --write put it into the docs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SHAPES), choices=[TOY, *SHAPES])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--peaks", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--toy", action="store_true", help="the smallest model, once, to try the code")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    if options.peaks:
        print_peaks(options.sizes[0])
        return
    sizes, turns = ([TOY], 1) if options.toy else (options.sizes, options.turns)
    head = ["S", "run", "CPU s", "ratio", "in the tap", "peak MB", "of it kept"]
    text = f"{machine()}\n\n{table(head, measured(sizes, turns))}"
    publish("capture", text, write=options.write)


if __name__ == "__main__":
    main()
