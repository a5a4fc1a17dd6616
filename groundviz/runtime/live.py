"""A model on loan, and everything a method may ask of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from groundviz.errors import NumericalError, UnsupportedMethod
from groundviz.runtime import guard
from groundviz.runtime.attention_tap import release, tapped
from groundviz.runtime.caches import keeps_keys, prompt_cache
from groundviz.runtime.own_row import OwnRowAttention
from groundviz.runtime.provenance import describe_run
from groundviz.runtime.row_watch import RowWatch
from groundviz.types import Answer, Floats, Prompt, Provenance, Study


class Lendable(Protocol):
    """What the runtime needs to know of a model and its processor."""

    @property
    def model(self) -> Any:
        """The transformers module."""

    @property
    def name(self) -> str:
        """A public name, never a path."""

    @property
    def revision(self) -> str | None:
        """Hub revision."""

    @property
    def family_name(self) -> str:
        """Name of the model family."""

    def encode(self, study: Study, question: str) -> tuple[Prompt, Mapping[str, Tensor]]:
        """The prompt and the keyword tensors of the model's forward."""

    def read_answer(self, token_ids: Sequence[int]) -> tuple[str, tuple[str, ...], np.ndarray]:
        """The text of answer tokens, each token as text, and each token's characters (T, 2)."""

    def answer_ids(self, text: str) -> list[int]:
        """The tokens of an answer the model is to be given."""

    def decoder_attention(self) -> tuple[nn.Module, ...]:
        """The decoder's self-attention modules, first layer first."""


def borrow(vlm: Lendable, *, seed: int = 0) -> AbstractContextManager[Live]:
    """Lend the model of `vlm`: it comes back bit-identical, whatever happens inside.

    Raises:
        ModelBusy: On entry, when this thread is already explaining with the model.
    """

    def hand_out(loan: guard.Loan) -> Live:
        loan.on_return(lambda: release(vlm.decoder_attention()))
        return Live(vlm, seed)

    # Not a generator of our own: a Ctrl-C inside one would leave the model lent.
    return guard.borrow(vlm.model, seed=seed, hand_out=hand_out)


class Live:
    """The lent model, one question long: encode, answer, then let methods read it.

    Costs: `answer` is one generation (or one forward pass over a given answer); `attention` is
    free after it; `attention_gradients` is one forward and one backward pass over the answer's
    tokens on the prompt's cache.
    """

    def __init__(self, vlm: Lendable, seed: int) -> None:
        self._vlm, self._seed, self._started = vlm, seed, time.perf_counter()
        self._inputs: dict[str, Tensor] = {}
        self._ids = self._columns = torch.empty(0, dtype=torch.long)
        self._prompt_length = 0
        self._cache: Any = None
        self._attention: Tensor | None = None

    def encode(self, study: Study, question: str) -> Prompt:
        """Build the prompt as the model's own processor does, and put its tensors on the device.

        Raises:
            PromptError: The question is empty, too long, or smuggles in a control token.
        """
        prompt, inputs = self._vlm.encode(study, question)
        model = self._vlm.model
        self._inputs = on_device(model, inputs)
        self._prompt_length = len(prompt.token_ids)
        held = [grid.positions[grid.positions >= 0] for grid in prompt.grids]
        self._columns = torch.from_numpy(np.concatenate(held)).to(model.device)
        return prompt

    def answer(self, prompt: Prompt, *, given: str | None = None) -> Answer:
        """Let the model answer with its own kernel and decoding, or make it say `given`.

        Attention from the answer to the image is kept on the way.

        Raises:
            PromptError: The given answer is empty, or contains a control token.
            NumericalError: The model's scores are not finite.
        """
        if given is None:
            answer_ids, logits, rows = self._generate()
        else:
            answer_ids = self._vlm.answer_ids(given)
            logits, rows = self._read(answer_ids)
        self._ids = torch.cat([self._inputs["input_ids"][0], torch.tensor(answer_ids, device=logits.device)])
        if rows is None:
            # Decoding did not go one token at a time; one pass over the answer gives the same rows.
            logits, rows = self._read(answer_ids)
        self._attention = rows
        return self._written(answer_ids, logits, "generated" if given is None else "given")

    def attention(self) -> Floats:
        """Attention from each answer token's predicting row to the image tokens.

        Returns:
            float32 (answer token, layer, head, image token), shares of each row's attention.
            Image tokens are in the order of the prompt's grids. Equal to eager attention's rows.
        """
        if self._attention is None:
            raise UnsupportedMethod(
                "There is no attention to read before the model has answered. Answer first."
            )
        return np.asarray(self._attention.cpu().numpy(), dtype=np.float32)

    def attention_gradients(self) -> tuple[Floats, Floats]:
        """Attention as `attention` gives it, and how each token's log-probability changes with it.

        Returns:
            Two float32 (answer token, layer, head, image token): the shares, and nats per share.
            A token's gradient is through its own row alone; what it did to later tokens is not in it.
        """
        start, length = self._prompt_length - 1, len(self._ids)
        handler = OwnRowAttention(self._columns, length - 1)
        with torch.enable_grad(), self._tap(handler):
            output = self._vlm.model(
                input_ids=self._ids[None, start : length - 1],
                attention_mask=torch.ones_like(self._ids[None, : length - 1]),
                past_key_values=self._prefix(start),
                use_cache=True,
            )
            shares, slopes = handler.gradients(_chosen(output.logits[0], self._ids[start + 1 :]))
        return shares.cpu().numpy(), slopes.cpu().numpy()

    @property
    def provenance(self) -> Provenance:
        """What was run, on what, so far."""
        return describe_run(self._vlm, seed=self._seed, seconds=time.perf_counter() - self._started)

    def _generate(self) -> tuple[list[int], Tensor, Tensor | None]:
        """Token ids, raw logits (token, vocabulary), and attention rows if they came one by one."""
        watch = RowWatch(self._columns, deferred=keeps_keys(self._vlm.model.generation_config))
        with torch.no_grad(), self._tap(watch):
            result = self._vlm.model.generate(
                **self._inputs, return_dict_in_generate=True, output_logits=True
            )
        self._cache = result.past_key_values
        answer_ids = result.sequences[0, self._prompt_length :].tolist()
        logits = torch.stack([step[0] for step in result.logits])[: len(answer_ids)].float()
        return answer_ids, logits, watch.stacked(len(answer_ids))

    def _read(self, answer_ids: list[int]) -> tuple[Tensor, Tensor | None]:
        """Teacher-forced: logits (token, vocabulary) and attention rows of a given answer."""
        tail = torch.tensor([answer_ids], device=self._columns.device)
        inputs = dict(self._inputs)
        inputs["input_ids"] = torch.cat([inputs["input_ids"], tail], dim=1)
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        start, count = self._prompt_length - 1, len(answer_ids)
        watch = RowWatch(self._columns, rows=slice(start, start + count))
        with torch.no_grad(), self._tap(watch):
            output = self._vlm.model(**inputs, use_cache=True)
        self._cache = output.past_key_values
        return output.logits[0, start : start + count].float(), watch.stacked(count)

    def _tap(self, handler: Any) -> Any:
        modules = self._vlm.decoder_attention()
        return tapped({module: number for number, module in enumerate(modules)}, handler)

    def _prefix(self, length: int) -> Any:
        """A cache of the first `length` prompt tokens that may be written to."""
        cached = prompt_cache(self._cache, length)
        if cached is not None:
            return cached
        inputs = {**self._inputs, "input_ids": self._inputs["input_ids"][:, :length]}
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        with torch.no_grad():
            return self._vlm.model(**inputs, use_cache=True).past_key_values

    def _written(self, answer_ids: list[int], logits: Tensor, source: Any) -> Answer:
        chosen = _chosen(logits, torch.tensor(answer_ids, device=logits.device))
        if not torch.isfinite(chosen).all():
            raise NumericalError(
                "The model's scores are not finite: at least one answer token has log-probability NaN or "
                "infinity. Check its weights, or load it in bfloat16 or float32."
            )
        text, tokens, offsets = self._vlm.read_answer(answer_ids)
        return Answer(
            text=text,
            token_ids=np.array(answer_ids, dtype=np.int64),
            tokens=tokens,
            offsets=offsets,
            logprobs=chosen.cpu().numpy(),
            source=source,
        )


def on_device(model: Any, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Inputs where the model is, pictures in its dtype."""
    return {
        name: tensor.to(model.device, model.dtype if tensor.is_floating_point() else None)
        for name, tensor in inputs.items()
    }


def _chosen(logits: Tensor, token_ids: Tensor) -> Tensor:
    """Log-probabilities of the given tokens, float32 (token,)."""
    return torch.log_softmax(logits.float(), dim=-1).gather(-1, token_ids[:, None])[:, 0]
