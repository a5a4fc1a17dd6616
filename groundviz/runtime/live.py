"""A borrowed model, and everything that attribution methods read from it."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from groundviz.errors import UnsupportedMethod
from groundviz.record.conversation import Asking, asked_again, described, instead
from groundviz.record.targets import Named, find, rather_than
from groundviz.record.types import Answer, Floats, Grid, Prompt, Provenance, SourceImage, Target
from groundviz.runtime.identity.provenance import describe_run
from groundviz.runtime.inputs.encoded import Cells
from groundviz.runtime.inputs.explainable import Explainable
from groundviz.runtime.inputs.sites import Change, Site, find_site, sites
from groundviz.runtime.loan import guard
from groundviz.runtime.loan.progress import Progress
from groundviz.runtime.loan.steady import steadily
from groundviz.runtime.passes import generate, image_attention, relevancy_passes
from groundviz.runtime.passes.batches import in_batches
from groundviz.runtime.passes.decoding import Decoding
from groundviz.runtime.passes.foils import foil
from groundviz.runtime.passes.forward import Passes, log_probabilities
from groundviz.runtime.passes.nan_check import scores_not_finite, where_not_finite
from groundviz.runtime.passes.prepare import passes_over
from groundviz.runtime.passes.unembedding import Less, Unembedding

T = TypeVar("T")


class Live:
    """The borrowed model during one question: encode, answer, then let methods read it.

    Costs: `answer` is one generation (or one forward pass over a given answer). `attention` is free
    after it. `attention_gradients` is one forward and one backward pass over the answer's tokens on the
    prompt's KV cache. `read` and `scores` are a teacher-forced pass for each batch and distinct foil.
    `gradients` is a forward pass and one backward pass per target.

    Attributes:
        source_images: The images that were encoded.
        prompt: What was asked.
        vlm: The model with its processor.
        progress: Receives what is being done.
        interrupted: Whether Ctrl-C has ended some work early.
    """

    source_images: tuple[SourceImage, ...]
    prompt: Prompt
    interrupted = False

    def __init__(self, vlm: Explainable, loan: guard.Loan, progress: Progress) -> None:
        self.vlm, self._loan, self._started = vlm, loan, time.perf_counter()
        self.progress = progress
        self._parts = vlm.parts()
        self._cells: Mapping[str, Cells] = {}
        self._passes: Passes
        self._cache: Any = None
        self._attention: Tensor | None = None
        self._question: Tensor | None = None
        self._kept: dict[Any, Any] = {}
        self._generation: Mapping[str, Any] = {}

    def steadily(self, work: Callable[[], T]) -> T:
        """The result of `work()`, repeated if another thread changed the weights meanwhile.

        Raises:
            ModelChanged: When the model is given back, if the weights changed each time.
        """
        return steadily(self._loan, work)

    # --- question and answer ---------------------------------------------------------------------

    def encode(self, source_images: SourceImage | Sequence[SourceImage], question: Asking) -> Prompt:
        """Build the prompt as the model's own processor does, and put its tensors on the device.

        Raises:
            PromptError: The question is empty, too long, or contains a control token.
        """
        if isinstance(source_images, SourceImage):
            source_images = (source_images,)
        self.source_images = tuple(source_images)
        encoded = self.vlm.encode(self.source_images, question)
        self.prompt, self._cells = encoded.prompt, encoded.cells
        self._passes = passes_over(self.vlm, self._loan, self._parts, self.source_images, encoded)
        return self.prompt

    def answer(
        self,
        prompt: Prompt,
        *,
        given: str | Sequence[int] | None = None,
        generation: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Generate an answer with the model's own kernel and decoding, or read a given one.

        Attention from question and answer to the image is kept in the same passes.

        Args:
            prompt: What `encode` returned.
            given: An answer to use instead of a generated one, as text or as token ids.
            generation: Settings in place of the model's own, from
                `groundviz.runtime.passes.generation_settings.checked`.

        Raises:
            PromptError: The given answer is empty, or contains a control token.
            OptionError: A setting has no effect, or makes attention or answer unreadable.
            NumericalError: The model's logits are not finite.
        """
        # `asked` counts from the end of the prompt.
        asked = [len(self.prompt.token_ids) + index for index in prompt.asked]
        length = len(self._passes.before_answer)
        if given is not None:
            if isinstance(given, str):
                given = self.vlm.answer_ids(given, after=length)
            answer = self._answered(generate.teacher_forced(self._passes, asked, list(given)), "given")
            self._generation = {}
            return answer
        decoding = Decoding.of(self.vlm.model, generation or {}, length)
        tokenizer = self.vlm.processor.tokenizer
        trace = generate.generated(
            self._passes, asked, decoding, lambda: self.where_not_finite((0,)), tokenizer=tokenizer
        )
        answer = self._answered(trace, "generated")
        self._generation = decoding.recorded()
        return replace(answer, finished=decoding.finished(trace.token_ids, answer.text))

    def ask(self, question: str | None = None, images: Sequence[SourceImage] | None = None) -> Live:
        """The same model with another question, or on as many other images, as a control.

        The question takes the place of the last turn, or of a verbatim prompt.

        Raises:
            PromptError: As in `encode`.
        """
        asked = asked_again(self.prompt)
        if question is not None:
            asked = instead(asked, question)
        other = Live(self.vlm, self._loan, self.progress)
        other.encode(images or self.source_images, asked)
        return other

    def targets(
        self, answer: Answer, named: Named | list[Named] | None, against: str | None
    ) -> tuple[Target, ...]:
        """The parts of the answer to be explained, each perhaps against a foil.

        Args:
            answer: What `answer` returned.
            named: Which parts.
            against: The foil: a text that could stand in their place.

        Raises:
            TargetError: There is no such part, or it cannot be contrasted.
            PromptError: The foil text is empty or contains a control token.
        """
        several = named if isinstance(named, list) else [named]
        found = [find(answer, one, self.prompt) for one in several]
        if against is not None:
            found = [rather_than(target, foil(self.vlm, answer, target, against)) for target in found]
        return tuple({target.scalar: target for target in found}.values())

    # --- attention -------------------------------------------------------------------------------

    def attention(self) -> Floats:
        """Attention from each answer token's predicting row to the image tokens.

        Returns:
            Attention weights, float32 (answer token, layer, head, cell), equal to those of the eager
            kernel; cells in the order of the prompt's grids. Where a resampler summarises the image,
            the weight of each image token is distributed over its cells by attention rollout.
        """
        if not self._inside or self._attention is None:
            raise UnsupportedMethod("There is no attention before the model has answered. Answer first.")
        return self._on_cells(self._attention)

    def question_attention(self) -> Floats:
        """Attention from each token of the question to the image tokens.

        Returns:
            float32 (question token, layer, head, cell), as `attention` gives it, but of each token's own
            row; tokens as in `prompt.asked`. Zero where the image comes after the token and attention
            is causal. No row where the model did not read the prompt token by token.
        """
        if self._question is None:
            return np.zeros((0, *self.attention().shape[1:]), np.float32)
        return self._on_cells(self._question)

    @property
    def attending_layers(self) -> tuple[int, ...]:
        """The decoder layers of `attention`: all, or those with cross-attention to the image."""
        attending = set(self._parts.attending)
        layers = enumerate(self._parts.decoder_layers)
        return tuple(at for at, layer in layers if not attending.isdisjoint(layer.modules()))

    def attention_gradients(self, token_ids: Sequence[int] | None = None) -> tuple[Floats, Floats]:
        """Attention as `attention` gives it, and the gradient of each token's log-probability there.

        The tokens are the answer's unless others are given; they are teacher-forced.

        Returns:
            Two float32 (token, layer, head, cell): attention weights, and nats per unit of weight, of
            each token's own row alone: the row's effect on later tokens is not in it.
        """
        ids = token_ids or self._passes.answer_ids
        weights, gradients = image_attention.own_row_gradients(self._inside, ids, self._cache)
        to_cells = self._resampler_rollout
        if to_cells is not None:
            products = (weights * gradients) @ to_cells
            weights = weights @ to_cells
            # Divided, so that weight times gradient of a cell is its part of the products.
            gradients = products / weights.clamp(min=torch.finfo(weights.dtype).tiny)
        return weights.cpu().numpy(), gradients.cpu().numpy()

    def rollout(self) -> Tensor:
        """Attention rollout from each answer token's predicting row, float32 (token, cell)."""
        return relevancy_passes.rollout(self._inside)

    def relevancy(self, targets: Sequence[Target], **options: Any) -> Tensor:
        """Relevancy of cells for targets, (target, cell); see `relevancy_passes`."""
        return relevancy_passes.relevancy(self._inside, targets, **options)

    # --- the image inside the model ------------------------------------------------------------

    def site(self, name: str) -> Site:
        """A place where the image can be read and changed: "pixels", "vision", "language.3", ...

        Raises:
            UnknownName: The model has no such place; the message lists those it has.
            UnsupportedMethod: The model has the place, but its tensors hold no cells of the image.
        """
        return find_site(self._parts, self._cells, name)

    @property
    def sites(self) -> tuple[Site, ...]:
        """All such places, in the order the image passes them."""
        return sites(self._parts, self._cells)

    def grids(self, site: Site) -> tuple[Grid, ...]:
        """Where the cells of a site lie in the images."""
        return self._cells[site.stage].grids

    def repainted(self, paint: Callable[[Floats], Floats]) -> Tensor:
        """The pixels, as `read` gives them, of changed images: (1, cell, channel).

        `paint` makes a changed image of the same shape, float32 in [0, 1] as in `SourceImage`.
        """
        source_images = [replace(each, pixels=paint(each.pixels)) for each in self.source_images]
        other = self.vlm.encode(source_images, asked_again(self.prompt))
        return passes_over(self.vlm, self._loan, self._parts, source_images, other).image.cells()

    def read(self, site: Site) -> Tensor:
        """The image at a site, (1, cell, channel)."""
        return self.once(site, lambda: self._passes.read(site)[0])

    def read_each(self, *at: Site, pixels: Tensor | None = None) -> list[Tensor]:
        """The image, or another one, at several sites, each as `read` gives it, in one pass."""
        return self._passes.read(*at, pixels=pixels)

    def hidden_states(self, layer: int) -> Tensor:
        """The output of a decoder layer at every token of prompt and answer: (token, channel)."""
        return self._passes.read(Site("language", layer), whole=True)[0][0]

    def unembed(
        self, hidden: Tensor, token_ids: Sequence[int] | None = None, *, less: Less = "nothing"
    ) -> Tensor:
        """Logits (..., token) of hidden states (..., channel) of any layer, as if of the last (logit lens).

        Of the whole vocabulary, or of `token_ids` alone; see `Unembedding.words` for these and `less`.
        """
        self._parts.check_words()
        head = self.once("unembedding", lambda: Unembedding.of(self._passes))
        if token_ids is None:
            return head.logits(hidden)
        return head.words(hidden, token_ids, less=less)

    def scores(
        self,
        targets: Sequence[Target],
        site: Site | None = None,
        values: Tensor | None = None,
        *,
        behind: Mapping[Site, Change] | None = None,
    ) -> Tensor:
        """The scalar of each target, with the image replaced at a site: float32 (batch, target).

        Args:
            targets: What to score.
            site: Where to replace the image; nowhere when None.
            values: The replacement, shaped like `read(site)` with a batch of any size. Gradients
                flow to it where they are enabled.
            behind: What to make of the batch's cells, (batch, cell, channel), at sites behind it.
        """
        later = () if behind is None else (behind,)
        return self._passes.scores(targets, site, values, *later)

    def gradients(self, targets: Sequence[Target], *at: Site) -> list[tuple[Tensor, Tensor]]:
        """The image at some sites, in the order it passes them, and each target's gradient there.

        Returns:
            For each site the values as `read` gives them but without the batch, and float32
            (target, ...) of that shape.

        Raises:
            UnsupportedMethod: The model cannot be differentiated.
        """
        key = (tuple(target.scalar for target in targets), at)
        return self.once(key, lambda: self._passes.gradients(targets, at))

    def in_batches(
        self,
        count: int,
        run: Callable[[slice], Tensor],
        *,
        label: str,
        most: int = 16,
        enough: Callable[[Tensor], bool] | None = None,
    ) -> Tensor:
        """The rows of `run(slice)` for all of range(count), concatenated: (done, ...).

        Batches of at most `most` items are halved when memory runs out; a bar shows the time left. The work
        ends early after Ctrl-C, or when `enough` returns True for the rows so far.

        Raises:
            OutOfMemory: Not even one item fits.
            KeyboardInterrupt: Nothing was computed before the interruption.
        """
        most = most if self._parts.batches else 1
        done = in_batches(count, run, label=label, most=most, progress=self.progress, enough=enough)
        # Work that `enough` ended was not interrupted.
        short = len(done) < count and not (enough and enough(done))
        self.interrupted = self.interrupted or short
        return done

    def stream(self) -> torch.Generator:
        """A random generator that depends on the loan's seed alone, and not on what ran before."""
        return torch.Generator().manual_seed(self._loan.seed)

    @property
    def provenance(self) -> Provenance:
        """What was run, on what, so far."""
        seconds = time.perf_counter() - self._started
        made = describe_run(self.vlm, seed=self._loan.seed, seconds=seconds)
        how = described(self.prompt, str(getattr(self.vlm.processor, "image_token", None) or ""))
        return replace(made, generation=self._generation, sources={**made.sources, **how})

    def where_not_finite(self, token_ids: Sequence[int] | None = None) -> str:
        """A sentence on the first part of the model whose output is not finite; costs one pass."""
        inputs = self._passes.teacher_forced_inputs(token_ids or self._passes.answer_ids)
        return where_not_finite(self._loan, lambda: self.vlm.model(**inputs, use_cache=False))

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """A result that methods and checks share, and leave as it is; kept until the next answer."""
        if key not in self._kept:
            self._kept[key] = make()
        return cast(T, self._kept[key])

    # --- passes ----------------------------------------------------------------------------------

    @property
    def _inside(self) -> Passes:
        """The passes, for readings of attention."""
        self._parts.check_attention()
        return self._passes

    @property
    def _resampler_rollout(self) -> Tensor | None:
        """From image tokens to cells, (image token, cell); None where each image token is a cell."""
        return self.once("resampler rollout", lambda: image_attention.resampler_rollout(self._passes))

    def _on_cells(self, rows: Tensor) -> Floats:
        """Rows (token, layer, head, image token), distributed over the image tokens' cells."""
        weights, to_cells = rows.float(), self._resampler_rollout
        if to_cells is not None:
            weights = weights @ to_cells.to(weights)
        return weights.cpu().numpy()

    def _answered(self, trace: generate.AnswerTrace, source: Any) -> Answer:
        """Keep what methods read of an answer, and return the answer itself."""
        answer_ids = trace.token_ids
        self._passes = replace(self._passes, answer_ids=tuple(answer_ids))
        self._attention, self._question, self._cache = trace.attention, trace.question, trace.cache
        self._kept = {}
        logprobs = log_probabilities(trace.logits, torch.tensor(answer_ids, device=trace.logits.device))
        if not torch.isfinite(logprobs).all():
            raise scores_not_finite(self.where_not_finite(answer_ids))
        text, tokens, offsets = self.vlm.read_answer(answer_ids)
        return Answer(
            text=text,
            token_ids=np.array(answer_ids, dtype=np.int64),
            tokens=tokens,
            offsets=offsets,
            logprobs=logprobs.cpu().numpy(),
            source=source,
        )
