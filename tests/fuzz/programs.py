"""Chat templates that nobody should write: random programs over everything that Jinja has, bombs in the middle."""

import random

ATOMS = (
    *("messages", "m", "x", "ns", "loop", "bos_token", "nobody", "range", "dict", "namespace", "cycler", "lipsum", "joiner", "caller", "varargs"),
    *("self", "super", "raise_exception", "strftime_now", "tools", "1", "0", "-1", "3", "10**9", "99999", "2**63", "1e308", "1.5", "''", "'a'", "'%s'"),
    *("'a' * 9", "'{0.__class__}'", "'%1000000000d'", "[]", "[1, [2, 3]]", "{}", "{'a': 1}", "none", "true", "(1, 2)", "messages[0]", "m.content"),
)
NAMES = (
    *("content", "role", "__class__", "__init__", "__globals__", "__mro__", "__subclasses__", "__dict__", "__code__", "_module", "format", "format_map"),
    *("join", "replace", "split", "zfill", "center", "ljust", "expandtabs", "translate", "encode", "append", "pop", "update", "items", "keys", "get"),
    *("mro", "gi_frame", "f_back", "cr_frame", "index0", "length", "previtem", "cycle", "changed", "upper", "strip", "index", "count", "environment"),
)
FILTERS = (
    *("length", "trim", "upper", "list", "string", "join", "join('x')", "tojson", "tojson(indent=4)", "replace('a', 'b' * 99)", "attr('__class__')"),
    *("center(10**9)", "indent(10**9)", "indent('x' * 99)", "batch(10**9)", "slice(10**9)", "format(1)", "map('upper')", "map(attribute='__class__')"),
    *("map('attr', '__class__')", "selectattr('role')", "reject('odd')", "sort", "groupby('role')", "unique", "sum", "sum(start=[])", "wordwrap(1)"),
    *("urlize", "xmlattr", "pprint", "random", "round(10**9)", "round(-400)", "int", "int(base=99)", "float", "escape", "safe", "striptags", "title"),
    *("truncate(10**9, end='x' * 10**9)", "dictsort", "items", "default('x')", "first", "last", "min", "max", "reverse", "abs", "filesizeformat"),
    *("wordcount", "urlencode", "capitalize", "forceescape", "count", "sort(attribute='a.b.c')", "e", "d(9)", "string | list | join"),
)
TESTS = ("defined", "none", "string", "iterable", "odd", "divisibleby(0)", "sameas none", "in messages", "filter('x')", "eq 1", "mapping", "callable")


def program(chance: random.Random) -> str:
    """A template."""
    return "".join(_block(chance, 3) for _ in range(chance.randint(1, 4)))


def _block(chance: random.Random, depth: int) -> str:
    value = _value(chance, 3)
    if depth == 0:
        return f"{{{{ {value} }}}}"
    inner = "".join(_block(chance, depth - 1) for _ in range(chance.randint(1, 2)))
    return chance.choice(
        (
            f"{{{{ {value} }}}}",
            f"{{{{ {value} }}}}",
            "text\n",
            f"{{% set x = {value} %}}",
            f"{{% set x = x ~ x %}}{{% set x = x + x %}}{{{{ x }}}}",
            f"{{% set ns = namespace(a={value}) %}}{{% for i in range(999) %}}{{% set ns.a = ns.a ~ ns.a %}}{{% endfor %}}",
            f"{{% for m in {value} %}}{inner}{{% endfor %}}",
            f"{{% for m in {value} recursive %}}{inner}{{{{ loop(m) }}}}{{% endfor %}}",
            f"{{% for k, v in {value} if {value} %}}{inner}{{% else %}}x{{% endfor %}}",
            f"{{% for i in range(99999) %}}{inner}{{% endfor %}}",
            f"{{% if {value} %}}{inner}{{% elif {value} %}}{{% endif %}}",
            f"{{% macro f(a, b=1) %}}{inner}{{{{ f(a) }}}}{{{{ varargs }}}}{{% endmacro %}}{{{{ f({value}) }}}}",
            f"{{% macro g() %}}{{{{ caller() }}}}{{{{ caller() }}}}{{% endmacro %}}{{% call g() %}}{inner}{{% endcall %}}",
            f"{{% filter {chance.choice(FILTERS)} %}}{inner}{{% endfilter %}}",
            f"{{% set x %}}{inner}{{% endset %}}{{{{ x * 99999 }}}}",
            f"{{% generation %}}{inner}{{% endgeneration %}}",
            f"{{% with a = {value} %}}{inner}{{% endwith %}}",
            f"{{% block b %}}{inner}{{% endblock %}}{{{{ self.b() }}}}",
            f"{{% include {value} %}}",
            f"{{% import {value} as y %}}",
            f"{{% from {value} import y %}}",
            f"{{% autoescape true %}}{inner}{{% endautoescape %}}",
            "{% break %}",
            "{% raw %}{{ x }}{% endraw %}",
            f"{{% if {value} %}}",
        )
    )


def _value(chance: random.Random, depth: int) -> str:
    if depth == 0:
        return chance.choice(ATOMS)
    one, other = _value(chance, depth - 1), _value(chance, depth - 1)
    return chance.choice(
        (
            chance.choice(ATOMS),
            f"({one}) {chance.choice(('+', '-', '*', '**', '/', '//', '%', '~', '==', '<', 'in', 'and', 'or'))} ({other})",
            f"({one}).{chance.choice(NAMES)}",
            f"({one})['{chance.choice(NAMES)}']",
            f"({one}).{chance.choice(NAMES)}({other})",
            f"({one})({other})",
            f"({one}) | {chance.choice(FILTERS)}",
            f"({one}) is {chance.choice(TESTS)}",
            f"({one})[{chance.choice(('0', '-1', '1:', '::-1', '10**12', ':10**9', '::0'))}]",
            f"[{one}] * ({other})",
            f"range({one}, {other})",
            f"dict(a={one})",
            f"strftime_now({one})",
            f"not ({one})",
            f"({one}) if ({other})",
        )
    )
