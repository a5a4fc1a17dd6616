"""Chat templates."""

from __future__ import annotations


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


def turns(marker: str, before: str, after: str, asked: str, *, first: str = "") -> str:
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


VICUNA = turns("<image>\n", "{{ message['role'] | upper }}: ", " ", "ASSISTANT:")
