"""A model on loan, and everything a method may ask of it."""

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
from groundviz.runtime.inputs.explainable import Lendable
from groundviz.runtime.inputs.sites import Site, find_site, sites
from groundviz.runtime.loan import guard
from groundviz.runtime.loan.progress import Progress
from groundviz.runtime.passes import generate, image_attention, relevancy_passes
from groundviz.runtime.passes.batches import in_batches
from groundviz.runtime.passes.decoding import Decoding
from groundviz.runtime.passes.foils import foil
from groundviz.runtime.passes.forward import Passes, log_probabilities
from groundviz.runtime.passes.nan_check import scores_not_finite, where_not_finite
from groundviz.runtime.passes.prepare import passes_over

T = TypeVar("T")
ATTEMPTS = 3


class Live:
    """The lent model, one question long: encode, answer, then let methods read it.

    Costs: `answer` is one generation (or one forward pass over a given answer); `attention` is
    free after it; `attention_gradients` is one forward and one backward pass over the answer's
    tokens on the prompt's cache; `read` and `scores` are a forward pass over prompt and answer for
    each batch and distinct foil; `gradients` is a forward pass and one backward pass per target.

    Attributes:
        source_images: The images that were encoded.
        prompt: What was asked.
        vlm: The model with its processor.
        progress: Told what is being done.
        interrupted: Whether Ctrl-C has ended some work early.
    """

    source_images: tuple[SourceImage, ...]
    prompt: Prompt
    interrupted = False

    def __init__(self, vlm: Lendable, loan: guard.Loan, progress: Progress) -> None:
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
        """What `work()` returns; done again, with the same random numbers, if the model was being trained.

        A training step that is under way when the model is borrowed changes the weights once more, and may
        make a pass fail; the next step waits. So the second time is as a rule the last.

        Raises:
            ModelChanged: When the model is given back, if the weights never stood still.
        """
        for _ in range(ATTEMPTS - 1):
            try:
                found = work()
            except Exception:
                if not self._loan.disturbed:
                    raise
            else:
                if not self._loan.disturbed:
                    return found
            self._loan.start_again()
        return work()

    # --- question and answer ---------------------------------------------------------------------

    def encode(self, source_images: SourceImage | Sequence[SourceImage], question: Asking) -> Prompt:
        """Build the prompt as the model's own processor does, and put its tensors on the device.

        Raises:
            PromptError: The question is empty, too long, or smuggles in a control token.
        """
        self.source_images = (
            (source_images,) if isinstance(source_images, SourceImage) else tuple(source_images)
        )
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
        """Let the model answer with its own kernel and decoding, or make it say `given`.

        Attention from question and answer to the image is kept on the way.

        Args:
            prompt: What `encode` returned.
            given: An answer to make it say, as text or as token ids.
            generation: Settings in place of the model's own, from
                `groundviz.runtime.passes.generation_settings.checked`.

        Raises:
            PromptError: The given answer is empty, or contains a control token.
            OptionError: The settings do nothing, or break what is read beside the answer.
            NumericalError: The model's scores are not finite.
        """
        asked = [self._prompt_length + index for index in prompt.asked]
        decoding = None
        if given is None:
            decoding = Decoding.of(self.vlm.model, generation or {}, self._prompt_length)
            words, broken = self.vlm.processor.tokenizer, lambda: self.where_not_finite((0,))
            said = generate.generated(self._passes, asked, decoding, broken, tokenizer=words)
        else:
            after = self._prompt_length
            ids = self.vlm.answer_ids(given, after=after) if isinstance(given, str) else list(given)
            said = generate.given(self._passes, asked, ids)
        self._passes = replace(self._passes, answer_ids=tuple(said.token_ids))
        self._attention, self._question, self._cache = said.attention, said.question, said.cache
        self._kept = {}
        answer = self._written(said.token_ids, said.logits, "generated" if given is None else "given")
        self._generation = {} if decoding is None else decoding.told()
        if decoding is None:
            return answer
        return replace(answer, finished=decoding.finished(said.token_ids, answer.text))

    def ask(self, question: str) -> Live:
        """The same model on the same image under another question, as a control.

        What was said before the question stays; a verbatim prompt gives way to the question in the
        model's own template.

        Raises:
            PromptError: As in `encode`.
        """
        other = Live(self.vlm, self._loan, self.progress)
        other.encode(self.source_images, instead(asked_again(self.prompt), question))
        return other

    def targets(
        self, answer: Answer, named: Named | list[Named] | None, against: str | None
    ) -> tuple[Target, ...]:
        """The parts of the answer to be explained, perhaps rather than a text in their place.

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
            float32 (answer token, layer, head, cell), shares of each row's attention, cells in the
            order of the prompt's grids. Equal to eager attention's rows. Where image tokens
            summarise the image, what each of them draws is handed on to the cells that it came
            from, by attention rollout through the resampler.
        """
        if not self._inside or self._attention is None:
            raise UnsupportedMethod(
                "There is no attention to read before the model has answered. Answer first."
            )
        return self._on_cells(self._attention)

    def question_attention(self) -> Floats:
        """Attention from each token of the question to the image tokens, when the model read that token.

        Returns:
            float32 (question token, layer, head, cell), as `attention` gives it, but of each token's own
            row; tokens as in `prompt.asked`. Zero where the image comes later and the model reads in
            one direction. No token at all where the model did not read the prompt token by token.
        """
        if self._question is None:
            return np.zeros((0, *self.attention().shape[1:]), np.float32)
        return self._on_cells(self._question)

    @property
    def looking_layers(self) -> tuple[int, ...]:
        """The decoder layers that `attention` is about: all, or those with cross-attention."""
        modules = enumerate(self._parts.decoder_attention)
        return tuple(layer for layer, module in modules if module in self._parts.looking)

    def attention_gradients(self, token_ids: Sequence[int] | None = None) -> tuple[Floats, Floats]:
        """Attention as `attention` gives it, and how each token's log-probability changes with it.

        Args:
            token_ids: What the model is made to say; its answer when None.

        Returns:
            Two float32 (token, layer, head, cell): the shares, and nats per share.
            A token's gradient is through its own row alone; what it did to later tokens is not in it.
        """
        ids = token_ids or self._passes.answer_ids
        shares, gradients = image_attention.own_gradients(self._inside, ids, self._cache)
        if self._handed_on is not None:
            drawn = shares @ self._handed_on
            # So that share times gradient is what the image tokens' products hand on.
            gradients = ((shares * gradients) @ self._handed_on) / drawn.clamp(
                min=torch.finfo(drawn.dtype).tiny
            )
            shares = drawn
        return shares.cpu().numpy(), gradients.cpu().numpy()

    def rollout(self) -> Tensor:
        """Attention rollout from each answer token's predicting row, float32 (token, cell)."""
        return relevancy_passes.rollout(self._inside)

    def relevancy(self, targets: Sequence[Target], **options: Any) -> Tensor:
        """Relevancy of cells for targets, (target, cell); see `descent.relevancy`."""
        return relevancy_passes.relevancy(self._inside, targets, **options)

    # --- the image inside the model ------------------------------------------------------------

    def site(self, name: str) -> Site:
        """A place where the image can be read and changed: "pixels", "vision", "language.3", ...

        Raises:
            UnknownName: The model has no such place; the message lists those it has.
            UnsupportedMethod: It has, but its tensors hold no cells of the image.
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
        """The images changed, as they read at the pixels: (1, cell, channel).

        Args:
            paint: Makes another image of the same shape of one, float32 in [0, 1] as in `SourceImage`.
        """
        source_images = [
            replace(source_image, pixels=paint(source_image.pixels)) for source_image in self.source_images
        ]
        other = self.vlm.encode(source_images, asked_again(self.prompt))
        return passes_over(self.vlm, self._loan, self._parts, source_images, other).image.cells()

    def read(self, site: Site) -> Tensor:
        """The image at a site, (1, cell, channel)."""
        return self._once(site, lambda: self._passes.read(site)[0])

    def read_each(self, *at: Site, pixels: Tensor | None = None) -> list[Tensor]:
        """The image, or another one, at several sites, each as `read` gives it, in one pass."""
        return self._passes.read(*at, pixels=pixels)

    def hidden_states(self, layer: int) -> Tensor:
        """What a decoder layer put out at every token of prompt and answer: (token, channel)."""
        return self._passes.read(Site("language", layer), whole=True)[0][0]

    def unembed(self, hidden: Tensor, token_ids: Sequence[int] | None = None) -> Tensor:
        """Logits (..., token) that hidden states (..., channel) would give as last ones; all if None."""
        logits: Tensor = self._parts.output_head(self._parts.final_norm(hidden))
        cap = getattr(self.vlm.model.config.get_text_config(), "final_logit_softcapping", None)
        if cap and self._once("bounded", lambda: image_attention.bounds_logits(self._inside)):
            logits = torch.tanh(logits / cap) * cap
        return (logits if token_ids is None else logits[..., list(token_ids)]).float()

    def scores(
        self, targets: Sequence[Target], site: Site | None = None, values: Tensor | None = None
    ) -> Tensor:
        """The scalar of each target, with other values put in at a site: float32 (batch, target).

        Args:
            targets: What to score.
            site: Where to change the image.
            values: What to put there, shaped like `read(site)` with a batch of any size. Gradients
                flow to it where they are enabled.
        """
        return self._passes.scores(targets, site, values)

    def gradients(self, targets: Sequence[Target], *at: Site) -> list[tuple[Tensor, Tensor]]:
        """The image at some sites, and how each target's scalar changes with it.

        Args:
            targets: What to differentiate.
            at: Sites, in the order the image passes them.

        Returns:
            For each site the values as `read` gives them but without the batch, and float32
            (target, ...) of that shape.

        Raises:
            UnsupportedMethod: The model cannot be differentiated.
        """
        key = (tuple(target.scalar for target in targets), at)
        return self._once(key, lambda: self._passes.gradients(targets, at))

    def in_batches(
        self,
        count: int,
        run: Callable[[slice], Tensor],
        *,
        label: str,
        most: int = 16,
        enough: Callable[[Tensor], bool] | None = None,
    ) -> Tensor:
        """The rows of `run(slice)` for all of range(count), put together: (done, ...).

        Batches of at most `most` are halved when memory runs out. Ctrl-C ends the work early and keeps
        what was computed, so fewer than `count` rows may come; a bar shows the time left. So does
        `enough`, which is asked after each batch whether the rows so far will do.

        Raises:
            OutOfMemory: Not even one item fits.
            KeyboardInterrupt: Nothing was computed before the interruption.
        """
        done = in_batches(count, run, label=label, most=most, progress=self.progress, enough=enough)
        # Work that was ended because it will do was not interrupted.
        short = len(done) < count and not (enough and enough(done))
        self.interrupted = self.interrupted or short
        return done

    def stream(self) -> torch.Generator:
        """Random numbers that depend on the loan's seed alone, whatever ran before."""
        return torch.Generator().manual_seed(self._loan.seed)

    @property
    def provenance(self) -> Provenance:
        """What was run, on what, so far."""
        seconds = time.perf_counter() - self._started
        made = describe_run(self.vlm, seed=self._loan.seed, seconds=seconds)
        how = described(self.prompt, str(self.vlm.processor.image_token))
        return replace(made, generation=self._generation, sources={**made.sources, **how})

    def where_not_finite(self, token_ids: Sequence[int] | None = None) -> str:
        """A sentence on the first part of the model that does not put out finite numbers; one pass."""
        inputs = self._passes.saying(token_ids or self._passes.answer_ids)
        return where_not_finite(self._loan, lambda: self.vlm.model(**inputs, use_cache=False))

    def _once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What methods share: made at the first request, kept until the next answer."""
        if key not in self._kept:
            self._kept[key] = make()
        return cast(T, self._kept[key])

    # --- passes ----------------------------------------------------------------------------------

    @property
    def _inside(self) -> Passes:
        """The passes of a model whose modules are known."""
        if self._parts.unknown:
            raise UnsupportedMethod(self._parts.unknown, lacks="modules")
        return self._passes

    @property
    def _prompt_length(self) -> int:
        return len(self.prompt.token_ids)

    @property
    def _handed_on(self) -> Tensor | None:
        """Where image tokens summarise the image: (image token, cell)."""
        return self._once("handed on", lambda: image_attention.handed_on(self._passes))

    def _on_cells(self, rows: Tensor) -> Floats:
        """Rows (token, layer, head, image token), on the cells that the image tokens came from."""
        shares, handed = rows.float(), self._handed_on
        return (shares if handed is None else shares @ handed.to(shares)).cpu().numpy()

    def _written(self, answer_ids: list[int], logits: Tensor, source: Any) -> Answer:
        chosen = log_probabilities(logits, torch.tensor(answer_ids, device=logits.device))
        if not torch.isfinite(chosen).all():
            raise scores_not_finite(self.where_not_finite(answer_ids))
        text, tokens, offsets = self.vlm.read_answer(answer_ids)
        return Answer(
            text=text,
            token_ids=np.array(answer_ids, dtype=np.int64),
            tokens=tokens,
            offsets=offsets,
            logprobs=chosen.cpu().numpy(),
            source=source,
        )
