"""Filling chat templates, which are programs that came with a model: bounded in time, memory and length."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
import markupsafe

from groundviz.errors import PromptError

SECONDS, MOST_BYTES, MOST_CHARACTERS = 3, 512 << 20, 1_000_000
# By the clock, for systems that do not bound a process's own time; a busy machine is slow to start one.
PATIENCE = 30
_ADVICE = "Use the model's own template, or give the whole prompt as groundviz.Verbatim('...')."


def fill(processor: Any, conversations: Sequence[Sequence[Mapping[str, Any]]]) -> tuple[str, ...]:
    """What a processor's chat template makes of conversations, as its `apply_chat_template` does.

    Costs a tenth of a second for what was not filled in before: another process does it.

    Args:
        processor: The model's processor, which has a chat template.
        conversations: Messages as transformers takes them.

    Raises:
        PromptError: There is no template of the usual name, it fails on these messages, or it takes more than
            3 seconds, 512 MB or a million characters.
    """
    known = processor.chat_template
    template = known.get("default") if isinstance(known, Mapping) else known
    if not isinstance(template, str):
        raise PromptError(f"The processor has several chat templates and none is called 'default'. {_ADVICE}")
    common = dict(getattr(processor.tokenizer, "special_tokens_map", {}))
    common |= {"tools": None, "documents": None, "add_generation_prompt": True}
    fillings = [common | {"messages": list(messages)} for messages in conversations]
    return _filled(template, json.dumps(fillings, default=str))


@lru_cache(maxsize=512)
def _filled(template: str, fillings: str) -> tuple[str, ...]:
    wanted = {
        "template": template,
        "fillings": json.loads(fillings),
        "paths": sorted({str(Path(str(one.__file__)).parents[1]) for one in (jinja2, markupsafe)}),
        "seconds": SECONDS,
        "bytes": MOST_BYTES,
        "characters": MOST_CHARACTERS,
    }
    script = Path(__file__).with_name("template_process.py")
    try:
        # Isolated: neither the environment's variables nor the working folder have a say.
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-I", "-S", str(script)],
            input=json.dumps(wanted).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _stopped("time") from None
    if done.returncode:
        raise _stopped("time" if done.returncode < 0 else "memory")
    answer = json.loads(done.stdout)
    if "texts" in answer:
        return tuple(answer["texts"])
    if "stopped" in answer:
        raise _stopped(answer["stopped"])
    raise PromptError(f"The chat template cannot be filled in: {answer['failed']!r}. {_ADVICE}")


def _stopped(by: str) -> PromptError:
    most = {
        "time": f"{SECONDS} seconds",
        "memory": f"{MOST_BYTES >> 20} MB",
        "length": f"{MOST_CHARACTERS:,} characters",
    }
    return PromptError(f"The chat template was stopped: it takes more than {most[by]}. {_ADVICE}")
