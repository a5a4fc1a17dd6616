"""The generation settings of one answer: the model's own with the user's, and those a record keeps."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from groundviz.errors import GroundvizError, OptionError
from groundviz.runtime.passes.generation_settings import BEAMS, SAMPLING, SETTINGS, check_together

# How many tokens transformers generates where no setting limits them.
USUAL_LENGTH = 20
_LENGTHS = ("max_length", "max_new_tokens")
# Settings that do not change how tokens are chosen: a record keeps them only if the user set them.
_MINOR = ("eos_token_id", "pad_token_id", "use_cache")
# Values with which these settings have no effect. All others have none when they are None.
_NO_EFFECT = {
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
        options: Keyword arguments for the model's `generate`, besides its inputs.
        config: The model's own generation config, updated with the user's settings.
        used: The same by name.
        chosen: The user's settings.
        limit: The most tokens the answer can have.
    """

    options: Mapping[str, Any]
    config: Any
    used: Mapping[str, Any]
    chosen: Mapping[str, Any]
    limit: int

    @classmethod
    def of(cls, model: Any, chosen: Mapping[str, Any], length: int) -> Decoding:
        """The settings with which `model` answers a prompt of `length` tokens.

        Raises:
            OptionError: A setting has no effect, leaves no room for a token, or makes attention
                unreadable.
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
        """Whether there is one sequence (no beam search), and each pass reads one token more."""
        return (self.used.get("num_beams") or 1) == 1 and self.used.get("use_cache") is not False

    @property
    def stop_strings(self) -> tuple[str, ...]:
        """Texts that end an answer."""
        texts = self.used.get("stop_strings") or ()
        if isinstance(texts, str):
            return (texts,)
        return tuple(texts)

    def finished(self, token_ids: Sequence[int], text: str) -> bool:
        """Whether the model ended the answer itself: with an end token, or with a stop string."""
        if any(stop in text for stop in self.stop_strings):
            return True
        if self.used.get("forced_eos_token_id") is not None and len(token_ids) >= self.limit:
            # `generate` puts an end token at the limit of every answer.
            return False
        return bool(token_ids) and token_ids[-1] in _ids(self.used.get("eos_token_id"))

    def recorded(self) -> dict[str, Any]:
        """The settings that a record keeps: the limit, and those that differ from greedy decoding."""
        sampled = bool(self.used.get("do_sample"))
        beams = (self.used.get("num_beams") or 1) > 1
        kept: dict[str, Any] = {"max_new_tokens": self.limit}
        for name in SETTINGS:
            # Of the lengths, the limit says all there is to say.
            if name in _LENGTHS or (name in _MINOR and name not in self.chosen):
                continue
            if (name in SAMPLING and not sampled) or (name in BEAMS and not beams):
                continue
            value = self.used.get(name)
            if sampled and value is None:
                value = _USUAL_WHEN_SAMPLING.get(name)
            if value is None or value == _NO_EFFECT.get(name):
                continue
            if isinstance(value, list):
                value = tuple(value)
            kept[name] = value
        return kept


# How models with a `generate` of their own name the language model whose `generate` they call.
_LANGUAGE_MODELS = ("language_model", "text_model", "text_decoder")
# What transformers raises where settings do not fit the model, or the machine.
_OF_SETTINGS = (ValueError, TypeError, IndexError, NotImplementedError, ImportError, AssertionError)


@contextmanager
def settled(decoding: Decoding) -> Iterator[None]:
    """Turn an error of transformers into an OptionError where the user chose settings.

    Raises:
        OptionError: The generation failed, and its settings are not the model's own.
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
    """The module whose generation config is used: the model, or the language model that it calls."""
    if getattr(type(model).generate, "__module__", "") == "transformers.generation.utils":
        return model
    for name in _LANGUAGE_MODELS:
        inner = getattr(model, name, None)
        if hasattr(inner, "generate") and hasattr(inner, "generation_config"):
            return inner
    return model


def _limit(used: Mapping[str, Any], length: int) -> int:
    if used.get("max_new_tokens") is not None:
        return int(used["max_new_tokens"])
    if used.get("max_length") is not None:
        return int(used["max_length"]) - length
    return USUAL_LENGTH


def _ids(value: Any) -> set[int]:
    """Token ids of a setting that holds one, several, a tensor of them, or none."""
    if value is None:
        return set()
    if hasattr(value, "reshape"):
        value = value.reshape(-1).tolist()
    if not isinstance(value, list | tuple):
        value = [value]
    return set(map(int, value))
