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
TOOLS = [{"type": "function", "function": {"name": "rain", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]
TURNS = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": " Does it rain in 北京? "},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": "a1", "type": "function", "function": {"name": "rain", "arguments": {"city": "北京"}}}],
    },
    {"role": "tool", "name": "rain", "content": "yes <b>&"},
    {"role": "assistant", "content": "<think>\nso\n</think>\n\nIt does."},
    {"role": "user", "content": [{"type": "text", "text": "And in Rome?"}]},
]
# ruff: noqa: E501  templates have long lines
IDIOMS = {
    "an opening system turn unless there is one": """
{%- for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nHelp.<|im_end|>\n' }}{% endif %}
{{- '<|im_start|>' + message['role'] + '\n' + message['content'] | string + '<|im_end|>' + '\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}""",
    "tools, tool calls, and the last question found from behind": """
{%- if tools %}
    {{- '<|im_start|>system\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\n\n' }}
    {%- endif %}
    {{- "# Tools\n<tools>" }}
    {%- for tool in tools %}
        {{- "\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\n</tools><|im_end|>\n" }}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<a>') and message.content.endswith('</a>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if message.role == "assistant" %}
        {%- set reasoning = '' %}
        {%- if '</think>' in content %}
            {%- set reasoning = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\n') %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index and (loop.last or (not loop.last and reasoning)) %}
            {{- '<|im_start|>' + message.role + '\n<think>\n' + reasoning.strip('\n') + '\n</think>\n\n' + content.lstrip('\n') }}
        {%- endif %}
        {%- if message.tool_calls %}
            {%- for tool_call in message.tool_calls %}
                {%- if (loop.first and content) or (not loop.first) %}{{- '\n' }}{%- endif %}
                {%- if tool_call.function %}{%- set tool_call = tool_call.function %}{%- endif %}
                {{- '<tool_call>\n{"name": "' }}{{- tool_call.name }}{{- '", "arguments": ' }}
                {%- if tool_call.arguments is string %}{{- tool_call.arguments }}{%- else %}{{- tool_call.arguments | tojson }}{%- endif %}
                {{- '}\n</tool_call>' }}
            {%- endfor %}
        {%- endif %}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}{{- '<|im_start|>user' }}{%- endif %}
        {{- '\n<tool_response>\n' + content + '\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}{{- '<|im_end|>\n' }}{%- endif %}
    {%- endif %}
{%- endfor %}""",
    "the date, a macro of types, and turns popped from the front": """
{{- bos_token }}
{%- if custom_tools is defined %}{%- set tools = custom_tools %}{%- endif %}
{%- if not tools_in_user_message is defined %}{%- set tools_in_user_message = true %}{%- endif %}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}{%- set date_string = strftime_now("%d %b %Y") %}{%- else %}{%- set date_string = "26 Jul 2024" %}{%- endif %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{%- macro kind(spec) -%}
    {%- if spec.type == "object" -%}{ {%- for name, value in spec.properties.items() -%}{{ name }}: {{ kind(value) }}{%- if not loop.last %}, {% endif -%}{%- endfor -%} }
    {%- else -%}{{ spec.type }}{%- endif -%}
{%- endmacro -%}
{{- "<|start_header_id|>system<|end_header_id|>\n\nToday: " + date_string + "\n\n" + system_message + "<|eot_id|>" }}
{%- for t in tools %}{{- kind(t.function.parameters) }}{{- t | tojson(indent=4) }}{{- "\n\n" }}{%- endfor %}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | string | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}{{- raise_exception("one call at a time") }}{%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '{"name": "' + tool_call.name + '", "parameters": ' }}{{- tool_call.arguments | tojson }}{{- "}" }}
    {%- elif message.content is mapping or message.content is iterable %}
        {{- message.content | tojson }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}""",
    "parts of a turn, and the assistant by another name": """
{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}{%- set first_user_prefix = messages[0]['content'] + '\n\n' -%}
    {%- else -%}{%- set first_user_prefix = messages[0]['content'][0]['text'] + '\n\n' -%}{%- endif -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = "" -%}{%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) and false -%}{{ raise_exception("turns must alternate") }}{%- endif -%}
    {%- if (message['role'] == 'assistant') -%}{%- set role = "model" -%}{%- else -%}{%- set role = message['role'] -%}{%- endif -%}
    {{ '<start_of_turn>' + role + '\n' + (first_user_prefix if loop.first else "") }}
    {%- if message['content'] is string -%}{{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}
            {%- if item['type'] == 'image' -%}{{ '<start_of_image>' }}{%- elif item['type'] == 'text' -%}{{ item['text'] | trim }}{%- endif -%}
        {%- endfor -%}
    {%- else -%}{{ raise_exception("no content") }}{%- endif -%}
    {{ '<end_of_turn>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<start_of_turn>model\n' }}{%- endif -%}""",
    "counted turns, kept in a list, and a test of lengths": """
{%- set user_messages = messages | selectattr("role", "equalto", "user") | list %}
{%- set ns = namespace(index=0, seen=[]) %}
{%- for message in messages %}
    {%- if not (message.role == "tool" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- set ns.index = ns.index + 1 %}
        {%- set ns.seen = ns.seen + [message.role] %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}{{ ns.index }}{{ ns.seen | join(",") }}
{%- for message in messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and (message == user_messages[-1]) %}
            {{- "[AVAILABLE_TOOLS] [" }}
            {%- for tool in tools %}
                {%- set tool = tool.function %}
                {{- '{"type": "function", "function": {' }}
                {%- for key, val in tool.items() if key != "return" %}
                    {%- if val is string %}{{- '"' + key + '": "' + val + '"' }}{%- else %}{{- '"' + key + '": ' + val|tojson }}{%- endif %}
                    {%- if not loop.last %}{{- ", " }}{%- endif %}
                {%- endfor %}
                {{- "}}" }}{%- if not loop.last %}{{- ", " }}{%- else %}{{- "]" }}{%- endif %}
            {%- endfor %}
            {{- "[/AVAILABLE_TOOLS]" }}
        {%- endif %}
        {{- "[INST] " ~ message["content"] ~ "[/INST]" }}
    {%- elif message.tool_calls is defined and message.tool_calls|length > 0 %}
        {%- for tool_call in message.tool_calls %}
            {%- set out = tool_call.function|tojson %}{{- out[:-1] }}{{- ', "id": "' + tool_call.id + '"}' }}
        {%- endfor %}
        {{- eos_token }}
    {%- elif message["role"] == "assistant" %}{% generation %}{{- " " + message["content"]|trim + eos_token }}{% endgeneration %}{%- endif %}
{%- endfor %}""",
}
GROWN = "{% set x = ['a'] %}" + "{% set x = [x, x] %}" * 40
OTHER = GROWN.replace("x", "y")
KEYS = "{% set x = ('a',) %}" + "{% set x = (x, x) %}" * 40
KEPT = "{% set ns = namespace(a=[]) %}{% for i in range(99999) %}{% set ns.a = [ns.a, MADE] %}{% endfor %}"
BOMBS = {
    "a tree of one leaf, written": GROWN + "{{ x }}",
    "a tree of one leaf, joined": GROWN + "{{ x ~ 'a' }}{{ [x] | join }}",
    "a tree of one leaf, as JSON": GROWN + "{{ x | tojson }}",
    "a tree of one leaf, as a text": GROWN + "{{ x | upper | length }}",
    "a tree in a namespace": "{% set ns = namespace(a='a') %}{% for i in range(60) %}{% set ns.a = [ns.a, ns.a] %}{% endfor %}{{ ns }}",
    "trees compared": GROWN + OTHER + "{{ x == y }}",
    "trees compared by a test": GROWN + OTHER + "{{ x is eq y }}",
    "trees compared by a filter": GROWN + OTHER + "{{ [x] | select('equalto', y) | list | length }}",
    "a tree in a list": GROWN + OTHER + "{{ x in [y] }}",
    "a tree counted": GROWN + OTHER + "{{ [x].count(y) }}",
    "a tree as a key": KEYS + "{{ {x: 1} | length }}",
    "a tree looked up": KEYS + "{{ {}[x] }}",
    "trees of which one is taken": KEYS + "{{ [x] | unique | list | length }}",
    "lists added up": "{{ ([[1] * 99999] * 5000) | sum(start=[]) | length }}",
    "rounded up": "{{ 1.5 | round(10**8, 'ceil') }}",
    "wide JSON": "{{ ([1] * 99999) | tojson(separators=('x' * 9999, 'y')) | length }}",
    "deep JSON": "{{ ([[1]] * 99999) | tojson(indent='x' * 9999) | length }}",
    "a loop in itself": "{% for m in [1] recursive %}"
    + "a" * 99999
    + "{% if loop.depth == 1 %}{{ loop(range(99999)) }}{% endif %}{% endfor %}",
    "blocks kept": "{% block b %}" + "a" * 99999 + "{% endblock %}" + KEPT.replace("MADE", "self.b()"),
    "parts kept": "{% set x = [1] * 99999 %}" + KEPT.replace("MADE", "x[1:]"),
    "parts of a text kept": "{% set x = 'a' * 99999 %}" + KEPT.replace("MADE", "x[1:]"),
    "copies kept": "{% set x = 'a' * 99999 %}" + KEPT.replace("MADE", "x.upper()"),
    "ranges kept": KEPT.replace("MADE", "range(99999) | list"),
    "a format with marks": "{{ ('{0.__class__}' | e).format(1) }}{{ ('%s' | e) % 1 }}",
    "letters in a list": "{{ ('中' * 9000000) | list | length }}",
    "letters joined": "{{ ('中' * 9000000) | join('') | length }}",
    "a wide format by an item": "{{ '{:999999999}'['format'](1) | length }}",
    "a wide format by a filter": "{{ ('{:999999999}' | attr('format'))(1) | length }}",
    "a format by an item": "{{ 'a'['format'](1) }}",
    "a generator's frame": "{{ (messages | map('upper')).gi_frame.f_globals }}",
    "a macro's code": "{% macro f() %}{% endmacro %}{{ f.__init__.__globals__ }}",
    "a context": "{{ self._TemplateReference__context.environment }}",
    "a long sum": "{{ 1" + "+1" * 30000 + " }}",
    "numbers in a row": "{{ " + "9" * 99999 + " }}",
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


@pytest.mark.parametrize("name", IDIOMS)
def test_idioms_of_published_templates_write_what_transformers_writes(name: str) -> None:
    given = {"bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": True}
    theirs, _ = render_jinja_template([TURNS], chat_template=IDIOMS[name], tools=TOOLS, **given)  # pyright: ignore[reportArgumentType]
    ours = render(IDIOMS[name], {"messages": TURNS, "tools": TOOLS, "documents": None, **given})
    assert ours.replace("\ufdd0", "").replace("\ufdd1", "") == theirs[0] and len(ours) > 100


def test_a_long_conversation_is_no_bomb() -> None:
    """A thousand turns of a thousand characters, longer than any context."""
    turns = [{"role": role, "content": "words " * 166} for _ in range(500) for role in ("user", "assistant")]
    for template in IDIOMS.values():
        assert "words" in render(template, {"messages": turns, "tools": TOOLS, "bos_token": "<s>", "eos_token": "</s>"})


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
