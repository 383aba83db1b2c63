"""A chat template as a tree, in which everything that may grow goes through the cage that renders it.

In: a parsed template. Out: the same with calls around the items of its loops, joined texts, what is compared, looked up or cut;
the functions called (`OWN`) are the cage's, who lets each pay. And the tag that transformers adds: {% generation %}.
"""

from collections.abc import Callable
from typing import Any, cast

from jinja2 import Environment, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

OWN = ("_turns", "_concat", "_compared", "_sought", "_sliced")
GENERATION_BEGINS, GENERATION_ENDS = "\ufdd0", "\ufdd1"
"""Noncharacters around what a template marks as the assistant's words."""


class GenerationTag(Extension):
    """{% generation %} ... {% endgeneration %}: the assistant's words."""

    tags = {"generation"}  # noqa: RUF012  the base class has it so

    def parse(self, parser: Parser) -> nodes.Node:
        """The block as a call that puts marks around it."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_marked"), [], [], body).set_lineno(line)

    def _marked(self, caller: Callable[[], str]) -> str:
        return f"{GENERATION_BEGINS}{caller()}{GENERATION_ENDS}"


def caged(tree: nodes.Template, cage: Environment) -> nodes.Template:
    """The template with its loops, joined texts, parts and comparisons inside the budget."""
    for loop in tree.find_all(nodes.For):
        inside = sum(len(each.data) for each in loop.find_all(nodes.TemplateData))
        loop.iter = _called("_turns", [loop.iter, nodes.Const(inside)], cage)
    for compared in tree.find_all(nodes.Compare):
        name = "_sought" if any(each.op in ("in", "notin") for each in compared.ops) else "_compared"
        compared.expr = _called(name, [compared.expr], cage)
    for part in tree.find_all(nodes.Getitem):
        if isinstance(part.arg, nodes.Slice):
            part.node = _called("_sliced", [part.node], cage)
    for pair in tree.find_all(nodes.Pair):
        pair.key = _called("_sought", [pair.key], cage)
    _join_inside(tree, cage)
    return tree.set_environment(cage)  # pyright: ignore[reportReturnType]


def _join_inside(tree: nodes.Template, cage: Environment) -> None:
    """Texts joined by ~, wherever they stand."""
    for node in list(tree.find_all(nodes.Node)):
        for name, value in list(node.iter_fields()):
            if isinstance(value, nodes.Concat):
                setattr(node, name, _called("_concat", value.nodes, cage))
            elif isinstance(value, list):
                parts = cast("list[Any]", value)
                setattr(node, name, [_called("_concat", each.nodes, cage) if isinstance(each, nodes.Concat) else each for each in parts])


def _called(name: str, arguments: list[Any], cage: Environment) -> Any:
    return nodes.Call(nodes.Name(name, "load"), arguments, [], None, None).set_environment(cage)
