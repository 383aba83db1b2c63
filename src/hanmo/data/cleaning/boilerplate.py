"""Lines that belong to a page and not to its text: consent to cookies, scripts, share buttons, navigation, footers.

In: a text. Out: the text without such lines, and how many there were. The idea: a line goes only when all of it is a phrase that
pages repeat, in English or Chinese; a sentence that merely speaks of cookies stays. Words that a poem could hold as well
(Home, 搜索) go only in company: two on a line, or three such lines in a row.
"""

import re
from collections.abc import Sequence
from itertools import groupby

LONGEST = 300
COMPANY = 3
SEPARATORS = re.compile(r"\s*[|>»›·•/\\,，、;；]+\s*|\s{2,}|\t")
EDGES = " \t|>»›·•*-–—[]【】()（）:：.…"
EMPTY_LINES = re.compile("\n{4,}")
OF_THE_WEB = r"(?=.*\b(?:site|website|browser|browsing|experience|consent|polic|privacy|analy|traffic|personali|advert|agree))"

NOTICES = (
    rf"{OF_THE_WEB}(?:this|our|the) (?:web ?)?site uses cookies\b.*",
    rf"{OF_THE_WEB}we (?:and our partners )?use cookies\b.*",
    r"by (?:continuing|using|browsing|clicking)\b.*\byou (?:agree|consent|accept)\b.*\bcookies?\b.*",
    r"(?:accept|reject|allow|decline|manage)(?: all)? cookies?(?: settings| preferences)?",
    r"cookie (?:settings|preferences|policy|notice)",
    r"(?:please )?(?:enable|turn on|activate) java ?script\b.*",
    r"java ?script (?:is|must be|seems to be|appears to be) (?:currently )?(?:disabled|enabled|required|not|turned|blocked)\b.*",
    r"(?:you need|this (?:page|site|app) (?:needs|requires)|your browser does not support)\b.*\bjava ?script\b.*",
    r"(?:本|该|此|我们的?)(?:网站|站点|页面)?(?:会)?使用\s?cookies?(?![^，。]{0,4}(?:饼干|蛋糕)).*",
    r"(?:接受|同意|拒绝|管理)(?:所有|全部)?\s?cookies?(?:设置|政策)?",
    r"(?:请|您的浏览器|你的浏览器|需要|本页面?)[^。]{0,20}(?:启用|开启|打开|不支持|禁用|关闭)了?\s?java ?script.*",
    r"(?:©|\(c\)|copyright (?:©|\(c\)|\d{4})).{0,120}|.{0,80}\ball rights reserved",
    r"版权所有.{0,80}|.{0,60}(?:icp[备证]|公网安备|网安备)\s?[\d-]+.{0,40}",
    r".{0,60}未经.{0,10}(?:授权|许可|同意)[，,]?.{0,6}(?:不得|禁止|严禁|谢绝).{0,4}(?:转载|复制|使用).{0,40}",
    r"(?:打开)?微信[，,]?扫一扫.{0,40}|(?:微信)?扫码(?:关注|下载|分享).{0,20}|长按(?:识别|扫描)?二维码.{0,20}",
    r"(?:当前|您的?|你的?)(?:所在)?位置\s?[:：].{0,60}|上一篇\s?[:：].{0,60}|下一篇\s?[:：].{0,60}",
)
"""Phrases that are a line of their own."""

LABELS = (
    r"skip to (?:main )?(?:content|navigation)|back to (?:the )?top|share (?:this )?(?:on|to|via) [a-z-]+|pin it|e-?mail this",
    r"log ?in|log ?out|like us on [a-z]+|follow us on [a-z]+|site ?map|sign ?up|sign ?in",
    r"subscribe to (?:our|the) (?:free )?(?:news ?letter|mailing list)",
    r"terms of (?:use|service)|terms (?:and|&) conditions|privacy policy|leave a (?:comment|reply)|no comments(?: yet)?",
    r"read more|load more|contact us|about us",
    r"返回(?:页面)?顶部|回到顶部|返回首页|返回列表|返回上一页|设为首页|加入收藏|网站地图|网站首页",
    r"用户登录|免费注册|忘记密码|隐私政策|服务条款|免责声明",
    r"联系我们|关于我们|点击(?:阅读|查看)?(?:全文|更多|原文)|(?:阅读|查看|加载|展开)(?:全文|更多|全部|原文)",
    r"分享(?:到|至)(?:微信|微博|新浪微博|朋友圈|qq空间|qq好友)?|复制链接",
    r"猜你喜欢|相关(?:推荐|阅读|文章)|热门(?:推荐|文章)|打印本页|关闭窗口|新浪微博|qq空间|qq好友",
)
"""Phrases of buttons and links, which go alone."""

COMMON_LABELS = (
    r"home|menu|search|register|contact|about|privacy|terms|faq|help|news|blog|products|services|careers|shop|cart|account|archives?",
    r"share|tweet|print|e-?mail|facebook|twitter|linkedin|pinterest|instagram|youtube|reddit|whatsapp|previous|next|comments?|reply|tags?|categories",
    r"首页|登录|注册|搜索|菜单|导航|新闻|产品|服务|论坛|博客|下载|帮助|收藏|分享|点赞|转发|举报|打印|评论|微信|微博|朋友圈|豆瓣|更多|上一页|下一页|尾页",
)
"""Labels that are common words too."""

PATH = re.compile(r"(?:home|首页|网站首页)(?:\s*(?:>|»|›|/)\s*[^>»›/]{1,30}){1,6}", re.IGNORECASE)
NOTICE = re.compile("|".join(NOTICES), re.IGNORECASE)
LABEL = re.compile("|".join(LABELS), re.IGNORECASE)
ANY_LABEL = re.compile("|".join((*LABELS, *COMMON_LABELS)), re.IGNORECASE)


def without_boilerplate(text: str) -> tuple[str, int]:
    """The text without the lines of a page, and how many were taken out.

    >>> without_boilerplate("Skip to content\\nThe river rose.\\n首页 | 登录 | 注册")
    ('The river rose.', 2)
    """
    lines = text.split("\n")
    kept = _kept(lines)
    taken = len(lines) - sum(kept)
    if not taken:
        return text, 0
    rest = "\n".join(line for line, stays in zip(lines, kept, strict=True) if stays)
    return EMPTY_LINES.sub("\n\n\n", rest).strip("\n"), taken


def _kept(lines: Sequence[str]) -> list[bool]:
    """For each line whether it stays; empty lines do not break the company of labels."""
    kinds = [kind_of(line) for line in lines]
    kept = [kind not in ("notice", "label") for kind in kinds]
    filled = (number for number, line in enumerate(lines) if line.strip())
    for labels, members in groupby(filled, key=lambda number: kinds[number] != "text"):
        found = list(members)
        if labels and len(found) >= COMPANY:
            for number in found:
                kept[number] = False
    return kept


def kind_of(line: str) -> str:
    """What a line is: text, a notice, a label that goes alone, or a common label.

    >>> kind_of("Home > News"), kind_of("Home"), kind_of("We baked cookies.")
    ('label', 'common label', 'text')
    """
    line = line.strip(EDGES)
    if not line or len(line) > LONGEST:
        return "text"
    if NOTICE.fullmatch(line):
        return "notice"
    if LABEL.fullmatch(line) or PATH.fullmatch(line):
        return "label"
    parts = [part for part in SEPARATORS.split(line) if part]
    if not all(map(ANY_LABEL.fullmatch, parts)):
        return "text"
    return "label" if len(parts) > 1 else "common label"
