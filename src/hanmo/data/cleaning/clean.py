"""What a text may lose or change before it is measured: all by choice, nothing by default.

In: a normalised text. Out: the text as the settings want it, and how many lines were taken out. In order: script of Chinese,
lines of the page, lines that are no sentences (C4: Raffel et al. 2020, 2.2), and the classic pipeline of bags of words: lower
case, punctuation, stop words.
"""

import re
from dataclasses import dataclass
from typing import Literal, get_args

from hanmo.base.errors import ConfigError
from hanmo.data.cleaning.boilerplate import without_boilerplate
from hanmo.data.cleaning.chinese import Conversion, convert
from hanmo.data.cleaning.measures import ends_as_sentence
from hanmo.data.cleaning.words import WORD, listed, runs, words

FEWEST_WORDS = 5
BLANKS = re.compile(r"[^\S\n]+")
PUNCTUATION = re.compile(r"[^\w\s]|_")


@dataclass(frozen=True, kw_only=True)
class CleanConfig:
    """What a text may lose or change; everything is off by default."""

    chinese: Literal["keep"] | Conversion = "keep"
    """Turn Chinese into another script by OpenCC: t2s into simplified, s2t into traditional; tw2sp, s2twp exchange words too."""
    boilerplate: bool = False
    """Leave out lines that belong to a page: consent to cookies, scripts, share buttons, navigation, footers, in English and Chinese."""
    sentences_only: bool = False
    """Leave out lines that do not end as a sentence does or have fewer than 5 words (C4)."""
    lowercase: bool = False
    """Turn capital letters into small ones."""
    remove_punctuation: bool = False
    """Turn punctuation and symbols into blanks; apostrophes and hyphens inside words stay."""
    remove_stop_words: bool = False
    """Leave out the words that carry no topic, English and Chinese, for bags of words; a model of language wants them."""

    def __post_init__(self) -> None:
        """Check the name of the conversion.

        Raises ConfigError naming the key.
        """
        known = ("keep", *get_args(Conversion))
        if self.chinese not in known:
            raise ConfigError(f"clean.chinese (={self.chinese!r}) should be one of {', '.join(known)}")


def clean(text: str, config: CleanConfig) -> tuple[str, int]:
    """The text as the settings want it, and the number of lines taken out.

    >>> clean("The rivers of 江南，很高的山。", CleanConfig(remove_punctuation=True, remove_stop_words=True, lowercase=True))
    ('rivers 江南 高 山', 0)
    """
    removed = 0
    if config.chinese != "keep":
        text = convert(text, config.chinese)
    if config.boilerplate:
        text, removed = without_boilerplate(text)
    if config.sentences_only:
        text, more = sentences_only(text)
        removed += more
    if config.lowercase:
        text = text.lower()
    if config.remove_punctuation:
        text = without_punctuation(text)
    if config.remove_stop_words:
        text = without_stop_words(text)
    return text, removed


def sentences_only(text: str) -> tuple[str, int]:
    """The lines that end as a sentence does and have at least five words, and how many others there were.

    >>> sentences_only("Menu\\nNobody spoke of the night before.\\n谁也没有提起昨夜的事情。")
    ('Nobody spoke of the night before.\\n谁也没有提起昨夜的事情。', 1)
    """
    lines = text.split("\n")
    kept = [line for line in lines if not line.strip() or (ends_as_sentence(line) and words(line) >= FEWEST_WORDS)]
    return "\n".join(kept).strip("\n"), len(lines) - len(kept)


def without_punctuation(text: str) -> str:
    """The text with blanks for punctuation and symbols; apostrophes and hyphens inside words stay.

    >>> without_punctuation("Don't panic -- “再见”，well-known!")
    "Don't panic 再见 well-known"
    """
    pieces: list[str] = []
    end = 0
    for word in WORD.finditer(text):
        pieces += [PUNCTUATION.sub(" ", text[end : word.start()]), word.group()]
        end = word.end()
    return _tidy("".join([*pieces, PUNCTUATION.sub(" ", text[end:])]))


def without_stop_words(text: str) -> str:
    """The text with blanks for stop words of English and Chinese.

    >>> without_stop_words("我喜欢这本书 and its cover")
    '喜欢 本书 cover'
    """
    english, chinese = listed("stop", "en") or (), listed("stop", "zh") or ()
    pieces: list[str] = []
    for gap, run in runs(text):
        pieces.append(WORD.sub(lambda word: " " if word.group().lower().replace("’", "'") in english else word.group(), gap))
        pieces += [" " if word in chinese else word for word in run]
    return _tidy("".join(pieces))


def _tidy(text: str) -> str:
    return "\n".join(line.strip() for line in BLANKS.sub(" ", text).split("\n")).strip("\n")
