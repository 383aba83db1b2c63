"""Rules that say which documents are kept, each from one measured value and one threshold.

In: a text as found and its normalised form. Out: measured values, and a verdict from them. The idea: measuring and judging
are two steps, so that receipts can be judged again with other thresholds without reading a single text. No rule counts
Chinese words by spaces: runs of Han characters are cut by rjieba.
"""

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hanmo.base.errors import ConfigError
from hanmo.data.mojibake import broken

HAN = re.compile("[\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003347f]+")
WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")
CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]")
LETTER_RUN = re.compile(r"[^\W\d_]+")
BLANKS = re.compile(r"\s+")


@dataclass(frozen=True, kw_only=True)
class FilterConfig:
    """Thresholds of the rules; mild by default, so that only what is clearly no text falls out."""

    none: bool = False
    """Keep every document that has any text, whatever its values."""
    min_characters: int = 0
    """Fewest characters after normalisation."""
    max_characters: int = 0
    """Most characters after normalisation; 0 for no limit."""
    min_words: int = 3
    """Fewest words; Chinese is cut into words first."""
    max_replacement_share: float = 0.01
    """Largest share of U+FFFD, the mark of a broken decoding, among the characters found."""
    max_control_share: float = 0.01
    """Largest share of control characters among the characters found."""
    min_letter_share: float = 0.25
    """Smallest share of letters (of any script) among the characters that are no blanks."""
    max_repeated_line_share: float = 0.5
    """Largest share of characters in lines that repeat an earlier line of the same document."""

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises ConfigError naming the key.
        """
        for rule in RULES:
            value = getattr(self, rule.name)
            if value < 0 or ("share" in rule.name and value > 1):
                limit = "between 0 and 1" if "share" in rule.name else "at least 0"
                raise ConfigError(f"filters.{rule.name} (={value}) should be {limit}")


@dataclass(frozen=True, slots=True)
class Rule:
    """One measured value against one threshold; `name` is the rule's key in FilterConfig."""

    name: str
    measure: str

    def threshold(self, config: FilterConfig) -> float:
        """The limit, with 0 of a maximum of counts meaning none."""
        limit = float(getattr(config, self.name))
        return float("inf") if self.name == "max_characters" and limit == 0 else limit


@dataclass(frozen=True, slots=True)
class Verdict:
    """The first rule that a document fails; `rule` is empty when it passes all."""

    rule: str = ""
    value: float | None = None
    threshold: float | None = None


RULES = (
    Rule("max_replacement_share", "replacement_share"),
    Rule("max_control_share", "control_share"),
    Rule("min_characters", "characters"),
    Rule("max_characters", "characters"),
    Rule("min_words", "words"),
    Rule("min_letter_share", "letter_share"),
    Rule("max_repeated_line_share", "repeated_line_share"),
)


def judge(values: Mapping[str, float], config: FilterConfig) -> Verdict:
    """The verdict on measured values; a document without any text is refused in any case."""
    if values["characters"] == 0:
        return Verdict("empty", 0.0, 1.0)
    for name, measured, threshold, least in _limits(config):
        value = values[measured]
        if value < threshold if least else value > threshold:
            return Verdict(name, value, threshold)
    return Verdict()


@functools.cache
def _limits(config: FilterConfig) -> list[tuple[str, str, float, bool]]:
    """(rule, measure, threshold, whether it is the least value allowed), in the order of judging."""
    rules = () if config.none else RULES
    return [(rule.name, rule.measure, rule.threshold(config), rule.name.startswith("min_")) for rule in rules]


def measure(found: str, text: str) -> dict[str, float]:
    """All values of one document: `found` as it was read, `text` normalised."""
    return {name: function(found) for name, function in MEASURES_AS_FOUND.items()} | {
        name: function(text) for name, function in MEASURES.items()
    }


def characters(text: str) -> int:
    """Number of characters (code points)."""
    return len(text)


def words(text: str) -> int:
    """Number of words: Chinese as rjieba cuts it, anything else as runs of letters and digits.

    >>> words("I can't stop"), words("我爱北京天安门")
    (3, 4)
    """
    import rjieba

    if text.isascii():
        return len(WORD.findall(text))
    runs = HAN.findall(text)
    chinese = len(rjieba.cut("\n".join(runs), hmm=False)) - max(0, len(runs) - 1)
    return chinese + len(WORD.findall(HAN.sub(" ", text)))


def letter_share(text: str) -> float:
    """Share of letters among characters that are no blanks.

    >>> letter_share("abc 1"), letter_share("")
    (0.75, 0.0)
    """
    solid = len(BLANKS.sub("", text))
    return sum(map(len, LETTER_RUN.findall(text))) / solid if solid else 0.0


def repeated_line_share(text: str) -> float:
    """Share of the characters that stand in lines equal to an earlier line, blanks at the ends ignored.

    >>> repeated_line_share("more\\nmore\\nless\\nthan")
    0.25
    """
    total = repeated = 0
    seen: set[str] = set()
    for line in text.split("\n"):
        line = line.strip()
        total += len(line)
        if line in seen:
            repeated += len(line)
        seen.add(line)
    return repeated / total if total else 0.0


def replacement_share(found: str) -> float:
    """Share of U+FFFD, and of 锟斤拷 that it becomes when it is misread itself, among all characters."""
    return broken(found) / len(found) if found else 0.0


def control_share(found: str) -> float:
    """Share of control characters other than tab, line feed, form feed and carriage return."""
    return len(CONTROL.findall(found)) / len(found) if found else 0.0


MEASURES_AS_FOUND: dict[str, Callable[[str], float]] = {"replacement_share": replacement_share, "control_share": control_share}
MEASURES: dict[str, Callable[[str], float]] = {
    "characters": characters,
    "words": words,
    "letter_share": letter_share,
    "repeated_line_share": repeated_line_share,
}
COUNTS = ("characters", "words")
