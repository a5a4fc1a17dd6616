"""The logit lens: hidden states of any layer through the model's final norm and output head.

Of a vocabulary of hundreds of thousands of words a few are wanted, so only their rows of the head are
used. What a log-probability needs beyond them, the log-sum-exp over all words, is added up over parts of
the vocabulary that fit a processor's cache. All of this is float32, whatever the model's dtype.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from groundviz.runtime.passes.float32_head import normed, widens
from groundviz.runtime.passes.forward import Passes
from groundviz.runtime.passes.image_attention import bounds_logits

# What is subtracted from a state's logits.
Less = Literal["nothing", "mean", "log-sum-exp"]
# Words and states whose logits are in memory at once: they fit a processor's cache, and rows of the head
# that are read once serve many states.
WORDS_AT_ONCE = 2048
STATES_AT_ONCE = 512
# A head that must be run whole puts out every word, for so many states at once.
STATES_OF_ALL_WORDS = 64


@dataclass(frozen=True, slots=True, eq=False)
class Unembedding:
    """A model's final norm and output head.

    Attributes:
        norm: The final norm.
        head: The output head.
        cap: The bound on logits that the model applies, or None.
    """

    norm: nn.Module
    head: nn.Module
    cap: float | None = None

    @classmethod
    def of(cls, passes: Passes) -> Unembedding:
        """Those of a borrowed model; costs a forward pass where its config names a cap on logits."""
        cap = getattr(passes.model.config.get_text_config(), "final_logit_softcapping", None)
        if not cap or not bounds_logits(passes):
            cap = None
        return cls(passes.parts.final_norm, passes.parts.output_head, cap)

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits of the whole vocabulary, float32 (..., word), as the head computes them."""
        found: Tensor = self.head(self.norm(hidden))
        return self._bounded(found).float()

    def words(self, hidden: Tensor, token_ids: Sequence[int], *, less: Less = "nothing") -> Tensor:
        """Logits of some words, less what all words of the vocabulary have in common: float32 (..., word).

        A word's number does not depend on which others are asked for, to the last bit.

        Args:
            hidden: Hidden states (..., channel).
            token_ids: The words.
            less: Nothing; the mean of all words' logits, both before the model's cap on logits; or their
                log-sum-exp, which gives log-probabilities. The mean costs one look through the head, the
                log-sum-exp the whole head at every state.
        """
        states = hidden.flatten(0, -2)
        read = self._of_rows if self._is_matrix else self._of_whole
        found: Tensor = read(states, list(token_ids), less)
        return found.reshape(*hidden.shape[:-1], len(token_ids)).to(hidden.device)

    @property
    def _is_matrix(self) -> bool:
        """Whether the rows of single words can be used; not if quantised, adapted, hooked or elsewhere."""
        head: Any = self.head
        return type(head) is nn.Linear and not head.weight.is_meta and not head._forward_hooks

    def _of_rows(self, states: Tensor, token_ids: list[int], less: Less) -> Tensor:
        """As `words`, for states (state, channel), from rows of the head's matrix."""
        head: Any = self.head
        weight, bias = head.weight.detach(), head.bias
        wide = self._normed(states).to(weight.device)
        # One product for each word: in a product of all of them, rounding depends on their number.
        columns = [wide @ weight[token].float() for token in token_ids]
        found: Tensor = torch.stack(columns, dim=-1)
        if bias is not None:
            found = found + bias.detach()[token_ids].float()
        if less == "mean":
            sums = [rows.float().sum(dim=0) for rows in weight.split(WORDS_AT_ONCE)]
            common = wide @ (torch.stack(sums).sum(dim=0) / len(weight))
            if bias is not None:
                common = common + bias.detach().float().mean()
            found = found - common[:, None]
            return found
        found = self._bounded(found)
        if less == "nothing":
            return found
        parts = [self._log_sum_exp(part) for part in wide.split(STATES_AT_ONCE)]
        return found - torch.cat(parts)[:, None]

    def _log_sum_exp(self, wide: Tensor) -> Tensor:
        """The log-sum-exp of all words' logits, (state,), of normed states (state, channel)."""
        head: Any = self.head
        weights = head.weight.detach().split(WORDS_AT_ONCE)
        biases: Sequence[Tensor | None] = [None] * len(weights)
        if head.bias is not None:
            biases = [part.float() for part in head.bias.detach().split(WORDS_AT_ONCE)]
        sums = []
        for weight, bias in zip(weights, biases, strict=True):
            logits = self._bounded(linear(wide, weight.float(), bias))
            sums.append(torch.logsumexp(logits, dim=-1))
        return torch.logsumexp(torch.stack(sums), dim=0)

    def _of_whole(self, states: Tensor, token_ids: list[int], less: Less) -> Tensor:
        """As `words`, for states (state, channel), where the head must be run as it is."""
        parts = []
        for part in states.split(STATES_OF_ALL_WORDS):
            logits: Tensor = self.head(self.norm(part)).float()
            if less == "mean":
                found = logits[:, token_ids] - logits.mean(dim=-1, keepdim=True)
            else:
                logits = self._bounded(logits)
                found = logits[:, token_ids]
            if less == "log-sum-exp":
                found = found - torch.logsumexp(logits, dim=-1, keepdim=True)
            parts.append(found)
        return torch.cat(parts)

    def _normed(self, states: Tensor) -> Tensor:
        """Normed states in float32."""
        wide = normed(self.norm, states.float()) if widens(self.head) else None
        if wide is None:
            wide = self.norm(states).float()
        return wide

    def _bounded(self, logits: Tensor) -> Tensor:
        if self.cap is None:
            return logits
        return torch.tanh(logits / self.cap) * self.cap
