"""A template is a foreign program: it writes what transformers writes, or is refused in one line."""

import threading

import pytest
from transformers.utils.chat_template_utils import render_jinja_template

from hanmo.base.errors import ModelError
from hanmo.tokenizer.templates import LONGEST_TEMPLATE, render

MESSAGES = [
    {"role": "system", "content": " Be brief. "},
    {"role": "user", "content": "Two lines\nhere", "tools": {"b": [1, 2.5, None], "a": "é山"}},
    {"role": "assistant", "content": "Yes."},
]
SOUND = {
    "loop": "{% for m in messages %}{{ loop.index0 }}/{{ loop.length }} {{ m.role }}{% if not loop.last %}, {% endif %}{% endfor %}",
    "blanks": "{%- for m in messages %}\n  {{- m['content'] | trim }}\n  {% endfor %}\n",
    "json": "{{ messages[1].tools | tojson }} {{ messages | tojson(indent=2) }}",
    "namespace": "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + m.content|length %}{% endfor %}{{ ns.n }}",
    "macro": "{% macro turn(m, mark='#') %}{{ mark ~ m.role ~ mark }}{% endmacro %}{% for m in messages %}{{ turn(m) }}{% endfor %}",
    "text": "{{ 'a,b'.split(',') | join('-') }}{{ 'abc'.replace('b', 'xx') }}{{ 'x' * 3 + 'y' }}{{ messages[0].content.strip().upper() }}",
    "slices": "{% for m in messages[1:] %}{{ m.content[:3] }}{% endfor %}{{ messages[-1]['role'] }}{{ messages | length - 1 }}",
    "control": "{% for m in messages %}{% if m.role == 'system' %}{% continue %}{% endif %}{{ m.role }}{% break %}{% endfor %}",
    "tests": "{{ messages is iterable }}{{ tools is defined }}{{ nobody is not defined }}{{ 'user' in messages[1].role }}{{ 7 // 2 % 3 }}",
    "filters": "{{ messages | map(attribute='role') | join(';') }}{{ messages | selectattr('role', 'equalto', 'user') | list }}",
    "items": "{% for key, value in messages[1].tools.items() %}{{ key }}={{ value }} {% endfor %}{{ messages[1].tools | items | list }}",
    "generation": "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %};{% endfor %}",
    "indent": "{{ messages[1].content | indent(4) }}|{{ messages[1].content | indent(2, first=true) }}",
    "recursive": "{% for m in [[1, [2, 3]], 4] recursive %}{{ loop(m) if m is iterable else m }}{% endfor %}",
    "prompt": "{{ bos_token }}{% if add_generation_prompt %}>{% endif %}{{ strftime_now('%Y') | length }}",
}
BOMBS = {
    "a long range": "{% for i in range(10**9) %}x{% endfor %}",
    "loops in loops": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "a product": "{{ 'a' * 10**9 }}",
    "a product the other way": "{{ 10**9 * ['a'] }}",
    "powers": "{{ 9**(9**9) }}",
    "doubling": "{% set x = 'ab' * 1000 %}" + "{% set x = x ~ x %}" * 40 + "{{ x }}",
    "sums": "{% set x = 'ab' * 1000 %}" + "{% set x = x + x %}" * 40 + "{{ x }}",
    "output": "{% set x = 'a' * 1000000 %}{% for i in range(1000) %}{{ x }}{% endfor %}",
    "text inside": "{% for i in range(99999) %}" + "a" * 1000 + "{% endfor %}",
    "macros": "{% macro f(n) %}" + "a" * 1000 + "{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(40) }}",
    "recursion": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "lists": "{% for i in range(99999) %}{% set x = range(99999) | list %}{% endfor %}",
    "joins": "{{ 'x'.join(['y' * 1000000] * 1000) }}",
    "join as a filter": "{{ (['y' * 1000000] * 1000) | join('x') }}",
    "replacing": "{{ ('a' * 1000000).replace('a', 'b' * 1000) }}",
    "formats": "{{ '%1000000000d' % 1 }}",
    "format": "{{ '{:1000000000}'.format(1) }}",
    "filling": "{{ 'a'.zfill(10**9) }}{{ 'a'.center(10**9) }}",
    "a filter that fills": "{{ 'a' | center(10**9) }}",
    "indents": "{{ ([1] | tojson(indent=10**9)) }}",
    "dates": "{{ strftime_now('%999999999Y') }}",
    "internals": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "globals": "{{ raise_exception.__globals__.keys() }}",
    "internals by a filter": "{{ (messages | attr('__class__')).__mro__ }}",
    "changing messages": "{{ messages.append(1) }}",
    "other templates": "{% include 'x' %}",
    "names of ours": "{{ _turns }}",
    "hidden names": "{{ namespace(__class__=1) }}",
    "hidden names set": "{% set ns = namespace() %}{% set ns.__class__ = 1 %}",
    "no Jinja": "{% if %}",
    "too long": "a" * (LONGEST_TEMPLATE + 1),
    "too deep": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
}


@pytest.mark.parametrize("name", SOUND)
def test_sound_templates_write_what_transformers_writes(name: str) -> None:
    given = {"bos_token": "<s>", "add_generation_prompt": True}
    theirs, _ = render_jinja_template([MESSAGES], chat_template=SOUND[name], **given)  # pyright: ignore[reportArgumentType]
    ours = render(SOUND[name], {"messages": MESSAGES, "tools": None, "documents": None, **given})
    assert ours.replace("\ufdd0", "").replace("\ufdd1", "") == theirs[0]


@pytest.mark.parametrize("name", BOMBS)
def test_templates_that_loop_grow_or_reach_out_are_refused_in_one_line(name: str) -> None:
    with pytest.raises(ModelError) as caught:
        render(BOMBS[name], {"messages": MESSAGES})
    assert "\n" not in str(caught.value) and "chat template" in str(caught.value)


def test_a_template_speaks_for_itself_when_it_refuses() -> None:
    with pytest.raises(ModelError, match="does not take these messages: roles must alternate"):
        render("{{ raise_exception('roles must alternate') }}", {"messages": []})


def test_each_rendering_has_a_budget_of_its_own() -> None:
    template = "{% for i in range(90000) %}{{ 'a' * 30 }}{% endfor %}"
    assert all(len(render(template, {})) == 2_700_000 for _ in range(4))


def test_threads_do_not_spend_each_others_budget() -> None:
    found: list[int] = []
    template = "{% for i in range(50000) %}{{ 'a' * 30 }}{% endfor %}"
    threads = [threading.Thread(target=lambda: found.append(len(render(template, {})))) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert found == [1_500_000] * 3
