"""How a model decodes: its own settings with what the user chose, and what is to be said of them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from groundviz.errors import GroundvizError, OptionError
from groundviz.runtime.passes.generation_settings import BEAMS, SAMPLING, SETTINGS, check_together

# How many tokens transformers generates where nothing is said.
USUAL_LENGTH = 20
# What says nothing of how tokens are chosen, or is told as max_new_tokens.
_UNTOLD = ("max_length", "max_new_tokens", "eos_token_id", "pad_token_id", "use_cache")
# What these are where they do nothing; others then are None.
_IDLE = {
    "do_sample": False,
    "num_beams": 1,
    "repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "min_length": 0,
    "typical_p": 1.0,
    "epsilon_cutoff": 0.0,
    "eta_cutoff": 0.0,
    "length_penalty": 1.0,
    "early_stopping": False,
    "renormalize_logits": False,
    "remove_invalid_values": False,
}
_USUAL_WHEN_SAMPLING = {"temperature": 1.0, "top_k": 50, "top_p": 1.0}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decoding:
    """One generation's settings.

    Attributes:
        options: For the model's `generate`, beside its inputs.
        config: The model's own settings with what the user set.
        used: The same by name.
        chosen: What the user set.
        limit: The most tokens the answer can have.
    """

    options: Mapping[str, Any]
    config: Any
    used: Mapping[str, Any]
    chosen: Mapping[str, Any]
    limit: int

    @classmethod
    def of(cls, model: Any, chosen: Mapping[str, Any], length: int) -> Decoding:
        """What `model` will do behind a prompt of `length` tokens.

        Raises:
            OptionError: A setting does nothing, leaves no room for a token, or cannot be read beside.
        """
        own = copy.deepcopy(_owner(model).generation_config)
        options = dict(chosen)
        most = options.pop("max_length", None)
        if most is not None:
            options["max_new_tokens"] = most - length
            if most <= length:
                raise OptionError(
                    f"The generation setting max_length is {most}, and the prompt has {length} tokens "
                    "already. Set max_new_tokens, which counts the answer alone."
                )
        room = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        if room is not None and options.get("max_new_tokens") is not None:
            options["max_new_tokens"] = min(options["max_new_tokens"], max(1, room - length))
        used = {**own.to_dict(), **options}
        check_together(chosen, used)
        own.update(**options)
        if (used.get("num_return_sequences") or 1) > 1:
            options["num_return_sequences"] = 1
        limit = _limit(used, length)
        if limit < 1:
            raise OptionError(
                f"The model's own generation settings leave no room for an answer: max_length is "
                f"{used['max_length']}, and the prompt has {length} tokens. "
                "Give generation={'max_new_tokens': 64}."
            )
        least = used.get("min_new_tokens") or 0
        if least > limit:
            raise OptionError(
                f"The generation setting min_new_tokens is {least}, and an answer has at most {limit} "
                "tokens. Set max_new_tokens to at least as many."
            )
        return cls(options=options, config=own, used=used, chosen=chosen, limit=limit)

    @property
    def one_by_one(self) -> bool:
        """Whether it goes along one path, each pass reading one token more."""
        return (self.used.get("num_beams") or 1) == 1 and self.used.get("use_cache") is not False

    @property
    def stop_strings(self) -> tuple[str, ...]:
        """Texts that end an answer."""
        texts = self.used.get("stop_strings") or ()
        return (texts,) if isinstance(texts, str) else tuple(texts)

    def finished(self, token_ids: Sequence[int], text: str) -> bool:
        """Whether an answer ended by itself: with an end token of the model's choice, or a stop string."""
        if any(stop in text for stop in self.stop_strings):
            return True
        if self.used.get("forced_eos_token_id") is not None and len(token_ids) >= self.limit:
            # At the end of its room every answer has one.
            return False
        return bool(token_ids) and token_ids[-1] in _ids(self.used.get("eos_token_id"))

    def told(self) -> dict[str, Any]:
        """What a record says of it: what differs from greedy decoding, and the limit."""
        sampled, beams = bool(self.used.get("do_sample")), (self.used.get("num_beams") or 1) > 1
        told: dict[str, Any] = {"max_new_tokens": self.limit}
        for name in SETTINGS:
            value = self.used.get(name)
            if sampled and value is None:
                value = _USUAL_WHEN_SAMPLING.get(name)
            idle = (name in SAMPLING and not sampled) or (name in BEAMS and not beams)
            untold = name in _UNTOLD and (name not in self.chosen or name in _UNTOLD[:2])
            if value is not None and not idle and not untold and value != _IDLE.get(name):
                told[name] = tuple(value) if isinstance(value, list) else value
        return told


# What transformers raises where settings do not fit the model, or the machine.
_OF_SETTINGS = (ValueError, TypeError, IndexError, NotImplementedError, ImportError, AssertionError)


@contextmanager
def settled(decoding: Decoding) -> Iterator[None]:
    """Have what transformers says of settings that a user chose be an error of ours.

    Raises:
        OptionError: The generation failed, with settings that are not the model's own.
    """
    try:
        yield
    except _OF_SETTINGS as error:
        if not decoding.chosen or isinstance(error, GroundvizError):
            raise
        listed = ", ".join(decoding.chosen)
        raise OptionError(
            f"The model cannot generate with these settings ({listed}): {type(error).__name__}: "
            f"{str(error)[:300]}. Leave them out, or set others."
        ) from error


def _owner(model: Any) -> Any:
    """Whose settings are used: those of the language model inside where `generate` hands over to it."""
    inner = getattr(model, "language_model", None)
    hands_over = getattr(type(model).generate, "__module__", "") != "transformers.generation.utils"
    return (
        inner if hands_over and hasattr(inner, "generate") and hasattr(inner, "generation_config") else model
    )


def _limit(used: Mapping[str, Any], length: int) -> int:
    if used.get("max_new_tokens") is not None:
        return int(used["max_new_tokens"])
    return int(used["max_length"]) - length if used.get("max_length") is not None else USUAL_LENGTH


def _ids(value: Any) -> set[int]:
    """Token ids of a setting that holds one, several, a tensor of them, or none."""
    if value is None:
        return set()
    listed = value.reshape(-1).tolist() if hasattr(value, "reshape") else value
    return {int(one) for one in (listed if isinstance(listed, list | tuple) else [listed])}
