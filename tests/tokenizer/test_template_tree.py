"""What may grow goes through the cage: a cage that only writes down sees every loop, joined text, comparison, key and part."""

import jinja2

from hanmo.tokenizer.template_tree import GENERATION_BEGINS, GENERATION_ENDS, OWN, GenerationTag, caged


def seen(source: str, **variables: object) -> tuple[str, list[str]]:
    """What a template writes, and which of the cage's functions it went through."""
    used: list[str] = []
    cage = jinja2.Environment(extensions=[GenerationTag], optimized=False)
    for name in OWN:

        def call(*values: object, name: str = name) -> object:
            used.append(name)
            return "".join(map(str, values)) if name == "_concat" else values[0]

        cage.globals[name] = call
    return cage.from_string(caged(cage.parse(source), cage)).render(**variables), used


def test_each_kind_of_growth_is_seen_and_changes_nothing() -> None:
    assert seen("{% for x in [1, 2] %}{{ x }}{% endfor %}") == ("12", ["_turns"])
    assert seen("{{ 'a' ~ 1 }}{% set x = 'b' ~ 2 %}{{ x }}") == ("a1b2", ["_concat", "_concat"])
    assert seen("{{ 1 == 1 }}{{ 1 in [1] }}") == ("TrueTrue", ["_compared", "_sought"])
    assert seen("{{ 'abc'[1:] }}{{ 'abc'[0] }}") == ("bca", ["_sliced"])
    assert seen("{{ {x: 1}['k'] }}", x="k") == ("1", ["_sought"])


def test_the_assistants_words_stand_between_marks() -> None:
    assert seen("a{% generation %}b{{ x }}{% endgeneration %}c", x=1)[0] == f"a{GENERATION_BEGINS}b1{GENERATION_ENDS}c"
