"""Chat templates run in a cage: Jinja's immutable sandbox with a budget, so that no template can loop, grow or reach out.

In: a template and its variables. Out: text, or one line that says why not. A template comes with a model from anywhere and is
a program. Every turn of a loop, call, filter, sum, product, comparison and output spends from one budget, by the size of what it
makes or looks through (lists that hold one list twice, thirty times over, are large); when it is spent, or the time is over,
rendering ends. Attributes of Python's internals are out of reach (jinja2.sandbox), text has only the methods that make no more
than they were given, and nothing is computed before the budget is there.
Variables and filters are those that transformers gives: raise_exception, strftime_now, namespace, dict, tojson, {% generation %}.
"""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal, cast

import jinja2
from jinja2 import meta, nodes
from jinja2.filters import do_round
from jinja2.runtime import BlockReference, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from hanmo.base.errors import ModelError
from hanmo.tokenizer.template_tree import OWN, GenerationTag, caged

LONGEST_TEMPLATE = 1 << 17
BUDGET, SECONDS = 20_000_000, 5.0
"""Seconds of processor time: a busy machine refuses no sound template."""
TEXT_METHODS = frozenset(
    {
        *("capitalize", "casefold", "count", "endswith", "find", "index", "isalnum", "isalpha", "isascii", "isdecimal", "isdigit"),
        *("islower", "isnumeric", "isspace", "istitle", "isupper", "join", "lower", "lstrip", "partition", "removeprefix"),
        *("removesuffix", "replace", "rfind", "rindex", "rpartition", "rsplit", "rstrip", "split", "splitlines", "startswith"),
        *("strip", "swapcase", "title", "upper"),
    }
)
NO_FILTERS = ("batch", "center", "filesizeformat", "format", "pprint", "random", "slice", "urlize", "wordwrap", "xmlattr")
NO_GLOBALS = ("lipsum", "cycler", "joiner")
SHALLOW = {
    *("attr", "count", "d", "default", "first", "items", "last", "length", "list", "map"),
    *("reject", "rejectattr", "reverse", "select", "selectattr"),
}
"""Filters that look at a list and not at what is in it; all others may look through everything."""
CUTTING = {"groupby", "list", "sort", "unique"}
"""Filters that make a list of the letters of a text or the numbers of a range."""
SEARCHING = ("==", "eq", "equalto", "ne", "!=", "lt", "<", "le", "<=", "gt", ">", "ge", ">=", "greaterthan", "lessthan", "in")
A_PART, A_TURN = 40, 10
"""What a part of a list and a turn of a loop cost, in characters of text: about what they take in memory."""
LONGEST_SEPARATOR = LONGEST_SOUGHT = 16


class _Refused(Exception):
    """A template asked for more than it may."""


class _Budget:
    """What one rendering may still spend."""

    def __init__(self) -> None:
        self.left, self.end = BUDGET, time.thread_time() + SECONDS

    def spend(self, amount: int) -> None:
        self.left -= amount
        if self.left < 0:
            raise _Refused("it makes or loops too much")
        if time.thread_time() > self.end:
            raise _Refused(f"it takes more than {SECONDS:.0f} seconds")


class _Cage(ImmutableSandboxedEnvironment):
    """The sandbox whose loops, calls, filters and operators spend from `budget`."""

    intercepted_binops = frozenset(["+", "*", "**", "%"])

    def __init__(self) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=[GenerationTag, "jinja2.ext.loopcontrols"], optimized=False)
        self.budget = _Budget()
        self.finalize = self._output
        for name in NO_FILTERS:
            del self.filters[name]
        variables = cast("dict[str, Any]", self.globals)  # pyright: ignore[reportUnknownMemberType]
        for name in NO_GLOBALS:
            del variables[name]
        self.filters |= {"round": _round, "sum": self._sum}
        self.filters = {name: self._filter(each, name not in SHALLOW, name in CUTTING) for name, each in self.filters.items()}
        self.filters |= {"tojson": self._to_json, "join": self._join, "replace": self._replace, "indent": self._indent}
        tests = cast("dict[str, Any]", self.tests)  # pyright: ignore[reportUnknownMemberType]
        tests |= {name: self._filter(tests[name], True) for name in SEARCHING}
        variables |= {
            "raise_exception": _raise,
            "strftime_now": _strftime,
            "_turns": self._turns,
            "_concat": self._concat,
            "_compared": self._compared,
            "_sought": self._sought,
            "_sliced": self._sliced,
            "namespace": _namespace,
        }
        self.source_size = 0

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """As the sandbox, and of text only what makes no more than it was given."""
        return super().is_safe_attribute(obj, attr, value) and not (isinstance(obj, str) and attr not in TEXT_METHODS)

    def wrap_str_format(self, value: Any) -> None:
        """Refuse `format` and `format_map`, which the sandbox gives out before it asks whether an attribute is safe."""
        if super().wrap_str_format(value) is not None:
            raise _Refused("it formats text with format, which is not done here")

    def call(self, context: Any, obj: Any, *arguments: Any, **named: Any) -> Any:
        """A call within the budget; `join` and `replace` are measured before they are made."""
        owner, name = getattr(obj, "__self__", None), getattr(obj, "__name__", "")
        if isinstance(owner, str) and name == "join" and arguments:
            return self._join(arguments[0], owner)
        if isinstance(owner, str) and name == "replace" and len(arguments) >= 2:
            return self._replace(owner, *arguments)
        if isinstance(obj, LoopContext) and arguments:
            arguments = (_turns(self.budget, arguments[0], self.source_size), *arguments[1:])
        written = isinstance(obj, Macro | BlockReference | LoopContext)
        self.budget.spend(1 + self.source_size if written else 1 + _size(owner))
        if not written and owner is not self:
            self._weigh(*((owner,) if isinstance(owner, list | tuple) else ()), *arguments)
        found: Any = super().call(context, obj, *arguments, **named)
        self.budget.spend(_size(found))
        return found

    def getitem(self, obj: Any, argument: Any) -> Any:
        """A part of something; nothing is looked up under a key that is itself made of parts."""
        if isinstance(argument, tuple):
            raise _Refused("it looks something up under a list of keys")
        return super().getitem(obj, argument)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """A sum, product, power or remainder within the budget; texts are no formats."""
        if operator == "**" and abs(left) > 1 and (abs(left) > 1 << 32 or abs(right) > 64):
            raise _Refused("it asks for a power beyond reason")
        if operator == "%" and isinstance(left, str):
            raise _Refused("it formats text with %, which is not done here")
        if operator == "*":
            times, what = (left, right) if isinstance(left, int) else (right, left)
            self.budget.spend(1 + max(0, times) * _size(what) if isinstance(times, int) and isinstance(what, Sequence) else 1)
        elif operator == "+":
            self.budget.spend(1 + _size(left) + _size(right))
        found = super().call_binop(context, operator, left, right)
        if isinstance(found, int) and found.bit_length() > 4096:
            raise _Refused("it asks for a number beyond reason")
        return found

    def _weigh(self, *values: Any) -> None:
        """Spend what it costs to look through these and all that is in them."""
        parts: list[Any] = list(values)
        while parts:
            value = parts.pop()
            self.budget.spend(1 + _size(value) * (1 if isinstance(value, str) else A_PART))
            if isinstance(value, Namespace):
                value = cast("dict[str, Any]", getattr(value, "_Namespace__attrs"))  # noqa: B009  the only way to what it holds
            if isinstance(value, Mapping):
                parts += [*cast("Mapping[Any, Any]", value).keys(), *cast("Mapping[Any, Any]", value).values()]
            elif isinstance(value, list | tuple | set | frozenset):
                parts += cast("list[Any]", value)

    def _output(self, value: Any) -> Any:
        self._weigh(value)
        return value

    def _filter(self, function: Callable[..., Any], thorough: bool, cuts: bool = False) -> Callable[..., Any]:
        """The filter or test, paid for by what it is given and by a text that it makes."""
        takes_context = getattr(function, "jinja_pass_arg", None) is not None

        def paid(*arguments: Any, **named: Any) -> Any:
            given = arguments[1 if takes_context and len(arguments) > 1 else 0 :]
            if cuts and given and isinstance(given[0], str | range):
                self.budget.spend(A_PART * len(given[0]))
            if thorough:
                self._weigh(*given, *named.values())
            else:
                self.budget.spend(1 + _size(given[0] if given else None))
            found = function(*arguments, **named)
            self.budget.spend(len(found) if isinstance(found, str) else 0)
            return found

        if takes_context:
            paid.jinja_pass_arg = function.jinja_pass_arg  # pyright: ignore[reportFunctionMemberAccess]
        return paid

    def _turns(self, items: Any, cost: int) -> Any:
        """The items of a loop, each of which costs the text inside the loop."""
        self.budget.spend(1)
        return (
            _Turns(self.budget, items, cost)
            if isinstance(items, list | tuple | range | str | Mapping)
            else _turns(self.budget, items, cost)
        )

    def _sliced(self, value: Any) -> Any:
        """What a part is cut from, which is copied."""
        self.budget.spend(1 + _size(value))
        return value

    def _compared(self, value: Any) -> Any:
        """What is compared with something else, by its parts."""
        if _has_parts(value):
            self._weigh(value)
        return value

    def _sought(self, value: Any) -> Any:
        """What is looked for among others: compared with each of them, so it has no parts to speak of."""
        if _has_parts(value) and (len(value) > LONGEST_SOUGHT or any(map(_has_parts, value))):
            raise _Refused("it looks for a long list, or a list of lists, in another")
        return value

    def _sum(self, values: Any, attribute: str | int | None = None, start: Any = 0) -> Any:
        total = start
        for value in values:
            total = self.call_binop(None, "+", total, value if attribute is None else self.getitem(value, attribute))
        return total

    def _concat(self, *parts: Any) -> str:
        self._weigh(*parts)
        texts = [str(part) for part in parts]
        self.budget.spend(sum(map(len, texts)))
        return "".join(texts)

    def _to_json(
        self, value: Any, ensure_ascii: bool = False, indent: int | None = None, separators: Any = None, sort_keys: bool = False
    ) -> str:
        self._weigh(value)
        if (isinstance(indent, int) and not 0 <= indent <= 16) or max(map(len, (*(separators or ("",)), str(indent)))) > LONGEST_SEPARATOR:
            raise _Refused("it indents JSON beyond reason")
        text = json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
        self.budget.spend(len(text))
        return text

    def _join(self, values: Any, between: str = "", attribute: str | None = None) -> str:
        if attribute is not None:
            values = [self.getitem(each, attribute) for each in values]
        self.budget.spend(A_PART * len(values) if isinstance(values, str) else 1)
        values = list(values)
        self._weigh(values, between)
        texts = [str(each) for each in values]
        self.budget.spend(1 + sum(map(len, texts)) + len(texts) * len(str(between)))
        return str(between).join(texts)

    def _replace(self, text: Any, old: str, new: str, count: int = -1) -> str:
        self._weigh(text)
        found = str(text).count(old) if count < 0 else min(count, str(text).count(old))
        self.budget.spend(1 + len(str(text)) + found * len(new))
        return str(text).replace(old, new, count)

    def _indent(self, text: str, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
        self._weigh(text)
        before = width if isinstance(width, str) else " " * min(width, 64)
        self.budget.spend(1 + len(text) + len(before) * (1 + text.count("\n")))
        lines = text.split("\n")
        kept = [line if (not line and not blank) or (number == 0 and not first) else before + line for number, line in enumerate(lines)]
        return "\n".join(kept)


class _Turns(Sequence[Any]):
    """A sequence in a loop, so that `loop.length` and `loop.last` are known, which pays for each turn."""

    def __init__(self, budget: _Budget, items: Any, cost: int) -> None:
        self._budget, self._items, self._cost = budget, items, cost

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: Any) -> Any:
        return self._items[index]

    def __iter__(self) -> Iterator[Any]:
        return _turns(self._budget, self._items, self._cost)


def _turns(budget: _Budget, items: Any, cost: int) -> Iterator[Any]:
    for item in items:
        budget.spend(A_TURN + cost)
        yield item


def _has_parts(value: Any) -> bool:
    return isinstance(value, list | tuple | Mapping)


def _size(value: Any) -> int:
    """What a value costs, in characters of text; parts of parts are not looked at."""
    if isinstance(value, str):
        return len(value)
    return len(cast("Sequence[Any]", value)) if isinstance(value, list | tuple | Mapping | range | set | frozenset) else 1


def _round(value: Any, precision: int = 0, method: Literal["common", "ceil", "floor"] = "common") -> float:
    """Jinja raises 10 to the precision."""
    if not -300 <= precision <= 300:
        raise _Refused("it rounds beyond reason")
    return do_round(value, precision, method)


def _raise(message: str) -> None:
    raise jinja2.TemplateError(message)


def _namespace(*arguments: Any, **named: Any) -> Namespace:
    found = dict(*arguments, **named)
    for name in found:
        _check_attribute(name)
    return Namespace(found)


def _check_attribute(name: str) -> None:
    if name.startswith("_"):
        raise _Refused(f"it keeps something under the name {name}")


def _strftime(form: str) -> str:
    if len(form) > 64 or any(mark in form for mark in "0123456789"):
        raise _Refused("it asks for a date in a form beyond reason")
    return datetime.now().astimezone().strftime(form)


@lru_cache(maxsize=32)
def _compiled(source: str, thread: int) -> tuple[_Cage, jinja2.Template]:
    if len(source) > LONGEST_TEMPLATE:
        raise ModelError(
            f"the chat template is refused: it is {len(source):,} characters long, {LONGEST_TEMPLATE:,} is the most there can be"
        )
    cage = _Cage()
    cage.source_size = len(source)
    with _one_line():
        tree = cage.parse(source)
        for name in tree.find_all(nodes.Name):
            if name.name in OWN:
                raise _Refused(f"it uses the name {name.name}")
        for reference in tree.find_all(nodes.NSRef):
            _check_attribute(reference.attr)
        for each in tree.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)):
            raise _Refused(f"it asks for another template ({type(each).__name__.lower()})")
        return cage, cage.from_string(caged(tree, cage))


def render(source: str, variables: Mapping[str, Any]) -> str:
    """What a template makes of its variables.

    Raises ModelError in one line for a template that is broken, refuses these messages itself, or asks for more than it may.
    """
    cage, template = _compiled(source, threading.get_ident())  # a budget is spent by one rendering at a time
    with _one_line():
        cage.budget = _Budget()
        pieces: list[str] = []
        size = 0
        for piece in template.generate(variables):
            size += len(piece)
            if size > BUDGET:
                raise _Refused("it makes too long a text")
            pieces.append(piece)
        return "".join(pieces)


def variables(source: str) -> set[str]:
    """The names of what a template wants to be given; functions that every template has are none.

    Raises ModelError as `render` does.
    """
    cage, _ = _compiled(source, threading.get_ident())
    return meta.find_undeclared_variables(cage.parse(source)) - set(cast("dict[str, object]", cage.globals))


@contextlib.contextmanager
def _one_line() -> Generator[None]:
    try:
        yield
    except _Refused as error:
        raise ModelError(f"the chat template is refused: {error}") from error
    except jinja2.exceptions.SecurityError as error:
        raise ModelError(f"the chat template is refused: it reaches for what it may not ({_words(error)})") from error
    except jinja2.TemplateSyntaxError as error:
        raise ModelError(f"the chat template cannot be read: {_words(error)} (line {error.lineno})") from error
    except jinja2.TemplateError as error:
        raise ModelError(f"the chat template does not take these messages: {_words(error)}") from error
    except ModelError:
        raise
    except Exception as error:  # a template is a foreign program: whatever goes wrong in it is its own fault
        raise ModelError(f"the chat template fails on these messages: {type(error).__name__}: {_words(error)}") from error


def _words(error: BaseException) -> str:
    return " ".join(str(error).split())[:160]
