"""Whether a line begins a chapter, told from prose that begins with the same words.

In: one line. Out: yes or no. The idea: a heading is a number of its own ("第二章 归来", "CHAPTER IV.", "Chapter Two") or a name that
only headings have ("楔子", "Epilogue"), and then comes a title or nothing; a sentence goes on at once (第二集团军, 第三节课,
"Chapter 2 is about vectors"). A chapter that only a bare number or an ornament begins is not found.
"""

import re

COUNT = "[0-9０-９零〇一二三四五六七八九十百千两兩廿卅壹贰貳叁參肆伍陆陸柒捌玖拾佰仟]{1,9}"
FRONT = re.compile(r"[\s\ufeff]*(?:[#=*—-]+\s*)?[【\[《〈（(「]?\s*(?:正文卷?|VIP章[节節])?[】\]》〉）)」]?[\s：:·、.—-]*")
"""What may stand before a heading: blanks, marks of another program, a bracket, 正文."""
NUMBERED = re.compile(rf"第\s*{COUNT}\s*(部分|[章回节節卷部篇集折幕话話场場册冊季课課讲講])|卷\s*{COUNT}|제\s*\d+\s*[장화부편]")
BLANKS = r"\s{0,2}"  # 后　记
NAMES = (
    "楔子 引子 引言 序 序章 序幕 序言 序曲 自序 代序 总序 總序 前言 前奏 导言 導言 导论 導論 绪论 緒論 "
    "尾声 尾聲 尾章 终章 終章 末章 最终章 最終章 结局 結局 大结局 大結局 后记 後記 后序 跋 结语 結語 "
    "结束语 結束語 附录 附錄 番外 番外篇 番外章 番外卷 间章 間章 幕间 幕間 外传 外傳 前传 前傳 后传 後傳 "
    "上卷 中卷 下卷 上部 中部 下部 上篇 中篇 下篇 上册 中册 下册 完本感言 完结感言 上架感言 プロローグ "
    "エピローグ あとがき まえがき 프롤로그 에필로그 "
)
NAMED = re.compile(
    rf"(?:{'|'.join(BLANKS.join(name) for name in sorted(NAMES.split(), key=len, reverse=True))})"
    rf"(?:\s*[（(]?{COUNT}[）)]?)?"
)
APART = re.compile(r"[\s】\]》〉）)」：:、.．·・—~～_-]")
"""What parts a number or a name from its title."""
SENTENCE = re.compile("[。；！？!?;，,]")
GOES_ON = re.compile("[合程节節的是里裡讲講说說和与與至到以之]|介绍|介紹|结束|結束")
"""How a sentence goes on that begins with 第二章 or 第三回."""
ATTACHED = ("章", "回")
LONGEST_ATTACHED, LONGEST_TITLE = 20, 60  # characters

UNITS = "one|two|three|four|five|six|seven|eight|nine"
TEENS = "ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen"
TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
ORDINALS = (
    "first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|thirteenth|fourteenth|fifteenth|sixteenth|"
    "seventeenth|eighteenth|nineteenth|twentieth|thirtieth|fortieth|fiftieth|sixtieth|seventieth|eightieth|ninetieth|last"
)
WORDS = rf"(?:the\s+)?(?:(?:{TENS})(?:[\s-]+(?:{UNITS}|{ORDINALS}))?|{ORDINALS}|{TEENS}|{UNITS})"
ROMAN = r"c{0,3}(?:x[cl]|l?x{0,4})(?:i[xv]|v?i{0,4})"
CHAPTER = re.compile(
    r"(?:chapter|book|part|act|scene|volume|vol\.|canto|stave|letter|episode|lesson|appendix|"
    r"chapitre|partie|kapitel|teil|cap[ií]tulo|capitolo|parte|глава|часть|chương)\s+"
    rf"(?:\d+(?:\.\d+)*|(?=[ivxlc]){ROMAN}|{WORDS})(?!\w)",
    re.IGNORECASE,
)
PART = re.compile(
    r"(?:prologue|epilogue|preface|foreword|introduction|afterword|postscript|interlude|intermission|conclusion|coda|"
    r"acknowledge?ments|appendix(?:\s+[a-z])?|author['’]s\s+note)(?!\w)",
    re.IGNORECASE,
)


def begins_chapter(line: str) -> bool:
    """Whether a line is the heading of a chapter, of a part of a book, or of what stands before and behind them.

    >>> begins_chapter("　　第二章 归来"), begins_chapter("CHAPTER IV."), begins_chapter("番外三：重逢")
    (True, True, True)
    >>> begins_chapter("第二集团军在江边集结"), begins_chapter("Chapter 2 is about vectors.")
    (False, False)
    """
    line = line[FRONT.match(line).end() :].rstrip()  # pyright: ignore[reportOptionalMemberAccess]  # it matches nothing, too
    if found := NUMBERED.match(line):
        return _has_title(found[1] or "", line[found.end() :])
    if found := NAMED.match(line):
        rest = line[found.end() :]
        return not rest or (bool(APART.match(rest)) and len(rest) <= LONGEST_TITLE and not SENTENCE.search(rest))
    found = CHAPTER.match(line) or PART.match(line)
    return bool(found) and _has_english_title(found[0], line[found.end() :])


def _has_title(unit: str, rest: str) -> bool:
    """Whether what follows a Chinese number is a title or nothing."""
    if not rest:
        return True
    if rest[0] in "（(《【「":
        return len(rest) <= LONGEST_TITLE and not SENTENCE.search(rest)
    if APART.match(rest):  # Chinese prose has no blank there, but between Chinese and Latin letters it may
        title = rest.lstrip(" \t")
        return not (title[0].isascii() and title[0].isalnum() and SENTENCE.search(title))
    return unit in ATTACHED and len(rest) <= LONGEST_ATTACHED and not SENTENCE.search(rest) and not GOES_ON.match(rest)


def _has_english_title(head: str, rest: str) -> bool:
    """Whether what follows a number or a name in English is a title or nothing."""
    title = rest.lstrip(" \t.:)]—–-_*")
    if not title:
        return True
    if len(title) > LONGEST_TITLE or rest == title or not head[0].isupper() or title[-1] in ",;":
        return False
    if rest[0] in " \t" and rest.lstrip() == title:  # only a blank between: a title begins as one
        return not title[0].islower() and (title.isupper() or title[-1] != ".")
    return True
