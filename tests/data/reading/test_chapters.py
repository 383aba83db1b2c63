import pytest

from hanmo.data.reading.chapters import begins_chapter

HEADINGS = """第一回 出山|　　第十二章　归来|\ufeff第一章 雨|第 3 章 风|第二章归来|第三回三顾茅庐
正文 第二章 归来|正文第二章|【第二章】归来|《第三章》|## 第四章 雪|=== 第五章 ===|第六章：夜
第七章（上）|第〇一二章|第１２章 路|第廿三回 分别|第壹章|第一部分 方法|第二部：远方|第三集 荒岛
第五节 曲线|第一课 秋天|第一讲 数|第十二话 再会|第二章 iPhone
第一回 灵根育孕源流出　心性修持大道生|卷一 风起|第一卷|上卷|下篇 归途|番外|番外一|番外（三）
番外篇：重逢|番外 2 雪夜|楔子|楔　子|引子|序|序章|序　言 |自序|前言|尾声|终章|大结局|后记|後記
后 记|跋|附录|附录二 年表|间章|完本感言|プロローグ|第2話 夏|제 3 장 여름|에필로그|CHAPTER I
CHAPTER IV.|Chapter 2. On|Chapter Two|Chapter Twenty-One|CHAPTER THE FIRST|Chapter the Second
Book Third|BOOK II: THE RIVER|PART ONE|Part I|ACT II|SCENE III. A room|Volume 2|VOL. II.
Canto IV|STAVE ONE|Letter 4|Prologue|PROLOGUE.|Epilogue|Preface|Introduction|Afterword
Interlude: Rain|Appendix B|Chapter 12 The Long Road|CHAPTER XL DOWN THE HOLE.|Chapitre IV
Kapitel 3|Capítulo 2|Глава 5|chapter 7|Chapter 1.2 Vectors|Act One"""
PROSE = """第二集团军在南京附近集结完毕|第二集团军|第三节课我们学了分数。|第三节课|第一部分是最难的。
第三部门|第二篇文章写得好|第一回合他就输了|第一次见面|第二回，他又来了。|第一章的内容很难
第二章我们讨论了向量空间，它的维数是有限的。|第三章程的修订|第一季度的收入|第五集讲的是什么
第三折扣|第一场雨下了一夜|第三话剧院|第一课堂|第二讲师团|第二册书
第二章 Python 很难，我没看懂。|他说第三回|序列的极限|序言里说，这本书写了十年。|后记是他写的
尾声渐渐远去|前言不搭后语|番外的故事|跋涉了三天|附录中有表|上部分是空的|下部队
楔子 那一年的冬天来得早，雪下了三天。|卷一百根烟|上卷的内容|chapters end
Chapter 2 is about vectors.|Part two of the plan began.|Part of the plan
Book 3, he said, is best.|Chapter I was born|Act one is over|Prologues are long
Introduction to the topic,|Book a table|part 2 of it|Acting I|Letter to a friend
Appendix tables
Conclusion: we were wrong, as the long and winding story of this sentence, which no heading has, shows"""


@pytest.mark.parametrize("line", [line for row in HEADINGS.split("\n") for line in row.split("|")])
def test_a_heading_begins_a_chapter(line: str) -> None:
    assert begins_chapter(line) and begins_chapter(f"  {line}\r\n")


@pytest.mark.parametrize("line", [line for row in PROSE.split("\n") for line in row.split("|")])
def test_prose_that_begins_like_a_heading_begins_none(line: str) -> None:
    assert not begins_chapter(line) and not begins_chapter(f"　　{line}\n")


@pytest.mark.parametrize("line", ["", "\n", "　　", "\ufeff", "正文", "===", "no chapter at all", "第", "第一", "12", "IV."])
def test_a_line_without_a_number_of_a_chapter_begins_none(line: str) -> None:
    assert not begins_chapter(line)


def test_a_chapter_that_is_one_long_line_is_found() -> None:
    assert begins_chapter("第一章 归来　　" + "雨下了一夜，河水涨了。" * 200)
