"""What several tiny models share: chat templates, and a text half of experts."""

from __future__ import annotations

from typing import Any


def chatml(marker: str, *, first: str = "", thought: str = "") -> str:
    """A chat template whose turns stand between <|im_start|> and <|im_end|>.

    Args:
        marker: What stands for an image.
        first: What the conversation begins with.
        thought: What the answer begins with.

    >>> "<image>" in chatml("<image>")
    True
    """
    return turns(
        marker,
        before="<|im_start|>{{ message['role'] }}\n",
        after="<|im_end|>\n",
        asked="<|im_start|>assistant\n" + thought,
        first=first,
    )


def turns(marker: str, *, before: str, after: str, asked: str, first: str = "") -> str:
    """A chat template of turns, each between two marks.

    Args:
        marker: What stands for an image.
        before: What a turn begins with; it may use `message`.
        after: What a turn ends with.
        asked: What the answer begins with.
        first: What the conversation begins with.

    >>> turns("<image>", before="USER:", after="</s>", asked="ASSISTANT:").startswith("{% for message")
    True
    """
    return (
        first
        + "{% for message in messages %}"
        + before
        + "{% for part in message['content'] %}"
        + "{% if part['type'] == 'image' %}"
        + marker
        + "{% else %}{{ part['text'] }}{% endif %}{% endfor %}"
        + after
        + "{% endfor %}{% if add_generation_prompt %}"
        + asked
        + "{% endif %}"
    )


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
