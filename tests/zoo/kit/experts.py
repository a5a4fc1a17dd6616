"""The text half of a model of experts."""

from __future__ import annotations

from typing import Any


def latent_experts(**shape: Any) -> dict[str, Any]:
    """The part of a decoder's shape that makes its attention latent and its second layer one of experts.

    >>> latent_experts()["n_routed_experts"]
    4
    """
    return {
        "moe_intermediate_size": 16,
        "n_shared_experts": 1,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "n_group": 2,
        "topk_group": 1,
        "kv_lora_rank": 16,
        "q_lora_rank": 16,
        "qk_rope_head_dim": 4,
        "qk_nope_head_dim": 8,
        "v_head_dim": 8,
        "num_key_value_heads": 4,
        **shape,
    }
