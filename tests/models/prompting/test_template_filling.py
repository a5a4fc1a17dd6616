"""Chat templates are filled as transformers fills them, and a hostile one is stopped in time."""

import resource
import time
from types import SimpleNamespace

import pytest

from groundviz.errors import PromptError
from groundviz.models.prompting import template_filling
from groundviz.models.prompting.template_filling import MOST_BYTES, fill
from groundviz.testing.families import TINY
from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor
from tests.support.kinds import EVERY_KIND

CHAT = [
    {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
    {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Is «it» <there>?"}]},
    {"role": "assistant", "content": [{"type": "text", "text": "yes"}]},
    {"role": "user", "content": [{"type": "text", "text": "Where?"}]},
]
GRAMMAR = {
    "generation": "{% for m in messages %}{% generation %}{{ m.role }}{% endgeneration %};{% endfor %}",
    "json": "{{ messages | tojson }}{{ messages[0] | tojson(indent=2) }}",
    "date": "{{ strftime_now('%Y') }}",
    "loops": "{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}{{ m.role }}{% break %}"
    "{% endfor %}",
    "names": "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}"
    "{{ ns.n }}",
    "tokens": "{{ bos_token }}{{ eos_token }}{{ tools is none }}{{ documents is none }}"
    "{{ add_generation_prompt }}",
    "blanks": "{% for m in messages %}\n  {% if m.role == 'user' %}\n{{ m.role }}\n{% endif %}\n"
    "{% endfor %}\n",
    "macro": "{% macro say(m) %}{{ m.content | map(attribute='type') | join(',') }}{% endmacro %}"
    "{% for m in messages %}{{ say(m) }} {% endfor %}{{ dict(a=1)['a'] }}",
    "strings": "{{ messages[-1].content[-1].text.strip().upper() }}{{ messages[0].content is string }}",
}
NEST = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
DOUBLING = "{% set ns = namespace(x=START) %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}"
HOSTILE = {
    "loops in loops": (NEST, "3 seconds"),
    "a loop that says nothing": ("{% for a in range(99999) %}" * 3 + "{% endfor %}" * 3, "3 seconds"),
    "a power": ("{{ 9 ** (9 ** 9) }}", "3 seconds|512 MB"),
    "a filter that lists": ("{{ [1] | slice(10 ** 10) | list }}", "3 seconds|512 MB"),
    "a long text": ("{{ 'a' * 10 ** 10 }}", "512 MB"),
    "a text that doubles": (DOUBLING.replace("START", "'a'"), "512 MB"),
    "a list that doubles": (DOUBLING.replace("START", "[1]"), "512 MB"),
    "a wide field": ("{{ '%10000000000d' % 1 }}", "512 MB"),
    "padding": ("{{ 'a' | center(10 ** 10) }}", "512 MB"),
    "filling": ("{{ '1'.zfill(10 ** 11) }}", "512 MB"),
    "many short texts": ("{% for a in range(99999) %}{{ 'word ' * 9 }}{% endfor %}", "1,000,000 characters"),
    "calling itself": ("{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}", "cannot be filled in"),
    "deep brackets": ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "cannot be filled in"),
    "reaching for Python": ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "cannot be filled in"),
    "no template": ("{% for", "cannot be filled in"),
}


def holder(template):
    return SimpleNamespace(chat_template=template, tokenizer=SimpleNamespace(special_tokens_map={}))


def expected(processor, chat):
    return processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)


@pytest.mark.parametrize("name", GRAMMAR)
def test_templates_are_filled_as_transformers_fills_them(name):
    processor = tiny_llava_processor(tiny_llava())
    processor.chat_template = GRAMMAR[name]
    assert fill(processor, [CHAT, CHAT[1:2]]) == (expected(processor, CHAT), expected(processor, CHAT[1:2]))


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_templates_of_all_families_are_filled_as_transformers_fills_them(kind):
    _, processor = TINY[kind]()
    if not processor.chat_template:
        return
    for chat in (CHAT[1:2], CHAT[1:]):
        assert fill(processor, [chat]) == (expected(processor, chat),)


def test_of_several_templates_the_default_one_is_filled():
    assert fill(holder({"default": "a{{ messages[0].role }}", "rag": "b"}), [CHAT]) == ("asystem",)
    with pytest.raises(PromptError, match="none is called 'default'"):
        fill(holder({"rag": "b"}), [CHAT])


def test_what_a_template_says_against_messages_is_handed_on():
    with pytest.raises(PromptError, match="TemplateError: roles must alternate"):
        fill(holder("{{ raise_exception('roles must alternate') }}"), [CHAT])


@pytest.mark.wide
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_template_is_stopped_in_time_and_with_little_memory(name):
    template, says = HOSTILE[name]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with pytest.raises(PromptError, match=says):
        fill(holder(template), [CHAT])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # On the processor's clock: a busy machine takes longer by the wall's.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 10
    assert time.monotonic() - started < 60
    assert after.ru_maxrss * 1024 <= max(before.ru_maxrss * 1024, MOST_BYTES + (64 << 20))


def test_a_hostile_template_never_reaches_the_model(tiny, source_image, monkeypatch):
    monkeypatch.setattr(template_filling, "SECONDS", 1)
    monkeypatch.setattr(tiny.processor, "chat_template", NEST)
    with pytest.raises(PromptError, match=r"was stopped: it takes more than 1 seconds.*Verbatim"):
        tiny.encode((source_image,), "is it?")
