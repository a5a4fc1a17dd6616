"""Fills chat templates, which are programs that come with a model, and bounds their time and memory."""

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
# Seconds by the clock, for systems that cannot bound the time of a process. Starting one may take a while.
PATIENCE = 30
_ADVICE = "Use the model's own template, or give the whole prompt as groundviz.Verbatim('...')."


def fill(processor: Any, conversations: Sequence[Sequence[Mapping[str, Any]]]) -> tuple[str, ...]:
    """Fill a processor's chat template with conversations, as its `apply_chat_template` does.

    Cost: a tenth of a second for starting a process; results are kept, so that a repetition is free.

    Args:
        processor: The model's processor, which has a chat template.
        conversations: Messages as transformers takes them.

    Raises:
        PromptError: There is no template of the usual name, it fails on these messages, or it takes more than
            3 seconds, 512 MB or a million characters.
    """
    template = processor.chat_template
    if isinstance(template, Mapping):
        template = template.get("default")
    if not isinstance(template, str):
        raise PromptError(f"The processor has several chat templates and none is called 'default'. {_ADVICE}")
    common = dict(getattr(processor.tokenizer, "special_tokens_map", {}))
    common |= {"tools": None, "documents": None, "add_generation_prompt": True}
    fillings = [common | {"messages": list(messages)} for messages in conversations]
    return _filled(template, json.dumps(fillings, default=str))


@lru_cache(maxsize=512)
def _filled(template: str, fillings: str) -> tuple[str, ...]:
    # The process imports jinja2 and markupsafe from where this process did, and nothing else.
    libraries = {str(Path(str(one.__file__)).parents[1]) for one in (jinja2, markupsafe)}
    wanted = {
        "template": template,
        "fillings": json.loads(fillings),
        "paths": sorted(libraries),
        "seconds": SECONDS,
        "bytes": MOST_BYTES,
        "characters": MOST_CHARACTERS,
    }
    script = Path(__file__).with_name("template_process.py")
    try:
        # Isolated: it ignores environment variables and the working folder.
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
        # A negative code is a signal: the system ended it for its time.
        if done.returncode < 0:
            raise _stopped("time")
        raise _stopped("memory")
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
