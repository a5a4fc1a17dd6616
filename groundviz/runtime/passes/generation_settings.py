"""Which generation settings a user may choose, and which would make attention or answer unreadable."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from groundviz.errors import OptionError, UnknownName


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a setting may hold.

    Attributes:
        says: In words, for messages.
        holds: Whether a value is of the kind.
    """

    says: str
    holds: Callable[[Any], bool]


def _whole(least: int, most: int | None = None) -> _Kind:
    def holds(value: Any) -> bool:
        whole = isinstance(value, int) and not isinstance(value, bool)
        return whole and least <= value and (most is None or value <= most)

    says = f"a whole number from {least}"
    if most is not None:
        says += f" to {most}"
    return _Kind(says, holds)


def _number(says: str, holds: Callable[[float], bool]) -> _Kind:
    def all_of_it(value: Any) -> bool:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and math.isfinite(value) and holds(value)

    return _Kind(says, all_of_it)


def _listed(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return list(value)
    return []


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


_YES_NO = _Kind("True or False", lambda value: isinstance(value, bool))
_ABOVE_0 = _number("a number above 0", lambda value: value > 0)
_SHARE = _number("a number above 0, at most 1", lambda value: 0 < value <= 1)
_BELOW_1 = _number("a number from 0, below 1", lambda value: 0 <= value < 1)
_ANY = _number("a number", lambda value: True)
_TOKEN = _whole(0)
_TOKENS = _Kind("a list of token ids", lambda value: bool(_listed(value)) and all(map(_TOKEN.holds, value)))
_TOKEN_OR_TOKENS = _Kind(
    "a token id or a list of them", lambda value: _TOKEN.holds(value) or _TOKENS.holds(value)
)
_LISTS = _Kind(
    "a list of lists of token ids", lambda value: bool(_listed(value)) and all(map(_TOKENS.holds, value))
)
_TEXTS = _Kind(
    "a text or a list of texts",
    lambda value: _is_text(value) or (bool(_listed(value)) and all(map(_is_text, value))),
)
_EARLY = _Kind("True, False or 'never'", lambda value: value in (True, False, "never"))
_CACHE = _Kind(
    "'dynamic', 'static', 'offloaded' or 'offloaded_static'",
    lambda value: value in ("dynamic", "static", "offloaded", "offloaded_static"),
)
_DECAY = _Kind("a start and a factor", lambda value: len(_listed(value)) == 2 and all(map(_ANY.holds, value)))

# Settings that have an effect only when tokens are sampled, and only with several beams.
SAMPLING = ("temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff")
BEAMS = ("length_penalty", "early_stopping")
# Each beam is a copy of the prompt in memory.
MOST_BEAMS = 64
SETTINGS: Mapping[str, _Kind] = MappingProxyType(
    {
        "max_new_tokens": _whole(1),
        "max_length": _whole(1),
        "min_new_tokens": _whole(0),
        "min_length": _whole(0),
        "do_sample": _YES_NO,
        "num_beams": _whole(1, MOST_BEAMS),
        "temperature": _ABOVE_0,
        "top_k": _whole(0),
        "top_p": _SHARE,
        "min_p": _SHARE,
        "typical_p": _SHARE,
        "epsilon_cutoff": _BELOW_1,
        "eta_cutoff": _BELOW_1,
        "repetition_penalty": _ABOVE_0,
        "no_repeat_ngram_size": _whole(0),
        "length_penalty": _ANY,
        "early_stopping": _EARLY,
        "exponential_decay_length_penalty": _DECAY,
        "bad_words_ids": _LISTS,
        "suppress_tokens": _TOKENS,
        "begin_suppress_tokens": _TOKENS,
        "forced_bos_token_id": _TOKEN,
        "forced_eos_token_id": _TOKEN_OR_TOKENS,
        "eos_token_id": _TOKEN_OR_TOKENS,
        "pad_token_id": _TOKEN,
        "stop_strings": _TEXTS,
        "renormalize_logits": _YES_NO,
        "remove_invalid_values": _YES_NO,
        "use_cache": _YES_NO,
        "cache_implementation": _CACHE,
    }
)
_OURS = "groundviz sets it itself, to read the answer"
_OBJECT = "it is an object, which no record can keep"
_SEVERAL_TOKENS = "it tries several tokens at once, and their attention rows are not those of the answer"
_HUB = "transformers runs code from the internet for it"
# Settings of transformers that are refused, and why.
REFUSED: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("return_dict_in_generate", "output_logits", "output_scores"), _OURS),
        **dict.fromkeys(("output_attentions", "output_hidden_states", "inputs", "generation_config"), _OURS),
        **dict.fromkeys(("streamer", "logits_processor", "stopping_criteria", "cache"), _OBJECT),
        **dict.fromkeys(
            ("prefix_allowed_tokens_fn", "watermarking_config", "past_key_values", "cache"), _OBJECT
        ),
        **dict.fromkeys(("cache_config", "compile_config", "negative_prompt_ids", "sequence_bias"), _OBJECT),
        **dict.fromkeys(("assistant_model", "assistant_tokenizer", "assistant_early_exit"), _SEVERAL_TOKENS),
        **dict.fromkeys(("prompt_lookup_num_tokens", "speculation_type", "use_mtp"), _SEVERAL_TOKENS),
        **dict.fromkeys(("custom_generate", "penalty_alpha", "dola_layers", "constraints"), _HUB),
        **dict.fromkeys(("force_words_ids", "num_beam_groups", "diversity_penalty"), _HUB),
        "guidance_scale": "it runs the model a second time for each token, without the image",
        "num_return_sequences": "an explanation is of one answer; explain again with another seed",
        "max_time": "the answer then depends on how fast the machine is",
        "token_healing": "it rewrites the end of the prompt",
        "prefill_chunk_size": "it changes how the prompt is read and not the answer",
    }
)


def checked(settings: Any, answer: object = None) -> dict[str, Any]:
    """Check generation settings, which are named as in `transformers`.

    Args:
        settings: A table of names and values; None for the model's own. A value of None switches off a
            setting of the model's own.
        answer: The answer that was given, if any.

    Raises:
        UnknownName: There is no such setting.
        OptionError: A value is of the wrong kind, the setting cannot be used here, or nothing is generated.

    >>> checked({"max_new_tokens": 64, "num_beams": 3})
    {'max_new_tokens': 64, 'num_beams': 3}
    """
    if settings is None:
        return {}
    if not isinstance(settings, Mapping):
        raise OptionError(
            f"generation is of type {type(settings).__name__}: expected a table of settings. "
            "Give for example generation={'max_new_tokens': 64}."
        )
    for name, value in settings.items():
        _check(name, value)
    if settings and answer is not None:
        raise OptionError(
            "There are generation settings beside a given answer: nothing is generated. "
            "Leave out one of the two."
        )
    if settings.get("max_length") is not None and settings.get("max_new_tokens") is not None:
        raise OptionError(
            "Both max_length and max_new_tokens are set: expected one. Give max_new_tokens alone."
        )
    return dict(settings)


def check_together(chosen: Mapping[str, Any], used: Mapping[str, Any]) -> None:
    """Refuse a setting that has no effect, or that makes attention or answer unreadable.

    Args:
        chosen: The user's settings.
        used: All settings of the generation, the model's own included.

    Raises:
        OptionError: There is such a setting; it may be one of the model's own.
    """
    for names, needed, holds in (
        (SAMPLING, "do_sample=True", bool(used.get("do_sample"))),
        (BEAMS, "num_beams of 2 or more", (used.get("num_beams") or 1) > 1),
    ):
        idle = [name for name in names if chosen.get(name) is not None and not holds]
        if idle:
            raise OptionError(
                f"The generation setting {idle[0]} does nothing without {needed}. Set that, too."
            )
    for name in _BREAKING:
        if used.get(name) not in (None, False, 0, 1, 0.0, 1.0):
            raise OptionError(
                f"The model's own generation settings hold {name}, which cannot be used: {REFUSED[name]}. "
                f"Switch it off with generation={{{name!r}: None}}."
            )


# Refused settings that a model's own generation config may have.
_BREAKING = (
    "penalty_alpha",
    "dola_layers",
    "constraints",
    "force_words_ids",
    "num_beam_groups",
    "prompt_lookup_num_tokens",
    "speculation_type",
    "use_mtp",
    "guidance_scale",
    "token_healing",
    "max_time",
)


def _check(name: Any, value: Any) -> None:
    if name in REFUSED and value is not None:
        raise OptionError(f"The generation setting {name} cannot be used: {REFUSED[name]}. Leave it out.")
    if name not in SETTINGS and name not in REFUSED:
        near = difflib.get_close_matches(str(name), SETTINGS, n=3)
        meant = f"the settings are {', '.join(SETTINGS)}."
        if near:
            meant = f"did you mean {' or '.join(near)}?"
        raise UnknownName(f"There is no generation setting {name!r}: {meant} Name one of these.")
    if name in SETTINGS and value is not None and not SETTINGS[name].holds(value):
        raise OptionError(
            f"The generation setting {name} is {value!r}: expected {SETTINGS[name].says}. Give one."
        )
