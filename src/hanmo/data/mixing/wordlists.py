"""Small word lists for augmentation, English and Chinese, written for this project; a file of one's own is joined to them.

In: nothing, or a file with tab-separated words. Out: synonyms of a word, pairs of gendered words. The idea: within a line the
words have one inflection and one meaning in most sentences, so that one can stand for the other. They are few on purpose.
"""

from collections.abc import Sequence
from pathlib import Path

from hanmo.base.errors import DataError
from hanmo.base.storage import read_text

SYNONYMS = """
big large|small little|fast quick rapid|happy glad|sad unhappy|begin start|begins starts|began started|end finish|ends finishes
ended finished|buy purchase|buys purchases|bought purchased|help assist|helps assists|helped assisted|choose select|chose selected
show display|shows displays|showed displayed|important significant|difficult hard|easy simple|smart clever|angry mad|quiet silent
rich wealthy|strange odd|error mistake|errors mistakes|answer reply|answers replies|area region|areas regions|car automobile
cars automobiles|film movie|films movies|idea thought|ideas thoughts|job task|jobs tasks|road street|roads streets|shop store
shops stores|child kid|children kids|maybe perhaps|often frequently|also too|almost nearly|very really|quickly rapidly|whole entire
huge enormous|tiny minute|beautiful lovely|terrible awful|great excellent|wrong incorrect|right correct|correct right|need require
needs requires|needed required|get obtain|keep retain|tell inform|try attempt|tries attempts|tried attempted|build construct
built constructed|fix repair|fixed repaired|scared afraid|tired exhausted|brave courageous|famous well-known|enough sufficient
高兴 开心 快乐|漂亮 美丽 好看|聪明 机灵|困难 艰难|容易 简单|迅速 快速|重要 要紧|巨大 庞大|美味 好吃|安静 宁静|害怕 恐惧
生气 愤怒|悲伤 难过|勇敢 英勇|著名 知名 有名|经常 常常 时常|非常 十分 特别|立刻 马上 立即|也许 或许 可能|几乎 差不多|突然 忽然
仍然 依然|已经 早已|开始 起初|帮助 协助|购买 采购|使用 运用|喜欢 喜爱|讨厌 厌恶|选择 挑选|讨论 商讨|修理 维修|建造 修建
获得 取得|保持 维持|展示 展现|需要 须要|告诉 告知|认为 觉得|知道 知晓|医生 大夫|妻子 太太|电影 影片|汽车 轿车|商店 店铺
道路 马路|孩子 小孩|错误 差错|想法 念头|方法 办法|地方 场所|质量 品质|便宜 实惠|昂贵 贵重|干净 整洁|服务 招待
"""

GENDERED = """
he she|himself herself|man woman|men women|boy girl|boys girls|father mother|fathers mothers|dad mom|dads moms|daddy mommy
son daughter|sons daughters|brother sister|brothers sisters|husband wife|husbands wives|uncle aunt|uncles aunts|nephew niece
nephews nieces|grandfather grandmother|grandpa grandma|grandson granddaughter|king queen|kings queens|prince princess
princes princesses|lord lady|lords ladies|sir madam|mr ms|gentleman gentlewoman|gentlemen gentlewomen|groom bride|grooms brides
boyfriend girlfriend|boyfriends girlfriends|actor actress|actors actresses|waiter waitress|waiters waitresses|hero heroine
heroes heroines|heir heiress|monk nun|monks nuns|wizard witch|wizards witches|male female
males females|businessman businesswoman|businessmen businesswomen|chairman chairwoman|policeman policewoman|salesman saleswoman
spokesman spokeswoman|fireman firewoman|stepfather stepmother|stepson stepdaughter|widower widow|landlord landlady|guy gal|guys gals
masculine feminine|manhood womanhood|fatherhood motherhood|paternal maternal
他 她|他们 她们|男 女|男人 女人|男孩 女孩|男孩子 女孩子|男子 女子|男士 女士|男性 女性|男生 女生|男友 女友
男朋友 女朋友|男演员 女演员|男教师 女教师|男医生 女医生|先生 小姐|父亲 母亲|爸爸 妈妈|爸 妈|儿子 女儿|哥哥 姐姐|弟弟 妹妹
兄弟 姐妹|丈夫 妻子|老公 老婆|爷爷 奶奶|外公 外婆|祖父 祖母|孙子 孙女|侄子 侄女|叔叔 阿姨|国王 女王|王子 公主|皇帝 皇后
新郎 新娘|小伙子 小姑娘|帅哥 美女|继父 继母|公公 婆婆|和尚 尼姑|丈人 丈母娘
"""


def synonyms(path: Path | None = None) -> dict[str, tuple[str, ...]]:
    """For each word the words that can stand in its place; words of a file (a group a line, tabs between) come first.

    Raises DataError when the file cannot be read.
    """
    table: dict[str, tuple[str, ...]] = {}
    for group in [*(read_rows_of_words(path) if path else ()), *_built_in(SYNONYMS)]:
        for word in group:
            others = tuple(other for other in group if other != word)
            table[word.lower()] = tuple(dict.fromkeys((*table.get(word.lower(), ()), *others)))
    return table


def pairs(path: Path | None = None) -> dict[str, str]:
    """Each word's counterpart, both ways; the pairs of a file (two words a line, a tab between) come first.

    Raises DataError when the file cannot be read, a line has not two words, or a word has two counterparts.
    """
    table: dict[str, str] = {}
    own = read_rows_of_words(path) if path else []
    for number, row in enumerate(own, 1):
        if len(row) != 2:
            raise DataError(f"{path}: line {number} has {len(row)} words: a pair needs two, with a tab between")
        if any(" " in word for word in row):
            raise DataError(f"{path}: line {number} has a blank inside a name: give single words, such as first names")
        for word, other in ((row[0], row[1]), (row[1], row[0])):
            if table.setdefault(word.lower(), other) != other:
                raise DataError(f"{path}: {word!r} has two counterparts, {table[word.lower()]!r} and {other!r}: keep one")
    for one, two in _built_in(GENDERED):
        if one not in table and two not in table:
            table[one], table[two] = two, one
    return table


def read_rows_of_words(path: Path) -> list[list[str]]:
    """Lines of a file, cut at tabs; empty lines and lines that begin with # are left out.

    Raises DataError when the file cannot be read.
    """
    try:
        text = read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the word list {path} cannot be read: {error}") from error
    lines = (line.strip() for line in text.splitlines())
    return [[word.strip() for word in line.split("\t") if word.strip()] for line in lines if line and not line.startswith("#")]


def _built_in(table: str) -> Sequence[list[str]]:
    return [group.split() for group in table.strip().replace("\n", "|").split("|")]
