"""What is measured of a text, once and in one pass; judging is another step.

In: a text as found and its clean form. Out: values by name, each a column of the receipts; None where a value
makes no sense (the mean length of Chinese words in an English text). Definitions follow Gopher (Rae et al. 2021, A.1.1),
C4 (Raffel et al. 2020, 2.2) and FineWeb (Penedo et al. 2024, 3.6), with marks and words of Chinese beside those of English.
A text counts as Chinese here when at least half of its words are.
"""

import re
from collections.abc import Sequence

from hanmo.data.cleaning.language import identify
from hanmo.data.cleaning.repetition import REPEATED, TOP, ngram_shares, repeated_shares
from hanmo.data.cleaning.words import HAN, cut, listed
from hanmo.data.reading.mojibake import broken

CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]")
LETTER_RUN = re.compile(r"[^\W\d_]+")
PARAGRAPHS = re.compile(r"\n\s*\n")
ELLIPSIS = re.compile(r"\.{3,}|…+|。{3,}|．{3,}")
SENTENCE_END = re.compile(r"[。！？…｡]+|[.!?]+(?=[\"'”’)\]]*(?:\s|$))", re.MULTILINE)
BULLETS = tuple("•‣⁃▪▫●○◦◆◇■□▶►▸★☆※·✓✔➢➤*-–—")
ENDS = tuple('.!?。！？…｡"”」』')
CLOSERS = " )]）】〕》"
PLACEHOLDER = re.compile(r"lorem ipsum|此处(?:为|是)?占位|占位文[字本]", re.IGNORECASE)
SHORT_LINE = 30
"""A short line has fewer bytes of UTF-8 than this: 30 Latin letters, or 10 Chinese characters, which say about as much."""

TEXTS = ("language", "script")
COUNTS = ("characters", "words", "stop_words", "sentences")
MEASURES = (
    "replacement_share",
    "control_share",
    "characters",
    "words",
    "letter_share",
    "han_share",
    "mean_word_length",
    "mean_chinese_word_length",
    "symbol_ratio",
    "alphabetic_word_share",
    "stop_words",
    "sentences",
    "bullet_line_share",
    "ellipsis_line_share",
    "terminal_line_share",
    "short_line_share",
    "curly_line_share",
    "placeholder_line_share",
    "line_break_ratio",
    "repeated_line_share",
    "repeated_line_count_share",
    "repeated_paragraph_share",
    "repeated_paragraph_count_share",
    *(f"top_{n}gram_share" for n in TOP),
    *(f"repeated_{n}gram_share" for n in REPEATED),
    "language",
    "language_score",
    "script",
)


def measure(found: str, text: str) -> dict[str, float | str | None]:
    """All values of one document: `found` as it was read, `text` cleaned."""
    language = identify(text)
    lines = [line for line in map(str.strip, text.split("\n")) if line]
    words, num_chinese = cut(text)
    line_count_share, line_share = repeated_shares(lines)
    paragraph_count_share, paragraph_share = repeated_shares(part for part in map(str.strip, PARAGRAPHS.split(text)) if part)
    return {
        "replacement_share": replacement_share(found),
        "control_share": control_share(found),
        "characters": len(text),
        **of_words(words, num_chinese, text, language.code),
        "letter_share": letter_share(text),
        "sentences": len(SENTENCE_END.findall(text)),
        **of_lines(lines, text),
        "line_break_ratio": text.count("\n") / len(words) if words else 0.0,
        "repeated_line_share": line_share,
        "repeated_line_count_share": line_count_share,
        "repeated_paragraph_share": paragraph_share,
        "repeated_paragraph_count_share": paragraph_count_share,
        **ngram_shares(words),
        "language": language.code or None,
        "language_score": language.score,
        "script": language.script or None,
    }


def of_words(words: Sequence[str], num_chinese: int, text: str, language: str) -> dict[str, float | None]:
    """Values of single words, of which `num_chinese` are Chinese.

    `symbol_ratio` is Gopher's, hashes or ellipses to a word, whichever are more; `alphabetic_word_share` the words that are no
    numbers; `stop_words` how many of a language's commonest words occur at all, None for languages without a list.
    """
    number, others = len(words), len(words) - num_chinese
    letters = sum(map(len, words))
    chinese_letters = sum(map(len, HAN.findall(text))) if num_chinese else 0
    is_chinese = num_chinese > others
    symbols = max(text.count("#"), len(ELLIPSIS.findall(text)))
    common = listed("common", language)
    present = common and common.intersection(map(str.lower, words) if language == "en" else words)
    return {
        "words": number,
        "han_share": chinese_letters / letters if letters else 0.0,
        "mean_word_length": (letters - chinese_letters) / others if others and not is_chinese else None,
        "mean_chinese_word_length": chinese_letters / num_chinese if is_chinese else None,
        "symbol_ratio": symbols / number if number else float(symbols > 0),
        "alphabetic_word_share": 1 - sum(map(str.isdecimal, words)) / number if number else 0.0,
        "stop_words": None if present is None else len(present),
    }


def of_lines(lines: Sequence[str], text: str) -> dict[str, float]:
    """Shares of lines that begin or end with certain marks, are short, or hold what no running text has."""
    number = len(lines) or 1
    curly = sum("{" in line or "}" in line for line in lines) if "{" in text or "}" in text else 0
    placeholders = sum(map(bool, map(PLACEHOLDER.search, lines))) if PLACEHOLDER.search(text) else 0
    return {
        "bullet_line_share": sum(line.startswith(BULLETS) for line in lines) / number,
        "ellipsis_line_share": sum(line.endswith(("...", "…", "。。。", "．．．")) for line in lines) / number,
        "terminal_line_share": sum(map(ends_as_sentence, lines)) / number,
        "short_line_share": sum(len(line) < SHORT_LINE and len(line.encode()) < SHORT_LINE for line in lines) / number,
        "curly_line_share": curly / number,
        "placeholder_line_share": placeholders / number,
    }


def ends_as_sentence(line: str) -> bool:
    """Whether a line ends with the mark of a sentence or a closing quotation mark, in English or Chinese.

    >>> [ends_as_sentence(line) for line in ("He left.", "他走了。）", "“走吧”", "Contents")]
    [True, True, True, False]
    """
    return line.rstrip(CLOSERS).endswith(ENDS)


def letter_share(text: str) -> float:
    """Share of letters among characters that are no blanks.

    >>> letter_share("abc 1"), letter_share("")
    (0.75, 0.0)
    """
    solid = len("".join(text.split()))
    return sum(map(len, LETTER_RUN.findall(text))) / solid if solid else 0.0


def replacement_share(found: str) -> float:
    """Share of U+FFFD, and of 锟斤拷 that it becomes when it is misread itself, among all characters."""
    return broken(found) / len(found) if found else 0.0


def control_share(found: str) -> float:
    """Share of control characters other than tab, line feed, form feed and carriage return."""
    return len(CONTROL.findall(found)) / len(found) if found else 0.0
