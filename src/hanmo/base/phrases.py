"""Phrases of a report in one of two languages.

In: a table of key -> (English, Chinese), and a language. Out: sentences, and the marks between them that the language has.
"""

from collections.abc import Iterable, Mapping

from hanmo.base.page import Language


class Phrases:
    """Fixed phrases in one language; an unknown key gives itself."""

    def __init__(self, table: Mapping[str, tuple[str, str]], language: Language) -> None:
        self._table = table
        self._column = 0 if language == "en" else 1

    def __call__(self, key: str, **values: object) -> str:
        """The phrase of a key, with its values filled in."""
        return self._table[key][self._column].format(**values) if key in self._table else key

    def sentences(self, parts: Iterable[str]) -> str:
        """Sentences one after the other."""
        return (" ", "")[self._column].join(parts)

    def named(self, name: str, value: str) -> str:
        """A name and what it stands for."""
        return f"{name}{(': ', '：')[self._column]}{value}"

    def joined(self, names: Iterable[str]) -> str:
        """Names as a list inside a sentence; a dash for none."""
        return (", ", "、")[self._column].join(names) or "–"
