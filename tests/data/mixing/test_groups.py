import pytest

from hanmo.base.errors import ConfigError
from hanmo.data.mixing.groups import check_grouping, group_of, host, source_of


def test_a_group_is_what_a_document_says_of_itself() -> None:
    known = {"url": "https://www.Hanmo.cn/a?b", "author": "无名"}
    assert [group_of(by, "books", "zh", known) for by in ("source", "language", "domain", "author", "year")] == [
        "books",
        "zh",
        "hanmo.cn",
        "无名",
        "unknown",
    ]
    assert group_of("domain", "books", "", {"domain": "law", "url": "https://a.cn"}) == "law"
    assert group_of("language", "books", "", {}) == group_of("domain", "books", "", {"url": "http://[broken"}) == "unknown"


def test_hosts_are_read_from_whole_urls_only() -> None:
    assert [host(url) for url in ("http://a.cn:8080/x", "//b.cn/x", "c.cn/x", "")] == ["a.cn", "b.cn", "", ""]


def test_a_label_belongs_to_the_longest_name_it_begins_with() -> None:
    names = ["books", "books/new", "bookshop"]
    assert [source_of(label, names) for label in ("books/a.txt", "books/new/a.txt#2", "bookshop", "books#4", "other.txt")] == [
        "books",
        "books/new",
        "bookshop",
        "books",
        "other.txt",
    ]


@pytest.mark.parametrize(
    "by, columns, message",
    [
        ("domain", (), "needs the column url or domain"),
        ("author", ("title",), "should be one of source, language, domain, or a column named in read.keep_columns"),
    ],
)
def test_a_group_that_nothing_tells_is_wrong_use(by: str, columns: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=rf"mix.by .*{message}"):
        check_grouping("mix.by", by, columns)


def test_groups_that_can_be_told_pass() -> None:
    for by, columns in (("", ()), ("source", ()), ("domain", ("url",)), ("author", ("author",))):
        check_grouping("split.group_by", by, columns)
