"""Text becomes one agreed form of itself, and Chinese stays Chinese.

In: text as found. Out: text with mojibake undone, NFC, radicals as the characters they stand for (many PDFs confuse them), line ends as
"\\n", no control characters, no blanks at line ends, at most two empty lines in a row. Full-width punctuation and curly quotes are
kept: ftfy's defaults would turn them into ASCII. HTML entities are kept too, since in code they are meant. Normalising twice gives
what normalising once gave.
"""

import functools
import re
import unicodedata
from typing import TYPE_CHECKING

from hanmo.data.reading.mojibake import repair as repair_chinese

if TYPE_CHECKING:
    from ftfy import TextFixerConfig

LINE_ENDS = re.compile("\r\n?|[\x85\u2028\u2029]")
TERMINAL_COLOURS = re.compile("\x1b\\[[0-9;]*[A-Za-z]")
CONTROLS = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\u200b\u206a-\u206f\ufeff\ufff9-\ufffb]")
UTF8_AS_LATIN = re.compile("[\xc2-\xf4][\x80-\xbf]*[\x80-\x9f]")
"""UTF-8 read as Latin-1, with a control character that would be lost in tidying before the rest could be repaired."""
SURROGATES = re.compile("[\ud800-\udfff]")
EMPTY_LINES = re.compile("\n{4,}")
SUSPECT = re.compile("[\x80-\u058f\u2020-\u2022\u2122\u2200-\u25ff\ufb00-\ufb06]")
"""What UTF-8 read in any single-byte encoding begins with; where none is, ftfy has nothing to repair and is not asked."""
LIGATURES = re.compile("[\u0132\u0133\u0149\u01c4-\u01cc\u01f1-\u01f3\ufb00-\ufb06]")
RADICALS = re.compile("[\u2e80-\u2fd5]")
SUPPLEMENT = (
    "⺁⺂⺃⺄⺅⺆⺇⺈⺉⺊⺋⺌⺍⺎⺏⺐⺑⺒⺓⺔⺕⺖⺗⺘⺙⺛⺜⺝⺞⺟⺠⺡⺢⺣⺤⺥⺦⺧"
    "⺨⺩⺪⺫⺬⺭⺮⺯⺰⺱⺲⺳⺴⺵⺶⺷⺸⺹⺺⺻⺼⺽⺾⺿⻀⻁⻂⻃⻄⻅⻆⻇⻈⻉⻊⻋⻌⻍"
    "⻎⻏⻐⻑⻒⻓⻔⻕⻖⻗⻘⻙⻚⻛⻜⻝⻞⻟⻠⻡⻢⻣⻤⻥⻦⻧⻨⻩⻪⻫⻬⻭⻮⻯⻰⻱⻲⻳"
)
STANDS_FOR = (
    "厂乛乚乙亻冂𠘨刀刂卜㔾小小兀尣尢𡯂巳幺彑彐忄心扌攵旡日月歺母民氵氺灬爫爫丬牛"
    "犭王𤴔目示礻𥫗糹纟罓罒㓁冗𦉫羊𦍌𦍋耂肀聿肉𦥑艹艹艹虎衤覀西见角𧢲讠贝𧾷车辶辶"
    "辶邑钅長镸长门𨸏阝雨青韦页风飞食𩙿飠饣𩠐马骨鬼鱼鸟卤麦黄黾斉齐歯齿竜龙龜亀龟"
)
"""The CJK Radicals Supplement and the characters it stands for (Unicode's property Equivalent_Unified_Ideograph)."""
UNIFIED = dict(zip(SUPPLEMENT, STANDS_FOR, strict=True)) | {
    radical: unicodedata.normalize("NFKC", radical) for radical in map(chr, range(0x2F00, 0x2FD6))
}
MOST_ROUNDS = 8  # a repair can uncover another one; real text is stable after one or two


def normalize(text: str, repair: bool = True) -> str:
    """The agreed form of a text; with `repair`, mojibake of UTF-8 and of GBK is undone.

    >>> normalize("“你好”，世界！ \\r\\n")
    '“你好”，世界！'
    """
    return normalized(text, repair)[0]


def normalized(text: str, repair: bool = True) -> tuple[str, bool]:
    """The agreed form of a text, and whether mojibake was undone in it.

    >>> normalized("ÄãºÃ£¬ÊÀ½ç"), normalized("ﬁne")
    (('你好，世界', True), ('fine', False))
    """
    if not repair:
        return _tidy(text), False
    found = without_surrogates(text)
    mended = mend(found)
    undone, text = mended != found, _tidy(mended)
    for _ in range(MOST_ROUNDS):
        fixed, was_bad = _repair(text) if SUSPECT.search(text) else (text, False)
        repaired = repair_chinese(fixed)
        if repaired == text:
            break
        undone |= was_bad or repaired != fixed
        text = _tidy(repaired)
    return text, undone


def mend(text: str) -> str:
    """The text with its encoding repaired and nothing else changed: what is broken for good can be counted in it.

    >>> mend("ÄãºÃ \\r\\n\\x00")
    '你好 \\r\\n\\x00'
    """
    text = repair_chinese(text)
    if not UTF8_AS_LATIN.search(text):
        return text
    import ftfy

    settings = _settings()
    return "\n".join([ftfy.fix_encoding(line, settings) if UTF8_AS_LATIN.search(line) else line for line in text.split("\n")])


def without_surrogates(text: str) -> str:
    """The text with pairs of surrogates joined and lone ones (JSON can hold them, UTF-8 cannot) as U+FFFD."""
    if not SURROGATES.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _tidy(text: str) -> str:
    text = LINE_ENDS.sub("\n", without_surrogates(text))
    text = TERMINAL_COLOURS.sub("", text)
    text = CONTROLS.sub("", text)
    text = unicodedata.normalize("NFC", RADICALS.sub(lambda found: UNIFIED.get(found[0], found[0]), text))
    text = "\n".join([line.rstrip() for line in text.split("\n")])
    text = EMPTY_LINES.sub("\n\n\n", text)
    return text.lstrip("\n").rstrip()


def _repair(text: str) -> tuple[str, bool]:
    """What ftfy makes of a text, and whether it undid mojibake.

    It works line by line, and is asked only about lines that show its own sign of mojibake or a ligature.
    """
    import ftfy
    from ftfy.badness import is_bad

    lines = text.split("\n")
    undone = False
    for place, line in enumerate(lines):
        if SUSPECT.search(line) and ((bad := is_bad(line)) or LIGATURES.search(line)):
            lines[place] = ftfy.fix_text(line, _settings())
            undone |= bad and lines[place] != line
    return "\n".join(lines), undone


@functools.cache
def _settings() -> "TextFixerConfig":
    from ftfy import TextFixerConfig

    return TextFixerConfig(
        unescape_html=False,
        fix_character_width=False,
        uncurl_quotes=False,
        remove_terminal_escapes=False,
        normalization="NFC",
        explain=False,
    )
