import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.data.cleaning.boilerplate import kind_of, without_boilerplate

GONE = """This website uses cookies to improve your experience.
We use cookies to analyse traffic on this site and to show adverts.
By continuing to browse you agree to our use of cookies.
Accept all cookies
Cookie settings
Please enable JavaScript to view the comments.
JavaScript is disabled in your browser.
Skip to main content
Share on Facebook
Home | About us | Contact
Home > News > Sport
Privacy Policy · Terms of Use
© 2020 The Harbour Gazette. All rights reserved.
Copyright 2019 Harbour Gazette
Back to top
Subscribe to our newsletter
本网站使用Cookie来改善您的体验。
请启用JavaScript后再访问本页。
首页 | 登录 | 注册
当前位置：首页 > 新闻 > 正文
分享到微信
上一篇：渔网怎么补
返回顶部
设为首页 | 加入收藏
版权所有 海边日报社
沪ICP备12345678号-1
未经授权，不得转载。
微信扫一扫，关注我们
阅读全文""".splitlines()
STAYS = """We use cookies as the base of this cake.
By using cookie cutters you can shape the dough.
She wrote a book about JavaScript and its history.
Home is where the boat lies.
Home
Help!
The share of the harvest went to the mill.
The copyright of a song lasts longer than its fame.
He told us all rights reserved to the crown were gone.
Next, he mended the net.
首页的设计花了他三个月。
搜索
我们用曲奇饼干做蛋糕底。
版权是作者的权利。
他在微信里说今天不来了。
下一篇文章我想写海边的渡船。
上一篇文章说的是渔网。
请先打开窗户，再学习 JavaScript。""".splitlines()


@pytest.mark.parametrize("line", GONE)
def test_lines_of_a_page_go(line: str) -> None:
    text = f"The boat came in with the tide.\n{line}\n船随着潮水靠了岸。"
    assert without_boilerplate(text) == ("The boat came in with the tide.\n船随着潮水靠了岸。", 1)


@pytest.mark.parametrize("line", STAYS)
def test_sentences_that_speak_of_such_things_stay(line: str) -> None:
    text = f"The boat came in with the tide.\n{line}\n船随着潮水靠了岸。"
    assert without_boilerplate(text) == (text, 0)


def test_common_words_go_only_in_company() -> None:
    assert without_boilerplate("Home\nSearch\n\nHelp\n船靠了岸。\n搜索\n首页") == ("船靠了岸。\n搜索\n首页", 3)
    assert kind_of("微信 微博 QQ空间") == "text" and kind_of("微信  微博") == "label"


@settings(deadline=None)
@given(st.lists(st.sampled_from([*GONE, *STAYS, ""])).map("\n".join))
def test_no_sentence_is_lost_and_none_is_new(text: str) -> None:
    rest, taken = without_boilerplate(text)
    assert [line for line in rest.split("\n") if kind_of(line) == "text" and line] == [
        line for line in text.split("\n") if kind_of(line) == "text" and line
    ]
    assert taken <= text.count("\n") + 1


@pytest.mark.timeout(20)
def test_long_lines_of_any_kind_cost_little() -> None:
    for piece in ("home | ", "a ", "首页>", "版", "(c)", " \t|"):
        text = "\n".join([(piece * 300)[:299]] * 200)
        rest, taken = without_boilerplate(text)
        assert set(rest.split("\n")) <= {*text.split("\n"), ""} and taken <= 200, piece
