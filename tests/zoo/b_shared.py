"""What several tiny models of this folder share: chat templates, and sizes of image processors."""

from __future__ import annotations

from typing import Any


def turns(image: str, before: str, after: str, answer: str, *, start: str = "") -> str:
    """A chat template.

    Args:
        image: What stands for an image.
        before: What stands before each message.
        after: What stands behind each message.
        answer: What asks for the answer.
        start: What the prompt starts with.

    >>> turns("<image>", "USER: ", "", " ASSISTANT:")[:30]
    '{% for message in messages %}U'
    """
    parts = (
        "{% for part in message['content'] %}"
        "{% if part['type'] == 'image' %}" + image + "{% else %}{{ part['text'] }}{% endif %}"
        "{% endfor %}"
    )
    messages = "{% for message in messages %}" + before + parts + after + "{% endfor %}"
    return start + messages + "{% if add_generation_prompt %}" + answer + "{% endif %}"


def square(side: int) -> dict[str, Any]:
    """The size of a square, as image processors write it.

    >>> square(16)
    {'height': 16, 'width': 16}
    """
    return {"height": side, "width": side}


VICUNA = turns("<image>\n", "{{ message['role'] | upper }}: ", " ", "ASSISTANT:")
CHATML = turns("<image>\n", "<|im_start|>{{ message['role'] }}\n", "<|im_end|>\n", "<|im_start|>assistant\n")
