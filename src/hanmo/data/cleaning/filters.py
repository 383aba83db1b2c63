"""Rules that say which documents are kept, each from one measured value and one threshold.

In: measured values. Out: a verdict. The idea: measuring and judging are two steps, so that receipts can be judged again with
other thresholds without reading a single text. Presets are named groups of thresholds: Gopher (Rae et al. 2021, A.1.1 and
table A1), C4 (Raffel et al. 2020, 2.2), FineWeb (Penedo et al. 2024, 3.6), and web for all of them. Where most words are
Chinese, thresholds are those that FineWeb 2 (Penedo et al. 2025) found for Chinese. A threshold set by hand goes before both.
"""

import dataclasses
import functools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from hanmo.base.errors import ConfigError
from hanmo.data.cleaning.language import is_wanted
from hanmo.data.cleaning.measures import MEASURES

Preset = Literal["mild", "gopher", "c4", "fineweb", "web"]
LANGUAGE_TAG = re.compile(r"[a-z]{2,3}(-Han[st])?")


@dataclass(frozen=True, kw_only=True)
class FilterConfig:
    """Thresholds of the rules; where none is given, the preset's.

    A least value of 0, a largest share of 1 and any other largest value of 0 refuse nothing.
    """

    none: bool = False
    """Keep every document that has any text, whatever its values."""
    preset: Preset = "mild"
    """Thresholds where none is given: mild refuses what is clearly no text, gopher, c4 and fineweb follow these papers, web all of them."""
    languages: tuple[str, ...] = ()
    """Languages to keep, such as en zh; zh-Hans or zh-Hant for one script of Chinese; empty for all."""
    min_language_score: float = 0.0
    """Smallest probability of the language that was recognised."""
    max_replacement_share: float | None = None
    """Largest share of U+FFFD, the mark of a broken decoding, among the characters found (mild 0.01)."""
    max_control_share: float | None = None
    """Largest share of control characters among the characters found (mild 0.01)."""
    min_characters: int | None = None
    """Fewest characters after cleaning."""
    max_characters: int | None = None
    """Most characters after cleaning."""
    min_words: int | None = None
    """Fewest words; Chinese is cut into words first (mild 3, gopher 50)."""
    max_words: int | None = None
    """Most words (gopher 100,000)."""
    min_letter_share: float | None = None
    """Smallest share of letters (of any script) among the characters that are no blanks (mild 0.25)."""
    min_han_share: float | None = None
    """Smallest share of Chinese characters among the letters and digits of words."""
    min_mean_word_length: float | None = None
    """Smallest mean length of words where most are not Chinese (gopher 3)."""
    max_mean_word_length: float | None = None
    """Largest mean length of words where most are not Chinese (gopher 10)."""
    min_mean_chinese_word_length: float | None = None
    """Smallest mean length of words where most are Chinese (gopher 1.1)."""
    max_mean_chinese_word_length: float | None = None
    """Largest mean length of words where most are Chinese (gopher 5)."""
    max_symbol_ratio: float | None = None
    """Most hashes, or most ellipses (... and ……), to a word (gopher 0.1)."""
    min_alphabetic_word_share: float | None = None
    """Smallest share of words that are no numbers (gopher 0.8)."""
    min_stop_words: int | None = None
    """Fewest of the commonest words of English or Chinese that occur at all; other languages pass (gopher 2)."""
    max_bullet_line_share: float | None = None
    """Largest share of lines that begin with a bullet mark (gopher 0.9)."""
    max_ellipsis_line_share: float | None = None
    """Largest share of lines that end with an ellipsis (gopher 0.3)."""
    min_sentences: int | None = None
    """Fewest ends of sentences: . ! ? 。 ！ ？ …… (c4 3)."""
    max_curly_line_share: float | None = None
    """Largest share of lines with a curly bracket (c4 0: any curly bracket refuses)."""
    max_placeholder_line_share: float | None = None
    """Largest share of lines with lorem ipsum or 占位文字 (c4 0)."""
    min_terminal_line_share: float | None = None
    """Smallest share of lines that end as sentences do, in English or Chinese marks (fineweb 0.12)."""
    max_short_line_share: float | None = None
    """Largest share of lines under 30 bytes: 30 Latin letters or 10 Chinese characters (fineweb 0.67)."""
    max_line_break_ratio: float | None = None
    """Most line breaks to a word (fineweb 0.3)."""
    max_repeated_line_share: float | None = None
    """Largest share of characters in lines that repeat an earlier line of the same document (mild 0.5, gopher 0.2, fineweb 0.1)."""
    max_repeated_line_count_share: float | None = None
    """Largest share of lines that repeat an earlier one (gopher 0.3)."""
    max_repeated_paragraph_share: float | None = None
    """Largest share of characters in paragraphs that repeat an earlier one (gopher 0.2)."""
    max_repeated_paragraph_count_share: float | None = None
    """Largest share of paragraphs that repeat an earlier one (gopher 0.3)."""
    max_top_2gram_share: float | None = None
    """Largest share of characters in the commonest pair of words (gopher 0.2)."""
    max_top_3gram_share: float | None = None
    """Largest share of characters in the commonest three words in a row (gopher 0.18)."""
    max_top_4gram_share: float | None = None
    """Largest share of characters in the commonest four words in a row (gopher 0.16)."""
    max_repeated_5gram_share: float | None = None
    """Largest share of characters in five words in a row that were seen before in the document (gopher 0.15)."""
    max_repeated_6gram_share: float | None = None
    """The same for six words (gopher 0.14)."""
    max_repeated_7gram_share: float | None = None
    """The same for seven words (gopher 0.13)."""
    max_repeated_8gram_share: float | None = None
    """The same for eight words (gopher 0.12)."""
    max_repeated_9gram_share: float | None = None
    """The same for nine words (gopher 0.11)."""
    max_repeated_10gram_share: float | None = None
    """The same for ten words (gopher 0.1)."""

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises ConfigError naming the key.
        """
        if self.preset not in PRESETS:
            raise ConfigError(f"filters.preset (={self.preset!r}) should be one of {', '.join(PRESETS)}")
        for tag in self.languages:
            if not LANGUAGE_TAG.fullmatch(tag):
                raise ConfigError(f"filters.languages (={tag!r}) should hold codes such as en, zh, zh-Hans or zh-Hant")
        for rule in RULES:
            value = getattr(self, rule.name)
            if value is not None and not 0 <= value <= (1 if rule.is_share else math.inf):
                raise ConfigError(f"filters.{rule.name} (={value}) should be {'between 0 and 1' if rule.is_share else 'at least 0'}")


@dataclass(frozen=True, slots=True)
class Rule:
    """One measured value against one threshold; `name` is the rule's key in FilterConfig."""

    name: str

    @property
    def measure(self) -> str:
        """The value that is judged."""
        return self.name[4:]

    @property
    def is_least(self) -> bool:
        """Whether the threshold is the least value allowed, not the largest."""
        return self.name.startswith("min_")

    @property
    def is_share(self) -> bool:
        """Whether values lie between 0 and 1."""
        return self.name.endswith(("_share", "_score"))

    @property
    def idle(self) -> float:
        """The threshold that refuses nothing."""
        return 1.0 if self.is_share and not self.is_least else 0.0

    def strictest(self, values: Sequence[float]) -> float:
        """The one of several thresholds that refuses most; where there is none, the idle one."""
        active = [value for value in values if value != self.idle]
        return (max if self.is_least else min)(active, default=self.idle)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The first rule that a document fails, and why in words; `rule` is empty when it passes all."""

    rule: str = ""
    value: float | None = None
    threshold: float | None = None
    detail: str = ""


RULES = tuple(
    Rule(name)
    for name in (field.name for field in dataclasses.fields(FilterConfig))
    if name.startswith(("min_", "max_")) and name[4:] in MEASURES
)
MILD: dict[str, float] = {
    "max_replacement_share": 0.01,
    "max_control_share": 0.01,
    "min_words": 3,
    "min_letter_share": 0.25,
    "max_repeated_line_share": 0.5,
}
PAPERS: dict[str, dict[str, float]] = {
    "gopher": {
        "min_words": 50,
        "max_words": 100_000,
        "min_mean_word_length": 3,
        "max_mean_word_length": 10,
        "min_mean_chinese_word_length": 1.1,
        "max_mean_chinese_word_length": 5,
        "max_symbol_ratio": 0.1,
        "min_alphabetic_word_share": 0.8,
        "min_stop_words": 2,
        "max_bullet_line_share": 0.9,
        "max_ellipsis_line_share": 0.3,
        "max_repeated_line_share": 0.2,
        "max_repeated_line_count_share": 0.3,
        "max_repeated_paragraph_share": 0.2,
        "max_repeated_paragraph_count_share": 0.3,
        "max_top_2gram_share": 0.2,
        "max_top_3gram_share": 0.18,
        "max_top_4gram_share": 0.16,
        **{f"max_repeated_{n}gram_share": round(0.2 - n / 100, 2) for n in range(5, 11)},
    },
    "c4": {"min_sentences": 3, "max_curly_line_share": 0, "max_placeholder_line_share": 0},
    "fineweb": {
        "min_terminal_line_share": 0.12,
        "max_short_line_share": 0.67,
        "max_line_break_ratio": 0.3,
        "max_repeated_line_share": 0.1,
    },
}
CHINESE: dict[str, dict[str, float]] = {
    "gopher": {
        "min_alphabetic_word_share": 0.735,
        "max_repeated_line_count_share": 0.287,
        "max_top_2gram_share": 0.256,
        "max_top_3gram_share": 0.201,
        "max_top_4gram_share": 0.171,
        "max_repeated_5gram_share": 0.198,
        "max_repeated_6gram_share": 0.182,
        "max_repeated_7gram_share": 0.167,
        "max_repeated_8gram_share": 0.154,
        "max_repeated_9gram_share": 0.14,
        "max_repeated_10gram_share": 0.127,
    },
    "fineweb": {"min_terminal_line_share": 0.106, "max_line_break_ratio": 0.178},
}
PRESETS: dict[str, tuple[str, ...]] = {"mild": (), "gopher": ("gopher",), "c4": ("c4",), "fineweb": ("fineweb",), "web": tuple(PAPERS)}


def thresholds(config: FilterConfig, chinese: bool = False) -> dict[str, float]:
    """The threshold of every rule, for texts of mostly Chinese words or for others; the strictest of the preset's papers."""
    papers = [MILD, *(PAPERS[name] | (CHINESE.get(name, {}) if chinese else {}) for name in PRESETS[config.preset])]
    found: dict[str, float] = {}
    for rule in RULES:
        given = getattr(config, rule.name)
        found[rule.name] = rule.strictest([paper[rule.name] for paper in papers if rule.name in paper]) if given is None else given
    return found


def active_thresholds(config: FilterConfig) -> dict[str, dict[str, float]]:
    """The thresholds that can refuse, by rule, for texts of mostly Chinese words and for others."""
    return {among: {name: threshold for name, _, threshold, _ in limits(config, among == "chinese")} for among in ("other", "chinese")}


def judge(values: Mapping[str, object], config: FilterConfig) -> Verdict:
    """The verdict on measured values; a document without any text is refused in any case, a value of None passes."""
    if values["characters"] == 0:
        return Verdict("empty", 0.0, 1.0)
    if config.languages and not config.none:
        code, script = str(values.get("language") or ""), str(values.get("script") or "")
        if not is_wanted(code, script, config.languages):
            tag = f"{code}-{script}" if script else code or "no language"
            return Verdict("languages", detail=f"{tag}, not {' or '.join(config.languages)}")
    for name, measured, threshold, least in limits(config, values.get("mean_chinese_word_length") is not None):
        value = cast("float | None", values[measured])
        if value is not None and (value < threshold if least else value > threshold):
            return Verdict(name, value, threshold)
    return Verdict()


@functools.cache
def limits(config: FilterConfig, chinese: bool) -> tuple[tuple[str, str, float, bool], ...]:
    """(rule, value, threshold, whether it is the least allowed) of the rules that can refuse, in the order of judging."""
    if config.none:
        return ()
    wanted = thresholds(config, chinese)
    return tuple((rule.name, rule.measure, wanted[rule.name], rule.is_least) for rule in RULES if wanted[rule.name] != rule.idle)
